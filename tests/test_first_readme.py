"""The README of version 0.0.6 still runs, on Google's clients and on a folder.

Its code stands here in its order and as it was written, save for what its placeholders stood
for: the names of a bucket, objects, a dataset and tables, rows in the place of 'texts', SQL in
the place of 'query'. "US" and 30 seconds are its own.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import UnsupportedLocally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stand_ins.cloud_storage import CloudStorageStandIn

STORAGE = """
import gcp_accessor
gcs = gcp_accessor.GoogleCloudStorageAccessor()
---
gcs.upload_csv_gzip('lessons', 'answers/one.csv.gz', [['q1', 1], ['q2', None]])
---
gcs.download_csv_gzip('lessons', 'answers/one.csv.gz')
---
gcs.get_blob('lessons', 'answers/one.csv.gz')
---
gcs.get_blob_list('lessons', prefix=None, delimiter=None)
---
gcs.get_uris_list('lessons', prefix=None, delimiter=None)
"""
BIGQUERY = """
import gcp_accessor
bq = gcp_accessor.BigQueryAccessor()
---
bq.get_dataset()
---
bq.get_table_name('exams')
---
bq.check_if_dataset_exists('exams')
---
bq.check_if_table_exists('exams', 'answers')
---
bq.create_table_from_json('schema.json', 'exams', 'answers')
---
bq.load_data_from_gcs(
        'exams',
        'gs://lessons/answers/one.csv.gz',
        'answers',
        location="US",
        skip_leading_rows=0,
        source_format="CSV",
        create_disposition="CREATE_NEVER",
        write_disposition="WRITE_EMPTY",
    )
---
bq.execute_query(
        'SELECT item, n FROM exams.answers ORDER BY item',
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
        write_disposition=None
    )
"""


def run(code: str, *, but: str = "") -> dict[str, object]:
    """Run each block, and return the names of calls with what they gave."""
    names: dict[str, object] = {}
    given: dict[str, object] = {}
    first, *calls = code.split("---")
    exec(first, names)
    for call in calls:
        name = re.match(r"\s*\w+\.(\w+)", call)[1]
        if not but or not re.fullmatch(but, name):
            given[name] = eval(call.strip(), names)
    return given


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [{"name": "item", "type": "STRING"}, {"name": "n", "type": "INTEGER"}]
    (tmp_path / "schema.json").write_text(json.dumps(columns), encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def is_as_it_was(given: dict[str, object]) -> None:
    assert given == {
        "get_dataset": ["exams"],
        "get_table_name": [],
        "check_if_dataset_exists": True,
        "check_if_table_exists": False,
        "create_table_from_json": "Table could successfully be created on bigquery",
        "load_data_from_gcs": "Loading data is finished",
        "execute_query": [["q1", 1], ["q2", None]],
    }


@pytest.mark.usefixtures("schema")
def test_the_readme_of_the_first_release_runs_on_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gcp_accessor

    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path / "place"))
    gcp_accessor.CloudStorageAccessor().create_bucket("lessons")
    gcp_accessor.BigQueryAccessor().create_dataset("exams")

    stored = run(STORAGE, but="get_blob|get_blob_list")
    asked = run(BIGQUERY)

    assert stored["download_csv_gzip"] == [["q1", "1"], ["q2", None]]
    assert stored["get_uris_list"] == ["gs://lessons/answers/one.csv.gz"]
    is_as_it_was(asked)
    with pytest.raises(UnsupportedLocally, match=r"has no google\.cloud\.storage client"):
        run(STORAGE)


@pytest.mark.usefixtures("schema")
def test_the_readme_of_the_first_release_runs_on_google_cloud(
    tmp_path: Path, cloud_storage: CloudStorageStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.cloud.storage import Blob

    from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
    from tests.stand_ins.bigquery import BigQueryStandIn

    place = tmp_path / "cloud"
    engine = DuckDBWarehouse(place)
    engine.create_dataset("exams")
    with BigQueryStandIn(engine) as service, key_file(tmp_path, service.project) as key:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", service.url)

        stored = run(STORAGE)
        # BigQuery reads what Cloud Storage holds; the one stand-in, in a folder of its own.
        held = place / "buckets" / "lessons" / "answers" / "one.csv.gz"
        held.parent.mkdir(parents=True)
        held.write_bytes(cloud_storage.buckets["lessons"]["answers/one.csv.gz"].content)
        asked = run(BIGQUERY)

    body, status = stored["upload_csv_gzip"]  # type: ignore[misc]
    assert (body["result"], status) == (200, 200)
    assert stored["download_csv_gzip"] == [["q1", "1"], ["q2", None]]
    assert isinstance(stored["get_blob"], Blob)
    assert stored["get_uris_list"] == ["gs://lessons/answers/one.csv.gz"]
    is_as_it_was(asked)


@contextmanager
def key_file(folder: Path, project: str) -> Iterator[Path]:
    """A service account's key, as the README asks for, and who exchanges it for a token."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    class Tokens(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = b'{"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Tokens)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "key.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": project,
                "private_key_id": "k",
                "private_key": private.decode(),
                "client_email": f"etl@{project}.iam.gserviceaccount.com",
                "token_uri": f"http://127.0.0.1:{server.server_port}/token",
            }
        ),
        encoding="utf-8",
    )
    try:
        yield path
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
