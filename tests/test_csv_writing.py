"""Rows, records, frames and Arrow as CSV: one dialect, the same bytes from each of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_accessor.tabular import csv_text
from tests.tabular_bytes import read, texts, written

widths = st.integers(1, 4)
tables = widths.flatmap(
    lambda width: st.lists(
        st.lists(st.none() | texts, min_size=width, max_size=width), min_size=1, max_size=20
    )
)


@given(tables)
@settings(max_examples=300, deadline=None)
def test_every_text_and_null_survives_csv_gz(rows: list[list[str | None]]) -> None:
    assert read(written(rows, "csv.gz"), "csv.gz") == rows


@given(tables)
@settings(max_examples=150, deadline=None)
def test_arrow_writes_the_same_csv_as_rows_do(rows: list[list[str | None]]) -> None:
    header = [f"c{at}" for at in range(len(rows[0]))]
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]

    from_arrow = written(pa.table(columns, names=header), "csv")

    assert from_arrow == written(rows, "csv", header)


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)) | st.datetimes().map(
    lambda moment: moment.replace(microsecond=0)
)
VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats() | st.integers(-(10**17), 10**17).map(float),
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("s"): moments.map(lambda moment: moment.replace(microsecond=0)),
    pa.timestamp("us"): moments,
    pa.timestamp("us", "UTC"): moments.map(lambda moment: moment.replace(tzinfo=UTC)),
    pa.timestamp("us", "Asia/Tokyo"): st.datetimes(
        datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)
    ),
    pa.time64("us"): st.times() | st.times().map(lambda moment: moment.replace(microsecond=0)),
    pa.time32("ms"): st.times().map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    pa.decimal128(38, 9): st.decimals(-(10**20), 10**20, places=9),
    pa.decimal256(76, 38): st.decimals(-1, 1, places=38),
    pa.binary(): st.binary(),
    pa.large_string(): texts,
    pa.null(): st.none(),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["math", "", "art"]),
}


@pytest.mark.parametrize("kind", VALUES, ids=str)
def test_arrow_writes_each_type_as_python_values_are_written(kind: pa.DataType) -> None:
    @given(st.lists(st.none() | VALUES[kind], min_size=1, max_size=20))
    @settings(max_examples=30, deadline=None)
    def check(values: list[object]) -> None:
        column = pa.array(values, kind)

        from_arrow = written(pa.table({"x": column}), "csv")

        assert from_arrow == written([[value] for value in column.to_pylist()], "csv", ["x"])

    check()


class Subject(str):
    def __str__(self) -> str:
        return "what it prints as is not its text"


scalars: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.sampled_from(
        ["None", "True", "False", "nan", "inf", "-inf", "%s", "100%", Subject('an "art"')]
    ),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.binary(max_size=4),
    st.sampled_from([np.int64(7), np.float64(0.5), np.float64("nan"), np.bool_(True), pd.NaT]),
)


@given(widths.flatmap(lambda width: st.lists(st.tuples(*[scalars] * width), min_size=1)))
@settings(max_examples=500, deadline=None)
def test_rows_written_at_once_are_what_each_is_alone(rows: list[tuple[object, ...]]) -> None:
    assert csv_text.block_of(rows, 1).decode() == "".join(map(csv_text.line_of, rows))


words = st.sampled_from(["", "q1", "None", "True", "False", "nan", "inf", "-inf", '"'])
few_types: list[st.SearchStrategy[object]] = [
    st.integers() | words,
    st.floats() | st.none(),
    st.booleans() | st.integers(0, 1) | words,
    st.none() | words,
]


@given(
    st.sampled_from(few_types).flatmap(
        lambda kind: st.lists(st.tuples(kind, kind), min_size=1, max_size=50)
    )
)
@settings(max_examples=200, deadline=None)
def test_rows_of_few_types_written_at_once_are_so_too(rows: list[tuple[object, ...]]) -> None:
    assert csv_text.block_of(rows, 1).decode() == "".join(map(csv_text.line_of, rows))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b""),
        ("", b'""'),
        ('say "hi"', b'"say ""hi"""'),
        (True, b'"true"'),
        (np.bool_(False), b'"false"'),
        (7, b'"7"'),
        (np.int64(7), b'"7"'),
        (0.1, b'"0.1"'),
        (1e300, b'"1e+300"'),
        (np.float64(0.1), b'"0.1"'),
        (np.float32(0.5), b'"0.5"'),
        (float("nan"), b'"NaN"'),
        (float("-inf"), b'"-Infinity"'),
        (Decimal("1E+3"), b'"1000"'),
        (Decimal("0.000000001"), b'"0.000000001"'),
        (date(2024, 3, 1), b'"2024-03-01"'),
        (time(9, 30), b'"09:30:00"'),
        (datetime(2024, 3, 1, 9), b'"2024-03-01 09:00:00"'),
        (datetime(2024, 3, 1, 9, tzinfo=UTC), b'"2024-03-01 09:00:00+00:00"'),
        (
            datetime(2024, 3, 1, 9, tzinfo=timezone(timedelta(hours=9))),
            b'"2024-03-01 00:00:00+00:00"',
        ),
        (pd.Timestamp("2024-03-01T09:00Z"), b'"2024-03-01 09:00:00+00:00"'),
        (pd.NaT, b""),
        (pd.NA, b""),
        (b"\x00\xff", b'"AP8="'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    ],
)
def test_a_value_is_written_as_bigquery_loads_it(value: object, text: bytes) -> None:
    assert written([["first", value]], "csv") == b'"first",' + text + b"\n"


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), Decimal("NaN"), 1j])
def test_a_value_that_csv_cannot_hold_is_refused_with_its_row(value: object) -> None:
    with pytest.raises(TypeError, match="which a CSV field cannot hold") as caught:
        written([["a"], [value]], "csv")

    assert caught.value.__notes__ == ["in row 2"]


@pytest.mark.parametrize("number", [2, 17, 5_000, 70_001])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (["a"], "row {} has 1 values; expected 2"),
        ("ab", "row {} is a str; expected a sequence"),
        ({"a": 1, "b": 2}, "row {} is a dict; expected a sequence"),
        (["a", "\ud83d"], "row {} has a lone surrogate"),
        (["a", [1]], "in row {}"),
    ],
)
def test_the_row_that_is_wrong_is_named_wherever_it_stands(
    number: int, bad: object, message: str
) -> None:
    rows: list[object] = [["a", 1]] * 80_000
    rows[number - 1] = bad

    with pytest.raises((ValueError, TypeError)) as caught:
        written(rows, "csv.gz")

    said = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert message.format(number) in said


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
@pytest.mark.parametrize(
    "bad", [{"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}, ["a", 1]], ids=repr
)
def test_the_record_that_is_wrong_is_named(bad: object, format_: str) -> None:
    records: list[object] = [{"a": 1, "b": None}] * 1000
    records[777] = bad

    with pytest.raises(ValueError, match=r"record 778 has .*; expected the fields \['a', 'b'\]"):
        written(records, format_)


def test_records_without_fields_and_a_first_row_that_is_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="record 1 has "):
        written([{}, {}], "csv")
    with pytest.raises(ValueError, match="row 1 is a NoneType"):
        written([None], "csv")


def test_the_same_values_are_the_same_bytes_in_every_form() -> None:
    names = ["text", "count", "share", "is_first", "day", "at"]
    rows = [
        [f"q{n % 7}, {n}", n, n / 8, n % 2 == 0, date(2024, 3, 1 + n % 28), datetime(2024, 3, 1)]
        for n in range(30_000)
    ]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    table = pa.Table.from_pylist(records)
    frame = table.to_pandas()

    whole = written(rows, "csv.gz", names)

    assert written(iter(map(tuple, rows)), "csv.gz", names) == whole
    assert written(records, "csv.gz") == whole
    assert written(table, "csv.gz") == whole
    assert written(pa.Table.from_batches(table.to_batches(max_chunksize=777)), "csv.gz") == whole
    assert written(frame, "csv.gz") == whole
    assert written(frame.astype(object), "csv.gz") == whole


def test_a_frame_of_objects_is_written_as_rows_of_them_are() -> None:
    values = ["q1", None, 1, 0.5, True, Decimal("1.50"), b"\x00", date(2024, 3, 1)]
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object), 7: "a"})

    content = written(frame, "csv")

    assert content == written([[value, "a"] for value in values], "csv", ["x", "7"])
    assert written(pd.DataFrame({"x": [0.5, float("nan")]}), "csv") == b'"x"\n"0.5"\n\n'


def test_a_frame_that_csv_cannot_hold_says_where() -> None:
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    nested = pd.DataFrame({"tags": [["a"]]})

    with pytest.raises(ValueError, match="the DataFrame names the column 'a' twice"):
        written(twice, "csv")
    with pytest.raises(ValueError, match="the DataFrame has no columns"):
        written(pd.DataFrame(), "csv")
    with pytest.raises(TypeError) as caught:
        written(nested, "csv")
    assert caught.value.__notes__ == ["in the column 'tags'"]
    with pytest.raises(ValueError, match="the column 'x' has a lone surrogate"):
        written(pd.DataFrame({"x": pd.Series(["a", "\ud83d"], dtype=object)}), "csv")
    with pytest.raises(ValueError, match="the header has 1 names; the data has 2 columns"):
        written(pa.table({"a": [1], "b": [2]}), "csv", ["a"])


def test_a_nested_column_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="the column 'tags' is a list"):
        written(pa.table({"tags": [["a"]]}), "csv")


def test_nanoseconds_are_refused_rather_than_cut_off() -> None:
    table = pa.table({"at": pa.array([1], pa.timestamp("ns"))})

    for format_ in ("csv", "parquet"):
        with pytest.raises(ValueError, match="would lose data"):
            written(table, format_)
