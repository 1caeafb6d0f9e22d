"""What to do about Google's errors, as a note on each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from requests.exceptions import JSONDecodeError, RequestException

from gcp_accessor.backends.google.connection_advice import (
    connection_advice,
    not_google,
    without_web_page,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "bigquery.googleapis.com"
_ADVICE = {
    exceptions.Forbidden: (
        "Running a job takes roles/bigquery.jobUser on the project; reading takes "
        "roles/bigquery.dataViewer and writing roles/bigquery.dataEditor on the dataset."
    ),
    exceptions.NotFound: (
        "Check the name and the location; BigQueryAccessor.create_dataset() makes a dataset."
    ),
    exceptions.Conflict: "if_exists='replace' or 'append' writes to what is there.",
}
# Google's reason is more exact than its status.
_ADVICE_BY_REASON = {
    "quotaExceeded": "A quota of the project is used up; see IAM & Admin > Quotas.",
    "billingNotEnabled": "Link the project to a billing account.",
    "responseTooLarge": "Give the query a destination=, and read that table.",
}


@contextmanager
def advice() -> Iterator[None]:
    """Re-raise Google's errors as they are, with a note that says what to do."""
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        general = connection_advice(error, HOST)
        if general is not None:
            without_web_page(error)
        _note(error, general or _for(error))
        raise
    except JSONDecodeError as error:
        raise not_google("BigQuery", HOST) from error
    except (GoogleAuthError, exceptions.RetryError, RequestException) as error:
        _note(error, connection_advice(error, HOST))
        raise


def _for(error: exceptions.GoogleAPICallError) -> str | None:
    for item in error.errors or ():
        if isinstance(item, dict) and item.get("reason") in _ADVICE_BY_REASON:
            return _ADVICE_BY_REASON[item["reason"]]
    return next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), None)


def _note(error: BaseException, text: str | None) -> None:
    # A more particular note may be there already.
    if text is not None and not getattr(error, "__notes__", ()):
        error.add_note(text)
