"""What a person is told when a command fails."""

from __future__ import annotations

# What the `jobs` extra brings; without it the command is there, but not what it works with.
_EXTRA = {"duckdb", "jinja2", "numpy", "pandas", "pyarrow", "scipy", "sqlglot", "yaml"}


def explain(error: Exception) -> str | None:
    """Return what went wrong and what to do, or None if the error is a fault of ours."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRA:
        return f"{error.name} is not installed; run: pip install 'gcp-accessor[jobs]'"
    if not isinstance(error, _expected()):
        return None
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    notes = getattr(error, "__notes__", ())
    return "\n  ".join((str(error) if isinstance(error, OSError) else message, *notes))


def _expected() -> tuple[type[Exception], ...]:
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    from etl_jobs.errors import JobError
    from gcp_accessor import errors

    return (
        JobError,
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
