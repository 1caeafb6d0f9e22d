"""What to do where Google is not reached, or does not know who asks: as notes, for all three."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.api_core.exceptions import (
    BadGateway,
    Forbidden,
    GoogleAPICallError,
    RetryError,
    ServiceUnavailable,
    Unauthenticated,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGN_IN = (
    "sign in with `gcloud auth application-default login`, or let the job run as a service "
    "account; on a folder instead of Google Cloud, give local="
)
# How gRPC tells that no token was to be had.
WITHOUT_ID = "Getting metadata from plugin failed"
_IMPERSONATE = (
    "to act as another service account, the one who asks needs "
    "roles/iam.serviceAccountTokenCreator on it, and the project the API "
    "iamcredentials.googleapis.com"
)
_SWITCH_ON = "switch the API on in this project, or name the right one with project="
_CHARGE = (
    "the requests are charged to a project that the account may not use; name another one with "
    "GOOGLE_CLOUD_QUOTA_PROJECT, or grant roles/serviceusage.serviceUsageConsumer on it"
)
_WEB_PAGE = re.compile(r"<!doctype html|<html|<head|<body", re.IGNORECASE)
# Google's words for a token that seems to be of another hour.
_OTHER_HOUR = re.compile(r"\biat\b|\bexp\b|short-lived|timeframe|in the future|too early")


def connection_advice(error: BaseException, host: str) -> str | None:
    """Return what to do, or None if the error is about something else.

    Args:
        host: The service that was asked, such as "bigquery.googleapis.com".
    """
    if isinstance(error, TransportError):
        return _network("the service that gives out tokens")
    if isinstance(error, GoogleAuthError):
        return _identity(str(error))
    if _is_web_page(error):
        return _proxy(host)
    match error:
        case Unauthorized() | Unauthenticated():
            return f"{SIGN_IN}. If you are signed in, {_clock()}"
        case ServiceUnavailable() if WITHOUT_ID in str(error):
            return _identity(str(error))
        case Forbidden() if "serviceusage.services.use" in str(error):
            return _CHARGE
        case Forbidden() if "it is disabled" in str(error):
            return _SWITCH_ON
        case RetryError() if error.cause is not None:
            return connection_advice(error.cause, host) or (
                f"{host} was asked again and again; give a longer timeout=, or see whether it is "
                "down: https://status.cloud.google.com"
            )
    return _network(host) if _is_of_the_network(error) else None


def without_web_page(error: GoogleAPICallError) -> None:
    """Leave of a web page in the error's message only that it is one."""
    page = _WEB_PAGE.search(error.message or "")
    if page is not None:
        error.message = f"{error.message[: page.start()]}(a web page)"


def not_google(what: str, host: str) -> BadGateway:
    """Return the error for an answer of "200 OK" that no service of Google's would give."""
    error = BadGateway(f"what answered for {what} is not Google, but another server")
    error.add_note(_proxy(host))
    return error


def _identity(text: str) -> str:
    if "mpersonat" in text or "iamcredentials" in text:
        return _IMPERSONATE
    if "invalid_grant" in text and _OTHER_HOUR.search(text):
        return _clock()
    if "Invalid JWT Signature" in text or "account not found" in text:
        return "the key, or its service account, was deleted; use another key, or " + SIGN_IN
    if "invalid_grant" in text or "eauth" in text:
        return "the sign-in has expired or was revoked: " + SIGN_IN
    return SIGN_IN


def _clock() -> str:
    now = datetime.now(UTC)
    return f"see that this machine's clock is right: it says {now:%Y-%m-%d %H:%M} UTC"


def _network(what: str) -> str:
    return (
        f"{what} was not reached; see that this machine is online, and that HTTPS_PROXY and a "
        "firewall let it through"
    )


def _proxy(host: str) -> str:
    return (
        "a proxy or a sign-in page of this network answers in Google's place; let it pass "
        f"https://{host}, or set HTTPS_PROXY and NO_PROXY"
    )


def _is_web_page(error: BaseException) -> bool:
    # Also an upload's own error has the response.
    headers = getattr(getattr(error, "response", None), "headers", {})
    if "html" in headers.get("Content-Type", ""):
        return True
    return isinstance(error, GoogleAPICallError) and bool(_WEB_PAGE.search(error.message or ""))


def _is_of_the_network(error: BaseException) -> bool:
    # What repeats a request wraps what it met; urllib3's errors are below those of requests.
    return any(
        type(each).__module__.partition(".")[0] in ("requests", "urllib3")
        or isinstance(each, ConnectionError)
        for each in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
