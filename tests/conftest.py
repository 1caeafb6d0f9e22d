"""The services that the tests run against: a local folder, and Google's clients over HTTP."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from gcp_accessor.bigquery import BigQueryAccessor
from gcp_accessor.monitoring import MonitoringAccessor
from gcp_accessor.storage import CloudStorageAccessor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stand_ins.cloud_storage import CloudStorageStandIn
    from tests.stand_ins.monitoring import MonitoringStandIn

BUCKET = "lessons"


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Hear SIGINT even where a shell started the tests in the background, which ignores it.

    What is ignored stays so in every process started from here.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _quiet_calendar() -> Iterator[None]:
    """Keep Google's notice of an old interpreter out of what our own processes say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONWARNINGS", "ignore:You are using a Python version:FutureWarning")
        yield


@pytest.fixture
def cloud_storage() -> Iterator[CloudStorageStandIn]:
    """Cloud Storage as a local HTTP service with one empty bucket."""
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

    with CloudStorageStandIn() as service:
        service.create_bucket(BUCKET)
        yield service


@pytest.fixture
def google_store(
    cloud_storage: CloudStorageStandIn, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CloudStorageAccessor]:
    """The accessor through Google's own client, speaking to the stand-in."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage.retry import DEFAULT_RETRY

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    # As Google's own, but that it does not pause for a second after the first fault.
    retry = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.1).with_timeout(20)
    with CloudStorageAccessor(
        "a-project", credentials=AnonymousCredentials(), timeout=20, retry=retry
    ) as store:
        yield store


@pytest.fixture
def local_store(tmp_path: Path) -> CloudStorageAccessor:
    """The accessor on a folder with one empty bucket."""
    store = CloudStorageAccessor(local=tmp_path / "place")
    store.create_bucket(BUCKET)
    return store


@pytest.fixture(params=["local", "google"])
def store(request: pytest.FixtureRequest) -> CloudStorageAccessor:
    """An accessor with the empty bucket `lessons`, on each backend in turn."""
    made: CloudStorageAccessor = request.getfixturevalue(f"{request.param}_store")
    return made


@pytest.fixture(params=["local", "google"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BigQueryAccessor]:
    """BigQuery as a folder, and as Google's own client meets it over HTTP; without datasets."""
    root = tmp_path / "cloud"
    root.mkdir()
    if request.param == "local":
        with BigQueryAccessor(local=root) as accessor:
            yield accessor
        return
    from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
    from tests.stand_ins.bigquery import BigQueryStandIn

    with BigQueryStandIn(DuckDBWarehouse(root)) as service, service.accessor() as accessor:
        yield accessor


@pytest.fixture
def exams(warehouse: BigQueryAccessor) -> BigQueryAccessor:
    """The warehouse with one empty dataset, its default."""
    warehouse.create_dataset("exams")
    warehouse.dataset = "exams"
    return warehouse


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """The folder in which either warehouse finds the objects of gs://bucket."""
    folder = tmp_path / "cloud" / "buckets" / "bucket"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def monitoring() -> Iterator[MonitoringStandIn]:
    """Cloud Monitoring as a local gRPC service, without any metric."""
    from tests.stand_ins.monitoring import MonitoringStandIn

    with MonitoringStandIn() as service:
        yield service


@pytest.fixture
def google_metrics(monitoring: MonitoringStandIn) -> Iterator[MonitoringAccessor]:
    """The accessor through Google's own client, speaking to the stand-in."""
    client = monitoring.client()
    with MonitoringAccessor("a-project", client=client) as metrics:
        yield metrics
    client.transport.close()


@pytest.fixture
def local_metrics(tmp_path: Path) -> MonitoringAccessor:
    """The accessor on a folder that is not there yet."""
    return MonitoringAccessor(local=tmp_path / "place")


@pytest.fixture(params=["local", "google"])
def metrics(request: pytest.FixtureRequest) -> MonitoringAccessor:
    """An accessor without any metric, on each backend in turn."""
    made: MonitoringAccessor = request.getfixturevalue(f"{request.param}_metrics")
    return made
