"""What to do about an error of Cloud Storage, or of the folder in its place, as a note."""

from __future__ import annotations

from typing import TypeVar

from google.api_core.exceptions import (
    Conflict,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
)

from gcp_accessor.backends.google.connection_advice import connection_advice, without_web_page

HOST = "storage.googleapis.com"

AnError = TypeVar("AnError", bound=GoogleAPICallError)


def advised(error: AnError, bucket: str, name: str = "") -> AnError:
    """Return the error with a note that says what to do about it.

    Args:
        name: The object that was asked for, empty for the bucket itself.
    """
    general = connection_advice(error, HOST)
    if general is not None:
        without_web_page(error)
        error.add_note(general)
        return error
    match error:
        case NotFound() if not name or "bucket" in error.message:
            error.add_note(f"create it with create_bucket({bucket!r}), or check its name")
        case NotFound():
            error.add_note(f"see what is there with list('gs://{bucket}/')")
        case PreconditionFailed():
            error.add_note(
                f"somebody else wrote gs://{bucket}/{name} first: read it again and decide, or "
                "write with if_exists='replace' and without if_generation"
            )
        case Conflict():
            error.add_note("bucket names are shared by all of Google Cloud; choose another one")
        case Forbidden():
            error.add_note(
                f"the account needs a role on gs://{bucket}: roles/storage.objectViewer to read, "
                "roles/storage.objectUser to write and delete"
            )
    return error
