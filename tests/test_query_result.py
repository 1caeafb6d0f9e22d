"""A query's result in every form, from a cursor that holds it in memory."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest

from gcp_accessor.arrow import arrow_schema, columns_of
from gcp_accessor.backends import QueryStats
from gcp_accessor.errors import ResultTooLarge
from gcp_accessor.query_result import QueryResult
from gcp_accessor.schema import Column, TableName
from gcp_accessor.type_names import columns

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = columns(
    {
        "i": "INT64",
        "b": "BOOL",
        "f": "FLOAT64",
        "s": "STRING",
        "y": "BYTES",
        "n": "NUMERIC",
        "big": "BIGNUMERIC",
        "d": "DATE",
        "dt": "DATETIME",
        "ts": "TIMESTAMP",
        "t": "TIME",
        "l": "ARRAY<INT64>",
        "st": "STRUCT<a INT64, b ARRAY<STRING>>",
    }
)
FULL: list[object] = [
    2**62 + 1,
    True,
    0.5,
    "é",
    b"\x00",
    Decimal("1.5"),
    Decimal("0.12345678901"),
    date(2024, 3, 1),
    datetime(2024, 3, 1, 9),
    datetime(2024, 3, 1, 9, tzinfo=UTC),
    time(9, 30),
    [1, 2],
    {"a": 1, "b": ["x"]},
]
NULLS: list[object] = [None] * 11 + [[], None]


class InMemory:
    """A cursor over rows that are there already; its Arrow has the types Arrow would choose."""

    def __init__(self, schema: tuple[Column, ...], rows: list[list[object]]) -> None:
        self.schema = schema
        self._rows = rows
        self.total_rows = len(rows)
        self.stats = QueryStats("job-1", 1.25, 3_000_000, 10_485_760)

    def rows(self) -> Iterator[list[object]]:
        return iter(self._rows)

    def batches(self, max_rows: int) -> Iterator[pa.RecordBatch]:
        names = [column.name for column in self.schema]
        records = [dict(zip(names, row, strict=True)) for row in self._rows]
        # More rows than were asked for: a page of the server's may be as large.
        if records:
            yield pa.RecordBatch.from_pylist(records, schema=arrow_schema(self.schema))


def result(*rows: list[object], schema: tuple[Column, ...] = SCHEMA) -> QueryResult:
    return QueryResult(InMemory(schema, list(rows)), "SELECT 1")


def one(rows: list[list[object]], *names: str) -> QueryResult:
    return result(*rows, schema=columns(dict.fromkeys(names, "INT64")))


def test_rows_and_records_hold_the_same_values() -> None:
    both = result(FULL, NULLS)

    assert both.rows() == [FULL, NULLS]
    assert [list(record.values()) for record in both.records()] == [FULL, NULLS]
    assert list(both) == both.records()
    assert len(both) == both.total_rows == 2


def test_scalar_is_the_only_value() -> None:
    assert one([[7]], "n").scalar() == 7


@pytest.mark.parametrize("shape", [([], "n"), ([[1], [2]], "n"), ([[1, 2]], "n", "m")])
def test_scalar_refuses_every_other_shape(shape: tuple[list[list[object]], str]) -> None:
    with pytest.raises(ValueError, match="a scalar is one row of one column; the query gave"):
        one(*shape).scalar()


def test_first_is_a_record_or_nothing() -> None:
    assert one([[7], [8]], "n").first() == {"n": 7}
    assert one([], "n").first() is None


def test_arrow_holds_every_type_and_its_nulls() -> None:
    table = result(FULL, NULLS).to_arrow()

    assert table.schema == arrow_schema(SCHEMA)
    assert list(table.to_pylist()[0].values()) == FULL
    assert list(table.to_pylist()[1].values()) == NULLS


def test_a_frames_dtypes_follow_from_the_columns_whatever_the_rows() -> None:
    with_nulls, without, empty = (
        result(*rows).to_dataframe() for rows in ([FULL, NULLS], [FULL], [])
    )

    # A string's dtype is pandas' own choice, which its versions make differently.
    expected = {
        "i": "Int64",
        "b": "boolean",
        "f": "float64",
        "ts": "datetime64[us, UTC]",
        "dt": "datetime64[us]",
    }
    for frame in (with_nulls, without, empty):
        assert frame.dtypes.astype(str)[list(expected)].to_dict() == expected
        assert frame.dtypes.to_dict() == with_nulls.dtypes.to_dict()
    assert with_nulls["i"][0] == 2**62 + 1
    assert with_nulls["i"][1] is pd.NA


def test_a_frame_in_arrows_types_keeps_them() -> None:
    frame = result(FULL, NULLS).to_dataframe(dtype_backend="pyarrow")

    assert frame["n"].dtype == pd.ArrowDtype(pa.decimal128(38, 9))
    assert frame["n"][0] == Decimal("1.5")


def test_an_unknown_dtype_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'numpy' or 'pyarrow'"):
        result(FULL).to_dataframe(dtype_backend="arrow")  # type: ignore[arg-type]


def test_a_frame_says_where_it_comes_from() -> None:
    attrs = result(FULL).to_dataframe().attrs

    assert attrs["job_id"] == "job-1"
    assert attrs["bytes_processed"] == 3_000_000
    assert attrs["sql_sha256"].startswith("e004ebd5b5532a4b85984a62f8ad48a8")


def test_batches_are_no_larger_than_asked_for() -> None:
    rows: list[list[object]] = [[n] for n in range(10)]

    batches = list(one(rows, "n").batches(max_rows=4))

    assert [batch.num_rows for batch in batches] == [4, 4, 2]
    assert [row for batch in batches for row in batch["n"].to_pylist()] == list(range(10))


def test_batches_of_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="max_rows is 0"):
        next(one([[1]], "n").batches(max_rows=0))


def test_batches_that_fit_are_handed_on_without_a_copy() -> None:
    held = pa.record_batch({"n": pa.array(range(10), pa.int64())})

    class Held(InMemory):
        def batches(self, max_rows: int) -> Iterator[pa.RecordBatch]:
            yield held

    read = QueryResult(Held(columns({"n": "INT64"}), [[n] for n in range(10)]), "SELECT n")

    addresses = {batch["n"].buffers()[1].address for batch in read.batches(max_rows=4)}
    assert addresses == {held["n"].buffers()[1].address}


def test_what_is_too_large_by_its_rows_alone_is_not_fetched() -> None:
    class Untouched(InMemory):
        def batches(self, max_rows: int) -> Iterator[pa.RecordBatch]:
            raise AssertionError("fetched")

    # A row: 8 + 1/8 + 8 + 4 + 4 + 16 + 32 + 4 + 8 + 8 + 8 + 4 + (8 + 4) bytes.
    large = QueryResult(Untouched(SCHEMA, [FULL] * 1000), "SELECT 1")

    with pytest.raises(ResultTooLarge, match=r"1,000 rows takes at least 113\.4 KiB of memory"):
        large.to_dataframe(max_bytes=100_000)
    with pytest.raises(AssertionError, match="fetched"):
        large.to_dataframe(max_bytes=117_000)


def test_a_frame_of_nested_columns_alone_has_its_rows() -> None:
    frame = result([[1]], [[]], schema=columns({"l": "ARRAY<INT64>"})).to_dataframe()

    assert frame["l"].to_list() == [[1], []]


def test_a_prompt_shows_what_there_is_in_googlesqls_words() -> None:
    schema = columns({"a": "INT64", "tags": "ARRAY<STRING>", "s": "STRUCT<x INT64>"})

    def shown(rows: int) -> str:
        return repr(QueryResult(InMemory(schema, [[1, ["x"], {"x": 1}]] * rows), "SELECT 1"))

    assert shown(1) == "<QueryResult: 1 row of a INT64, tags ARRAY<STRING>, s STRUCT<x INT64>>"
    assert shown(2000).startswith("<QueryResult: 2,000 rows of a INT64, ")
    assert repr(QueryResult(InMemory((), []), "DROP TABLE t")) == "<QueryResult: no rows to read>"


def test_columns_and_tables_are_shown_as_one_would_write_them() -> None:
    name = TableName.parse("exams.answers$20240301")
    written = (
        Column("a", "INT64"),
        Column("s", "STRUCT", "REPEATED", "two", (Column("x", "DATE", "REQUIRED"),)),
    )

    assert repr(name) == "TableName.parse('exams.answers$20240301')"
    assert repr(written[0]) == "Column('a', 'INT64')"
    assert eval(repr((name, written))) == (name, written)


def test_html_shows_ten_rows_and_what_they_cost() -> None:
    html = one([[n] for n in range(1000, 1020)], "n")._repr_html_()

    assert html.count("<tr>") == 1 + 10
    assert "1009" in html
    assert "1010" not in html
    assert "10 of 20 rows · 2.9 MiB read · 10.0 MiB billed · 1.2 s · job job-1" in html


def test_html_escapes_values_and_names() -> None:
    schema = columns({"<b>": "STRING", "tags": "ARRAY<STRING>"})

    html = result(["<script>alert(1)</script>", ["<i>"]], schema=schema)._repr_html_()

    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert ">&lt;b&gt;<br>" in html
    assert "ARRAY&lt;STRING&gt;" in html
    assert "<i>" not in html


def test_html_tells_null_from_text_and_cuts_long_text() -> None:
    schema = columns({"s": "STRING"})

    html = result([None], ["NULL"], ["x" * 1000], schema=schema)._repr_html_()

    assert "><i>NULL</i></td><" in html
    assert ">NULL</td>" in html
    assert "x" * 199 + "…" in html


def test_arrow_types_are_read_back_as_the_columns_they_came_from() -> None:
    assert columns_of(arrow_schema(SCHEMA)) == SCHEMA


def test_an_arrow_type_without_a_place_in_bigquery_is_refused() -> None:
    with pytest.raises(ValueError, match="'m' holds Arrow's map<string, int64>"):
        columns_of(pa.schema([("m", pa.map_(pa.string(), pa.int64()))]))
