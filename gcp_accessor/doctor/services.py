"""What of Google Cloud is reachable from here."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from gcp_accessor.doctor.account import PART
from gcp_accessor.doctor.finding import Finding, State

if TYPE_CHECKING:
    from requests import Response

REQUEST_SECONDS = 4.0
# Google refuses a service account's claim that is this far off.
_CLOCK_BAD_SECONDS = 300
_CLOCK_NOTE_SECONDS = 30


def _of_client(variable: str, default: str) -> str:
    # Google's own clients go where these variables say, and so do the accessors.
    return os.environ.get(variable, default).rstrip("/")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are."""

    bigquery: str = field(
        default_factory=lambda: _of_client(
            "BIGQUERY_EMULATOR_HOST", "https://bigquery.googleapis.com"
        )
    )
    storage: str = field(
        default_factory=lambda: _of_client(
            "STORAGE_EMULATOR_HOST", "https://storage.googleapis.com"
        )
    )
    monitoring: str = "https://monitoring.googleapis.com"


@dataclass(frozen=True, slots=True)
class Service:
    """One of the three, and a request that is refused politely where nobody has signed in."""

    title: str
    api: str
    address: str
    path: str
    # Without it, most of the library has no use.
    needed: bool

    def finding(self, state: State, text: str, *advice: str) -> Finding:
        """Return what was found here; of a service that is not needed nothing is bad."""
        if state == "bad" and not self.needed:
            state = "note"
        return Finding(PART, self.title, state, text, advice)


def services(addresses: Addresses) -> tuple[Service, ...]:
    """Return the three services."""
    return (
        Service("BigQuery", "bigquery", addresses.bigquery, "/bigquery/v2/projects", True),
        Service("Cloud Storage", "storage", addresses.storage, "/storage/v1/b?project=p", True),
        Service(
            "Monitoring",
            "monitoring",
            addresses.monitoring,
            "/v3/projects/p/metricDescriptors",
            False,
        ),
    )


@dataclass(frozen=True, slots=True)
class Reached:
    """A service that answered, or why it did not.

    Attributes:
        problem: None if it did.
        clock_ahead: Seconds by which the clock here is ahead of the service's.
    """

    service: Service
    seconds: float
    problem: Finding | None
    clock_ahead: float | None = None


def reach(service: Service) -> Reached:
    """Ask a service for anything, without signing in."""
    import requests

    started = time.monotonic()
    try:
        answer = requests.get(service.address + service.path, timeout=REQUEST_SECONDS)
    except requests.RequestException as error:
        problem = service.finding("bad", *unreached(service, error))
        return Reached(service, time.monotonic() - started, problem)
    seconds = time.monotonic() - started
    ahead = _clock_ahead(answer)
    if not _is_json(answer):
        problem = service.finding(
            "bad",
            f"something other than Google answers for {service.address}: status "
            f"{answer.status_code}, {answer.headers.get('Content-Type', 'of no type')}",
            "a proxy or a login page stands between; have it let *.googleapis.com through",
        )
        return Reached(service, seconds, problem, ahead)
    return Reached(service, seconds, None, ahead)


def clock(reached: list[Reached]) -> Finding | None:
    """Return how the clock here differs from Google's; None if nobody told."""
    told = [each.clock_ahead for each in reached if each.clock_ahead is not None]
    if not told:
        return None
    ahead = min(told, key=abs)
    # The services tell whole seconds.
    if abs(ahead) < _CLOCK_NOTE_SECONDS:
        return Finding(PART, "clock", "good", "agrees with Google's")
    way = "ahead of" if ahead > 0 else "behind"
    state: State = "bad" if abs(ahead) >= _CLOCK_BAD_SECONDS else "note"
    text = f"{abs(ahead):,.0f} s {way} Google's"
    return Finding(PART, "clock", state, text, ("set it, best by NTP: timedatectl set-ntp true",))


def _is_json(answer: Response) -> bool:
    return "json" in answer.headers.get("Content-Type", "")


def _clock_ahead(answer: Response) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None


def unreached(service: Service, error: Exception) -> tuple[str, str]:
    """Return why a request came to nothing, and what to do."""
    import requests
    from urllib3.exceptions import NameResolutionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.ProxyError):
        return (
            f"the proxy does not lead to {service.address}",
            "correct HTTPS_PROXY, or name the host in NO_PROXY",
        )
    if isinstance(error, requests.exceptions.SSLError):
        return (
            f"the certificate of {service.address} is not trusted",
            "behind a proxy that reads along, name its CA's file in REQUESTS_CA_BUNDLE; for "
            "Monitoring also in GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        )
    if isinstance(reason, NameResolutionError):
        return (
            f"no name server knows {service.address}",
            "there is no network here, or its DNS hides the outside; behind a proxy, set "
            "HTTPS_PROXY",
        )
    if isinstance(error, requests.exceptions.Timeout):
        return (
            f"{service.address} did not answer within {REQUEST_SECONDS:g} s",
            "a firewall may swallow the request; behind a proxy, set HTTPS_PROXY",
        )
    return (
        f"no connection to {service.address}",
        "see that the network leads there; behind a proxy, set HTTPS_PROXY",
    )
