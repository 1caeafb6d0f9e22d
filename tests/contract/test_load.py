"""Data of every form into a table: what it becomes there, and what is refused by name."""

from __future__ import annotations

import dataclasses
import gzip
from collections import namedtuple
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from google.api_core import exceptions

from gcp_accessor.errors import LoadFailed, SchemaMismatch
from gcp_accessor.type_names import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor

DAY_SCHEMA = {"day": "DATE", "item_id": "STRING", "n": "INT64"}
DAYS = [[date(2024, 3, day), f"q{n}", n] for day in (1, 2) for n in range(2)]


@dataclasses.dataclass
class Answer:
    student_id: str
    score: float | None
    tags: list[str]


def types_of(exams: BigQueryAccessor, table: str = "t") -> dict[str, str]:
    return {column.name: type_name(column) for column in exams.table(table).schema}


# --- rows and records ---------------------------------------------------------------------


def test_dataclasses_and_named_tuples_are_records(exams: BigQueryAccessor) -> None:
    Pair = namedtuple("Pair", ["item_id", "n"])

    exams.load([Answer("ana", 0.5, ["a"]), Answer("ben", None, [])], "t")
    exams.load(iter([Pair("q1", 1), Pair("q2", 2)]), "u")
    exams.load([Answer("eva", 1, ["b"])], "t", if_exists="append")

    rows = exams.query("SELECT * FROM t ORDER BY student_id").rows()
    assert rows == [["ana", 0.5, ["a"]], ["ben", None, []], ["eva", 1.0, ["b"]]]
    assert exams.query("SELECT * FROM u ORDER BY n").rows() == [["q1", 1], ["q2", 2]]


@pytest.mark.parametrize("if_exists", ["fail", "append", "replace"])
def test_a_source_that_breaks_off_loads_nothing_and_its_error_passes(
    exams: BigQueryAccessor, if_exists: Any
) -> None:
    exams.create_table("t", {"n": "INT64"})

    def broken() -> Iterator[list[int]]:
        yield from ([n] for n in range(10))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        exams.load(broken(), "t", schema={"n": "INT64"}, if_exists=if_exists)

    assert exams.query("SELECT * FROM t").rows() == []


def test_half_a_character_is_an_error_of_its_row(exams: BigQueryAccessor) -> None:
    with pytest.raises(LoadFailed) as caught:
        exams.load([["x"], ["\ud800"]], "t", schema={"s": "STRING"})

    assert caught.value.errors[0].startswith("row 2: ")
    assert exams.tables() == []


def test_a_list_of_local_files_is_refused(exams: BigQueryAccessor) -> None:
    with pytest.raises(TypeError, match="Load the files one by one"):
        exams.load(["a.csv", "b.csv"], "t")


# --- frames -------------------------------------------------------------------------------


def test_every_dtype_of_a_frame_has_its_type(exams: BigQueryAccessor) -> None:
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(["x", None]),
            "nullable": pd.array([2**53 + 1, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "single": pd.Series([0.5, np.nan], dtype="float32"),
            "zurich": pd.to_datetime(pd.Series(["2024-03-01 09:00", None])).dt.tz_localize(
                "Europe/Zurich"
            ),
            "naive": pd.to_datetime(pd.Series(["2024-03-01 09:00", None])),
            "decimal": [Decimal("1.5"), None],
            "day": [date(2024, 3, 1), None],
            "words": [["a", ""], []],
            "point": [{"x": 1, "y": "a"}, None],
            "content": [b"\x00", None],
        }
    )

    exams.load(frame, "t")

    assert types_of(exams) == {
        "category": "STRING",
        "nullable": "INT64",
        "flag": "BOOL",
        "single": "FLOAT64",
        "zurich": "TIMESTAMP",
        "naive": "DATETIME",
        "decimal": "NUMERIC",
        "day": "DATE",
        "words": "ARRAY<STRING>",
        "point": "STRUCT<x INT64, y STRING>",
        "content": "BYTES",
    }
    first, second = exams.query("SELECT * FROM t ORDER BY category DESC").rows()
    assert first == [
        "x",
        2**53 + 1,
        True,
        0.5,
        datetime(2024, 3, 1, 8, tzinfo=UTC),
        datetime(2024, 3, 1, 9),
        Decimal("1.5"),
        date(2024, 3, 1),
        ["a", ""],
        {"x": 1, "y": "a"},
        b"\x00",
    ]
    assert second == [None] * 8 + [[], None, None]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' twice"),
        (pd.DataFrame([[1, 2]], columns=["a", "A"]), "names ignore case"),
        (pd.DataFrame({"a": [1, "x"]}), "column a with type object; say the columns with schema="),
        (pd.DataFrame({"a": [None]}), "'a' holds Arrow's null"),
        (pd.DataFrame({"a": pd.period_range("2024", "2025", freq="Y")}), "'a' holds .*period"),
        (pd.DataFrame({"a": pd.interval_range(0, 2)}), "'a' holds .*interval"),
        (pd.DataFrame({"a": pd.to_timedelta([1], unit="s")}), "'a' holds Arrow's duration"),
        (pd.DataFrame({"a": [1j]}), "column a"),
        (
            pd.DataFrame({"a": pd.to_datetime(["2024-03-01 09:00:00.000000001"])}),
            r"'a' holds Arrow's timestamp\[ns\], which does not fit DATETIME",
        ),
        (pd.DataFrame({"a": pd.Series([2**63], dtype="uint64")}), "'a' .* does not fit INT64"),
        (pa.table({"a": pa.array([[[1]]])}), "'a' is a list of lists"),
    ],
)
def test_a_frame_without_a_place_in_bigquery_is_refused(
    exams: BigQueryAccessor, frame: Any, message: str
) -> None:
    with pytest.raises(SchemaMismatch, match=message):
        exams.load(frame, "t")

    assert exams.tables() == []


def test_a_frames_columns_are_those_that_were_promised(exams: BigQueryAccessor) -> None:
    with pytest.raises(SchemaMismatch, match="the data's columns are a, b; expected a, c"):
        exams.load(pa.table({"a": [1], "b": [2]}), "t", schema={"a": "INT64", "c": "INT64"})


@pytest.mark.parametrize("form", ["records", "frame", "ndjson", "parquet"])
def test_an_array_with_null_in_it_is_refused(
    exams: BigQueryAccessor, tmp_path: Path, form: str
) -> None:
    lists = [[1], [2, None]]
    table = pa.table({"l": lists})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "a.ndjson").write_text('{"l": [1]}\n{"l": [2, null]}\n')
    data = {
        "records": [{"l": items} for items in lists],
        "frame": table,
        "ndjson": tmp_path / "a.ndjson",
        "parquet": tmp_path / "a.parquet",
    }[form]

    with pytest.raises(LoadFailed, match="'l' holds"):
        exams.load(data, "t", schema={"l": "ARRAY<INT64>"})

    assert exams.tables() == []


# --- objects ------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["gs://bucket/*/*.csv", "gs://bucket/**.csv"])
def test_a_glob_that_bigquery_does_not_take_is_refused_with_a_way_out(
    exams: BigQueryAccessor, uri: str
) -> None:
    with pytest.raises(ValueError, match=r"more than one \*.*CloudStorageAccessor\(\)\.list\("):
        exams.load(uri, "t", schema={"n": "INT64"})


def test_objects_of_several_formats_are_refused(exams: BigQueryAccessor) -> None:
    with pytest.raises(ValueError, match="one load takes files of one format"):
        exams.load(["gs://bucket/a.csv", "gs://bucket/b.parquet"], "t")


def test_objects_that_are_not_there_are_not_found(exams: BigQueryAccessor, bucket: Path) -> None:
    (bucket / "a.csv").write_text("1\n")

    for uri in ("gs://bucket/b.csv", "gs://bucket/b*.csv", "gs://no-such-bucket/a.csv"):
        with pytest.raises(exceptions.NotFound):
            exams.load(uri, "t", schema={"n": "INT64"})


def test_a_tuple_of_objects_is_loaded(exams: BigQueryAccessor, bucket: Path) -> None:
    for n in range(2):
        (bucket / f"{n}.csv").write_text(f"{n}\n")

    count = exams.load(("gs://bucket/0.csv", "gs://bucket/1.csv"), "t", schema={"n": "INT64"})

    assert count == 2


@pytest.mark.parametrize("packed", [False, True])
def test_the_wrong_rows_of_a_file_are_named(
    exams: BigQueryAccessor, tmp_path: Path, packed: bool
) -> None:
    text = '{"n": 1}\n{"n": "two"}\n{"n": 3}\n{"n": "four"}\n'
    path = tmp_path / ("a.ndjson.gz" if packed else "a.ndjson")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())

    with pytest.raises(LoadFailed) as caught:
        exams.load(path, "t", schema={"n": "INT64"})

    assert [error.split(":")[0] for error in caught.value.errors] == ["row 2", "row 4"]


# --- tables and their days ----------------------------------------------------------------


@pytest.mark.parametrize("first", ["table", "day"])
def test_a_partitioned_and_clustered_table_takes_its_days(
    exams: BigQueryAccessor, first: str
) -> None:
    shape: dict[str, Any] = {"schema": DAY_SCHEMA, "partition_by": "day", "cluster_by": ["item_id"]}
    if first == "table":
        exams.load(DAYS, "days", **shape)
    else:
        exams.load(DAYS[:2], "days$20240301", **shape)
        exams.load(DAYS[2:], "days$20240302", **shape)

    exams.load([[date(2024, 3, 1), "q9", 9]], "days$20240301", **shape, if_exists="append")
    with pytest.raises(exceptions.Conflict):
        exams.load([[date(2024, 3, 1), "q8", 8]], "days$20240301", **shape)
    exams.load([[date(2024, 3, 2), "q7", 7]], "days$20240302", **shape, if_exists="replace")

    table = exams.table("days")
    assert (table.partition_by, table.cluster_by) == ("day", ("item_id",))
    assert exams.query("SELECT day, n FROM days ORDER BY day, n").rows() == [
        [date(2024, 3, 1), 0],
        [date(2024, 3, 1), 1],
        [date(2024, 3, 1), 9],
        [date(2024, 3, 2), 7],
    ]


@pytest.mark.parametrize("if_exists", ["fail", "append", "replace"])
def test_rows_of_another_day_are_refused_and_the_days_stay(
    exams: BigQueryAccessor, if_exists: Any
) -> None:
    exams.load(DAYS[:2], "days", schema=DAY_SCHEMA, partition_by="day")

    with pytest.raises((exceptions.BadRequest, LoadFailed, exceptions.Conflict)):
        exams.load(
            DAYS,
            "days$20240301",
            schema=DAY_SCHEMA,
            partition_by="day",
            if_exists=if_exists,
        )

    assert exams.table("days").rows == 2


def test_a_replaced_table_takes_the_new_rows_columns(exams: BigQueryAccessor) -> None:
    exams.load([{"a": 1}], "t")

    exams.load([{"b": "x"}], "t", if_exists="replace")

    assert types_of(exams) == {"b": "STRING"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_other_programs_end_them(
    exams: BigQueryAccessor, tmp_path: Path, end: str
) -> None:
    (tmp_path / "a.csv").write_bytes(f'1,"x"{end}2,{end}'.encode())

    exams.load(tmp_path / "a.csv", "t", schema={"n": "INT64", "s": "STRING"})

    assert exams.query("SELECT n, s FROM t ORDER BY n").rows() == [[1, "x"], [2, None]]


@pytest.mark.parametrize("text", ["\r", "\r\n", "a\rb"])
def test_a_break_inside_of_the_first_field_is_not_taken_for_a_lines_end(
    exams: BigQueryAccessor, tmp_path: Path, text: str
) -> None:
    (tmp_path / "a.csv").write_bytes(f'"{text}",1\n"x",2\n'.encode())

    exams.load(tmp_path / "a.csv", "t", schema={"s": "STRING", "n": "INT64"})

    assert exams.query("SELECT s FROM t ORDER BY n").rows() == [[text], ["x"]]
