"""Rows put into a table by their key: new ones inserted, known ones updated, all or none."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gcp_accessor.backends import Changes
from gcp_accessor.errors import LoadFailed, SchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor


@pytest.mark.parametrize(
    ("sql", "counts"),
    [
        ("INSERT INTO t (k, v) VALUES (3, 'c'), (4, 'd')", (2, 0, 0)),
        ("UPDATE t SET v = 'x' WHERE k = 1", (0, 1, 0)),
        ("DELETE FROM t WHERE k > 0", (0, 0, 2)),
        (
            "MERGE INTO t USING (SELECT 2 AS k UNION ALL SELECT 3) AS s ON t.k = s.k "
            "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, 'new')",
            (1, 0, 1),
        ),
    ],
)
def test_a_statement_tells_how_many_rows_it_changed(
    exams: BigQueryAccessor, sql: str, counts: tuple[int, int, int]
) -> None:
    exams.load([[1, "a"], [2, "b"]], "t", schema={"k": "INT64", "v": "STRING"})

    changes = exams.query(sql).stats.changes

    assert changes is not None
    assert (changes.inserted, changes.updated, changes.deleted) == counts
    assert exams.query("SELECT 1 AS n").stats.changes is None


# --- upsert -------------------------------------------------------------------------------

ANSWERS = {"student_id": "STRING", "item_id": "STRING", "is_correct": "BOOL", "day": "DATE"}
KEY = ["student_id", "item_id"]
MARCH = date(2024, 3, 1)


def answer(student: str | None, item: str, is_correct: bool) -> dict[str, object]:
    return {"student_id": student, "item_id": item, "is_correct": is_correct, "day": MARCH}


def rows_of(exams: BigQueryAccessor, table: str = "answers") -> list[list[object]]:
    sql = f"SELECT student_id, item_id, is_correct FROM {table} ORDER BY student_id, item_id"
    return exams.query(sql).rows()


def test_known_rows_are_updated_and_others_inserted(exams: BigQueryAccessor) -> None:
    first = exams.upsert([answer("ana", "q1", False), answer("ben", "q1", True)], "answers", KEY)

    second = exams.upsert([answer("ana", "q1", True), answer("ana", "q2", True)], "answers", KEY)

    assert (first, second) == (Changes(inserted=2), Changes(inserted=1, updated=1))
    assert rows_of(exams) == [["ana", "q1", True], ["ana", "q2", True], ["ben", "q1", True]]
    assert exams.tables() == ["answers"]


def test_an_upsert_done_again_changes_nothing(exams: BigQueryAccessor) -> None:
    answers = [answer("ana", "q1", False), answer("ben", "q1", True)]
    exams.upsert(answers, "answers", KEY)
    before = rows_of(exams)

    again = exams.upsert(answers, "answers", KEY)

    assert again == Changes(updated=2)
    assert rows_of(exams) == before


def test_keys_that_rows_share_or_lack_are_named_and_nothing_is_written(
    exams: BigQueryAccessor,
) -> None:
    exams.upsert([answer("ana", "q1", True)], "answers", KEY)
    answers = [answer("ana", "q1", False)] * 2 + [answer(None, "q2", True), answer("x", "q", True)]

    with pytest.raises(LoadFailed, match="rows share a key, or have none") as caught:
        exams.upsert(answers, "answers", KEY)

    assert caught.value.errors == (
        "student_id=None, item_id='q2': no key",
        "student_id='ana', item_id='q1': 2 rows",
    )
    assert rows_of(exams) == [["ana", "q1", True]]
    assert exams.tables() == ["answers"]


def test_at_most_ten_wrong_keys_are_named(exams: BigQueryAccessor) -> None:
    with pytest.raises(LoadFailed) as caught:
        exams.upsert([[n % 20] for n in range(40)], "t", ["n"], schema={"n": "INT64"})

    assert len(caught.value.errors) == 10


def test_a_column_that_the_data_lacks_keeps_its_values(exams: BigQueryAccessor) -> None:
    exams.upsert([answer("ana", "q1", True)], "answers", KEY)

    for data in (
        [{"student_id": "ana", "item_id": "q1", "is_correct": False}],
        pd.DataFrame({"item_id": ["q1"], "student_id": ["ana"], "is_correct": [False]}),
    ):
        changes = exams.upsert(data, "answers", KEY)
        assert changes == Changes(updated=1)

    assert exams.query("SELECT day, is_correct FROM answers").rows() == [[MARCH, False]]


def test_an_upsert_may_consist_of_keys_alone(exams: BigQueryAccessor) -> None:
    exams.load([["ana"]], "students", schema={"student_id": "STRING"})

    changes = exams.upsert([{"student_id": "ana"}, {"student_id": "b"}], "students", ["student_id"])

    assert changes == Changes(inserted=1)


def test_no_rows_change_nothing(exams: BigQueryAccessor) -> None:
    exams.create_table("answers", ANSWERS)

    assert exams.upsert([], "answers", KEY) == Changes()
    assert exams.tables() == ["answers"]


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "DATETIME"])
def test_a_table_split_by_a_column_of_the_key_is_merged_by_its_days(
    exams: BigQueryAccessor, kind: str
) -> None:
    schema = {"at": kind, "n": "INT64", "v": "STRING"}
    days = [f"2024-03-0{day}" for day in (1, 2, 3)]
    exams.upsert(
        [[day, 1, "old"] for day in days], "t", ["at", "n"], schema=schema, partition_by="at"
    )

    changes = exams.upsert(
        [[day, n, "new"] for day in days[1:] for n in (1, 2)], "t", ["at", "n"], schema=schema
    )

    assert exams.table("t").partition_by == "at"
    assert changes == Changes(inserted=2, updated=2)
    assert exams.query("SELECT v FROM t ORDER BY at, n").rows() == [["old"], *[["new"]] * 4]


@pytest.mark.parametrize("name", ["rows.csv", "rows.ndjson", "rows.parquet"])
def test_files_and_objects_are_upserted(
    exams: BigQueryAccessor, bucket: Path, tmp_path: Path, name: str
) -> None:
    table = pa.table({"n": [1, 2], "v": ["a", "b"]})
    writers: dict[str, Any] = {
        "rows.csv": lambda path: path.write_text("n,v\n1,a\n2,b\n"),
        "rows.ndjson": lambda path: path.write_text('{"n": 1, "v": "a"}\n{"n": 2, "v": "b"}\n'),
        "rows.parquet": lambda path: pq.write_table(table, path),
    }
    for folder in (bucket, tmp_path):
        writers[name](folder / name)
    header = 1 if name.endswith("csv") else 0

    made = exams.upsert(tmp_path / name, "t", ["n"], skip_leading_rows=header)
    again = exams.upsert(f"gs://bucket/{name}", "t", ["n"], skip_leading_rows=header)

    assert (made, again) == (Changes(inserted=2), Changes(updated=2))
    assert exams.query("SELECT n, v FROM t ORDER BY n").rows() == [[1, "a"], [2, "b"]]
    assert exams.tables() == ["t"]


@pytest.mark.parametrize(
    ("records", "key", "message"),
    [
        ([{"n": 1, "other": 2}], ["n"], "the column 'other', which .*exams.t does not; it has n"),
        ([{"v": "x"}], ["n"], "key's column 'n' is not in the data, which has v"),
        ([{"n": 1, "v": "x"}], ["l"], "key's column 'l' is not in the data"),
        ([{"l": [1]}], ["l"], r"'l' is of the type ARRAY<INT64>"),
    ],
)
def test_data_that_does_not_fit_the_table_is_refused(
    exams: BigQueryAccessor, records: list[dict[str, object]], key: list[str], message: str
) -> None:
    exams.create_table("t", {"n": "INT64", "v": "STRING", "l": "ARRAY<INT64>"})

    with pytest.raises(SchemaMismatch, match=message):
        exams.upsert(pa.Table.from_pylist(records), "t", key)

    assert exams.tables() == ["t"]


def test_types_that_the_table_would_have_to_convert_are_refused(exams: BigQueryAccessor) -> None:
    exams.create_table("t", {"n": "INT64", "x": "FLOAT64"})

    with pytest.raises(SchemaMismatch, match="'n' is of the type STRING in the data and INT64 in"):
        exams.upsert(pa.table({"n": ["1"], "x": [1]}), "t", ["n"])

    assert exams.upsert(pa.table({"n": [1], "x": [1]}), "t", ["n"]) == Changes(inserted=1)


def test_an_upsert_of_one_day_or_by_a_string_is_refused(exams: BigQueryAccessor) -> None:
    with pytest.raises(ValueError, match="is one day of a table"):
        exams.upsert([{"n": 1}], "t$20240301", ["n"])
    with pytest.raises(TypeError, match=r"key is the string 'n'; expected a list: \['n'\]"):
        exams.upsert([{"n": 1}], "t", "n")
    assert exams.tables() == []


def test_a_source_that_breaks_off_leaves_nothing_behind(exams: BigQueryAccessor) -> None:
    def broken() -> Iterator[dict[str, object]]:
        yield answer("ana", "q1", True)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        exams.upsert(broken(), "answers", KEY)

    assert exams.tables() == []
