"""As whom the accessors act: tokens of service accounts that the services receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import google.auth.iam
import grpc
import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud.monitoring_v3 import MetricServiceClient

from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn
from tests.stand_ins.cloud_storage import CloudStorageStandIn
from tests.stand_ins.identity import IdentityStandIn
from tests.stand_ins.monitoring import MonitoringStandIn
from tests.stand_ins.tls import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Asks = Callable[..., object]

JOB = "job@a-project.iam.gserviceaccount.com"
GATE = "gate@a-project.iam.gserviceaccount.com"
ETL = "etl@a-project.iam.gserviceaccount.com"


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityStandIn]:
    """Where tokens come from; the environment's account is JOB's key."""
    with IdentityStandIn() as service:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(service.key_file(tmp_path, JOB)))
        # Only the address differs from Google's.
        monkeypatch.setattr(google.auth.iam, "_IAM_ENDPOINT", service.impersonation_url)
        yield service


@pytest.fixture
def callers(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Asks, Callable[[], list[str | None]]]]:
    """A call of one accessor, made with given options, and whose tokens its service received."""
    if request.param == "bigquery":
        with BigQueryStandIn(DuckDBWarehouse(tmp_path / "cloud"), "a-project") as warehouse:
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", warehouse.url)

            def datasets(**options: Any) -> object:
                with BigQueryAccessor("a-project", **options) as accessor:
                    return accessor.datasets()

            yield datasets, lambda: [token for _, token in warehouse.callers]
    elif request.param == "storage":
        with CloudStorageStandIn() as store:
            store.create_bucket("lessons")
            monkeypatch.setenv("API_ENDPOINT_OVERRIDE", store.url)

            def names(**options: Any) -> object:
                with CloudStorageAccessor("a-project", **options) as accessor:
                    return list(accessor.list("gs://lessons/"))

            yield names, lambda: [token for _, token in store.callers]
    else:
        certificate = Certificate("localhost")
        trusted = grpc.ssl_channel_credentials(certificate.public)
        monkeypatch.setattr(
            grpc,
            "compute_engine_channel_credentials",
            lambda token: grpc.composite_channel_credentials(trusted, token),
        )
        with MonitoringStandIn(certificate) as monitoring:
            monkeypatch.setattr(
                MetricServiceClient, "_DEFAULT_ENDPOINT_TEMPLATE", monitoring.address
            )

            def write(**options: Any) -> object:
                with MonitoringAccessor("a-project", **options) as accessor:
                    return accessor.write("load/rows", 1)

            yield write, lambda: monitoring.callers


each_accessor = pytest.mark.parametrize(
    "callers", ["bigquery", "storage", "monitoring"], indirect=True
)


@each_accessor
def test_an_accessor_acts_as_the_account_that_it_impersonates(
    callers: tuple[Asks, Callable[[], list[str | None]]], identity: IdentityStandIn
) -> None:
    identity.may_act_as = {ETL: {JOB}}
    ask, tokens = callers

    ask(impersonate=ETL)

    assert set(tokens()) == {f"Bearer token-of-{ETL}"}


@each_accessor
def test_a_chain_of_accounts_is_walked_to_its_end(
    callers: tuple[Asks, Callable[[], list[str | None]]], identity: IdentityStandIn
) -> None:
    identity.may_act_as = {GATE: {JOB}, ETL: {GATE}}
    ask, tokens = callers

    ask(impersonate=[GATE, ETL])

    assert set(tokens()) == {f"Bearer token-of-{ETL}"}


@each_accessor
def test_who_may_not_impersonate_is_told_the_role_that_is_missing(
    callers: tuple[Asks, Callable[[], list[str | None]]], identity: IdentityStandIn
) -> None:
    ask, tokens = callers

    with pytest.raises((GoogleAuthError, GoogleAPICallError)) as caught:
        ask(impersonate=ETL, timeout=2)

    assert tokens() == []
    [note] = caught.value.__notes__
    assert "roles/iam.serviceAccountTokenCreator" in note
