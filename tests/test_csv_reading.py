"""CSV as rows, records, frames and Arrow: ours and other programs'."""

from __future__ import annotations

import contextlib
import gc
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_accessor import tabular
from gcp_accessor.tabular import csv_rows
from tests.tabular_bytes import read, texts, written


def test_csv_of_other_programs_is_read() -> None:
    content = b'\xef\xbb\xbfitem,share,note\r\nq1,0.5,\r\n\r\nq2,,""\r\n"q,3",1,say "hi"\r\n'

    rows = read(content, "csv")

    assert rows == [
        ["item", "share", "note"],
        ["q1", "0.5", None],
        ["q2", None, ""],
        ["q,3", "1", 'say "hi"'],
    ]
    assert read(content, "csv", "records")[1] == {"item": "q2", "share": None, "note": ""}


class Dribble(io.BytesIO):
    """A file that gives a few bytes at a time, so that every place is once a block's end."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(5, size) if size is not None and size > 0 else size)


@given(st.text(st.sampled_from('",\n\r a\0'), max_size=30))
@settings(max_examples=1000, deadline=None)
def test_csv_is_read_alike_wherever_its_blocks_end(text: str) -> None:
    def outcome(file: io.BytesIO) -> object:
        try:
            return [row for block in csv_rows.blocks_of(file, "x") for row in block]
        except ValueError as error:
            return str(error)

    assert outcome(Dribble(text.encode())) == outcome(io.BytesIO(text.encode()))


foreign = st.tuples(st.sampled_from([None, "", "a", "1 2", "ü"]), st.booleans()) | st.tuples(
    texts, st.just(True)
)


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(foreign, min_size=width, max_size=width), max_size=9)
    ),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_null_is_an_empty_field_without_quotes_and_nothing_else(
    rows: list[list[tuple[str | None, bool]]], end: str, is_ended: bool
) -> None:
    def field(value: str | None, is_quoted: bool) -> str:
        if value is None:
            return ""
        return '"' + value.replace('"', '""') + '"' if is_quoted or not value else value

    text = "".join(",".join([field(*each) for each in row]) + end for row in rows)
    content = (text if is_ended else text.removesuffix(end)).encode()

    found = read(content, "csv")

    assert found == [[value for value, _ in row] for row in rows]


@pytest.mark.parametrize(
    "line", [b'5" pipe,,\n', b'"a\nb","",\n', b'a,"say ""x""",,\n', b"\n", b',"",""\n']
)
def test_rows_across_blocks_are_whole(line: bytes) -> None:
    many = 300_000 // len(line) + 1

    once = read(b'"p",,""\n' + line, "csv")[1:]

    assert read(b'"p",,""\n' + line * many, "csv")[1:] == once * many


def test_a_row_that_is_wrong_is_named_by_its_line() -> None:
    content = b'"a\nb",1\n' * 100_000 + b'"a"b,1\n' + b'"a",1\n' * 100_000

    with pytest.raises(ValueError, match="gs://lessons/rows is not CSV: line 200001: "):
        read(content, "csv")
    with pytest.raises(ValueError, match="line 3: unexpected end of data"):
        read(b'a,b\n"1,2\n3,4\n', "csv")


# --- CSV as a frame or Arrow --------------------------------------------------------------


@given(st.lists(st.none() | texts.filter(lambda text: "\0" not in text), min_size=1))
@settings(max_examples=100, deadline=None)
def test_one_column_keeps_its_nulls_in_arrow(values: list[str | None]) -> None:
    content = written([[value] for value in values], "csv.gz", ["x"])

    table = tabular.read(
        io.BytesIO(content), "csv.gz", "arrow", where="rows", types={"x": "STRING"}
    )

    assert table.column("x").to_pylist() == values


def test_a_column_has_the_type_that_all_of_its_values_have() -> None:
    content = b"text,share,n\n" + b"1,2,3\n" * 400_000 + b"x,2.5,4\n"

    table = read(content, "csv", "arrow")

    assert [str(kind) for kind in table.schema.types] == ["string", "double", "int64"]
    assert table.num_rows == 400_001


def test_a_column_takes_the_type_it_is_given() -> None:
    content = b'"id","at","price"\n"007","2024-03-01 09:00:00+00:00","1.5"\n"",,\n'

    def typed(**types: str) -> Any:
        return tabular.read(io.BytesIO(content), "csv", "arrow", where="rows", types=types)

    table = typed(id="STRING", at="TIMESTAMP", price="NUMERIC")

    assert table.to_pylist() == [
        {"id": "007", "at": datetime(2024, 3, 1, 9, tzinfo=UTC), "price": Decimal("1.5")},
        {"id": "", "at": None, "price": None},
    ]
    with pytest.raises(ValueError, match="rows has no column 'name'; it has id, at, price"):
        typed(name="STRING")
    with pytest.raises(ValueError, match="invalid value '2024"):
        typed(at="INT64")
    with pytest.raises(ValueError, match="'id' is to be BYTES"):
        typed(id="BYTES")


@pytest.mark.parametrize("as_", ["arrow", "rows"])
def test_what_is_not_utf_8_is_refused(as_: str) -> None:
    with pytest.raises(ValueError, match="gs://lessons/rows is not UTF-8 text"):
        read("name\ncafé\n".encode("latin-1"), "csv", as_)


def test_a_field_may_be_megabytes_long() -> None:
    rows = [["x" * 3_000_000, None], ['"' * 1_000_000, ""]]

    assert read(written(rows, "csv.gz"), "csv.gz") == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected a header"),
        (b"a,a\n1,2\n", "names a column twice: a, a"),
        (b"a,b\n1\n", "has 1 values in row 2; its header has 2"),
    ],
)
def test_csv_that_is_not_records_says_why(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(content, "csv", "records")


@pytest.mark.parametrize("as_", ["rows", "records", "dataframe", "arrow", "text"])
def test_a_file_that_is_cut_short_is_never_read_as_whole(as_: str) -> None:
    content = written([[str(number)] for number in range(5000)], "csv.gz", ["n"])

    with pytest.raises(ValueError, match="gs://lessons/rows is cut short"):
        read(content[: len(content) // 2], "csv.gz", as_)


@pytest.mark.parametrize("content", [b'"q1"\n', b'"q1'], ids=["read", "refused"])
def test_the_collector_goes_on_after_rows_were_read(content: bytes) -> None:
    gc.enable()

    with contextlib.suppress(ValueError):
        read(content, "csv")

    assert gc.isenabled()
