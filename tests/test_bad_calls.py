"""What a caller gets wrong is one clear error, before anything is asked for, made or lost.

Each call is made on a folder and on Google's own clients; the error is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from google.api_core.exceptions import GoogleAPICallError

from gcp_accessor import (
    BigQueryAccessor,
    CloudStorageAccessor,
    LoadFailed,
    MonitoringAccessor,
    SchemaMismatch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stand_ins.bigquery import BigQueryStandIn


TWINS = pd.DataFrame([[1, 2]], columns=["a", "a"])
Cases = list[tuple[str, "Callable[[Any], object]", type[Exception], str]]


def broken(row: object) -> Iterator[object]:
    """Two rows of a source that then gives up."""
    yield row
    yield row
    raise RuntimeError("the source broke")


def params(cases: Cases) -> Any:
    return pytest.mark.parametrize(
        ("call", "kind", "said"),
        [case[1:] for case in cases],
        ids=[case[0].replace(" ", "-") for case in cases],
    )


def is_one_clear_sentence(error: BaseException) -> None:
    text = str(error)
    assert len(text) < 450
    assert "Traceback" not in text
    assert text.count("\n") <= 1


# --- Cloud Storage ------------------------------------------------------------------------

STORAGE: Cases = [
    # What are not rows.
    ("a text", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", "text"), ValueError, "one str"),
    ("a dict", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", {"a": 1}),
     ValueError, "one dict"),
    ("None", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", None), ValueError, "one NoneType"),
    ("no rows", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", []), ValueError, "no rows"),
    ("a source without rows", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", iter([])),
     ValueError, "no rows"),
    ("a source that breaks", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", broken(["q1"])),
     RuntimeError, "the source broke"),
    ("ragged rows", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", [[1, 2], [1]]),
     ValueError, "row 2 has 1 values; expected 2"),
    ("twin columns", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", TWINS),
     ValueError, "names the column 'a' twice"),
    ("twin columns in Parquet", lambda s: s.write("gs://lessons/a.parquet", TWINS),
     ValueError, "names the column 'a' twice"),
    ("twin names", lambda s: s.write("gs://lessons/a.ndjson", [[1, 2]], header=["a", "a"]),
     ValueError, "names the column 'a' twice"),
    ("half a character", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", [["ok"], ["\ud800"]]),
     ValueError, "row 2 has a lone surrogate"),
    ("half a character in a text", lambda s: s.write("gs://lessons/a.txt", "\ud800"),
     ValueError, "the text has a lone surrogate"),
    ("an object", lambda s: s.upload_csv_gzip("lessons", "a.csv.gz", [[object()]]),
     TypeError, "is a object, which a CSV field cannot hold"),
    ("NaN in JSON", lambda s: s.write("gs://lessons/a.json", {"a": [1, float("nan")]}),
     ValueError, "JSON, which has no NaN"),
    ("Infinity in JSON", lambda s: s.write("gs://lessons/a.json", float("inf")),
     ValueError, "JSON, which has no NaN, no Infinity"),
    # What are not addresses.
    ("one slash", lambda s: s.write("gs:/lessons/a.txt", "x"),
     ValueError, "'gs:/lessons/a.txt' is not an address in Cloud Storage; expected gs://"),
    ("no gs", lambda s: s.write("lessons/a.txt", "x"), ValueError, "expected gs://bucket/name"),
    ("http", lambda s: s.read("http://lessons/a.txt"), ValueError, "expected gs://bucket/name"),
    ("no bucket", lambda s: s.write("gs://", "x"), ValueError, "'' is not a bucket's name"),
    ("three slashes", lambda s: s.write("gs:///a.txt", "x"), ValueError, "'' is not a bucket's"),
    ("no name", lambda s: s.read("gs://lessons"), ValueError, "'' is not an object's name"),
    ("a Path", lambda s: s.write(Path("gs://lessons/a.txt"), "x"),
     TypeError, "is a PosixPath; expected 'gs://bucket/name' as a str"),
    ("no address", lambda s: s.read(None), TypeError, "is a NoneType; expected 'gs://"),
    # What are not names.
    ("an address for a bucket", lambda s: s.upload_csv_gzip("gs://lessons", "a.csv.gz", [[1]]),
     ValueError, "'gs://lessons' is not a bucket's name; expected 3 to 63"),
    ("no name of a bucket", lambda s: s.download_csv_gzip(None, "a.csv.gz"),
     TypeError, "the bucket's name is None"),
    ("an address for a name", lambda s: s.download_csv_gzip("lessons", "gs://lessons/a.csv.gz"),
     ValueError, "is a whole address; expected the object's name alone"),
    ("a Path for a name", lambda s: s.upload_csv_gzip("lessons", Path("a.csv.gz"), [[1]]),
     TypeError, "the object's name is PosixPath"),
    ("a bucket in capitals", lambda s: s.read("gs://Lessons/a"), ValueError, "3 to 63 lower-case"),
    ("a short bucket", lambda s: s.read("gs://ab/a"), ValueError, "3 to 63 lower-case"),
    ("a long bucket", lambda s: s.read(f"gs://{'a' * 64}/a"), ValueError, "3 to 63 lower-case"),
    ("a long part", lambda s: s.read(f"gs://{'a' * 64}.com/a"), ValueError, "a domain of such"),
    ("a long domain", lambda s: s.read(f"gs://{'.'.join(['a' * 60] * 4)}/a"), ValueError, "domain"),
    ("dots in a row", lambda s: s.read("gs://a..b/a"), ValueError, "3 to 63 lower-case"),
    ("an IP address", lambda s: s.read("gs://192.168.1.1/a"), ValueError, "3 to 63 lower-case"),
    ("a glob of buckets", lambda s: list(s.list("gs://les*/")), ValueError, "3 to 63 lower-case"),
    ("a bucket of Google's", lambda s: s.create_bucket("goog-lessons"), ValueError, "for Google"),
    ("a bucket named Google", lambda s: s.create_bucket("my-google"), ValueError, "for Google"),
    ("a line break", lambda s: s.read("gs://lessons/a\rb"), ValueError, "has no line break"),
    ("a parent folder", lambda s: s.read("gs://lessons/.."), ValueError, "not empty, '.' or '..'"),
    ("a certificate", lambda s: s.write("gs://lessons/.well-known/acme-challenge/x", b""),
     ValueError, "keeps for certificates"),
    ("a long name", lambda s: s.write(f"gs://lessons/{'é' * 600}", b""),
     ValueError, "has 1200 bytes; at most 1024"),
    ("half a character in a name", lambda s: s.read("gs://lessons/\ud800"),
     ValueError, "the object's name has"),
    # Options.
    ("if_exists", lambda s: s.write("gs://lessons/a.txt", "x", if_exists="overwrite"),
     ValueError, "if_exists is 'overwrite'; expected 'replace' or 'fail'"),
    ("if_generation", lambda s: s.write("gs://lessons/a.txt", "x", if_generation=-1),
     ValueError, "if_generation is -1; expected at least 0"),
    ("a format", lambda s: s.write("gs://lessons/a.txt", "x", format="excel"),
     ValueError, "format is 'excel'; expected 'infer', "),
    ("a mode", lambda s: s.open("gs://lessons/a.txt", "r").__enter__(),
     ValueError, "the mode 'r' is not one of"),
]  # fmt: skip


@params(STORAGE)
def test_a_bad_call_to_cloud_storage_is_one_clear_error_and_writes_nothing(
    store: CloudStorageAccessor,
    call: Callable[[CloudStorageAccessor], object],
    kind: type[Exception],
    said: str,
    request: pytest.FixtureRequest,
) -> None:
    with pytest.raises(kind) as caught:
        call(store)

    assert said in str(caught.value)
    is_one_clear_sentence(caught.value)
    assert type(caught.value) is not KeyError
    if store.local is None:
        assert request.getfixturevalue("cloud_storage").requests == []
    assert list(store.list("gs://lessons/")) == []


def test_a_source_that_breaks_leaves_what_was_there(store: CloudStorageAccessor) -> None:
    before = store.upload_csv_gzip("lessons", "a.csv.gz", [["kept"]])

    with pytest.raises(RuntimeError, match="the source broke"):
        store.upload_csv_gzip("lessons", "a.csv.gz", broken(["x" * (6 << 20)]))

    assert store.download_csv_gzip("lessons", "a.csv.gz") == [["kept"]]
    assert store.stat("gs://lessons/a.csv.gz").generation == before.generation


# --- BigQuery -----------------------------------------------------------------------------


@dataclass
class Asked:
    """A warehouse, and how often it was asked anything over HTTP."""

    warehouse: BigQueryAccessor
    service: BigQueryStandIn | None = None

    @property
    def requests(self) -> int:
        return self.service.requests.total() if self.service else 0


@pytest.fixture(params=["local", "google"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asked]:
    """On each backend, the dataset `exams` with the table `t` of two rows."""
    from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
    from tests.stand_ins.bigquery import BigQueryStandIn

    root = tmp_path / "cloud"
    with BigQueryAccessor(local=root, dataset="exams") as warehouse:
        warehouse.create_dataset("exams")
        warehouse.load([{"a": 1}, {"a": 2}], "t")
    if request.param == "local":
        yield Asked(warehouse)
        return
    with (
        BigQueryStandIn(DuckDBWarehouse(root)) as service,
        service.accessor(dataset="exams") as accessor,
    ):
        yield Asked(accessor, service)


# Each of these is found before anything is asked for.
BEFORE: Cases = [
    ("a path", lambda b: b.query(Path("a.sql")), TypeError, "is the path 'a.sql'; give its read"),
    ("a file's name", lambda b: b.query("sql/a.sql"), ValueError, "Path('sql/a.sql').read_text()"),
    ("no statement", lambda b: b.query(None), TypeError, "expected GoogleSQL as a str"),
    ("an empty statement", lambda b: b.query("  "), ValueError, "the statement is empty"),
    ("half a character", lambda b: b.query("SELECT '\ud800'"), ValueError, "the statement has"),
    ("a text for parameters", lambda b: b.query("SELECT @a", "param"),
     TypeError, "the parameters are 'param'; expected a mapping of names to values"),
    ("a list for parameters", lambda b: b.query("SELECT @a", [1]),
     TypeError, "(name, type, value), not 1; or give a mapping"),
    ("a missing parameter", lambda b: b.query("SELECT @a, @b", {"a": 1}),
     ValueError, "uses @b, which the parameters do not give"),
    ("a parameter too many", lambda b: b.query("SELECT @a", {"a": 1, "b": 2}),
     ValueError, "does not use the parameter b"),
    ("a parameter of no type", lambda b: b.query("SELECT @a", {"a": object()}),
     TypeError, "'a' is a object, which no BigQuery type holds"),
    ("a set", lambda b: b.query("SELECT @a", {"a": {1}}), TypeError, "'a' is a set, which no"),
    ("None without a type", lambda b: b.query("SELECT @a", {"a": None}), ValueError, "Typed("),
    ("a number for a name", lambda b: b.query("SELECT @a", {1: 1}), ValueError, "parameter's name"),
    ("65 bits", lambda b: b.query("SELECT @a", {"a": 2**64}), ValueError, "beyond INT64's 64 bits"),
    ("half a parameter", lambda b: b.query("SELECT @a", {"a": "\ud800"}), ValueError, "'a' has"),
    ("timeout", lambda b: b.query("SELECT 1", timeout=-1), ValueError, "timeout is -1; expected"),
    ("timeout 0", lambda b: b.query("SELECT 1", timeout=0), ValueError, "timeout is 0; expected"),
    ("timeout NaN", lambda b: b.query("SELECT 1", timeout=float("nan")), ValueError, "timeout is"),
    ("timeout as text", lambda b: b.query("SELECT 1", timeout="30"), TypeError, "timeout is '30'"),
    ("max_bytes_billed", lambda b: b.query("SELECT 1", max_bytes_billed=0),
     ValueError, "max_bytes_billed is 0; expected at least 1"),
    ("a label", lambda b: b.query("SELECT 1", labels={"Team": "A B"}),
     ValueError, "the label 'Team': 'A B' cannot be"),
    ("query's if_exists", lambda b: b.query("SELECT 1 AS n", destination="n", if_exists="drop"),
     ValueError, "if_exists is 'drop'; expected 'replace', 'append' or 'fail'"),
    ("a shape for nothing", lambda b: b.query("SELECT 1 AS n", partition_by="n"),
     ValueError, "shape a destination=; there is none"),
    ("output", lambda b: b.execute_query("SELECT 1", output="pandas"),
     ValueError, "output is 'pandas'; expected 'rows', 'records', 'dataframe', "),
    ("write_disposition",
     lambda b: b.execute_query("SELECT 1", destination="n", write_disposition="REPLACE"),
     ValueError, "write_disposition is 'REPLACE'; expected WRITE_EMPTY"),
    # Names of tables and datasets.
    ("a backtick", lambda b: b.load([{"a": 1}], "exams.a`b"), ValueError, "is not a table name"),
    ("a semicolon", lambda b: b.load([{"a": 1}], "a;DROP TABLE t"), ValueError, "not a table name"),
    ("a space before", lambda b: b.table("exams. t"), ValueError, "is not a table name"),
    ("four parts", lambda b: b.table("a.b.c.d"), ValueError, "expected [project.]dataset.table"),
    ("an empty name", lambda b: b.table(""), ValueError, "'' is not a table name"),
    ("a Path for a table", lambda b: b.table(Path("t")), TypeError, "the table's name is Posix"),
    ("a destination", lambda b: b.query("SELECT 1 AS n", destination="a`b"), ValueError, "table"),
    ("a table of 0.0.6's", lambda b: b.check_if_table_exists("exams", "a`b"), ValueError, "a`b"),
    ("a table with its dataset", lambda b: b.check_if_table_exists("exams", "exams.t"),
     ValueError, "expected it without its dataset"),
    ("a dataset", lambda b: b.check_if_dataset_exists("a/b"), ValueError, "not a dataset's name"),
    ("a dataset of tables", lambda b: b.get_table_name("x;y"), ValueError, "not a dataset's name"),
    # What is not loaded.
    ("a dict", lambda b: b.load({"a": [1]}, "n"), TypeError, "load() takes rows, records,"),
    ("an empty dict", lambda b: b.load({}, "n"), TypeError, "not a dict"),
    ("nothing", lambda b: b.load(None, "n"), TypeError, "not a NoneType"),
    ("one slash", lambda b: b.load("gs:/bucket/a.csv", "n"), ValueError, "expected gs://bucket"),
    ("http", lambda b: b.load("https://bucket/a.csv", "n"), ValueError, "expected gs://bucket"),
    ("a file that is not there", lambda b: b.load("none.csv", "n"), FileNotFoundError, "none.csv"),
    ("addresses and files", lambda b: b.load(["gs://bucket/a.csv", "b.csv"], "n"),
     ValueError, "'b.csv' is not an address in Cloud Storage"),
    ("rows without names", lambda b: b.load([[1, 2]], "n"), ValueError, "give schema="),
    ("ragged rows", lambda b: b.load([[1], [1, 2]], "n", schema={"a": "INT64"}),
     LoadFailed, "row 2: it has 2 values"),
    ("twin columns", lambda b: b.load(TWINS, "n"), SchemaMismatch, "names the column 'a' twice"),
    ("no columns", lambda b: b.load(pd.DataFrame(), "n"), SchemaMismatch, "has no columns"),
    ("a type that is none", lambda b: b.load([{"a": 1}], "n", schema={"a": "TEXT"}),
     ValueError, "column 'a' has the unknown type 'TEXT'"),
    ("load's if_exists", lambda b: b.load([{"a": 1}], "n", if_exists="overwrite"),
     ValueError, "if_exists is 'overwrite'; expected"),
    ("load's format", lambda b: b.load([{"a": 1}], "n", format="excel"),
     ValueError, "format is 'excel'; expected 'infer'"),
    ("load's timeout", lambda b: b.load([{"a": 1}], "n", timeout=-1), ValueError, "timeout is -1"),
    ("a text of columns", lambda b: b.load([{"a": 1}], "n", cluster_by="a"),
     TypeError, "cluster_by is the string 'a'"),
    ("an export to a file", lambda b: b.export("t", "a.csv"), ValueError, "expected gs://bucket"),
    ("an address of 0.0.6's", lambda b: b.load_data_from_gcs("exams", "bucket/a.csv", "t"),
     ValueError, "expected gs://bucket/name"),
    ("a format of 0.0.6's",
     lambda b: b.load_data_from_gcs("exams", "gs://bucket/a", "t", source_format="EXCEL"),
     ValueError, "source_format is 'EXCEL'; expected 'CSV', "),
    ("a disposition of 0.0.6's",
     lambda b: b.load_data_from_gcs("exams", "gs://bucket/a", "t", create_disposition="YES"),
     ValueError, "create_disposition is 'YES'; expected 'CREATE_NEVER'"),
]  # fmt: skip

# For these the warehouse is asked what is there.
AFTER: Cases = [
    ("no records", lambda b: b.load([], "n"), ValueError, "there are no rows"),
    ("half a character", lambda b: b.load([{"a": "\ud800"}], "n"), SchemaMismatch, "row 1: 'a'"),
    ("a source that breaks", lambda b: b.load(broken({"a": 1}), "n"), RuntimeError, "source broke"),
    ("a column to split by", lambda b: b.load([{"a": 1}], "n", partition_by="day"),
     ValueError, "partition_by names 'day'; the data's columns are a"),
    ("a column of another type to split by", lambda b: b.load([{"a": 1}], "n", partition_by="a"),
     GoogleAPICallError, "expected a DATE, TIMESTAMP or DATETIME column"),
    ("a column of a query to split by",
     lambda b: b.query("SELECT 1 AS n", destination="n", partition_by="day"),
     GoogleAPICallError, "partition_by names 'day', which is not a column"),
    ("a table that is not there", lambda b: b.table("none"), GoogleAPICallError, "exams.none"),
    ("half of what is there", lambda b: b.load([{"a": 3}], "t"), GoogleAPICallError, "has rows"),
]  # fmt: skip


@params(BEFORE)
def test_a_bad_call_to_bigquery_is_one_clear_error_before_any_request(
    asked: Asked,
    call: Callable[[BigQueryAccessor], object],
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind) as caught:
        call(asked.warehouse)

    assert said in str(caught.value)
    is_one_clear_sentence(caught.value)
    assert asked.requests == 0


@params(AFTER)
def test_a_bad_call_to_bigquery_changes_nothing(
    asked: Asked,
    call: Callable[[BigQueryAccessor], object],
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind) as caught:
        call(asked.warehouse)

    assert said in str(caught.value)
    assert asked.warehouse.tables() == ["t"]
    assert asked.warehouse.query("SELECT a FROM t ORDER BY a").rows() == [[1], [2]]


def test_statements_in_a_row_are_refused_on_a_folder_by_name(tmp_path: Path) -> None:
    from gcp_accessor import UnsupportedLocally

    warehouse = BigQueryAccessor(local=tmp_path)

    with pytest.raises(UnsupportedLocally, match="a script of several statements") as caught:
        warehouse.query("SELECT 1; SELECT 2")

    assert caught.value.__notes__ == ["run them one at a time"]


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"timeout": 0}, ValueError, "timeout is 0"),
        ({"labels": {"Team": "x"}}, ValueError, "the label 'Team'"),
        ({"labels": ["x"]}, TypeError, "labels are a mapping"),
        ({"max_bytes_billed": -1}, ValueError, "max_bytes_billed is -1"),
        ({"progress": True}, ValueError, "progress is True; expected 'auto', 'on' or 'off'"),
    ],
)
def test_a_bad_default_is_refused_where_it_is_given(
    options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        BigQueryAccessor("a-project", **options)


def test_a_metrics_labels_may_be_any_text(tmp_path: Path) -> None:
    metrics = MonitoringAccessor(local=tmp_path, labels={"job": "Answers, daily"})
    before = datetime.now(UTC)

    metrics.write("rows", 1)

    assert metrics.read("rows", since=before)[0]["job"] == "Answers, daily"


@pytest.mark.parametrize("table", ["お客様", "étudiant-01", "2024 answers", "ग्राहक"])
def test_a_table_may_be_named_in_any_script(asked: Asked, table: str) -> None:
    asked.warehouse.load([{"a": 1}], table)

    assert table in asked.warehouse.tables()
    assert asked.warehouse.check_if_table_exists("exams", table)
    assert asked.warehouse.query(f"SELECT a FROM exams.`{table}`").rows() == [[1]]
