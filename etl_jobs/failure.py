"""What a person is told when a command fails."""

from __future__ import annotations

from etl_jobs.errors import JobError
from gcp_accessor.explanation import expected_errors, explanation

# What the `jobs` extra brings; without it the command is there, but not what it works with.
_EXTRA = {"duckdb", "jinja2", "numpy", "pandas", "pyarrow", "scipy", "sqlglot", "yaml"}


def explain(error: Exception) -> str | None:
    """Return what went wrong and what to do, or None if the error is a fault of ours."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRA:
        return f"{error.name} is not installed; run: pip install 'gcp-accessor[jobs]'"
    if isinstance(error, JobError):
        return "\n  ".join((str(error), *getattr(error, "__notes__", ())))
    return explanation(error) if isinstance(error, expected_errors()) else None
