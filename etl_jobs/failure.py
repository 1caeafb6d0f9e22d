"""How a command ends: what a person is told, and whether it is worth another attempt."""

from __future__ import annotations

from enum import IntEnum

from etl_jobs.errors import JobError, Misuse, TryAgain
from gcp_accessor.explanation import damaged_downloads, expected_errors, explanation

# What the `jobs` extra brings; without it the command is there, but not what it works with.
_EXTRA = {"duckdb", "jinja2", "numpy", "pandas", "pyarrow", "scipy", "sqlglot", "yaml"}
# Google's words for "not now" that come with a status for something else: 403, 400.
_BUSY = frozenset(
    (
        *("backendError", "internalError", "jobBackendError", "jobInternalError"),
        *("rateLimitExceeded", "jobRateLimitExceeded", "resourceInUse", "tableUnavailable"),
    )
)


class ExitCode(IntEnum):
    """What the command line ends with. Cloud Run starts a task again after any but 0."""

    DONE = 0
    FAILED = 1
    MISUSED = 2
    # EX_TEMPFAIL of sysexits.h, which is not there on every system.
    TRY_AGAIN = 75
    # As a shell counts them: 128 and the signal's number.
    INTERRUPTED = 130
    TERMINATED = 143


def exit_code(error: Exception) -> ExitCode:
    """Return what a command that raised this ends with."""
    if isinstance(error, Misuse):
        return ExitCode.MISUSED
    return ExitCode.TRY_AGAIN if is_transient(error) else ExitCode.FAILED


def is_transient(error: BaseException) -> bool:
    """Return whether the same command may succeed in a while, nothing having been changed.

    That is: a service that is down, busy or slow; a connection that broke, or brought damaged
    bytes; a job that ran out of its time; a local warehouse that another process holds; a day of
    a table at which two runs met; inputs that changed while they were read. Everything else fails
    the same way again.
    """
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import ConnectionError as BrokenConnection
    from requests.exceptions import Timeout

    from gcp_accessor.errors import TransferFailed

    if isinstance(error, TransferFailed) and error.__cause__ is not None:
        return is_transient(error.__cause__)
    if isinstance(error, exceptions.MethodNotImplemented):
        return False
    if isinstance(error, exceptions.GoogleAPICallError):
        again = (exceptions.ServerError, exceptions.TooManyRequests, exceptions.Aborted)
        return isinstance(error, again) or _reason(error) in _BUSY
    if isinstance(error, GoogleAuthError):
        return bool(error.retryable)
    if isinstance(error, damaged_downloads()):
        return True
    return isinstance(
        error,
        TryAgain
        | exceptions.RetryError
        | TimeoutError
        | ConnectionError
        | BrokenConnection
        | Timeout,
    )


def explain(error: Exception) -> str | None:
    """Return what went wrong and what to do, or None if the error is a fault of ours."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRA:
        return f"{error.name} is not installed; run: pip install 'gcp-accessor[jobs]'"
    if isinstance(error, JobError):
        return "\n  ".join((str(error), *getattr(error, "__notes__", ())))
    return explanation(error) if isinstance(error, expected_errors()) else None


def _reason(error: object) -> str | None:
    """Return Google's word for what went wrong, which is finer than the status."""
    first = next(iter(getattr(error, "errors", ()) or ()), None)
    return first.get("reason") if isinstance(first, dict) else None
