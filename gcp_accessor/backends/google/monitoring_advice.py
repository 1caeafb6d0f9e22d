"""What to do about an error of Cloud Monitoring, or of the file in its place, as a note."""

from __future__ import annotations

from typing import TypeVar

from google.api_core.exceptions import (
    DeadlineExceeded,
    Forbidden,
    GoogleAPICallError,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    RetryError,
    ServiceUnavailable,
)

from gcp_accessor.backends.google.connection_advice import connection_advice

HOST = "monitoring.googleapis.com"
_UNREACHED = "Monitoring did not answer; see that the network lets it through, or give timeout="

AnError = TypeVar("AnError", bound=GoogleAPICallError | RetryError)


def advised(error: AnError) -> AnError:
    """Return the error with a note that says what to do about it."""
    met = error.cause if isinstance(error, RetryError) else error
    general = None if met is None else connection_advice(met, HOST)
    if general is not None:
        error.add_note(general)
        return error
    match error:
        case InvalidArgument() if "more frequently" in error.message or "in order" in error.message:
            error.add_note(
                "a series takes a point every five seconds, each after the one before: write a "
                "distribution, or one total at the end, or tell the series apart by a label"
            )
        case InvalidArgument():
            error.add_note(
                "the first point of a metric fixes its kind, type and unit: write float(...) "
                "where a value may be whole, or choose a new name"
            )
        case NotFound():
            error.add_note(
                "write a point first, or check the name and the prefix; Monitoring may show a new "
                "metric some minutes late"
            )
        case Forbidden():
            error.add_note(
                "the account needs a role on the project: roles/monitoring.metricWriter to "
                "write, roles/monitoring.viewer to read"
            )
        case ResourceExhausted():
            error.add_note("a quota of the project is used up; see IAM & Admin > Quotas")
        case RetryError() | ServiceUnavailable() | DeadlineExceeded():
            error.add_note(_UNREACHED)
    return error
