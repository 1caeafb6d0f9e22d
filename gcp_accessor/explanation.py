"""An error in plain words, for whoever reads it in a terminal or a notebook."""

from __future__ import annotations

import re
import sys

# How Google's clients begin what a service answered.
_REQUEST = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) https?://\S+: ")


def explanation(error: BaseException) -> str:
    """Return what went wrong in a line, and in the lines below it what to do.

    Google's text without the status and the request, which say nothing to its reader; then
    the error's notes.
    """
    return "\n  ".join((_message(error), *getattr(error, "__notes__", ())))


def expected_errors() -> tuple[type[Exception], ...]:
    """Return what this library raises for faults that are not its own."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    from gcp_accessor import errors

    ours = (each for each in vars(errors).values() if isinstance(each, type))
    return (
        *(each for each in ours if issubclass(each, Exception)),
        GoogleAPIError,
        GoogleAuthError,
        OSError,
        *damaged_downloads(),
    )


def damaged_downloads() -> tuple[type[Exception], ...]:
    """Return what Google's client raises of content that is not what its checksum says."""
    # Whoever has read something has imported it; nobody else needs to.
    module = sys.modules.get("google.cloud.storage.exceptions")
    return () if module is None else (module.DataCorruption,)


def _message(error: BaseException) -> str:
    from google.api_core.exceptions import GoogleAPICallError

    from gcp_accessor.errors import LoadFailed, TransferFailed

    if isinstance(error, LoadFailed | TransferFailed):
        # They have lines of their own, one for each row or file.
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = error.message if isinstance(error, GoogleAPICallError) else str(error)
    return " ".join(_REQUEST.sub("", text or "").split()) or type(error).__name__
