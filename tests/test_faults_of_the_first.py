"""What went wrong in version 0.0.6, and must not here.

Each test was run on 0.0.6's own code too, over the same stand-ins, and fails there; only a
folder it did not have.
"""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import Forbidden, NotFound

from tests.stand_ins.cloud_storage import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
    from tests.stand_ins.bigquery import BigQueryStandIn
    from tests.stand_ins.cloud_storage import CloudStorageStandIn


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    """BigQuery over HTTP, with the empty dataset `exams`."""
    from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
    from tests.stand_ins.bigquery import BigQueryStandIn

    root = tmp_path / "cloud"
    root.mkdir()
    engine = DuckDBWarehouse(root)
    engine.create_dataset("exams")
    with BigQueryStandIn(engine) as service:
        yield service


@pytest.fixture
def google_warehouse(service: BigQueryStandIn) -> Iterator[BigQueryAccessor]:
    with service.accessor() as accessor:
        yield accessor


# --- 1. It did not import -----------------------------------------------------------------


def test_it_imports_where_setuptools_has_no_pkg_resources() -> None:
    code = "import sys; sys.modules['pkg_resources'] = None; import gcp_accessor"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()


# --- 2. It took service account keys only -------------------------------------------------

CREDENTIAL_FILES = {
    "authorized_user": {"client_id": "id", "client_secret": "secret", "refresh_token": "token"},
    "external_account": {
        "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/nowhere"},
    },
    "impersonated_service_account": {
        "service_account_impersonation_url": (
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
            "etl@a-project.iam.gserviceaccount.com:generateAccessToken"
        ),
        "source_credentials": {
            "type": "authorized_user",
            "client_id": "id",
            "client_secret": "secret",
            "refresh_token": "token",
        },
    },
}


@pytest.mark.parametrize("kind", CREDENTIAL_FILES)
@pytest.mark.parametrize("name", ["BigQueryAccessor", "GoogleCloudStorageAccessor"])
def test_every_kind_of_credential_file_is_taken(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gcp_accessor

    path = tmp_path / "credentials.json"
    path.write_text(json.dumps({"type": kind, **CREDENTIAL_FILES[kind]}), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")

    accessor = getattr(gcp_accessor, name)()
    client = accessor.bq_client if name == "BigQueryAccessor" else accessor.storage_client

    assert client._credentials is not None
    client.close()


# --- 3. Values changed on their way -------------------------------------------------------


def test_none_does_not_become_an_empty_text(store: CloudStorageAccessor) -> None:
    store.upload_csv_gzip("lessons", "a.csv.gz", [["q1", None, ""]])

    assert store.download_csv_gzip("lessons", "a.csv.gz") == [["q1", None, ""]]


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb"])
def test_a_line_break_inside_a_field_stays_what_it_is(
    store: CloudStorageAccessor, text: str
) -> None:
    store.upload_csv_gzip("lessons", "a.csv.gz", [[text, 1]])

    assert store.download_csv_gzip("lessons", "a.csv.gz")[0][0] == text


def test_a_field_over_128_kib_is_read(store: CloudStorageAccessor) -> None:
    store.upload_csv_gzip("lessons", "a.csv.gz", [["x" * 200_000]])

    assert store.download_csv_gzip("lessons", "a.csv.gz") == [["x" * 200_000]]


def test_an_object_that_is_unpacked_on_its_way_is_read(
    cloud_storage: CloudStorageStandIn, google_store: CloudStorageAccessor
) -> None:
    content = gzip.compress(b'"q1","1"\n')
    cloud_storage.put("lessons", "a.csv.gz", content, contentEncoding="gzip")

    assert google_store.download_csv_gzip("lessons", "a.csv.gz") == [["q1", "1"]]


@pytest.mark.parametrize("texts", ["q1,q2", {"q1": 1}])
def test_a_text_or_a_mapping_is_not_taken_for_rows(
    store: CloudStorageAccessor, texts: object
) -> None:
    with pytest.raises(ValueError, match=r"rows are an iterable .*, not one (str|dict)"):
        store.upload_csv_gzip("lessons", "a.csv.gz", texts)

    assert store.get_uris_list("lessons") == []


def test_a_nested_schema_makes_a_table(exams: BigQueryAccessor, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    fields = [{"name": "n", "type": "INTEGER", "mode": "REPEATED"}]
    schema = [{"name": "part", "type": "RECORD", "fields": fields}]
    path.write_text(json.dumps(schema), encoding="utf-8")

    exams.create_table_from_json(str(path), "exams", "nested")

    [part] = exams.table("exams.nested").schema
    assert (part.type, part.fields[0].name, part.fields[0].mode) == ("STRUCT", "n", "REPEATED")


def test_a_dry_run_tells_what_the_query_would_read(exams: BigQueryAccessor) -> None:
    exams.load([{"n": 1}, {"n": 2}], "exams.numbers")

    estimate = exams.execute_query("SELECT n FROM exams.numbers", dry_run=True)

    assert estimate.bytes_processed == 16


def test_a_list_is_sent_as_an_array(exams: BigQueryAccessor) -> None:
    rows = exams.execute_query(
        "SELECT x FROM UNNEST(@items) AS x ORDER BY x",
        query_parameters=[("items", "INT64", [2, 1])],
    )

    assert rows == [[1], [2]]


def test_a_query_can_be_kept_from_the_cache(
    service: BigQueryStandIn, google_warehouse: BigQueryAccessor
) -> None:
    google_warehouse.execute_query("SELECT 1 AS n", use_query_cache=False, page_size=10)

    [job] = service.jobs.values()
    assert job.configuration["query"]["useQueryCache"] is False


# --- 4. Errors were relabelled, their causes erased ---------------------------------------


def test_an_access_error_says_that_it_is_one(
    service: BigQueryStandIn, google_warehouse: BigQueryAccessor
) -> None:
    service.fail("accessDenied", on="GET .*/tables")

    with pytest.raises(Forbidden, match="accessDenied") as caught:
        google_warehouse.get_table_name("exams")

    assert "roles/bigquery.dataViewer" in caught.value.__notes__[0]


def test_a_refused_upload_says_why(
    cloud_storage: CloudStorageStandIn, google_store: CloudStorageAccessor
) -> None:
    # Google's own client asks for the bucket first in 0.0.6; only the upload itself is refused.
    cloud_storage.queue(Fault("status", 403, "POST"))

    with pytest.raises(Forbidden, match="403"):
        google_store.upload_csv_gzip("lessons", "a.csv.gz", [["q1", 1]])


def test_an_object_that_is_missing_is_named(store: CloudStorageAccessor) -> None:
    with pytest.raises(NotFound, match=r"lessons.*none\.csv\.gz"):
        store.download_csv_gzip("lessons", "none.csv.gz")


def test_a_load_names_the_row_that_does_not_fit(exams: BigQueryAccessor, bucket: Path) -> None:
    exams.create_table("exams.answers", {"item": "STRING", "n": "INT64"})
    (bucket / "answers.csv").write_text("q1,1\nq2,many\n", encoding="utf-8")

    with pytest.raises(Exception, match="many"):
        exams.load_data_from_gcs("exams", "gs://bucket/answers.csv", "answers")


# --- 5. Everything was held at once -------------------------------------------------------


def _noise(blocks: int) -> Iterator[list[str]]:
    """Rows of 1 MiB that do not get smaller, as compression would hide them."""
    source = random.Random(5)
    for _ in range(blocks):
        yield [source.randbytes(512 << 10).hex()]


def test_rows_are_sent_while_they_are_made(
    cloud_storage: CloudStorageStandIn, google_store: CloudStorageAccessor
) -> None:
    sent_before_the_end: list[int] = []

    def rows() -> Iterator[list[str]]:
        yield from _noise(24)
        sent_before_the_end.append(sum("upload" in each for each in cloud_storage.requests))

    google_store.upload_csv_gzip("lessons", "a.csv.gz", rows())

    assert sent_before_the_end[0] >= 2


def test_rows_are_stored_while_they_are_made(local_store: CloudStorageAccessor) -> None:
    assert local_store.local is not None
    unseen = local_store.local / ".gcp_accessor" / "tmp"
    stored_before_the_end: list[int] = []

    def rows() -> Iterator[list[str]]:
        yield from _noise(24)
        stored_before_the_end.extend(path.stat().st_size for path in unseen.iterdir())

    local_store.upload_csv_gzip("lessons", "a.csv.gz", rows())

    assert sum(stored_before_the_end) > (1 << 20)


# --- 6. Three requests where one does -----------------------------------------------------


def test_a_small_upload_is_one_request_and_never_asks_for_the_bucket(
    cloud_storage: CloudStorageStandIn, google_store: CloudStorageAccessor
) -> None:
    google_store.upload_csv_gzip("lessons", "a.csv.gz", [["q1", 1]])
    google_store.download_csv_gzip("lessons", "a.csv.gz")

    uploads = [each for each in cloud_storage.requests if each.startswith("POST /upload/")]
    assert len(uploads) == 1
    assert len(cloud_storage.requests) == 2


def test_existence_is_one_question_and_no_list(
    service: BigQueryStandIn, google_warehouse: BigQueryAccessor
) -> None:
    google_warehouse.check_if_dataset_exists("exams")
    google_warehouse.check_if_table_exists("exams", "answers")

    root = f"GET /bigquery/v2/projects/{service.project}/datasets"
    assert dict(service.requests) == {f"{root}/exams": 1, f"{root}/exams/tables/answers": 1}


# --- 7. A query that was given up went on -------------------------------------------------


def test_a_query_out_of_time_is_cancelled(
    service: BigQueryStandIn, google_warehouse: BigQueryAccessor
) -> None:
    service.job_seconds = 30

    with pytest.raises(TimeoutError):
        google_warehouse.execute_query("SELECT 1 AS n", timeout=0.3)

    [job] = service.jobs.values()
    assert job.cancelled.is_set()


# --- 8. "US" was forced, and equal rows gave other bytes ----------------------------------


def test_data_outside_of_the_us_is_found(
    service: BigQueryStandIn, google_warehouse: BigQueryAccessor
) -> None:
    service.location = "europe-west1"

    assert google_warehouse.execute_query("SELECT 1 AS n", page_size=10) == [[1]]


def test_equal_rows_give_equal_bytes_at_any_time(store: CloudStorageAccessor) -> None:
    from freezegun import freeze_time

    contents: list[Any] = []
    for moment in ("2024-03-01 02:15:00", "2024-03-02 02:15:00"):
        with freeze_time(moment):
            store.upload_csv_gzip("lessons", "a.csv.gz", [["q1", 1]])
        contents.append(store.read("gs://lessons/a.csv.gz", as_="bytes"))

    assert contents[0] == contents[1]
