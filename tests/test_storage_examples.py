"""The examples in the storage accessor's docstrings."""

from __future__ import annotations

import doctest
from datetime import date
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import publication, storage
from gcp_accessor.publication import history, reading
from gcp_accessor.storage import contents, downloads, models, objects, rows, uploads

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor import CloudStorageAccessor

EXAMPLES = [
    example
    for module in (
        *(storage, rows, contents, objects, uploads, downloads, models),
        *(publication, history, reading),
    )
    for example in doctest.DocTestFinder().find(module)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_gives_what_it_shows(
    example: doctest.DocTest, local_store: CloudStorageAccessor, tmp_path: Path
) -> None:
    local_store.create_bucket("models")
    local_store.upload_csv_gzip("lessons", "items.csv.gz", [["q1", -0.42]])
    for name in ("items.html", "notes/students.html"):
        path = tmp_path / "folder" / "reports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<p>ok</p>")
    example.globs |= {"store": local_store, "date": date, "folder": tmp_path / "folder"}

    failed, tried = doctest.DocTestRunner().run(example)

    assert tried > 0
    assert failed == 0
