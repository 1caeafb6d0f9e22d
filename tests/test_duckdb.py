"""The local warehouse: durable, shared by turns, and as strict as BigQuery about its tables."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound, ServiceUnavailable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcp_accessor.backends import LoadSettings, Parameter, Statement
from gcp_accessor.backends.duckdb.result import keep
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.backends.folder import FolderBackend
from gcp_accessor.errors import CostLimitExceeded, LoadFailed, QueryTimeout
from gcp_accessor.schema import Column, TableName
from gcp_accessor.tabular.csv_text import line_of

UTC = dt.UTC
TABLE = TableName("t", "d")
# Longer than any test waits for it: 2e12 pairs.
ENDLESS = (
    "SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 3000000)) AS a "
    "CROSS JOIN UNNEST(GENERATE_ARRAY(1, 3000000)) AS b WHERE MOD(a * b, 7) = 3"
)


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(tmp_path)
    made.create_dataset("d")
    return made


def run(warehouse: DuckDBWarehouse, sql: str, *parameters: Parameter) -> list[list[object]]:
    return list(warehouse.run(Statement(sql, parameters, default_dataset="d")).rows())


def write(warehouse: DuckDBWarehouse, sql: str, to: str = "t", **options: object) -> None:
    destination = TableName.parse(to, default_dataset="d")
    warehouse.run(Statement(sql, (), "d", destination, **options))  # type: ignore[arg-type]


def load(
    warehouse: DuckDBWarehouse,
    data: bytes,
    schema: tuple[Column, ...] | None,
    format: str = "csv",
    **options: object,
) -> int:
    wanted = LoadSettings(TABLE, format, schema, **options)  # type: ignore[arg-type]
    return warehouse.load_file(io.BytesIO(data), wanted)


# --- Results ------------------------------------------------------------------------------

EVERY_TYPE = """
SELECT 1 AS i, 1.5 AS f, NUMERIC '1.5' AS n, TRUE AS b, 'é' AS s, b'ab' AS y,
  DATE '2024-02-29' AS day, DATETIME '2024-02-29 10:00:00' AS wall,
  TIMESTAMP '2024-02-29 10:00:00.000001+00' AS at, TIME '10:20:30' AS clock,
  ['x', 'y'] AS texts, [TIMESTAMP '2024-01-01 00:00:00+00'] AS times,
  STRUCT(1 AS a, [STRUCT(TIMESTAMP '2024-01-01 00:00:00+00' AS at)] AS deep) AS pair,
  COUNT(*) AS counted, SUM(1) AS summed, NULL AS nothing
"""
MOMENT = dt.datetime(2024, 1, 1, tzinfo=UTC)


def test_each_type_comes_back_as_google_cloud_bigquery_gives_it(
    warehouse: DuckDBWarehouse,
) -> None:
    cursor = warehouse.run(Statement(EVERY_TYPE))

    (row,) = cursor.rows()

    assert row == [
        1,
        1.5,
        Decimal("1.5"),
        True,
        "é",
        b"ab",
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 10),
        dt.datetime(2024, 2, 29, 10, 0, 0, 1, tzinfo=UTC),
        dt.time(10, 20, 30),
        ["x", "y"],
        [MOMENT],
        {"a": 1, "deep": [{"at": MOMENT}]},
        1,
        1,
        None,
    ]
    kinds = {column.name: column.type for column in cursor.schema}
    assert kinds["counted"] == kinds["summed"] == kinds["nothing"] == "INT64"
    assert {row[8].tzinfo, row[11][0].tzinfo} == {UTC}


def test_a_table_made_by_a_query_has_the_types_of_its_result(warehouse: DuckDBWarehouse) -> None:
    expected = warehouse.run(Statement(EVERY_TYPE)).schema

    write(warehouse, EVERY_TYPE)

    assert warehouse.table(TABLE).schema == expected
    assert run(warehouse, "SELECT * FROM t") == run(warehouse, EVERY_TYPE)


def test_a_result_that_outgrows_memory_is_read_from_a_file_and_leaves_none(tmp_path: Path) -> None:
    columns = (Column("n", "INT64"),)
    batches = (pa.record_batch([pa.array(range(i * 100, i * 100 + 100))], ["n"]) for i in range(50))

    rows, read = keep(columns, batches, tmp_path, memory_bytes=2_000)

    assert rows == 5000
    for _ in range(2):
        assert [n for batch in read() for n in batch.column(0).to_pylist()] == list(range(5000))
    assert list(tmp_path.iterdir()) == []


def test_an_ordered_result_keeps_its_order_beyond_one_batch(warehouse: DuckDBWarehouse) -> None:
    sql = "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS n ORDER BY MOD(n, 7), n DESC"

    found = [row[0] for row in run(warehouse, sql)]

    assert found == sorted(range(1, 300001), key=lambda n: (n % 7, -n))


def test_a_result_outlives_the_warehouse(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, "SELECT 1 AS n")
    cursor = warehouse.run(Statement("SELECT n FROM d.t"))

    warehouse.delete_table(TABLE)
    warehouse.close()

    assert list(cursor.rows()) == list(cursor.rows()) == [[1]]


# --- Tables -------------------------------------------------------------------------------


def test_a_dataset_is_never_made_by_itself(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(NotFound, match="Dataset local:other") as caught:
        write(warehouse, "SELECT 1 AS n", "other.t")

    assert "create_dataset('other')" in caught.value.__notes__[0]
    assert warehouse.datasets() == ["d"]


def test_a_dataset_is_made_once(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(Conflict, match="Already Exists"):
        warehouse.create_dataset("d")
    with pytest.raises(BadRequest, match="reserved"):
        warehouse.create_dataset("main")


def test_another_project_is_not_found(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(NotFound, match="Project other-project"):
        run(warehouse, "SELECT 1 FROM `other-project.d.t`")


def test_append_adds_rows_by_the_names_of_their_columns(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, "SELECT 1 AS a, 'x' AS b")

    write(warehouse, "SELECT 'y' AS b, 2 AS a", if_exists="append")
    write(warehouse, "SELECT 3 AS a", if_exists="append")

    assert run(warehouse, "SELECT a, b FROM t ORDER BY a") == [[1, "x"], [2, "y"], [3, None]]


@pytest.mark.parametrize("sql", ["SELECT 1 AS c", "SELECT 'x' AS a"])
def test_append_refuses_other_columns_and_keeps_the_table(
    warehouse: DuckDBWarehouse, sql: str
) -> None:
    write(warehouse, "SELECT 1 AS a")

    with pytest.raises(BadRequest, match="does not match table"):
        write(warehouse, sql, if_exists="append")

    assert run(warehouse, "SELECT * FROM t") == [[1]]


def test_fail_admits_a_table_without_rows_only(warehouse: DuckDBWarehouse) -> None:
    warehouse.create_table(TABLE, (Column("a", "INT64"),), None, ())
    write(warehouse, "SELECT 1 AS a", if_exists="fail")

    with pytest.raises(Conflict, match="Already Exists"):
        write(warehouse, "SELECT 2 AS a", if_exists="fail")

    assert run(warehouse, "SELECT * FROM t") == [[1]]


def test_a_table_may_be_replaced_by_a_query_of_itself(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, "SELECT 1 AS a UNION ALL SELECT 2")

    write(warehouse, "SELECT a * 10 AS a FROM t")

    assert run(warehouse, "SELECT a FROM t ORDER BY a") == [[10], [20]]


def test_a_failing_query_leaves_the_table_as_it_was(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, "SELECT 1 AS a")

    with pytest.raises(BadRequest, match="division by zero"):
        write(warehouse, "SELECT 1 / (a - 1) AS a FROM t")

    assert run(warehouse, "SELECT * FROM t") == [[1]]


def test_equal_rows_have_equal_versions_in_any_order(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL")
    first = warehouse.table(TABLE).version

    write(warehouse, "SELECT 2 AS a, CAST(NULL AS STRING) AS b UNION ALL SELECT 1, 'x'")
    again = warehouse.table(TABLE).version
    write(warehouse, "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'")
    other = warehouse.table(TABLE).version
    write(warehouse, "SELECT 1.0 AS a, 'x' AS b UNION ALL SELECT 2, 'y'")

    assert first == again
    assert len({first, other, warehouse.table(TABLE).version}) == 3


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "a", None])), max_size=6),
    change=st.tuples(st.integers(0, 3), st.sampled_from(["", "a", None])),
    seed=st.integers(0, 99),
)
def test_a_version_is_of_the_rows_as_a_bag(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, str | None]],
    change: tuple[int, str | None],
    seed: int,
) -> None:
    made = DuckDBWarehouse(tmp_path_factory.mktemp("bag"))
    made.create_dataset("d")
    shuffled = random.Random(seed).sample(rows, len(rows))

    def version(given: list[tuple[int, str | None]]) -> str | None:
        data = "".join(line_of(row) for row in given).encode()
        load(made, data, (Column("a", "INT64"), Column("b", "STRING")), if_exists="replace")
        return made.table(TABLE).version

    assert version(rows) == version(shuffled)
    assert version(rows) != version([*rows, change])


def test_a_view_is_run_as_googlesql_each_time(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, "SELECT 2.5 AS x")
    run(warehouse, "CREATE VIEW v AS SELECT CAST(x AS INT64) AS n FROM t")

    write(warehouse, "SELECT -2.5 AS x")

    assert run(warehouse, "SELECT v.n FROM d.v") == [[-3]]
    view = warehouse.table(TableName("v", "d"))
    assert (view.kind, view.version, view.rows) == ("view", None, None)
    assert view.schema == (Column("n", "INT64"),)
    assert view.view_sql == "SELECT CAST(x AS INT64) AS n FROM t"


def test_definitions_and_changes_of_rows_run(warehouse: DuckDBWarehouse) -> None:
    for sql in (
        "CREATE TABLE t (a INT64 NOT NULL OPTIONS (description = 'the key'), b STRING, "
        "at TIMESTAMP) PARTITION BY DATE(at) CLUSTER BY a OPTIONS (description = 'rows')",
        "INSERT INTO t (a, b, at) VALUES (1, 'x', '2024-01-01 00:00:00+00'), (2, NULL, NULL)",
        "INSERT INTO t (a, b) SELECT 3, 'z'",
        "UPDATE t SET b = UPPER(b) WHERE a = 1",
        "DELETE FROM t WHERE a = 2",
        "MERGE INTO t USING (SELECT 3 AS a, 'm' AS b UNION ALL SELECT 4, 'n') AS s ON t.a = s.a "
        "WHEN MATCHED THEN UPDATE SET b = s.b "
        "WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)",
    ):
        run(warehouse, sql)

    assert run(warehouse, "SELECT a, b FROM t ORDER BY a") == [[1, "X"], [3, "m"], [4, "n"]]
    table = warehouse.table(TABLE)
    assert table.schema[0] == Column("a", "INT64", "REQUIRED", "the key")
    assert (table.partition_by, table.cluster_by, table.description) == ("at", ("a",), "rows")
    with pytest.raises(BadRequest, match="NOT NULL"):
        run(warehouse, "INSERT INTO t (b) VALUES ('q')")
    with pytest.raises(BadRequest, match="INT64; the query gives STRING"):
        run(warehouse, "INSERT INTO t (a) VALUES ('1.5')")
    with pytest.raises(BadRequest, match="WHERE"):
        run(warehouse, "DELETE FROM t")
    run(warehouse, "TRUNCATE TABLE t")
    run(warehouse, "DROP TABLE t")
    run(warehouse, "DROP TABLE IF EXISTS t")
    with pytest.raises(NotFound):
        run(warehouse, "DROP TABLE t")


# --- Partitions ---------------------------------------------------------------------------

TWO_DAYS = "SELECT DATE '2024-01-01' AS day, 1 AS n UNION ALL SELECT DATE '2024-01-02', 2"


def test_a_day_is_replaced_and_the_others_stay(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, TWO_DAYS, partition_by="day")

    write(warehouse, "SELECT DATE '2024-01-02' AS day, 5 AS n", "t$20240102")

    assert run(warehouse, "SELECT n FROM t ORDER BY day") == [[1], [5]]
    assert warehouse.table(TABLE).partition_by == "day"


def test_a_day_may_be_replaced_by_nothing(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, TWO_DAYS, partition_by="day")

    write(warehouse, "SELECT day, n FROM t WHERE FALSE", "t$20240102")

    assert run(warehouse, "SELECT n FROM t") == [[1]]


@pytest.mark.parametrize("day", ["DATE '2024-01-03'", "CAST(NULL AS DATE)"])
def test_a_row_of_another_day_is_refused(warehouse: DuckDBWarehouse, day: str) -> None:
    write(warehouse, TWO_DAYS, partition_by="day")

    with pytest.raises(BadRequest, match="different partitions"):
        write(warehouse, f"SELECT {day} AS day, 5 AS n", "t$20240102")

    assert run(warehouse, "SELECT n FROM t ORDER BY n") == [[1], [2]]


def test_a_day_of_a_timestamp_is_its_day_in_utc(warehouse: DuckDBWarehouse) -> None:
    write(
        warehouse,
        "SELECT TIMESTAMP '2024-01-01 23:59:59+00' AS at, 1 AS n",
        "t$20240101",
        partition_by="at",
    )

    with pytest.raises(BadRequest, match="different partitions"):
        write(warehouse, "SELECT TIMESTAMP '2024-01-02 00:00:00+00' AS at, 2 AS n", "t$20240101")

    assert run(warehouse, "SELECT n FROM t") == [[1]]


@pytest.mark.parametrize(
    ("to", "partition_by", "message"),
    [
        ("t$20240101", None, "not partitioned"),
        ("t$20241301", "day", "not a day"),
        ("t$2024", "day", "not a day"),
        ("t", "n", "INT64; expected a DATE"),
        ("t", "absent", "not a column"),
    ],
)
def test_a_partitioning_that_cannot_be_is_refused(
    warehouse: DuckDBWarehouse, to: str, partition_by: str | None, message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        write(warehouse, TWO_DAYS, to, partition_by=partition_by)

    assert warehouse.tables("d") == []


def test_fail_and_append_hold_for_a_day_too(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, TWO_DAYS, partition_by="day")
    third = "SELECT DATE '2024-01-03' AS day, 3 AS n"

    write(warehouse, third, "t$20240103", if_exists="fail")
    write(warehouse, third, "t$20240103", if_exists="append")
    with pytest.raises(Conflict):
        write(warehouse, third, "t$20240103", if_exists="fail")

    assert run(warehouse, "SELECT COUNT(*) FROM t WHERE n = 3") == [[2]]


def test_copies_carry_the_partitioning_and_single_days(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, TWO_DAYS, partition_by="day", cluster_by=("n",))
    other = TableName("u", "d")

    warehouse.copy(TABLE, other, "fail")
    write(warehouse, "SELECT DATE '2024-01-02' AS day, 9 AS n", "t$20240102")
    with pytest.raises(Conflict):
        warehouse.copy(TABLE, other, "fail")
    day = "20240102"
    warehouse.copy(
        TableName("t", "d", partition=day), TableName("u", "d", partition=day), "replace"
    )

    assert run(warehouse, "SELECT n FROM u ORDER BY n") == [[1], [9]]
    table = warehouse.table(other)
    assert (table.partition_by, table.cluster_by) == ("day", ("n",))
    warehouse.delete_table(TableName("u", "d", partition=day))
    assert run(warehouse, "SELECT n FROM u") == [[1]]


# --- Files --------------------------------------------------------------------------------

ANSWERS = (
    Column("a", "INT64"),
    Column("s", "STRING"),
    Column("b", "BOOL"),
    Column("t", "TIMESTAMP"),
)


def test_csv_tells_null_from_empty_and_keeps_line_breaks(warehouse: DuckDBWarehouse) -> None:
    data = b'a,s,b,t\n1,"x\ny",true,2024-01-01\n2,"","1",\n,,NO,2024-01-01 10:00:00.5+02\n'

    count = load(warehouse, data, ANSWERS, skip_leading_rows=1)

    assert count == 3
    assert run(warehouse, "SELECT * FROM t") == [
        [1, "x\ny", True, dt.datetime(2024, 1, 1, tzinfo=UTC)],
        [2, "", True, None],
        [None, None, False, dt.datetime(2024, 1, 1, 8, 0, 0, 500000, tzinfo=UTC)],
    ]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.lists(
            st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6),
            min_size=2,
            max_size=2,
        ),
        max_size=8,
    ),
    packed=st.booleans(),
)
def test_what_storage_writes_the_warehouse_loads_unchanged(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str | None]], packed: bool
) -> None:
    made = DuckDBWarehouse(tmp_path_factory.mktemp("csv"))
    made.create_dataset("d")
    data = "".join(map(line_of, rows)).encode()

    load(
        made,
        gzip.compress(data) if packed else data,
        (Column("a", "STRING"), Column("b", "STRING")),
    )

    assert run(made, "SELECT * FROM t") == rows


def test_a_column_alone_keeps_its_nulls(warehouse: DuckDBWarehouse) -> None:
    load(warehouse, b'"1"\n\n"3"\n', (Column("a", "STRING"),))

    assert run(warehouse, "SELECT * FROM t") == [["1"], [None], ["3"]]


def test_a_csv_without_a_schema_is_typed_by_all_of_its_values(warehouse: DuckDBWarehouse) -> None:
    data = b"id,day,share,flag,name,none\n1,2024-01-01,1,true,q,\n2,2024-01-02,.5,false,7,\n"

    load(warehouse, data, None, skip_leading_rows=1)

    kinds = {column.name: column.type for column in warehouse.table(TABLE).schema}
    assert kinds == {
        "id": "INT64",
        "day": "DATE",
        "share": "FLOAT64",
        "flag": "BOOL",
        "name": "STRING",
        "none": "STRING",
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1,x,maybe,2024-01-01\nq,x,true,soon\n", "row 1: b is 'maybe', not a BOOL"),
        (b"1,x,true,\nq,x,true,soon\n", "row 2: a is 'q', not an INT64\n  row 2: t is 'soon'"),
        (b"1.5,x,true,\n", "row 1: a is '1.5', not an INT64"),
        (b"1,x\n", "line 1: Expected Number of Columns: 4 Found: 2"),
        (b"1,x,true,,9\n", "line 1: Expected Number of Columns: 4 Found: 5"),
        (b'1,"x,true,\n', "line 1: Value with unterminated quote"),
        (b"1,\xff,true,\n", "not utf-8"),
        (b"\x1f\x8bnope", "broken gzip"),
        (gzip.compress(b"1,x,true,\n" * 999, mtime=0)[:-9], "broken gzip"),
    ],
)
def test_a_bad_file_is_named_by_its_rows_and_nothing_is_loaded(
    warehouse: DuckDBWarehouse, data: bytes, message: str
) -> None:
    load(warehouse, b"7,x,true,\n", ANSWERS)

    with pytest.raises(LoadFailed, match=message):
        load(warehouse, data, ANSWERS, if_exists="replace")
    with pytest.raises(LoadFailed, match=message):
        load(warehouse, data, ANSWERS, if_exists="append")

    assert run(warehouse, "SELECT a FROM t") == [[7]]


NESTED = (
    Column("a", "INT64"),
    Column("st", "STRUCT", fields=(Column("x", "FLOAT64"), Column("l", "STRING", "REPEATED"))),
    Column("n", "INT64", "REPEATED"),
    Column("j", "JSON"),
    Column("y", "BYTES"),
    Column("m", "NUMERIC"),
)


def test_ndjson_carries_nested_values(warehouse: DuckDBWarehouse) -> None:
    data = (
        b'{"a":1,"st":{"x":1.5,"l":["p"]},"n":[1,2],"j":{"k":[1]},"y":"YWI=","m":"1.25"}\n\n'
        b'{"a":"3","n":null}\n'
    )

    load(warehouse, data, NESTED, "ndjson")

    assert run(warehouse, "SELECT * FROM t ORDER BY a") == [
        [1, {"x": 1.5, "l": ["p"]}, [1, 2], {"k": [1]}, b"ab", Decimal("1.25")],
        [3, None, [], None, None, None],
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a":1.5}\n{"a":2}\n{"a":"x"}\n', "row 1: a is '1.5'.*\n.*row 3: a is 'x'"),
        (b'{"a":1,"zz":2}\n', "No such field: zz"),
        (b'{"a":1\n', "Malformed JSON"),
        (b"[1]\n", "no JSON object"),
        (b'{"n":[1,"x"]}\n', "Bad int64 value: x"),
    ],
)
def test_bad_ndjson_says_what_is_wrong(
    warehouse: DuckDBWarehouse, data: bytes, message: str
) -> None:
    with pytest.raises(LoadFailed, match=message):
        load(warehouse, data, NESTED, "ndjson")

    assert warehouse.tables("d") == []


def parquet(table: pa.Table) -> bytes:
    from pyarrow import parquet as format

    buffer = io.BytesIO()
    format.write_table(table, buffer)
    return buffer.getvalue()


def test_parquet_is_read_by_the_names_of_its_columns(warehouse: DuckDBWarehouse) -> None:
    schema = (Column("s", "STRING"), Column("x", "FLOAT64"))

    load(warehouse, parquet(pa.table({"x": [1, None]})), schema, "parquet")

    assert run(warehouse, "SELECT * FROM t") == [[None, 1.0], [None, None]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"a": ["x"]}), "'a' is STRING in the file, not INT64"),
        (pa.table({"a": [1], "q": [1]}), "No such field: q"),
        (pa.table({"q": [1]}), "REQUIRED and not in the file"),
        (pa.table({"a": pa.array([None], pa.int64())}), "REQUIRED|NOT NULL"),
    ],
)
def test_parquet_of_other_columns_is_refused(
    warehouse: DuckDBWarehouse, table: pa.Table, message: str
) -> None:
    with pytest.raises(LoadFailed, match=message):
        load(warehouse, parquet(table), (Column("a", "INT64", "REQUIRED"),), "parquet")


def test_objects_are_loaded_by_a_glob_and_exported_whole(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    buckets = FolderBackend(tmp_path)
    buckets.create_bucket("lessons")
    for name, text in (("in/a.csv", b"1\n"), ("in/b.csv", b"2\n"), ("in/c.txt", b"x\n")):
        with buckets.writer("lessons", name, content_type="text/csv") as writer:
            writer.write(text)

    count = warehouse.load_uris(
        ["gs://lessons/in/*.csv"], LoadSettings(TABLE, "csv", (Column("n", "INT64"),))
    )
    for _ in range(2):
        warehouse.export(TABLE, "gs://lessons/out/t-*.csv.gz", "csv", True)

    assert count == 2
    out = tmp_path / "buckets" / "lessons" / "out" / "t-000000000000.csv.gz"
    assert gzip.decompress(out.read_bytes()).decode().split() == ['"n"', '"1"', '"2"']
    with pytest.raises(NotFound, match="no object matches"):
        warehouse.load_uris(["gs://lessons/none/*"], LoadSettings(TABLE, "csv", None))


def test_an_export_is_the_same_bytes_each_time(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    FolderBackend(tmp_path).create_bucket("lessons")
    write(warehouse, EVERY_TYPE)
    path = tmp_path / "buckets" / "lessons" / "t.ndjson.gz"

    found = set()
    for _ in range(2):
        warehouse.export(TABLE, "gs://lessons/t.ndjson.gz", "ndjson", True)
        found.add(path.read_bytes())

    assert len(found) == 1


# --- What it reads ------------------------------------------------------------------------

DAY = Parameter(Column("day", "DATE"), dt.date(2024, 1, 2))
SIZES: list[tuple[str, int]] = [
    ("SELECT 1", 0),
    ("SELECT COUNT(*) FROM t", 0),
    ("SELECT a FROM t", 16),
    ("SELECT a + a FROM t WHERE a > 0", 16),
    # Two and the letters in UTF-8; NULL is nothing.
    ("SELECT s FROM t", 5 + 4),
    ("SELECT pair.x FROM t", 8 + 3 + 8 + 4),
    ("SELECT e FROM t, UNNEST(list) AS e", 16),
    ("SELECT * FROM t", 16 + 16 + 9 + 23 + 16),
    ("SELECT * EXCEPT (s, pair, list) FROM t", 32),
    ("SELECT a FROM t WHERE day = DATE '2024-01-01'", 16),
    ("SELECT a FROM t WHERE day = @day", 16),
    ("SELECT a FROM t WHERE @day <= day AND a > 0", 16),
    ("SELECT a FROM t WHERE day BETWEEN '2024-01-01' AND '2024-01-02'", 32),
    ("SELECT a FROM t WHERE day = @day OR a = 1", 32),
    ("WITH d AS (SELECT * FROM t WHERE day = @day) SELECT a FROM d", 16),
    ("SELECT x.a FROM (SELECT a, s FROM t) AS x", 16),
    # The other place where it is read does not filter.
    ("SELECT a FROM t WHERE day = @day UNION ALL SELECT a FROM t", 32),
    ("SELECT l.a FROM t AS l INNER JOIN t AS r ON l.a = r.a", 16),
    ("SELECT (SELECT MAX(e.b) FROM e WHERE e.b = t.a) FROM t", 16 + 24),
    # A partition is read whole.
    ("SELECT b FROM e WHERE at >= TIMESTAMP '2024-01-01 11:00:00+00' "
     "AND at < TIMESTAMP '2024-01-02'", 32),
    ("SELECT b FROM e WHERE DATE(at) = @day", 16),
]  # fmt: skip


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    made = DuckDBWarehouse(tmp_path_factory.mktemp("sized"))
    made.create_dataset("d")
    run(
        made,
        "CREATE TABLE t PARTITION BY day AS SELECT DATE '2024-01-01' AS day, 1 AS a, 'abc' AS s, "
        "STRUCT(1 AS x, 'q' AS y) AS pair, [1, 2] AS list "
        "UNION ALL SELECT DATE '2024-01-02', 2, 'é', STRUCT(2, 'qq'), []",
    )
    run(
        made,
        "CREATE TABLE e PARTITION BY DATE(at) AS "
        "SELECT TIMESTAMP '2024-01-01 10:00:00+00' AS at, 1 AS b "
        "UNION ALL SELECT TIMESTAMP '2024-01-01 12:00:00+00', 2 "
        "UNION ALL SELECT TIMESTAMP '2024-01-02 12:00:00+00', 3",
    )
    return made


@pytest.mark.parametrize(("sql", "size"), SIZES)
def test_a_query_reads_the_columns_and_days_that_it_refers_to(
    sized: DuckDBWarehouse, sql: str, size: int
) -> None:
    statement = Statement(sql, (DAY,), default_dataset="d")

    estimate = sized.estimate(statement)

    assert estimate.bytes_processed == size
    assert sized.run(statement).stats.bytes_processed == size


def test_an_estimate_names_the_tables_behind_views_and_the_result(sized: DuckDBWarehouse) -> None:
    run(sized, "CREATE OR REPLACE VIEW v AS SELECT a AS n FROM t")

    estimate = sized.estimate(Statement("SELECT SUM(n) AS total FROM d.v"))

    assert estimate.tables == (TABLE,)
    assert estimate.schema == (Column("total", "INT64"),)
    assert estimate.bytes_processed == 16


def test_a_query_over_its_limit_is_not_run(sized: DuckDBWarehouse) -> None:
    destination = TableName("out", "d")

    with pytest.raises(CostLimitExceeded, match=r"16 bytes.*limit of 15"):
        sized.run(Statement("SELECT a FROM d.t", destination=destination, max_bytes_billed=15))

    assert "out" not in sized.tables("d")


# --- Sharing, stopping, dying -------------------------------------------------------------


def test_a_timeout_cancels_the_query_and_frees_the_warehouse(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(QueryTimeout, match=r"0\.2 s"):
        warehouse.run(Statement(ENDLESS, timeout=0.2))
    with pytest.raises(QueryTimeout):
        write(warehouse, ENDLESS, timeout=0.2)

    assert warehouse.tables("d") == []


def test_threads_share_the_warehouse(warehouse: DuckDBWarehouse) -> None:
    write(warehouse, "SELECT 0 AS n")

    with ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(write, warehouse, f"SELECT {n} AS n", if_exists="append")
            for n in range(1, 17)
        ] + [pool.submit(run, warehouse, "SELECT COUNT(*) FROM t") for _ in range(16)]:
            done.result()

    assert run(warehouse, "SELECT SUM(n) FROM t") == [[136]]


PREAMBLE = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from gcp_accessor.backends import Statement
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.schema import TableName
warehouse = DuckDBWarehouse(Path(sys.argv[1]))
"""


def start(folder: Path, program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + program, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


APPEND = """
for n in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
    warehouse.run(Statement("SELECT 1 AS n", (), "d", TableName("t", "d"), "append"))
"""


def test_processes_take_turns(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    write(warehouse, "SELECT 1 AS n")

    processes = [start(tmp_path, APPEND) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors

    assert run(warehouse, "SELECT SUM(n) FROM t") == [[31]]


def test_a_held_warehouse_is_waited_for_and_then_named(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    held = start(
        tmp_path, "with warehouse.file.open():\n    print('held', flush=True)\n    time.sleep(60)"
    )
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        warehouse.file.wait_seconds = 0.1

        with pytest.raises(ServiceUnavailable, match=f"PID {held.pid}") as caught:
            warehouse.datasets()
    finally:
        held.kill()
        held.communicate()

    assert str(held.pid) in caught.value.__notes__[0]
    warehouse.file.wait_seconds = 10
    assert warehouse.datasets() == ["d"]


def test_a_statement_holds_as_much_in_memory_as_it_may_and_the_rest_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL_MEMORY", "100 MB")
    warehouse = DuckDBWarehouse(tmp_path)
    numbers = "UNNEST(GENERATE_ARRAY(1, 2000000)) AS n"

    # Sorted it is 200 MB, twice what may be held.
    rows = run(
        warehouse,
        f"SELECT n FROM (SELECT n, REPEAT('x', 100) AS x FROM {numbers}) QUALIFY "
        "ROW_NUMBER() OVER (PARTITION BY x ORDER BY n DESC) <= 2 ORDER BY n",
    )

    assert rows == [[1_999_999], [2_000_000]]


def test_a_statement_that_fits_nowhere_is_refused_with_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL_MEMORY", "20 MB")
    warehouse = DuckDBWarehouse(tmp_path)

    with pytest.raises(BadRequest, match="Resources exceeded") as caught:
        run(
            warehouse,
            "SELECT ARRAY_LENGTH(ARRAY_AGG(n)) FROM UNNEST(GENERATE_ARRAY(1, 5000000)) AS n",
        )

    assert "GCP_ACCESSOR_LOCAL_MEMORY" in caught.value.__notes__[0]


def test_a_size_that_is_none_is_told_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL_MEMORY", "much")

    with pytest.raises(ValueError, match="GCP_ACCESSOR_LOCAL_MEMORY is wrong: 'much'"):
        DuckDBWarehouse(tmp_path)


def test_ctrl_c_stops_a_query(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    process = start(tmp_path, f"print('go', flush=True)\nwarehouse.run(Statement({ENDLESS!r}))")
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert "KeyboardInterrupt" in errors


KEEP_WRITING = """
import random
n = 0
while True:
    n += 1
    sql = f"SELECT {n} AS n, x FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS x"
    warehouse.run(Statement(sql, (), "d", TableName("t", "d"), "append"))
    print(n, flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_loses_nothing_that_was_acknowledged_and_keeps_no_half(
    warehouse: DuckDBWarehouse, tmp_path: Path, seed: int
) -> None:
    process = start(tmp_path, KEEP_WRITING)
    assert process.stdout is not None
    acknowledged = int(process.stdout.readline())
    time.sleep(random.Random(seed).uniform(0, 0.4))

    process.kill()
    rest, _ = process.communicate()

    acknowledged = int(([str(acknowledged), *rest.split("\n")[:-1]])[-1])
    batches = run(warehouse, "SELECT n, COUNT(*) FROM t GROUP BY n ORDER BY n")
    assert batches == [[n, 1000] for n in range(1, len(batches) + 1)]
    # The last one may have been written and its word not have come through.
    assert len(batches) in (acknowledged, acknowledged + 1)


def test_what_a_killed_process_left_is_swept_after_a_day(tmp_path: Path) -> None:
    import os

    scratch = tmp_path / ".gcp_accessor" / "warehouse"
    (scratch / "old").mkdir(parents=True)
    (scratch / "new").mkdir()
    os.utime(scratch / "old", (0, 0))

    DuckDBWarehouse(tmp_path).datasets()

    assert not (scratch / "old").exists()
    assert (scratch / "new").exists()


def test_a_warehouse_does_nothing_before_its_first_operation(tmp_path: Path) -> None:
    DuckDBWarehouse(tmp_path / "later")

    assert not (tmp_path / "later").exists()
    assert threading.active_count() < 50


def test_a_holder_that_lets_go_in_that_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb

    warehouse = DuckDBWarehouse(tmp_path)
    warehouse.create_dataset("d")
    connect = duckdb.connect
    # DuckDB's words for a lock whose holder is gone when it looks who that is.
    words = [
        f'IO Error: Could not set lock on file "{tmp_path}": Conflicting lock is held in PID 0.',
        f'IO Error: Could not set lock on file "{tmp_path}": Resource temporarily unavailable',
    ]

    def busy(*arguments: object, **options: object) -> object:
        if words:
            raise duckdb.IOException(words.pop())
        return connect(*arguments, **options)

    monkeypatch.setattr(duckdb, "connect", busy)

    assert warehouse.datasets() == ["d"]
    assert not words
