"""As whom the accessors act, and what they say where Google is not reached at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import google.auth.iam
import grpc
import pytest
from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError, RetryError
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.monitoring_v3 import MetricServiceClient
from google.oauth2.credentials import Credentials as Person
from requests.exceptions import RequestException

from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn
from tests.stand_ins.cloud_storage import CloudStorageStandIn
from tests.stand_ins.identity import IdentityStandIn
from tests.stand_ins.monitoring import Fault, MonitoringStandIn
from tests.stand_ins.tls import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Asks = Callable[..., object]

# Google's client leaves the connection of a failed request to the collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

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


# --- Nobody is signed in, or not any more -------------------------------------------------


def a_person(identity: IdentityStandIn) -> Person:
    """Somebody who signed in, with `gcloud auth application-default login`, some time ago."""
    return Person(
        None,
        refresh_token="refreshing",
        token_uri=f"{identity.url}/token",
        client_id="gcloud",
        client_secret="none",
    )


@each_accessor
@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Token has been expired or revoked.", "expired or was revoked: sign in with `gcloud"),
        ("reauth related error (invalid_rapt)", "expired or was revoked: sign in with `gcloud"),
        (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim.",
            "see that this machine's clock is right: it says 20",
        ),
        ("Invalid JWT Signature.", "the key, or its service account, was deleted"),
    ],
    ids=["expired", "reauth", "clock", "key"],
)
def test_a_sign_in_that_is_not_accepted_says_what_to_do(
    callers: tuple[Asks, Callable[[], list[str | None]]],
    identity: IdentityStandIn,
    said: str,
    advice: str,
) -> None:
    identity.refusal = {"error": "invalid_grant", "error_description": said}
    ask, tokens = callers
    began = time.monotonic()

    with pytest.raises((GoogleAuthError, GoogleAPICallError), match="invalid_grant") as caught:
        ask(credentials=a_person(identity))

    assert tokens() == []
    [note] = caught.value.__notes__
    assert advice in note
    assert time.monotonic() - began < 10


@each_accessor
def test_where_nobody_is_signed_in_the_way_to_do_it_is_said(
    callers: tuple[Asks, Callable[[], list[str | None]]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    ask, _ = callers

    with pytest.raises(DefaultCredentialsError, match=r"none\.json") as caught:
        ask()

    assert "gcloud auth application-default login" in caught.value.__notes__[0]
    assert "local=" in caught.value.__notes__[0]


# --- The network --------------------------------------------------------------------------

# Of each: the accessor, and what is asked of it.
ASKS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "bigquery": (BigQueryAccessor, lambda accessor: accessor.datasets()),
    "query": (BigQueryAccessor, lambda accessor: accessor.query("SELECT 1 AS n")),
    "load": (
        BigQueryAccessor,
        lambda accessor: accessor.load(
            [[1]], "exams.t", schema={"n": "INT64"}, if_exists="replace"
        ),
    ),
    "storage": (CloudStorageAccessor, lambda accessor: accessor.read("gs://bbb/a.txt")),
    "upload": (CloudStorageAccessor, lambda accessor: accessor.write("gs://bbb/a.txt", "text")),
    "monitoring": (MonitoringAccessor, lambda accessor: accessor.write("rows", 1)),
}
each_call = pytest.mark.parametrize("call", ASKS)
each_call_over_http = pytest.mark.parametrize("call", [name for name in ASKS if name[0] != "m"])


def lead_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all three services be at this host and port."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{address}")
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", f"http://{address}")
    monkeypatch.setattr(MetricServiceClient, "_DEFAULT_ENDPOINT_TEMPLATE", address)


def fails(call: str, **options: Any) -> Exception:
    """The error of a call, and with its notes all that a person sees."""
    began = time.monotonic()
    make, ask = ASKS[call]
    with (
        make("a-project", credentials=AnonymousCredentials(), **options) as accessor,
        pytest.raises((GoogleAPIError, RequestException, TimeoutError)) as caught,
    ):
        ask(accessor)
    assert time.monotonic() - began < 8
    return caught.value


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{once.getsockname()[1]}"


@each_call
def test_where_nothing_listens_the_network_is_named_when_the_time_is_over(
    call: str, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(closed_port, monkeypatch)

    error = fails(call, timeout=1.5)

    assert "online" in str(error.__notes__) or "network lets it through" in str(error.__notes__)


@each_call
def test_where_no_name_is_found_the_network_is_named_when_the_time_is_over(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to("service.invalid:443", monkeypatch)

    error = fails(call, timeout=1.5)

    assert "online" in str(error.__notes__) or "network lets it through" in str(error.__notes__)


# What takes a timeout of its own.
TIMED: dict[str, Callable[[BigQueryAccessor], object]] = {
    "query": lambda warehouse: warehouse.query("SELECT 1 AS n", timeout=1.5),
    "submit": lambda warehouse: warehouse.submit("SELECT 1 AS n", timeout=1.5),
    "key": lambda warehouse: warehouse.query("SELECT 1 AS n", timeout=1.5, idempotency_key="k"),
    "first": lambda warehouse: warehouse.execute_query("SELECT 1 AS n", timeout=1.5),
    "load": lambda warehouse: warehouse.load([[1]], "exams.t", schema={"n": "INT64"}, timeout=1.5),
    "append": lambda warehouse: warehouse.load(
        [{"n": 1}], "exams.t", if_exists="append", timeout=1.5
    ),
    "objects": lambda warehouse: warehouse.load("gs://bbb/a.csv", "exams.t", timeout=1.5),
    "upsert": lambda warehouse: warehouse.upsert([{"n": 1}], "exams.t", key=["n"], timeout=1.5),
}


@pytest.mark.parametrize("call", TIMED)
def test_the_timeout_of_a_call_holds_before_its_job_is_there(
    call: str, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(closed_port, monkeypatch)
    warehouse = BigQueryAccessor("a-project", credentials=AnonymousCredentials())
    began = time.monotonic()

    with warehouse, pytest.raises((GoogleAPIError, RequestException)) as caught:
        TIMED[call](warehouse)

    assert time.monotonic() - began < 8
    assert "online" in str(caught.value.__notes__)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=[200, 502, 403], ids=str)
def web_page(request: pytest.FixtureRequest) -> Iterator[str]:
    """A proxy that answers everything with a page of its own."""
    status: int = request.param

    class Page(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with serving(Page) as address:
        yield address


@each_call_over_http
def test_a_proxy_that_answers_with_a_page_is_named(
    call: str, web_page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(web_page, monkeypatch)

    error = fails(call, timeout=1.5)

    assert "a proxy or a sign-in page" in str(error.__notes__)
    assert isinstance(error, RetryError) or "guest network" not in str(error)


@pytest.fixture
def refusal() -> Iterator[tuple[str, list[str]]]:
    """The address of a service that forbids everything, and what it says of that."""
    said: list[str] = []

    class Forbids(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reasons = [{"message": said[0], "domain": "global", "reason": "forbidden"}]
            error = {"code": 403, "message": said[0], "errors": reasons}
            content = json.dumps({"error": error}).encode()
            self.send_response(403)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with serving(Forbids) as address:
        yield address, said


@each_call_over_http
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (
            "Caller does not have required permission to use project other. Grant the caller the "
            "roles/serviceusage.serviceUsageConsumer role, or a custom role with the "
            "serviceusage.services.use permission.",
            "charged to a project that the account may not use",
        ),
        (
            "The API has not been used in project 1 before or it is disabled. Enable it by "
            "visiting https://console.developers.google.com.",
            "switch the API on in this project, or name the right one with project=",
        ),
    ],
    ids=["not allowed", "switched off"],
)
def test_an_account_of_another_project_is_told_which_one_pays(
    call: str,
    words: str,
    advice: str,
    refusal: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, said = refusal
    said.append(words)
    lead_to(address, monkeypatch)

    error = fails(call, timeout=5)

    assert advice in str(error.__notes__)


# --- Retries ------------------------------------------------------------------------------


@each_call_over_http
def test_a_callers_retry_holds_for_every_call(
    call: str, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(closed_port, monkeypatch)
    met: list[Exception] = []
    never = Retry(predicate=lambda error: bool(met.append(error)))  # type: ignore[func-returns-value]

    fails(call, retry=never)

    assert len(met) == 1


def test_a_callers_retry_holds_for_metrics(monitoring: MonitoringStandIn) -> None:
    client = monitoring.client()
    monitoring.queue(*[Fault()] * 3)
    never = Retry(predicate=lambda _: False)

    with pytest.raises(GoogleAPICallError):
        MonitoringAccessor("a-project", client=client, retry=never).write("load/rows", 1)

    client.transport.close()
    assert len(monitoring.requests) == 1
