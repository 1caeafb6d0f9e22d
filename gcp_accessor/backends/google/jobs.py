"""BigQuery's jobs: waiting for them, and telling what they ended with."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.cloud import bigquery
from requests.exceptions import RequestException, Timeout

from gcp_accessor.errors import CostLimitExceeded, QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

# What a query's wait brings along; every later wait must ask for the same page.
FIRST_PAGE_ROWS = 1_000
_CANCEL_SECONDS = 20.0
_REQUEST_SECONDS = 120.0
_LEAST_REQUEST_SECONDS = 0.5
_LEAST_FETCH_SECONDS = 1.0
# As long as the client itself asks a failing service again.
_RETRY_SECONDS = 600.0
_RETRY = bigquery.DEFAULT_RETRY


def wait_for(job: Any, timeout: float | None, began: float | None = None) -> None:
    """Wait for the job's end; cancel it on a timeout and on Ctrl-C.

    Args:
        began: When the timeout began to run, on the monotonic clock; by default now.
    """
    left = timeout if timeout is None or began is None else left_of(timeout, began)
    try:
        wait(job, left)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"The job {job.job_id} {cancel(job)}.")
        raise
    except QueryTimeout:
        raise
    except TimeoutError as error:
        if timeout is None:
            raise
        raise out_of_time(job, timeout) from error


def wait(job: Any, timeout: float | None) -> None:
    """Wait for the job's end, and leave it alone if it does not come in time.

    Raises:
        TimeoutError: the job has not ended within `timeout` seconds.
        QueryTimeout: BigQuery itself has ended it, its time being out.
        google.api_core.exceptions.Cancelled: somebody has cancelled it.
    """
    try:
        if timeout is None and isinstance(job, bigquery.QueryJob):
            # The client holds one request open until the rows are there.
            job.result(page_size=FIRST_PAGE_ROWS)
        else:
            _poll(job, float("inf") if timeout is None else timeout)
    except exceptions.GoogleAPICallError as error:
        if reason_of(error) != "stopped":
            raise
        raise _stopped(job, error) from error


def left_of(timeout: float, began: float) -> float:
    """Return how many seconds of a timeout are left; it began on the monotonic clock."""
    return max(began + timeout - time.monotonic(), 0.0)


def out_of_time(job: Any, timeout: float) -> QueryTimeout:
    """Cancel the job and return what is said of it."""
    if job.state == "DONE":
        return QueryTimeout(
            f"the job {job.job_id} ended, but its rows did not come within {timeout:g} seconds; "
            "give it a longer timeout="
        )
    return QueryTimeout(
        f"the job {job.job_id} did not end within {timeout:g} seconds and {cancel(job)}; "
        "give it a longer timeout= or less to read"
    )


def _stopped(job: Any, error: exceptions.GoogleAPICallError) -> Exception:
    """Return the one error for what the client raises as a 499 here and as a 200 there."""
    if "timed out" in (error.message or ""):
        return QueryTimeout(f"the time of the job {job.job_id} was out, so that BigQuery ended it")
    return exceptions.Cancelled(f"the job {job.job_id} was cancelled", errors=error.errors)


def _poll(job: Any, timeout: float) -> None:
    """Wait as `job.result()` does, but to the tenth of a second.

    The client looks at its clock every ten seconds, and at a load a whole second late.
    """
    end = time.monotonic() + timeout
    request_seconds = min(max(timeout, _LEAST_REQUEST_SECONDS), _REQUEST_SECONDS)
    retry = _RETRY.with_timeout(min(timeout, _RETRY_SECONDS))
    pause = 0.05
    try:
        while not job.done(retry=retry, timeout=request_seconds):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 2.0)
    except (exceptions.RetryError, Timeout) as error:
        raise TimeoutError from error
    _fetch(job, max(end - time.monotonic(), _LEAST_FETCH_SECONDS))


def _fetch(job: Any, seconds: float) -> None:
    """Raise what the job that is done failed with; of a query, bring its first rows."""
    options: dict[str, Any] = {"timeout": min(seconds, _REQUEST_SECONDS)}
    if isinstance(job, bigquery.QueryJob):
        options["page_size"] = FIRST_PAGE_ROWS
        # Some queries that failed the client starts anew; of others only the rows can be late.
        if job.error_result is None:
            options["retry"] = _RETRY.with_timeout(min(seconds, _RETRY_SECONDS))
            options["job_retry"] = None
    try:
        job.result(**options)
    except exceptions.RetryError as error:
        raise TimeoutError from error


def cancel(job: Any) -> str:
    """Cancel the job and return, as the end of a sentence, whether that worked."""
    return _cancelled(job.cancel)


def cancel_unheld(
    client: bigquery.Client, job_id: str, *, project: str | None, location: str | None
) -> str:
    """Cancel a job that may or may not have begun; return, as `cancel`, what became of it."""
    return _cancelled(partial(client.cancel_job, job_id, project=project, location=location))


def _cancelled(ask: Callable[..., object]) -> str:
    try:
        ask(retry=_RETRY.with_timeout(_CANCEL_SECONDS), timeout=_CANCEL_SECONDS)
    except exceptions.NotFound:
        return "had not begun"
    except (exceptions.GoogleAPIError, RequestException) as error:
        return f"could not be cancelled, so that it goes on ({error})"
    return "was cancelled"


def server_milliseconds(timeout: float) -> int:
    """Return when BigQuery ends the job itself, should this process die before it cancels it."""
    return int((timeout + 60) * 1000)


def location_in(conflict: exceptions.Conflict, job_id: str) -> str | None:
    """Return where the job of this id is, as the refusal of a second one says it."""
    found = re.search(
        rf"Already Exists: Job \S+:([\w-]+)\.{re.escape(job_id)}(?!\S)", conflict.message or ""
    )
    return found[1] if found else None


def reason_of(error: exceptions.GoogleAPICallError) -> str | None:
    """Return Google's word for what went wrong, which is finer than the status."""
    first = next(iter(error.errors or ()), None)
    return first.get("reason") if isinstance(first, dict) else None


def over_limit(error: exceptions.GoogleAPICallError, limit: int) -> CostLimitExceeded:
    """Return the refusal in our words; Google's says how many bytes it would have taken."""
    required = re.search(r"(\d+) or higher", error.message or "")
    bill = f"would bill {int(required[1]):,} bytes" if required else "would bill more"
    return CostLimitExceeded(
        f"the query {bill}, but max_bytes_billed is {limit:,}; nothing was run. Read less, "
        "by naming columns and filtering on the partition column, or raise the limit"
    )
