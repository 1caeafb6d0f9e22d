"""Who somebody is to Google Cloud, and which project pays; without any secret."""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcp_accessor.doctor.finding import Finding, TookTooLong, begin

if TYPE_CHECKING:
    from collections.abc import Sequence

PART = "Google Cloud"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_USERINFO = "https://openidconnect.googleapis.com/v1/userinfo"
# Off Google Cloud the search for credentials ends at a metadata server that never answers.
_SEARCH_SECONDS = 7.0
_SIGN_IN_SECONDS = 5.0
_REQUEST_SECONDS = 4.0
# In the order in which google-auth asks them.
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
_FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_SIGN_IN = "sign in: gcloud auth application-default login"
_NO_ACCOUNT = (
    _SIGN_IN,
    f"or let a job run as a service account, or name a credentials file in {_FILE_VARIABLE}",
    "or work without a cloud: GCP_ACCESSOR_LOCAL=some-folder",
)


@dataclass(frozen=True, slots=True)
class Account:
    """Credentials that were found.

    Attributes:
        project: Who pays; None if nothing says so.
        works: Whether Google gave them a token.
    """

    credentials: Any
    project: str | None
    works: bool


def examine(
    project: str | None, impersonate: Sequence[str]
) -> tuple[Account | None, list[Finding]]:
    """Return the account, if there is one, and what was found on the way to it."""
    # Its only message is that there is no project, which is said below.
    logging.getLogger("google.auth._default").setLevel(logging.ERROR)
    try:
        credentials, found = begin(_search).result(_SEARCH_SECONDS)
    except Exception as error:
        return None, [_no_account(error), *_project_alone(project)]
    where = _source(credentials)
    who = credentials
    if impersonate:
        from gcp_accessor.backends.google.credentials import impersonated

        who = impersonated(impersonate, credentials)
    signed_in = _sign_in(who, where, impersonate)
    paying = _project(project, found, credentials)
    works = signed_in.state != "bad"
    return Account(who, project or found, works), [signed_in, paying]


def _search() -> tuple[Any, str | None]:
    import google.auth

    found: tuple[Any, str | None] = google.auth.default(scopes=_SCOPES)
    return found


def _no_account(error: Exception) -> Finding:
    if isinstance(error, TookTooLong):
        text = "none found, and the metadata server of Google Cloud does not answer"
        return Finding(PART, "account", "bad", text, _NO_ACCOUNT)
    named = os.environ.get(_FILE_VARIABLE)
    text = _line(error)
    if named:
        advice = (f"correct {_FILE_VARIABLE}, or unset it and {_SIGN_IN}",)
        return Finding(PART, "account", "bad", f"the credentials cannot be used: {text}", advice)
    from google.auth.exceptions import DefaultCredentialsError

    if isinstance(error, DefaultCredentialsError) and "not found" in text:
        return Finding(PART, "account", "bad", "none found", _NO_ACCOUNT)
    advice = (f"{_SIGN_IN} makes new ones",)
    return Finding(PART, "account", "bad", f"the credentials cannot be used: {text}", advice)


def _sign_in(credentials: Any, where: str, impersonate: Sequence[str]) -> Finding:
    from google.auth.transport.requests import Request

    request = functools.partial(Request(), timeout=_REQUEST_SECONDS)
    try:
        begin(functools.partial(credentials.refresh, request)).result(_SIGN_IN_SECONDS)
    except Exception as error:
        why, *advice = _why_no_token(error, impersonate)
        text = f"{_name(credentials)}, {where}, gets no token: {why}"
        return Finding(PART, "account", "bad", text, tuple(advice))
    name = _name(credentials)
    if _is_person(credentials):
        name = _address_of_person(credentials) or name
    return Finding(PART, "account", "good", f"{name}, {where}")


def _why_no_token(error: Exception, impersonate: Sequence[str]) -> tuple[str, ...]:
    """Return what is wrong, and then what to do about it."""
    from google.auth.exceptions import TransportError

    if isinstance(error, TransportError | TookTooLong):
        return ("Google's sign-in is not reached", "see what the lines below say of the network")
    said = _line(error)
    text = said.lower()
    if "jwt" in text and ("time" in text or "iat" in text):
        return (said, "this machine's clock is wrong; set it, best by NTP")
    if "reauth" in text or "rapt" in text:
        return (said, f"the organisation wants it again; {_SIGN_IN}")
    if impersonate:
        return (
            said,
            f"to act as {impersonate[0]} takes roles/iam.serviceAccountTokenCreator on it, and "
            "the API: gcloud services enable iamcredentials.googleapis.com",
        )
    return (
        said,
        "the sign-in is revoked or over, or the account's key deleted",
        f"{_SIGN_IN}; or give the job another service account",
    )


def _address_of_person(credentials: Any) -> str | None:
    """Return a person's address, which only Google knows; None if it does not say."""
    import requests

    try:
        answer = requests.get(
            _USERINFO,
            headers={"Authorization": f"Bearer {credentials.token}"},
            timeout=_REQUEST_SECONDS,
        )
        said = answer.json() if answer.ok else {}
    # The account works all the same.
    except (requests.RequestException, ValueError):
        return None
    address = said.get("email")
    return f"{address}, a person's account" if address else None


def _name(credentials: Any) -> str:
    from google.auth import compute_engine, external_account, impersonated_credentials
    from google.oauth2 import service_account

    address = getattr(credentials, "service_account_email", None)
    if isinstance(credentials, impersonated_credentials.Credentials):
        return f"{address}, impersonated"
    if isinstance(credentials, service_account.Credentials):
        return f"{address}, a service account with a key"
    if isinstance(credentials, compute_engine.Credentials):
        return "the machine's service account" if address == "default" else f"{address}"
    if isinstance(credentials, external_account.Credentials):
        return f"{address or 'an identity of another cloud'}, by workload identity federation"
    return "a person's account" if _is_person(credentials) else type(credentials).__name__


def _is_person(credentials: Any) -> bool:
    from google.oauth2 import credentials as users

    return isinstance(credentials, users.Credentials)


def _source(credentials: Any) -> str:
    from google.auth import compute_engine

    if os.environ.get(_FILE_VARIABLE):
        return f"from {_FILE_VARIABLE}={os.environ[_FILE_VARIABLE]}"
    if isinstance(credentials, compute_engine.Credentials):
        return "from the metadata server"
    return "from gcloud's application default credentials"


def _project(given: str | None, found: str | None, credentials: Any) -> Finding:
    said = _project_alone(given)
    own = getattr(credentials, "project_id", None)
    if said:
        text = said[0].text
    elif found is None:
        advice = "name it: GOOGLE_CLOUD_PROJECT=my-project, or project= of an accessor"
        return Finding(PART, "project", "bad", "none is named, so that nobody pays", (advice,))
    elif own == found:
        text = f"{found} pays, from the credentials"
    elif _is_person(credentials):
        text = f"{found} pays, from gcloud's configuration"
    else:
        text = f"{found} pays, from where the credentials are"
    project = given or found
    quota = getattr(credentials, "quota_project_id", None)
    if own and own != project:
        text += f"; the account is of another project, {own}"
    if quota and quota != project:
        text += f"; requests count against the quota of {quota}"
    return Finding(PART, "project", "good", text)


def _project_alone(given: str | None) -> list[Finding]:
    """Return what is known of the project before there is an account; perhaps nothing."""
    if given:
        return [Finding(PART, "project", "good", f"{given} pays, from --project")]
    for variable in _PROJECT_VARIABLES:
        if os.environ.get(variable):
            text = f"{os.environ[variable]} pays, from {variable}"
            return [Finding(PART, "project", "good", text)]
    return []


def _line(error: BaseException) -> str:
    # google-auth keeps what the server said as a second argument, and why a key does not load
    # as the cause.
    parts = [str(each.args[0]) for each in (error, error.__cause__) if each and each.args]
    return " ".join(": ".join(parts).split()) or type(error).__name__
