"""Jobs that run once: the caller chooses the id, and BigQuery gives none twice."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type

from gcp_accessor.backends.google.jobs import cancel_unheld, location_in
from gcp_accessor.backends.idempotency import job_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from google.cloud import bigquery

# What a job was asked for, on the job itself: BigQuery repeats a configuration in its own words.
ASKED_LABEL = "gcp_accessor_asked"
_ATTEMPTS = 100
# How a job is run, not what it does.
_NOT_ASKED = {"maximumBytesBilled", "priority", "useQueryCache"}
# A job may be there already, and for a moment not yet be found.
_UNTIL_FOUND = Retry(predicate=if_exception_type(exceptions.NotFound), initial=0.2, timeout=5.0)


def asked(*what: object) -> str:
    """Return what a job is asked for, in values that JSON can hold, as the value of a label."""
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def asked_by_query(sql: str, config: bigquery.QueryJobConfig) -> str:
    """Return what a query is asked for. Its labels and limits do not count."""
    settings = config.to_api_repr()["query"]
    return asked(sql, {name: settings[name] for name in settings.keys() - _NOT_ASKED})


def ids_for(key: str) -> Iterator[str]:
    """Yield the ids that jobs of this key have, one for each attempt that failed and one more."""
    first = job_id_of(key)
    yield first
    for attempt in range(2, _ATTEMPTS + 1):
        yield f"{first}_{attempt}"


def start_once(
    client: bigquery.Client,
    ids: Iterable[str],
    mine: str,
    start: Callable[[str], Any],
    *,
    project: str | None = None,
    location: str | None = None,
) -> Any:
    """Return the job that does this: one that runs or has ended well, or else a new one.

    So a retried task finds its own job, and a reply lost on the way costs no second run. The id
    of a job that failed, or was cancelled, is spent; the next one is taken.

    Args:
        client: Finds the jobs that are there.
        ids: In the order in which they are tried.
        mine: What is asked for; the new job is given it as its `ASKED_LABEL`.
        start: Inserts the job of an id.
        project: The jobs' own, if it is not the client's.
        location: Where the jobs are, if that is known.

    Raises:
        google.api_core.exceptions.Conflict: an id is that of another statement's job, or there
            is no id left.
    """
    for job_id in ids:
        try:
            return start(job_id)
        except KeyboardInterrupt as interrupt:
            # The request may have got through: then the job runs, and nobody holds it.
            end = cancel_unheld(client, job_id, project=project, location=location)
            interrupt.add_note(f"The job {job_id} {end}.")
            raise
        except exceptions.Conflict as conflict:
            refusal = conflict
        # Outside of the US and EU multi-regions no job is found without its location.
        where = location or location_in(refusal, job_id)
        job = _UNTIL_FOUND(client.get_job)(job_id, project=project, location=where)
        if (job.labels or {}).get(ASKED_LABEL) != mine:
            refusal.add_note(
                f"The job id {job_id!r} belongs to another statement, or to the same one with "
                "other values or another destination; use another id."
            )
            raise refusal
        if job.error_result is None:
            return job
        last_words = job.error_result.get("message")
    refusal.add_note(
        f"The job {job_id!r} failed, and BigQuery never runs an id twice; use another id. It "
        f"failed with: {last_words}"
    )
    raise refusal
