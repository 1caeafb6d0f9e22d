"""What Cloud Logging makes of a line: one JSON object each, in a Cloud Run job.

Cloud Run takes what a container prints as its log. A line of JSON becomes an entry whose severity,
labels and fields can be asked for; any other line is text without a severity.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Severity = Literal["INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]

# Label -> what Cloud Run sets for each task.
_OF_THE_TASK = {
    "execution": "CLOUD_RUN_EXECUTION",
    "task_index": "CLOUD_RUN_TASK_INDEX",
    "task_attempt": "CLOUD_RUN_TASK_ATTEMPT",
}
# W3C's trace context, for a task that something traced has started.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)
# Where an error keeps the labels of the block that it left.
_LABELS = "_etl_jobs_labels"
# What every line of this process is about; threads that a library starts are about it too.
_about: list[Mapping[str, str]] = [{}]


def in_cloud_run() -> bool:
    """Return whether this process is a task of a Cloud Run job, whose lines are a log."""
    return "CLOUD_RUN_JOB" in os.environ and "K_SERVICE" not in os.environ


@contextmanager
def about(**labels: str) -> Iterator[None]:
    """Label every line within the block, such as with `job` and `run`.

    An error that leaves the block takes the labels along, for whoever tells of it: `labels_of`.

    Example:
        >>> with about(job="calibrate"):
        ...     "calibrate" in entry("INFO", "begins")
        True
    """
    before = _about[0]
    _about[0] = {**before, **labels}
    try:
        yield
    except BaseException as error:
        vars(error).setdefault(_LABELS, _about[0])
        raise
    finally:
        _about[0] = before


def labels_of(error: BaseException) -> Mapping[str, str]:
    """Return the labels of the innermost block that the error has left; none if there is none."""
    labels: Mapping[str, str] = vars(error).get(_LABELS, {})
    return labels


def entry(severity: Severity | str, message: str, fields: Mapping[str, Any] | None = None) -> str:
    """Return one line of JSON that Cloud Logging makes an entry of.

    Args:
        fields: What else the entry's payload holds. What JSON has no form for is its text.
    """
    task = {label: os.environ[name] for label, name in _OF_THE_TASK.items() if name in os.environ}
    content: dict[str, Any] = {
        **(fields or {}),
        "severity": severity,
        "message": message,
        "logging.googleapis.com/labels": {**_about[0], **task},
    }
    trace, span = _trace()
    if trace:
        project = os.environ.get("GOOGLE_CLOUD_PROJECT")
        content["logging.googleapis.com/trace"] = (
            f"projects/{project}/traces/{trace}" if project else trace
        )
        content["logging.googleapis.com/spanId"] = span
    try:
        return json.dumps(content, default=str, allow_nan=False)
    except ValueError:
        # Of numbers JSON has the finite ones; any other is its name.
        plain = json.loads(json.dumps(content, default=str), parse_constant=str)
        return json.dumps(plain)


def write_entry(
    stream: TextIO,
    severity: Severity,
    message: str,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry in one piece, so that no other thread's comes between."""
    stream.write(f"{entry(severity, message, fields)}\n")
    stream.flush()


@contextmanager
def logged() -> Iterator[None]:
    """Make entries of what libraries log and warn of, and of an error that nobody expected.

    The accessors' own records are among them from INFO, which tells each query with its cost; of
    all others, warnings.

    Raises:
        SystemExit: in place of an error that nobody expected, whose traceback is one entry.
    """
    handler, of_google = (logging.StreamHandler(sys.stderr) for _ in range(2))
    handler.setFormatter(_Entries())
    root, accessors = logging.getLogger(), logging.getLogger("gcp_accessor")
    # Google's clients keep their records from the root, and those of DEBUG too, once imported.
    of_google.setFormatter(handler.formatter)
    of_google.setLevel(logging.WARNING)
    google = logging.getLogger("google")
    level, propagates = accessors.level, google.propagate
    root.addHandler(handler)
    google.addHandler(of_google)
    google.propagate = False
    accessors.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    except Exception as error:
        # Lines of their own would be many entries, of which none says what happened.
        with about(**labels_of(error)):
            write_entry(sys.stderr, "CRITICAL", traceback.format_exc().rstrip())
        raise SystemExit(1) from None
    finally:
        logging.captureWarnings(False)
        accessors.setLevel(level)
        google.propagate = propagates
        google.removeHandler(of_google)
        root.removeHandler(handler)


class _Entries(logging.Formatter):
    """Makes an entry of a record, with the fields that it brings."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        fields = {"logger": record.name, **getattr(record, "json_fields", {})}
        return entry(record.levelname, message, fields)


def _trace() -> tuple[str, str] | tuple[None, None]:
    """Return the trace and the span that this is a part of, as far as anybody traces."""
    # Whoever has set up tracing has imported it.
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is not None:
        context = opentelemetry.get_current_span().get_span_context()
        if context.is_valid:
            return f"{context.trace_id:032x}", f"{context.span_id:016x}"
    given = _TRACEPARENT.fullmatch(os.environ.get("TRACEPARENT", ""))
    return (given[1], given[2]) if given else (None, None)
