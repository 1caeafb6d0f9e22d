"""The accessor itself: where it works, before and beside any call."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import BigQueryAccessor
from gcp_accessor.errors import UnsupportedLocally

if TYPE_CHECKING:
    from pathlib import Path


def test_the_environment_names_the_folder_when_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path))

    assert BigQueryAccessor().local == tmp_path
    assert BigQueryAccessor(project="a-project").local is None


def test_a_folder_and_a_project_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="local= stands in for Google Cloud"):
        BigQueryAccessor("a-project", local=tmp_path)


def test_an_accessor_is_a_recipe_that_can_be_pickled(tmp_path: Path) -> None:
    accessor = BigQueryAccessor(local=tmp_path, dataset="d", labels={"a": "b"}, timeout=5)
    accessor.query("SELECT 1 AS n")

    again = pickle.loads(pickle.dumps(accessor))

    assert (again.dataset, again.labels, again.timeout) == ("d", {"a": "b"}, 5)
    assert again.query("SELECT 1 AS n").scalar() == 1


def test_a_forked_process_opens_the_folder_for_itself(tmp_path: Path) -> None:
    # In a process of its own: this one has threads, which do not survive a fork.
    code = """
import os, sys
from gcp_accessor import BigQueryAccessor
accessor = BigQueryAccessor(local=sys.argv[1])
parents = accessor._backend
if os.fork() == 0:
    os._exit(0 if accessor._backend is not parents else 1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) or accessor._backend is not parents)
"""

    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    assert done.returncode == 0


def test_a_folder_has_no_client_of_googles(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLocally, match="works on the folder"):
        _ = BigQueryAccessor(local=tmp_path).bq_client


@pytest.mark.parametrize(
    "options",
    [{"use_legacy_sql": True}, {"udf_resources": ["f"]}, {"table_definitions": {"t": object()}}],
)
def test_an_option_that_only_google_has_is_refused_on_a_folder(
    tmp_path: Path, options: dict[str, object]
) -> None:
    accessor = BigQueryAccessor(local=tmp_path)

    with pytest.raises(UnsupportedLocally, match=next(iter(options))):
        accessor.execute_query("SELECT 1 AS n", **options)  # type: ignore[arg-type]


def test_a_format_that_only_google_reads_is_refused_on_a_folder(tmp_path: Path) -> None:
    accessor = BigQueryAccessor(local=tmp_path)

    with pytest.raises(UnsupportedLocally, match="works on the folder"):
        accessor.load_data_from_gcs("d", "gs://bucket/t.avro", "t", source_format="AVRO")


def test_an_option_that_changes_no_row_is_accepted_on_a_folder(tmp_path: Path) -> None:
    accessor = BigQueryAccessor(local=tmp_path)

    rows = accessor.execute_query(
        "SELECT 1 AS n", None, "prefix", "US", 30, 100, priority="BATCH", use_query_cache=False
    )

    assert rows == [[1]]
