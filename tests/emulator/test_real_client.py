"""Queries, pages, parameters, types and Storage Read, over the wire with somebody else's server."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud.bigquery import TableReference

from gcp_accessor.backends.google.storage_read import StorageReader

if TYPE_CHECKING:
    from google.cloud.bigquery_storage import BigQueryReadClient

    from gcp_accessor import BigQueryAccessor

# The emulator answers a parameter of BYTES as a STRING.
VALUES: list[tuple[str, Any]] = [
    ("INT64", 2**62),
    ("FLOAT64", 0.1),
    ("NUMERIC", Decimal("1.5")),
    ("BOOL", True),
    ("STRING", "Zoë, 日本語, '\"\n"),
    ("DATE", date(2024, 2, 29)),
    ("DATETIME", datetime(2024, 2, 29, 23, 59, 59, 123456)),
    ("TIME", time(23, 59, 59)),
    ("TIMESTAMP", datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)),
    ("ARRAY<INT64>", [3, 1, 2]),
    ("STRUCT<item STRING, n INT64>", {"item": "q1", "n": 1}),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[kind for kind, _ in VALUES])
def test_a_parameter_comes_back_as_the_same_value(
    warehouse: BigQueryAccessor, kind: str, value: Any
) -> None:
    assert warehouse.query("SELECT @value AS value", {"value": value}).scalar() == value


def test_null_is_none_in_every_form(warehouse: BigQueryAccessor) -> None:
    result = warehouse.query("SELECT CAST(NULL AS INT64) AS n, CAST(NULL AS STRING) AS text")

    assert result.rows() == [[None, None]]
    assert result.records() == [{"n": None, "text": None}]
    assert result.to_dataframe()["n"].isna().all()


def test_a_result_without_rows_keeps_its_columns(warehouse: BigQueryAccessor) -> None:
    result = warehouse.query("SELECT 1 AS n, 'a' AS text FROM UNNEST([1]) WHERE FALSE")

    assert [(column.name, column.type) for column in result.schema] == [
        ("n", "INT64"),
        ("text", "STRING"),
    ]
    assert result.to_arrow().num_rows == 0


def test_rows_come_page_by_page_and_in_their_order(warehouse: BigQueryAccessor) -> None:
    result = warehouse.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 2500)) AS n ORDER BY n")

    assert result.total_rows == 2500
    assert [n for (n,) in result.rows()] == list(range(1, 2501))
    assert result.to_arrow()["n"].to_pylist() == list(range(1, 2501))


def test_a_table_is_made_filled_and_deleted(warehouse: BigQueryAccessor) -> None:
    warehouse.create_table("answers", {"item": "STRING", "n": "INT64"})
    warehouse.query("INSERT INTO exams.answers (item, n) VALUES ('q1', 1), ('q2', NULL)")

    assert warehouse.tables() == ["answers"]
    assert [column.type for column in warehouse.table("answers").schema] == ["STRING", "INT64"]
    assert warehouse.query("SELECT item, n FROM exams.answers ORDER BY item").rows() == [
        ["q1", 1],
        ["q2", None],
    ]
    warehouse.delete_table("answers")
    assert warehouse.check_if_table_exists("exams", "answers") is False


def test_a_large_table_is_read_over_storage_read(
    warehouse: BigQueryAccessor, read_client: BigQueryReadClient
) -> None:
    warehouse.query(
        "CREATE TABLE exams.large AS "
        "SELECT n, CAST(n AS STRING) AS text FROM UNNEST(GENERATE_ARRAY(1, 120000)) AS n"
    )
    table = TableReference.from_string(f"{warehouse.bq_client.project}.exams.large")

    # Results have a table of their own in BigQuery, but not in the emulator: read this one.
    batches = StorageReader(warehouse.bq_client, read_client).batches(table, ordered=False)

    assert batches is not None
    rows = [row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)]
    assert sorted(rows) == [(n, str(n)) for n in range(1, 120_001)]


def test_wrong_sql_is_a_bad_request(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(BadRequest):
        warehouse.query("SELEC 1")


def test_what_is_not_there_is_not_found(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(NotFound):
        warehouse.table("none")
    assert warehouse.check_if_dataset_exists("none") is False


def test_what_is_there_already_is_a_conflict(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(Conflict):
        warehouse.create_dataset("exams")
