"""What BigQueryAccessor promises, on a folder and on Google's client over HTTP alike."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcp_accessor.errors import (
    CostLimitExceeded,
    LoadFailed,
    SchemaMismatch,
)
from gcp_accessor.parameters import Typed
from gcp_accessor.type_names import columns, type_name

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor

EVERY_TYPE = {
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
    "l": "ARRAY<INT64>",
    "st": "STRUCT<a INT64, b STRING>",
    "ls": "ARRAY<STRUCT<a INT64, b STRING>>",
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
    [1, 2],
    {"a": 1, "b": "x"},
    [{"a": 1, "b": "x"}, {"a": None, "b": None}],
]
NULLS: list[object] = [None] * 10 + [[], None, []]
DAYS = [[date(2024, 3, day), f"q{n}", n] for day in (1, 2) for n in range(3)]
DAY_SCHEMA = {"day": "DATE", "item_id": "STRING", "n": "INT64"}


# --- queries ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partition_by": "day"}, "cannot be partitioned by field 'day'"),
        ({"cluster_by": ["n"]}, "cannot be clustered"),
    ],
)
def test_rows_are_not_sorted_into_a_table_that_keeps_no_order(
    exams: BigQueryAccessor, options: dict[str, Any], message: str
) -> None:
    sql = "SELECT DATE '2024-03-01' AS day, 1 AS n"

    with pytest.raises(exceptions.BadRequest, match=f"Result of ORDER BY queries {message}"):
        exams.query(f"{sql} ORDER BY n", destination="t", **options)

    exams.query(f"SELECT * FROM ({sql} ORDER BY n)", destination="t", **options)
    assert exams.table("t").rows == 1


def test_a_query_gives_rows_records_and_a_schema(warehouse: BigQueryAccessor) -> None:
    result = warehouse.query("SELECT 1 AS one, 'a' AS letter UNION ALL SELECT 2, NULL ORDER BY 1")

    assert result.rows() == [[1, "a"], [2, None]]
    assert result.records() == [{"one": 1, "letter": "a"}, {"one": 2, "letter": None}]
    assert [(c.name, type_name(c)) for c in result.schema] == [
        ("one", "INT64"),
        ("letter", "STRING"),
    ]
    assert result.total_rows == 2
    assert result.stats.job_id


def test_a_result_is_read_as_often_as_wanted(warehouse: BigQueryAccessor) -> None:
    result = warehouse.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 5)) AS n ORDER BY n")

    assert result.rows() == result.rows() == [[1], [2], [3], [4], [5]]
    assert result.first() == {"n": 1}
    assert result.to_arrow()["n"].to_pylist() == [1, 2, 3, 4, 5]
    assert [batch.num_rows for batch in result.batches(max_rows=2)] == [2, 2, 1]


def test_every_parameter_comes_back_as_it_went(warehouse: BigQueryAccessor) -> None:
    params = {
        name: Typed(kind, value)
        for (name, kind), value in zip(EVERY_TYPE.items(), FULL, strict=True)
    }
    sql = "SELECT " + ", ".join(f"@{name} AS {name}" for name in EVERY_TYPE)

    result = warehouse.query(sql, params)

    assert result.rows() == [FULL]
    assert {c.name: type_name(c) for c in result.schema} == EVERY_TYPE


@pytest.mark.parametrize("kind", [k for k in EVERY_TYPE.values() if "<" not in k])
def test_a_null_parameter_keeps_its_type(warehouse: BigQueryAccessor, kind: str) -> None:
    result = warehouse.query("SELECT @p AS p", {"p": Typed(kind, None)})

    assert result.scalar() is None
    assert type_name(result.schema[0]) == kind


@pytest.mark.parametrize("kind", ["ARRAY<STRING>", "ARRAY<STRUCT<a INT64, b ARRAY<STRING>>>"])
def test_an_empty_array_is_a_parameter(warehouse: BigQueryAccessor, kind: str) -> None:
    assert warehouse.query("SELECT ARRAY_LENGTH(@p) AS n", {"p": Typed(kind, [])}).scalar() == 0


def test_an_array_parameter_is_unnested(warehouse: BigQueryAccessor) -> None:
    items = [{"item_id": "q1", "weight": 1.5}, {"item_id": "q2", "weight": 2.0}]

    result = warehouse.query(
        "SELECT item.item_id, item.weight FROM UNNEST(@items) AS item ORDER BY item.item_id DESC",
        {"items": items},
    )

    assert result.records() == items[::-1]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    number=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False),
    moment=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    decimal=st.decimals(-(10**28), 10**28, places=9),
)
def test_any_value_comes_back_as_it_went(
    warehouse: BigQueryAccessor,
    text: str,
    number: int,
    real: float,
    moment: datetime,
    decimal: Decimal,
) -> None:
    params = {"a": text, "b": number, "c": real, "d": moment, "e": Typed("NUMERIC", decimal)}

    result = warehouse.query("SELECT @a AS a, @b AS b, @c AS c, @d AS d, @e AS e", params)

    assert result.rows() == [[text, number, real, moment, decimal]]


def test_a_missing_parameter_is_named(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(ValueError, match="uses @day"):
        warehouse.query("SELECT @day")


def test_a_result_without_rows_keeps_its_columns(exams: BigQueryAccessor) -> None:
    exams.create_table("every", EVERY_TYPE)

    result = exams.query("SELECT * FROM every")

    assert result.rows() == []
    assert result.schema == columns(EVERY_TYPE)
    assert result.to_arrow().schema.names == list(EVERY_TYPE)
    assert str(result.to_dataframe()["i"].dtype) == "Int64"


def test_null_integers_stay_integers_in_a_frame(warehouse: BigQueryAccessor) -> None:
    frame = warehouse.query(
        "SELECT 9007199254740993 AS n UNION ALL SELECT NULL ORDER BY n DESC"
    ).to_dataframe()

    assert frame["n"].dtype == pd.Int64Dtype()
    assert frame["n"].tolist() == [9007199254740993, pd.NA]


def test_wrong_sql_is_a_bad_request(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(exceptions.BadRequest):
        warehouse.query("SELEC 1")


def test_an_absent_table_is_not_found(exams: BigQueryAccessor) -> None:
    with pytest.raises(exceptions.NotFound) as caught:
        exams.query("SELECT * FROM nowhere")

    assert caught.value.__notes__


def test_an_absent_dataset_is_not_found(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(exceptions.NotFound) as caught:
        warehouse.query("SELECT 1 AS n", destination="nowhere.t")

    assert any("create_dataset" in note for note in caught.value.__notes__)


# --- destinations -------------------------------------------------------------------------


def test_a_destination_is_replaced_appended_to_or_kept(exams: BigQueryAccessor) -> None:
    exams.query("SELECT 1 AS n", destination="t")
    exams.query("SELECT 2 AS n", destination="t")
    exams.query("SELECT 3 AS n", destination="t", if_exists="append")

    with pytest.raises(exceptions.Conflict) as caught:
        exams.query("SELECT 4 AS n", destination="t", if_exists="fail")

    assert exams.query("SELECT n FROM t ORDER BY n").rows() == [[2], [3]]
    assert any("if_exists" in note for note in caught.value.__notes__)


def test_the_rows_of_a_destination_stay_there(exams: BigQueryAccessor) -> None:
    result = exams.query("SELECT 1 AS n", destination="t")

    assert (result.rows(), result.schema, result.total_rows) == ([], (), 0)
    assert list(result.batches()) == []
    assert result.stats.job_id


def test_a_query_that_fails_leaves_its_destination_as_it_was(exams: BigQueryAccessor) -> None:
    exams.query("SELECT 1 AS n", destination="t")

    with pytest.raises(exceptions.GoogleAPICallError):
        exams.query("SELECT CAST(x AS INT64) AS n FROM UNNEST(['1', 'a']) AS x", destination="t")

    assert exams.query("SELECT n FROM t").rows() == [[1]]


def test_one_day_of_a_table_is_replaced(exams: BigQueryAccessor) -> None:
    exams.load(DAYS, "days", schema=DAY_SCHEMA, partition_by="day", cluster_by=["item_id"])

    exams.query(
        "SELECT @day AS day, 'new' AS item_id, 9 AS n",
        {"day": date(2024, 3, 1)},
        destination="days$20240301",
    )

    rows = exams.query("SELECT day, item_id FROM days ORDER BY day, item_id").rows()
    assert rows == [[date(2024, 3, 1), "new"], *([date(2024, 3, 2), f"q{n}"] for n in range(3))]
    table = exams.table("days")
    assert (table.partition_by, table.cluster_by, table.rows) == ("day", ("item_id",), 4)


def test_the_first_day_of_a_table_makes_it(exams: BigQueryAccessor) -> None:
    day = date(2024, 3, 1)

    for n in (1, 2):
        exams.query(
            "SELECT @day AS day, @n AS n",
            {"day": day, "n": n},
            destination="days$20240301",
            partition_by="day",
        )

    assert exams.query("SELECT day, n FROM days").rows() == [[day, 2]]


# --- limits -------------------------------------------------------------------------------


def test_an_estimate_says_bytes_tables_and_schema_and_runs_nothing(exams: BigQueryAccessor) -> None:
    exams.load([[n, "x" * 100] for n in range(100)], "t", schema={"n": "INT64", "s": "STRING"})

    narrow = exams.estimate("SELECT n FROM t WHERE n > @n", {"n": 3})
    wide = exams.estimate("SELECT * FROM t")

    assert narrow.bytes_processed == 800
    assert wide.bytes_processed == 800 + 100 * 102
    assert [table.table for table in wide.tables] == ["t"]
    assert [column.name for column in narrow.schema] == ["n"]


def test_a_query_beyond_its_limit_is_not_run(exams: BigQueryAccessor) -> None:
    exams.load([[n] for n in range(100)], "t", schema={"n": "INT64"})

    with pytest.raises(CostLimitExceeded, match=r"800.*100") as caught:
        exams.query("SELECT n FROM t", destination="u", max_bytes_billed=100)

    assert "\n" not in str(caught.value)
    assert exams.tables() == ["t"]


def test_a_query_within_its_limit_runs(exams: BigQueryAccessor) -> None:
    exams.load([[n] for n in range(100)], "t", schema={"n": "INT64"})

    assert exams.query("SELECT COUNT(n) AS n FROM t", max_bytes_billed=20_000_000).scalar() == 100


# --- loading ------------------------------------------------------------------------------


def test_rows_of_every_type_are_loaded(exams: BigQueryAccessor) -> None:
    count = exams.load([FULL, NULLS], "t", schema=EVERY_TYPE)

    result = exams.query("SELECT * FROM t ORDER BY i DESC")
    assert count == 2
    assert result.rows() == [FULL, NULLS]
    assert result.schema == exams.table("t").schema == columns(EVERY_TYPE)


def test_json_is_loaded_from_its_text_or_as_it_is(exams: BigQueryAccessor) -> None:
    rows = [[1, '{"a": [1, null]}'], [2, {"b": "x"}], [3, None]]

    exams.load(rows, "t", schema={"n": "INT64", "j": "JSON"})

    result = exams.query("SELECT j FROM t ORDER BY n")
    assert result.rows() == [[{"a": [1, None]}], [{"b": "x"}], [None]]
    assert type_name(result.schema[0]) == "JSON"


def test_records_show_their_own_types(exams: BigQueryAccessor) -> None:
    exams.load([{"a": "001", "b": 1}, {"b": 2.5, "c": [date(2024, 3, 1)]}], "t")

    result = exams.query("SELECT * FROM t ORDER BY b")
    assert [type_name(c) for c in result.schema] == ["STRING", "FLOAT64", "ARRAY<DATE>"]
    assert result.rows() == [["001", 1.0, []], [None, 2.5, [date(2024, 3, 1)]]]


def test_records_take_the_types_of_the_table_they_are_appended_to(exams: BigQueryAccessor) -> None:
    exams.create_table("t", {"n": "NUMERIC", "s": "STRING"})

    exams.load(iter([{"n": 1}, {"s": None, "n": "2.5"}]), "t", if_exists="append")

    assert exams.query("SELECT n FROM t ORDER BY n").rows() == [[Decimal(1)], [Decimal("2.5")]]


@pytest.mark.parametrize("form", ["frame", "arrow", "reader", "batch"])
def test_frames_and_arrow_are_loaded(exams: BigQueryAccessor, form: str) -> None:
    table = pa.table(
        {"n": [1, None], "s": ["a", ""], "t": [datetime(2024, 3, 1, tzinfo=UTC), None]}
    )
    data = {
        "frame": table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get),
        "arrow": table,
        "reader": table.to_reader(),
        "batch": table.to_batches()[0],
    }[form]

    assert exams.load(data, "t") == 2

    result = exams.query("SELECT * FROM t ORDER BY s DESC")
    assert result.rows() == [[1, "a", datetime(2024, 3, 1, tzinfo=UTC)], [None, "", None]]
    assert [type_name(c) for c in result.schema] == ["INT64", "STRING", "TIMESTAMP"]


def test_a_frame_comes_back_as_it_went(exams: BigQueryAccessor) -> None:
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "f": [0.5, None],
            "b": pd.array([True, None], dtype="boolean"),
            "ts": pd.Series(["2024-03-01", None], dtype="datetime64[us, UTC]"),
            "c": pd.Categorical(["x", "y"]),
        }
    )

    exams.load(frame, "t")

    again = exams.query("SELECT * FROM t ORDER BY c").to_dataframe()
    pd.testing.assert_frame_equal(again, frame.astype({"c": again["c"].dtype}), check_like=True)


def test_a_frame_of_mixed_types_is_refused(exams: BigQueryAccessor) -> None:
    with pytest.raises(SchemaMismatch, match="schema="):
        exams.load(pd.DataFrame({"a": [1, "x"]}), "t")


def test_rows_that_do_not_fit_are_named_and_none_is_loaded(exams: BigQueryAccessor) -> None:
    rows = [["a", 1, []], ["b", "two", []], ["c", 3, [1, None]], ["d"]]

    with pytest.raises(LoadFailed) as caught:
        exams.load(rows, "t", schema={"s": "STRING", "n": "INT64", "l": "ARRAY<INT64>"})

    assert caught.value.errors == (
        "row 2: 'n' is 'two', which is not a INT64",
        "row 3: 'l' holds None, but a table's arrays hold no NULL",
        "row 4: it has 1 values; the table has 3 columns",
    )
    assert exams.tables() == []


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([["a"]], ValueError, "rows do not name their columns"),
        ([], ValueError, "there are no rows"),
        ([{"a": None}], SchemaMismatch, "no record shows the type of a"),
        ([{"a": 1}, {"a": "x"}], SchemaMismatch, "row 2: 'a' is 'x', a STRING"),
        ({"a": 1}, TypeError, "not a dict"),
        (7, TypeError, "not a int"),
    ],
)
def test_data_without_clear_columns_is_refused(
    exams: BigQueryAccessor, data: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        exams.load(data, "t")


def test_a_file_is_loaded_by_its_name(exams: BigQueryAccessor, tmp_path: Path) -> None:
    schema = {"n": "INT64", "s": "STRING"}
    csv = 'n,s\n1,"a\nb"\n2,\n3,""\n'
    (tmp_path / "a.csv").write_text(csv, encoding="utf-8")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(csv.encode()))
    (tmp_path / "a.jsonl").write_text('{"n": 1, "s": "a\\nb"}\n{"n": 2}\n{"n": 3, "s": ""}\n')
    pq.write_table(pa.table({"n": [1, 2, 3], "s": ["a\nb", None, ""]}), tmp_path / "a.parquet")

    for name in ("a.csv", "a.csv.gz", "a.jsonl", "a.parquet"):
        header = 1 if "csv" in name else 0
        count = exams.load(
            tmp_path / name, "t", schema=schema, skip_leading_rows=header, if_exists="replace"
        )

        assert count == 3
        rows = exams.query("SELECT n, s FROM t ORDER BY n").rows()
        assert rows == [[1, "a\nb"], [2, None], [3, ""]], name


def test_a_file_of_no_known_kind_is_refused(exams: BigQueryAccessor, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").touch()

    with pytest.raises(ValueError, match=r"a\.xlsx' does not show its format"):
        exams.load(tmp_path / "a.xlsx", "t")


def test_an_absent_file_is_not_found(exams: BigQueryAccessor, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exams.load(tmp_path / "absent.csv", "t")


def test_objects_are_loaded_by_a_glob(exams: BigQueryAccessor, bucket: Path) -> None:
    for n in range(3):
        (bucket / f"part-{n}.csv").write_text(f"{n},x\n")

    count = exams.load("gs://bucket/part-*.csv", "t", schema={"n": "INT64", "s": "STRING"})
    again = exams.load(
        ["gs://bucket/part-0.csv", "gs://bucket/part-2.csv"],
        "t",
        schema={"n": "INT64", "s": "STRING"},
        if_exists="append",
    )

    assert (count, again) == (3, 2)
    assert exams.query("SELECT n FROM t ORDER BY n").rows() == [[0], [0], [1], [2], [2]]


def test_a_bad_row_in_a_file_fails_the_load_and_keeps_the_table(
    exams: BigQueryAccessor, tmp_path: Path
) -> None:
    exams.load([[7]], "t", schema={"n": "INT64"})
    (tmp_path / "a.csv").write_text("1\nx\n")

    with pytest.raises(LoadFailed) as caught:
        exams.load(tmp_path / "a.csv", "t", schema={"n": "INT64"}, if_exists="replace")

    assert caught.value.errors
    assert exams.query("SELECT n FROM t").rows() == [[7]]


def test_loading_into_a_table_with_rows_is_a_conflict(exams: BigQueryAccessor) -> None:
    exams.create_table("t", {"n": "INT64"})
    exams.load([[1]], "t", schema={"n": "INT64"})

    with pytest.raises(exceptions.Conflict):
        exams.load([[2]], "t", schema={"n": "INT64"})

    assert exams.query("SELECT n FROM t").rows() == [[1]]


def test_loading_into_an_absent_dataset_is_not_found(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(exceptions.NotFound):
        warehouse.load([[1]], "nowhere.t", schema={"n": "INT64"})


def test_one_day_is_loaded_again(exams: BigQueryAccessor) -> None:
    exams.load(DAYS, "days", schema=DAY_SCHEMA, partition_by="day")

    exams.load(
        [[date(2024, 3, 2), "only", 1]],
        "days$20240302",
        schema=DAY_SCHEMA,
        partition_by="day",
        if_exists="replace",
    )

    rows = exams.query("SELECT item_id FROM days WHERE day = '2024-03-02'").rows()
    assert rows == [["only"]]
    assert exams.table("days").rows == 4


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.ndjson.gz", "t.parquet"])
def test_an_exported_table_loads_again(exams: BigQueryAccessor, bucket: Path, name: str) -> None:
    schema = {"n": "INT64", "s": "STRING"}
    exams.load([[1, 'a,"\n'], [2, None]], "t", schema=schema)

    exams.export("t", f"gs://bucket/{name}")

    assert (bucket / name).stat().st_size > 0
    header = 1 if "csv" in name else 0
    exams.load(f"gs://bucket/{name}", "u", schema=schema, skip_leading_rows=header)
    assert exams.query("SELECT n, s FROM u ORDER BY n").rows() == [[1, 'a,"\n'], [2, None]]


# --- tables -------------------------------------------------------------------------------


def test_a_table_is_made_described_listed_and_deleted(exams: BigQueryAccessor) -> None:
    exams.create_table("t", EVERY_TYPE, partition_by="d", cluster_by=["s", "i"])

    table = exams.table("t")
    assert (str(table.name).split(".")[-2:], table.kind) == (["exams", "t"], "table")
    assert (table.rows, table.partition_by, table.cluster_by) == (0, "d", ("s", "i"))
    assert table.schema == columns(EVERY_TYPE)
    assert (exams.tables(), exams.datasets()) == (["t"], ["exams"])

    exams.delete_table("t")

    assert exams.tables() == []


def test_what_exists_is_not_made_again(exams: BigQueryAccessor) -> None:
    exams.create_table("t", {"n": "INT64"})

    with pytest.raises(exceptions.Conflict):
        exams.create_table("t", {"n": "INT64"})
    with pytest.raises(exceptions.Conflict):
        exams.create_dataset("exams")


def test_what_does_not_exist_is_not_found(exams: BigQueryAccessor) -> None:
    for action in (
        lambda: exams.table("t"),
        lambda: exams.delete_table("t"),
        lambda: exams.copy("t", "u"),
        lambda: exams.tables("nowhere"),
        lambda: exams.create_table("nowhere.t", {"n": "INT64"}),
        lambda: exams.export("t", "gs://bucket/t.csv"),
    ):
        with pytest.raises(exceptions.NotFound):
            action()
    exams.delete_table("t", if_missing="ignore")


def test_equal_versions_mean_equal_rows(exams: BigQueryAccessor) -> None:
    exams.load([[1]], "t", schema={"n": "INT64"})
    first = exams.table("t").version
    assert exams.table("t").version == first is not None

    exams.load([[2]], "t", schema={"n": "INT64"}, if_exists="append")

    assert exams.table("t").version != first


def test_a_copy_replaces_fails_or_appends(exams: BigQueryAccessor) -> None:
    exams.load([[1]], "a", schema={"n": "INT64"})
    exams.copy("a", "b")

    with pytest.raises(exceptions.Conflict):
        exams.copy("a", "b")
    exams.copy("a", "b", if_exists="append")
    assert exams.query("SELECT n FROM b").rows() == [[1], [1]]

    exams.copy("a", "b", if_exists="replace")
    assert exams.query("SELECT n FROM b").rows() == [[1]]


def test_one_day_is_copied(exams: BigQueryAccessor) -> None:
    exams.load(DAYS, "days", schema=DAY_SCHEMA, partition_by="day")
    exams.load([[date(2024, 3, 1), "staged", 1]], "stage", schema=DAY_SCHEMA, partition_by="day")

    exams.copy("stage$20240301", "days$20240301", if_exists="replace")

    rows = exams.query("SELECT item_id FROM days ORDER BY day, item_id").rows()
    assert rows == [["staged"], ["q0"], ["q1"], ["q2"]]


@pytest.mark.parametrize("name", ["a b; DROP", "`t`", "t'", "", "a.b.c.d", "t$2024-03-01"])
def test_a_name_that_breaks_the_rules_never_reaches_the_engine(
    exams: BigQueryAccessor, name: str
) -> None:
    with pytest.raises(ValueError, match="is not a table name"):
        exams.query("SELECT 1 AS n", destination=name)


def test_a_name_without_a_dataset_needs_a_default(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(ValueError, match="has no dataset"):
        warehouse.table("t")
    with pytest.raises(ValueError, match="name a dataset"):
        warehouse.tables()


# --- the accessor itself ------------------------------------------------------------------


def test_an_accessor_is_usable_after_it_was_closed(warehouse: BigQueryAccessor) -> None:
    with warehouse:
        warehouse.query("SELECT 1 AS n")

    assert warehouse.query("SELECT 2 AS n").scalar() == 2


# --- the first release's methods ----------------------------------------------------------


def test_execute_query_gives_lists_and_keeps_null(warehouse: BigQueryAccessor) -> None:
    rows = warehouse.execute_query(
        "SELECT @n AS n, x FROM UNNEST(@xs) AS x ORDER BY x",
        query_parameters=[("n", "STRING", None), ("xs", "INT64", [2, 1])],
    )

    assert rows == [[None, 1], [None, 2]]


def test_execute_query_gives_other_forms_on_request(warehouse: BigQueryAccessor) -> None:
    sql = "SELECT 1 AS n"

    assert warehouse.execute_query(sql, output="records") == [{"n": 1}]
    assert warehouse.execute_query(sql, output="dataframe")["n"].tolist() == [1]
    assert warehouse.execute_query(sql, output="arrow").num_rows == 1
    assert [b.num_rows for b in warehouse.execute_query(sql, output="batches")] == [1]
    with pytest.raises(ValueError, match="output is 'json'"):
        warehouse.execute_query(sql, output="json")  # type: ignore[arg-type]


def test_execute_querys_dry_run_gives_the_estimate(exams: BigQueryAccessor) -> None:
    exams.load([[1], [2]], "t", schema={"n": "INT64"})

    assert exams.execute_query("SELECT n FROM t", dry_run=True).bytes_processed == 16


def test_execute_query_writes_a_destination(exams: BigQueryAccessor) -> None:
    exams.execute_query("SELECT 1 AS n", destination="exams.t")
    exams.execute_query("SELECT 2 AS n", destination="t", write_disposition="WRITE_APPEND")

    with pytest.raises(exceptions.Conflict):
        exams.execute_query("SELECT 3 AS n", destination="t")
    with pytest.raises(ValueError, match="write_disposition is 'TRUNCATE'"):
        exams.execute_query("SELECT 3 AS n", destination="t", write_disposition="TRUNCATE")

    assert exams.execute_query("SELECT n FROM t ORDER BY n") == [[1], [2]]


def test_datasets_and_tables_are_listed_and_checked(exams: BigQueryAccessor) -> None:
    exams.create_table("t", {"n": "INT64"})

    assert exams.get_dataset() == ["exams"]
    assert exams.get_table_name("exams") == ["t"]
    assert exams.check_if_dataset_exists("exams")
    assert not exams.check_if_dataset_exists("nowhere")
    assert exams.check_if_table_exists("exams", "t")
    assert not exams.check_if_table_exists("exams", "u")
    assert not exams.check_if_table_exists("nowhere", "t")
    with pytest.raises(exceptions.NotFound):
        exams.get_table_name("nowhere")


def test_a_table_is_made_from_a_nested_schema_file(exams: BigQueryAccessor, tmp_path: Path) -> None:
    schema = [
        {"name": "id", "type": "STRING", "mode": "NULLABLE"},
        {
            "name": "r",
            "type": "RECORD",
            "mode": "REPEATED",
            "fields": [{"name": "n", "type": "INTEGER"}],
        },
    ]
    (tmp_path / "schema.json").write_text(json.dumps(schema))

    message = exams.create_table_from_json(str(tmp_path / "schema.json"), "exams", "t")

    assert message == "Table could successfully be created on bigquery"
    assert [type_name(c) for c in exams.table("t").schema] == ["STRING", "ARRAY<STRUCT<n INT64>>"]
    with pytest.raises(exceptions.Conflict):
        exams.create_table_from_json(str(tmp_path / "schema.json"), "exams", "t")


@pytest.mark.parametrize(
    "text", ["", "{}", '[{"name": "a"}]', '[{"name": "a", "type": "INTEGRE"}]']
)
def test_a_file_that_is_no_schema_is_refused(
    exams: BigQueryAccessor, tmp_path: Path, text: str
) -> None:
    (tmp_path / "schema.json").write_text(text)

    with pytest.raises(ValueError, match=r"schema\.json does not hold a schema"):
        exams.create_table_from_json(tmp_path / "schema.json", "exams", "t")


def test_load_data_from_gcs_fills_an_existing_table(exams: BigQueryAccessor, bucket: Path) -> None:
    (bucket / "a.csv").write_text("s,n\nx,1\n")

    with pytest.raises(exceptions.NotFound):
        exams.load_data_from_gcs("exams", "gs://bucket/a.csv", "t")
    exams.create_table("t", {"s": "STRING", "n": "INT64"})
    message = exams.load_data_from_gcs("exams", ["gs://bucket/a.csv"], "t", skip_leading_rows=1)

    assert message == "Loading data is finished"
    assert exams.execute_query("SELECT s, n FROM t") == [["x", 1]]
    with pytest.raises(exceptions.Conflict):
        exams.load_data_from_gcs("exams", "gs://bucket/a.csv", "t", skip_leading_rows=1)
