"""BigQuery as somebody else's emulator shows it; `nox -s emulator` installs and runs it.

It is no part of the other tests: it needs a DuckDB of its own. What it does not emulate
(destinations, dry runs, limits, job ids, CSV options) is not tested here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.cloud.bigquery_storage import BigQueryReadClient

    from gcp_accessor import BigQueryAccessor

if find_spec("bqemulator") is None:
    collect_ignore_glob = ["test_*.py"]

# The emulator looks for DuckDB's spatial extension where DuckDB keeps those it has downloaded.
START = """
from duckdb_extensions import import_extension
import_extension("spatial")
from bqemulator.cli import main
main(["start", "--rest-port", "0", "--grpc-port", "0", "--log-format", "json"])
"""


@pytest.fixture(scope="session")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Where it listens, over HTTP as "rest.listen" and over gRPC as "grpc.listen"."""
    home = str(tmp_path_factory.mktemp("home"))
    environment = {**os.environ, "HOME": home, "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false"}
    log = tmp_path_factory.mktemp("log") / "emulator.log"
    with log.open("wb") as said:
        emulator = subprocess.Popen(
            [sys.executable, "-c", START], env=environment, stdout=said, stderr=said
        )
    try:
        yield _listening(emulator, log)
    finally:
        emulator.terminate()
        emulator.wait()


def _listening(emulator: subprocess.Popen[bytes], log: Path) -> dict[str, int]:
    until = time.monotonic() + 60
    while emulator.poll() is None and time.monotonic() < until:
        events = [json.loads(line) for line in log.read_text().splitlines() if line[:1] == "{"]
        found = {event["event"]: event["port"] for event in events if "port" in event}
        if len(found) == 2:
            return found
        time.sleep(0.05)
    raise RuntimeError(f"the emulator does not listen:\n{log.read_text()}")


@pytest.fixture(scope="session")
def read_client(ports: dict[str, int]) -> Iterator[BigQueryReadClient]:
    """Google's own client of the Storage Read API."""
    from tests.stand_ins.storage_read import client_at

    client = client_at(f"127.0.0.1:{ports['grpc.listen']}")
    yield client
    client.transport.close()


@pytest.fixture
def warehouse(ports: dict[str, int], read_client: BigQueryReadClient) -> Iterator[BigQueryAccessor]:
    """The accessor through Google's own two clients; the dataset `exams` is its default."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from gcp_accessor import BigQueryAccessor

    client = bigquery.Client(
        "test-project",
        AnonymousCredentials(),
        client_options={"api_endpoint": f"http://127.0.0.1:{ports['rest.listen']}"},
    )
    with BigQueryAccessor(client=client, read_client=read_client, dataset="exams") as accessor:
        accessor.create_dataset("exams")
        yield accessor
        client.delete_dataset("exams", delete_contents=True)
    client.close()
