"""What a large result promises, locally, paged through REST and streamed by Storage Read."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest

from gcp_accessor import BigQueryAccessor
from gcp_accessor.arrow import arrow_schema
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.errors import ResultTooLarge
from tests.stand_ins.bigquery import BigQueryStandIn
from tests.stand_ins.storage_read import StorageReadStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor import QueryResult

# Enough for the Storage Read API to be worth its session.
ROWS = 12_000
SCHEMA = {
    "row": "INT64",
    "i": "INT64",
    "b": "BOOL",
    "f": "FLOAT64",
    "s": "STRING",
    "y": "BYTES",
    "n": "NUMERIC",
    "d": "DATE",
    "dt": "DATETIME",
    "ts": "TIMESTAMP",
    "t": "TIME",
    "j": "JSON",
    "st": "STRUCT<a INT64, b STRING>",
    "l": "ARRAY<INT64>",
    "ls": "ARRAY<STRUCT<a INT64>>",
}
FULL: list[object] = [
    2**62 + 1,
    True,
    0.1,
    'é"\n,',
    b"\x00\xff",
    Decimal("1.5"),
    date(2024, 3, 1),
    datetime(2024, 3, 1, 9, 0, 0, 123456),
    datetime(2024, 3, 1, 9, tzinfo=UTC),
    time(9, 30),
    {"a": [1, None]},
    {"a": 2**62 + 1, "b": "x"},
    [1, 2],
    [{"a": 2**62 + 1}, {"a": None}],
]
NULLS: list[object] = [None] * 12 + [[], []]
NUMBERS = "SELECT n, CAST(n AS STRING) AS s FROM UNNEST(GENERATE_ARRAY(1, 60000)) AS n"


@pytest.fixture(scope="module", params=["local", "REST", "Storage Read"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BigQueryAccessor]:
    root = tmp_path_factory.mktemp("cloud")
    if request.param == "local":
        with BigQueryAccessor(local=root) as accessor:
            yield accessor
        return
    with BigQueryStandIn(DuckDBWarehouse(root)) as bigquery, StorageReadStandIn(bigquery) as reads:
        client = reads.client() if request.param == "Storage Read" else None
        with bigquery.accessor(read_client=client) as accessor:
            yield accessor
        assert bool(reads.requests["ReadRows"]) == (client is not None)


@pytest.fixture(scope="module")
def every_type(warehouse: BigQueryAccessor) -> QueryResult:
    rows = [[n, *(NULLS if n % 2 else FULL)] for n in range(ROWS)]
    warehouse.create_dataset("frames")
    warehouse.load(rows, "frames.every_type", schema=SCHEMA)
    return warehouse.query("SELECT * FROM frames.every_type ORDER BY row")


@pytest.fixture(scope="module")
def numbers(warehouse: BigQueryAccessor) -> QueryResult:
    return warehouse.query(f"{NUMBERS} ORDER BY n")


def test_arrow_holds_the_values_that_rows_give_in_their_order(every_type: QueryResult) -> None:
    table = every_type.to_arrow()

    assert table.schema == arrow_schema(every_type.schema)
    records = table.to_pylist()
    for record in records:
        record["j"] = None if record["j"] is None else json.loads(record["j"])
    assert records == every_type.records()
    assert [list(record.values()) for record in records[:2]] == [[0, *FULL], [1, *NULLS]]
    assert [record["row"] for record in records] == list(range(ROWS))


def test_a_frame_keeps_every_integer_beside_a_null(every_type: QueryResult) -> None:
    frame = every_type.to_dataframe()

    assert frame.columns.to_list() == list(SCHEMA)
    assert frame["i"].dtype == "Int64"
    assert frame["i"].isna().sum() == ROWS // 2
    assert frame["ts"].dtype == "datetime64[us, UTC]"
    assert frame.loc[0].to_list() == [0, *FULL]
    assert frame.loc[1, ["j", "st", "l", "ls"]].to_list() == [None, None, [], []]


def test_a_frame_in_arrows_types_keeps_them(every_type: QueryResult) -> None:
    frame = every_type.to_dataframe(dtype_backend="pyarrow")

    schema = arrow_schema(every_type.schema)
    assert list(frame.dtypes) == [pd.ArrowDtype(field.type) for field in schema]


def test_without_an_order_every_row_comes_once(warehouse: BigQueryAccessor) -> None:
    table = warehouse.query(NUMBERS).to_arrow()

    assert sorted(table["n"].to_pylist()) == list(range(1, 60_001))


def test_a_large_result_is_read_as_often_as_wanted(numbers: QueryResult) -> None:
    assert numbers.to_arrow() == numbers.to_arrow()


def test_batches_of_a_large_result_are_as_small_as_asked_for(numbers: QueryResult) -> None:
    sizes = [batch.num_rows for batch in numbers.batches(max_rows=1_000)]

    assert max(sizes) == 1_000
    assert sum(sizes) == 60_000


def test_reading_may_stop_early(numbers: QueryResult) -> None:
    batches = numbers.batches(max_rows=10)

    assert next(batches)["n"].to_pylist() == list(range(1, 11))
    del batches

    assert numbers.to_arrow().num_rows == 60_000


def test_a_result_without_rows_keeps_its_types(warehouse: BigQueryAccessor) -> None:
    result = warehouse.query(f"SELECT * FROM ({NUMBERS}) WHERE n < 0")

    assert result.to_arrow().schema == pa.schema([("n", pa.int64()), ("s", pa.string())])
    assert result.to_dataframe()["n"].dtype == "Int64"
    assert list(result.batches()) == []


@pytest.mark.parametrize(
    ("max_bytes", "size"),
    [
        (500_000, r"at least 703\.1 KiB"),
        # The rows alone would fit; their texts, counted as they come, do not.
        (800_000, r"over [\d.]+ [KM]iB"),
    ],
)
def test_a_result_beyond_its_limit_is_refused(
    numbers: QueryResult, max_bytes: int, size: str
) -> None:
    message = f"the result of 60,000 rows takes {size} of memory, more than max_bytes"

    for form in (numbers.to_arrow, numbers.to_dataframe):
        with pytest.raises(ResultTooLarge, match=message):
            form(max_bytes=max_bytes)

    assert numbers.to_arrow(max_bytes=None).num_rows == 60_000


def test_a_result_is_itself_a_stream_of_arrow(
    warehouse: BigQueryAccessor, numbers: QueryResult
) -> None:
    assert pa.table(numbers) == numbers.to_arrow()

    warehouse.create_dataset("copies")
    assert warehouse.load(numbers, "copies.numbers") == 60_000
    assert warehouse.query("SELECT SUM(n) FROM copies.numbers").scalar() == 1_800_030_000


def test_a_frame_says_where_it_comes_from(numbers: QueryResult) -> None:
    attrs = numbers.to_dataframe().attrs

    assert attrs["job_id"] == numbers.stats.job_id
    assert attrs["bytes_processed"] == numbers.stats.bytes_processed
    assert len(attrs["sql_sha256"]) == 64
