"""Tables and results as files in Cloud Storage."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions

from gcp_accessor.errors import CostLimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor

SQL = """
  SELECT n, 'a"b' AS s, @day AS day, TIMESTAMP '2024-03-01 09:00:00+00' AS at
  FROM UNNEST(GENERATE_ARRAY(1, @last)) AS n ORDER BY n
"""
PARAMS = {"day": date(2024, 3, 1), "last": 2}


def test_a_querys_rows_are_exported_as_csv(exams: BigQueryAccessor, bucket: Path) -> None:
    stats = exams.export_query(SQL, "gs://bucket/rows.csv.gz", PARAMS)

    text = gzip.decompress((bucket / "rows.csv.gz").read_bytes()).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["n", "s", "day", "at"]
    assert [row[:3] for row in rows[1:]] == [[str(n), 'a"b', "2024-03-01"] for n in (1, 2)]
    assert stats.job_id
    assert exams.tables() == []


def test_a_querys_rows_are_exported_as_ndjson_and_parquet(
    exams: BigQueryAccessor, bucket: Path
) -> None:
    exams.export_query(SQL, "gs://bucket/rows.ndjson", PARAMS)
    exams.export_query(SQL, "gs://bucket/rows-*.parquet", PARAMS)

    lines = (bucket / "rows.ndjson").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == ["1", "2"]
    (file,) = bucket.glob("rows-*.parquet")
    (first, _) = pq.read_table(file).to_pylist()
    assert first == {
        "n": 1,
        "s": 'a"b',
        "day": date(2024, 3, 1),
        "at": datetime(2024, 3, 1, 9, tzinfo=UTC),
    }


def test_what_a_query_exports_loads_again(exams: BigQueryAccessor, bucket: Path) -> None:
    nested = "STRUCT<b BYTES, at TIMESTAMP, n INT64>"
    schema = {"j": "JSON", "l": "ARRAY<INT64>", "b": "BYTES", "f": "FLOAT64"}
    exams.create_table("t", {**schema, "s": nested, "many": f"ARRAY<{nested}>"})
    at = datetime(2024, 3, 1, 9, tzinfo=UTC)
    struct = {"b": b"\xff", "at": at, "n": 2**60}
    row: dict[str, object] = {"j": {"a": [1, None]}, "l": [1, 2], "b": b"\x00\xff", "f": 0.1}
    row |= {"s": struct, "many": [struct, {"b": None, "at": None, "n": None}]}
    exams.load([row], "t", if_exists="append")

    exams.export_query("SELECT * FROM t", "gs://bucket/rows.ndjson.gz")
    exams.load("gs://bucket/rows.ndjson.gz", "u", schema=exams.table("t").schema)

    assert exams.query("SELECT * FROM u").records() == [row]


def test_a_result_without_rows_is_exported_with_its_columns(
    exams: BigQueryAccessor, bucket: Path
) -> None:
    exams.export_query("SELECT 1 AS n, 'a' AS s FROM UNNEST([]) AS x", "gs://bucket/none.csv")

    assert (bucket / "none.csv").read_text().replace('"', "") == "n,s\n"


def test_a_statement_without_rows_is_not_exported(exams: BigQueryAccessor) -> None:
    exams.create_table("t", {"n": "INT64"})

    with pytest.raises(ValueError, match="gives no rows that could be exported"):
        exams.export_query("DELETE FROM t WHERE TRUE", "gs://bucket/rows.csv")


@pytest.mark.parametrize("query", ["SELECT 1 AS n", "SELECT * FROM t"])
def test_a_query_in_a_tables_place_is_told_where_queries_are_exported(
    exams: BigQueryAccessor, bucket: Path, query: str
) -> None:
    with pytest.raises((exceptions.NotFound, ValueError)) as caught:
        exams.export(query, "gs://bucket/a.csv")

    assert "export_query()" in caught.value.__notes__[-1]


def test_a_query_beyond_its_limit_exports_nothing(exams: BigQueryAccessor, bucket: Path) -> None:
    exams.load([[n] for n in range(100)], "t", schema={"n": "INT64"})

    with pytest.raises(CostLimitExceeded):
        exams.export_query("SELECT n FROM t", "gs://bucket/rows.csv", max_bytes_billed=10)

    assert list(bucket.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gs://bucket/rows", "does not show its format"),
        ("gs://bucket/*/*.csv", r"more than one \*"),
        ("rows.csv", "is not an address in Cloud Storage"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_runs(
    exams: BigQueryAccessor, uri: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        exams.export_query("SELECT 1 AS n", uri)
    with pytest.raises(ValueError, match=message):
        exams.export("t", uri)


def test_an_absent_bucket_is_not_found(exams: BigQueryAccessor) -> None:
    with pytest.raises(exceptions.NotFound):
        exams.export_query("SELECT 1 AS n", "gs://no-such-bucket/rows.csv")
