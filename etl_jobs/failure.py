"""What a person is told when a command fails."""

from __future__ import annotations

import re

from etl_jobs.errors import JobError
from gcp_accessor.errors import LoadFailed

# What the `jobs` extra brings; without it the command is there, but not what it works with.
_EXTRA = {"duckdb", "jinja2", "numpy", "pandas", "pyarrow", "scipy", "sqlglot", "yaml"}
# How Google's clients begin what a service answered.
_REQUEST = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) https?://\S+: ")


def explain(error: Exception) -> str | None:
    """Return what went wrong and what to do, or None if the error is a fault of ours."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRA:
        return f"{error.name} is not installed; run: pip install 'gcp-accessor[jobs]'"
    if not isinstance(error, JobError) and not isinstance(error, _expected()):
        return None
    return "\n  ".join((_message(error), *getattr(error, "__notes__", ())))


def _message(error: Exception) -> str:
    if isinstance(error, JobError | LoadFailed):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    from google.api_core.exceptions import GoogleAPICallError

    # Google's text begins with the status; what it says stands in `message` alone.
    message = error.message if isinstance(error, GoogleAPICallError) else str(error)
    return " ".join(_REQUEST.sub("", message or "").split()) or type(error).__name__


def _expected() -> tuple[type[Exception], ...]:
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    from gcp_accessor import errors

    return (
        errors.CorruptRun,
        errors.CostLimitExceeded,
        errors.LoadFailed,
        errors.MissingExtra,
        errors.QueryTimeout,
        errors.SchemaMismatch,
        errors.UnsafeContent,
        errors.UnsupportedLocally,
        GoogleAPICallError,
        GoogleAuthError,
        RetryError,
        OSError,
    )
