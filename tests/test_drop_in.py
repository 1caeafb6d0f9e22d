"""Whoever calls version 0.0.6 finds the same names, the same order and the same answers here.

What 0.0.6 answered was recorded by running its own code against these same stand-ins.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest

import gcp_accessor
from gcp_accessor import UnsupportedLocally
from gcp_accessor.errors import LoadFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

# --- Signatures ---------------------------------------------------------------------------


class FirstBigQueryAccessor:
    """0.0.6's signatures, as its source has them."""

    def get_dataset(self): ...
    def get_table_name(self, dataset): ...
    def check_if_dataset_exists(self, dataset): ...
    def check_if_table_exists(self, dataset, table_name): ...
    def create_table_from_json(self, path_schema_file, dataset, table_name): ...
    def load_data_from_gcs(
        self,
        dataset,
        uris,
        table_name,
        location="US",
        skip_leading_rows=0,
        source_format="CSV",
        create_disposition="CREATE_NEVER",
        write_disposition="WRITE_EMPTY",
    ): ...
    def execute_query(
        self,
        query,
        job_id=None,
        job_id_prefix=None,
        location="US",
        timeout=30,
        page_size=0,
        project=None,
        allow_large_results=False,
        destination=None,
        destination_encryption_configuration=None,
        dry_run=False,
        labels=None,
        priority=None,
        query_parameters=None,
        schema_update_options=None,
        table_definitions=None,
        time_partitioning=None,
        udf_resources=None,
        use_legacy_sql=False,
        use_query_cache=False,
        write_disposition=None,
    ): ...


class FirstGoogleCloudStorageAccessor:
    """0.0.6's signatures, as its source has them."""

    def get_blob(self, bucket_name, storage_path): ...
    def get_blob_list(self, bucket_name, prefix=None, delimiter=None): ...
    def get_uris_list(self, bucket_name, prefix=None, delimiter=None): ...
    def upload_csv_gzip(self, bucket_name, storage_path, texts): ...
    def download_csv_gzip(self, bucket_name, storage_path): ...


# Changed on purpose: "US" was forced on jobs of data elsewhere, 30 seconds ended every longer
# query (which went on and was billed), and False was never sent.
CHANGED = {
    ("load_data_from_gcs", "location"): None,
    ("execute_query", "location"): None,
    ("execute_query", "timeout"): None,
    ("execute_query", "use_query_cache"): None,
}
METHODS = [
    pytest.param(first, getattr(gcp_accessor, name), method, id=f"{name}.{method}")
    for first, name in (
        (FirstBigQueryAccessor, "BigQueryAccessor"),
        (FirstGoogleCloudStorageAccessor, "GoogleCloudStorageAccessor"),
    )
    for method, _ in inspect.getmembers(first, inspect.isfunction)
]


def test_there_are_twelve_methods() -> None:
    assert len(METHODS) == 12


@pytest.mark.parametrize(("first", "ours", "method"), METHODS)
def test_a_method_takes_what_it_took_in_the_same_order(first: Any, ours: Any, method: str) -> None:
    then = inspect.signature(getattr(first, method)).parameters
    now = inspect.signature(getattr(ours, method)).parameters

    positional = [name for name, each in now.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == list(then)
    assert all(now[name].kind is inspect.Parameter.KEYWORD_ONLY for name in now.keys() - then)


@pytest.mark.parametrize(("first", "ours", "method"), METHODS)
def test_a_method_has_the_defaults_it_had(first: Any, ours: Any, method: str) -> None:
    then = inspect.signature(getattr(first, method)).parameters
    now = inspect.signature(getattr(ours, method)).parameters

    expected = {
        name: CHANGED.get((method, name), parameter.default) for name, parameter in then.items()
    }
    assert {name: now[name].default for name in then} == expected


@pytest.mark.parametrize("name", ["BigQueryAccessor", "GoogleCloudStorageAccessor"])
def test_an_accessor_is_made_without_arguments(name: str) -> None:
    getattr(gcp_accessor, name)()


def test_both_clients_of_googles_are_where_they_were(
    google_store: CloudStorageAccessor, exams: BigQueryAccessor
) -> None:
    from google.cloud import bigquery, storage

    assert isinstance(google_store.storage_client, storage.Client)
    if exams.local is None:
        assert isinstance(exams.bq_client, bigquery.Client)


# --- BigQuery -----------------------------------------------------------------------------

SCHEMA = [
    {"name": "item", "type": "STRING", "mode": "REQUIRED", "description": "The question"},
    {"name": "n", "type": "INTEGER"},
]


@pytest.fixture
def school(exams: BigQueryAccessor, bucket: Path, tmp_path: Path) -> BigQueryAccessor:
    """Of both backends, one whose table `exams.answers` was made and filled by 0.0.6's calls."""
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")
    (bucket / "answers.csv").write_text("item,n\nq1,1\nq2,\n", encoding="utf-8")
    exams.create_table_from_json(str(path), "exams", "answers")
    exams.load_data_from_gcs("exams", "gs://bucket/answers.csv", "answers", None, 1)
    return exams


ALL_TYPES = """
SELECT NULL AS a, DATE '2024-01-02' AS b, [1, 2] AS c, STRUCT(1 AS x) AS d, TRUE AS e, 1.5 AS f
"""
BIGQUERY_CALLS: list[tuple[str, Callable[[Any], object], object]] = [
    ("lists datasets", lambda bq: bq.get_dataset(), ["exams"]),
    ("lists tables", lambda bq: bq.get_table_name("exams"), ["answers"]),
    ("finds a dataset", lambda bq: bq.check_if_dataset_exists("exams"), True),
    ("misses a dataset", lambda bq: bq.check_if_dataset_exists("nope"), False),
    ("finds a table", lambda bq: bq.check_if_table_exists("exams", "answers"), True),
    ("misses a table", lambda bq: bq.check_if_table_exists("exams", "nope"), False),
    (
        "selects rows as lists",
        lambda bq: bq.execute_query("SELECT item, n FROM exams.answers ORDER BY item"),
        [["q1", 1], ["q2", None]],
    ),
    (
        "selects no rows",
        lambda bq: bq.execute_query("SELECT item FROM exams.answers WHERE FALSE"),
        [],
    ),
    (
        "selects values of every kind",
        lambda bq: [str(value) for value in bq.execute_query(ALL_TYPES)[0]],
        ["None", "2024-01-02", "[1, 2]", "{'x': 1}", "True", "1.5"],
    ),
    (
        "takes options by position",
        lambda bq: bq.execute_query(
            *("SELECT @a AS a", None, "prefix-", "US", 30, 100, None, False, None, None, False),
            *({"team": "school"}, "INTERACTIVE", [("a", "INT64", 3)]),
        ),
        [[3]],
    ),
    (
        "takes parameters as lists",
        lambda bq: bq.execute_query("SELECT @a", query_parameters=[["a", "STRING", "x"]]),
        [["x"]],
    ),
    (
        "says that DDL has no rows",
        lambda bq: bq.execute_query("CREATE TABLE exams.more AS SELECT 1 AS n"),
        [],
    ),
    (
        "gives the rows that it also stores",
        lambda bq: (
            bq.execute_query("SELECT 7 AS n", destination=_reference(bq, "stored")),
            bq.execute_query("SELECT n FROM exams.stored"),
        ),
        ([[7]], [[7]]),
    ),
    (
        "loads what is appended",
        lambda bq: bq.load_data_from_gcs(
            *("exams", "gs://bucket/answers.csv", "answers", None, 1),
            *("CSV", "CREATE_NEVER", "WRITE_APPEND"),
        ),
        "Loading data is finished",
    ),
    (
        "loads a list of objects into a table it makes",
        lambda bq: bq.load_data_from_gcs(
            *("exams", ["gs://bucket/answers.csv"], "fresh", None, 1),
            *("CSV", "CREATE_IF_NEEDED", "WRITE_TRUNCATE"),
        ),
        "Loading data is finished",
    ),
]


def _reference(bq: BigQueryAccessor, table: str) -> object:
    from google.cloud import bigquery

    project = "local" if bq.local else bq.bq_client.project
    return bigquery.TableReference(bigquery.DatasetReference(project, "exams"), table)


@pytest.mark.parametrize(
    ("call", "answer"),
    [call[1:] for call in BIGQUERY_CALLS],
    ids=[call[0].replace(" ", "-") for call in BIGQUERY_CALLS],
)
def test_a_call_to_bigquery_answers_as_it_did(
    school: BigQueryAccessor, call: Callable[[BigQueryAccessor], object], answer: object
) -> None:
    assert call(school) == answer


def test_a_table_is_made_from_the_schema_in_a_file(exams: BigQueryAccessor, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")

    said = exams.create_table_from_json(str(path), "exams", "answers")

    assert said == "Table could successfully be created on bigquery"
    item, n = exams.table("answers").schema
    assert (item.name, item.type, item.mode, item.description) == (
        *("item", "STRING", "REQUIRED", "The question"),
    )
    assert (n.name, n.type, n.mode) == ("n", "INT64", "NULLABLE")


def test_a_table_in_a_dataset_that_is_missing_does_not_exist(exams: BigQueryAccessor) -> None:
    # 0.0.6 raised Exception("Dataset name is not correct").
    assert exams.check_if_table_exists("nope", "answers") is False


# 0.0.6 raised a bare Exception for each; so `except Exception` catches them still.
@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda bq, _: bq.get_table_name("nope"), "NotFound"),
        (lambda bq, path: bq.create_table_from_json(path, "exams", "answers"), "Conflict"),
        (lambda bq, path: bq.create_table_from_json(path, "nope", "answers"), "NotFound"),
        (
            lambda bq, _: bq.load_data_from_gcs("exams", "gs://bucket/answers.csv", "answers"),
            "Conflict",
        ),
        (
            lambda bq, _: bq.load_data_from_gcs("exams", "gs://bucket/answers.csv", "nope"),
            "NotFound",
        ),
        (lambda bq, _: bq.execute_query("SELEC 1"), "BadRequest"),
    ],
)
def test_where_it_raised_an_exception_it_raises_googles_own(
    school: BigQueryAccessor, tmp_path: Path, call: Any, error: str
) -> None:
    from google.api_core import exceptions

    with pytest.raises(getattr(exceptions, error)):
        call(school, str(tmp_path / "schema.json"))


def test_rows_that_do_not_fit_are_named(school: BigQueryAccessor, bucket: Path) -> None:
    (bucket / "bad.csv").write_text("q3,many\n", encoding="utf-8")

    with pytest.raises(LoadFailed, match="many"):
        school.load_data_from_gcs(
            *("exams", "gs://bucket/bad.csv", "answers", None, 0, "CSV", "CREATE_NEVER"),
            write_disposition="WRITE_APPEND",
        )


# --- Cloud Storage ------------------------------------------------------------------------


@pytest.fixture
def shelf(store: CloudStorageAccessor) -> CloudStorageAccessor:
    for name in ("a.csv.gz", "deep/er/b.csv.gz", "deep/c.csv.gz"):
        store.upload_csv_gzip("lessons", name, [["q1", 1]])
    return store


STORAGE_CALLS: list[tuple[str, Callable[[Any], object], object]] = [
    (
        "uploads rows",
        lambda gcs: tuple(gcs.upload_csv_gzip("lessons", "new.csv.gz", [["a", 1], ["b", 2.5]])),
        ({"message": "Gzip file is successfully uploaded on gcs", "result": 200}, 200),
    ),
    (
        "downloads rows as lists of str",
        lambda gcs: gcs.download_csv_gzip("lessons", "a.csv.gz"),
        [["q1", "1"]],
    ),
    (
        "lists every address",
        lambda gcs: gcs.get_uris_list("lessons"),
        ["gs://lessons/a.csv.gz", "gs://lessons/deep/c.csv.gz", "gs://lessons/deep/er/b.csv.gz"],
    ),
    (
        "lists the addresses at a prefix",
        lambda gcs: gcs.get_uris_list("lessons", "deep/er/"),
        ["gs://lessons/deep/er/b.csv.gz"],
    ),
    (
        "lists the addresses up to a delimiter",
        lambda gcs: gcs.get_uris_list("lessons", "deep/", "/"),
        ["gs://lessons/deep/c.csv.gz"],
    ),
    (
        "lists no address",
        lambda gcs: gcs.get_uris_list("lessons", prefix="nope/", delimiter=None),
        [],
    ),
]


@pytest.mark.parametrize(
    ("call", "answer"),
    [call[1:] for call in STORAGE_CALLS],
    ids=[call[0].replace(" ", "-") for call in STORAGE_CALLS],
)
def test_a_call_to_cloud_storage_answers_as_it_did(
    shelf: CloudStorageAccessor, call: Callable[[CloudStorageAccessor], object], answer: object
) -> None:
    assert call(shelf) == answer


def test_an_upload_unpacks_into_a_body_and_a_status(store: CloudStorageAccessor) -> None:
    body, status = store.upload_csv_gzip("lessons", "a.csv.gz", [["q1", 1]])

    assert status == 200
    assert body["result"] == 200


def test_a_file_of_the_first_release_is_read(store: CloudStorageAccessor) -> None:
    import gzip

    store.write("gs://lessons/old.csv.gz", gzip.compress(b'"a","1"\n"b",""\n"c\nd","2.5"\n'))

    rows = store.download_csv_gzip("lessons", "old.csv.gz")

    assert rows == [["a", "1"], ["b", ""], ["c\nd", "2.5"]]


def test_blobs_are_googles_own(google_store: CloudStorageAccessor) -> None:
    google_store.upload_csv_gzip("lessons", "deep/c.csv.gz", [["q1", 1]])

    blob = google_store.get_blob("lessons", "deep/c.csv.gz")
    listed = google_store.get_blob_list("lessons", "deep/", None)

    assert blob.exists()
    assert [each.name for each in listed] == ["deep/c.csv.gz"]


def test_a_folder_has_no_blobs_and_says_what_to_use(local_store: CloudStorageAccessor) -> None:
    with pytest.raises(UnsupportedLocally, match="use the accessor's own methods"):
        local_store.get_blob("lessons", "a.csv.gz")


@pytest.mark.parametrize("arguments", [("", "a.csv.gz"), ("lessons", "")])
def test_an_empty_name_is_refused(store: CloudStorageAccessor, arguments: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"'' is not .* name; expected"):
        store.download_csv_gzip(*arguments)
