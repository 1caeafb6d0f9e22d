"""The examples in the docstrings of the BigQuery accessor and of what it gives."""

from __future__ import annotations

import doctest
from datetime import date
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import (
    BigQueryAccessor,
    CloudStorageAccessor,
    byte_sizes,
    parameters,
    query_result,
    type_names,
)
from gcp_accessor import bigquery as accessor
from gcp_accessor import progress as bars
from gcp_accessor.bigquery import data, exports, first_names, queries, query_job, tables, upsert

if TYPE_CHECKING:
    from pathlib import Path

MODULES = (
    *(accessor, queries, query_job, data, upsert, exports, tables, first_names),
    *(query_result, parameters, type_names, byte_sizes, bars),
)
EXAMPLES = [
    example
    for module in MODULES
    for example in doctest.DocTestFinder().find(module)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_gives_what_it_shows(example: doctest.DocTest, tmp_path: Path) -> None:
    place = tmp_path / "place"
    warehouse = BigQueryAccessor(local=place, dataset="exams")
    warehouse.create_dataset("exams")
    warehouse.load([{"item_id": "q1", "score": 0.5, "event_date": date(2024, 3, 1)}], "answers")
    CloudStorageAccessor(local=place).create_bucket("lessons")
    example.globs |= {"warehouse": warehouse, "folder": tmp_path / "new", "date": date}

    failed, tried = doctest.DocTestRunner().run(example)

    assert tried > 0
    assert failed == 0
