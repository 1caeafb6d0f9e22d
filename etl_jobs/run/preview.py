"""What a plan would do in a place, found out without writing anything there."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from etl_jobs.errors import JobError
from etl_jobs.output_table import OutputTable
from etl_jobs.run.attempt import day_of, is_done
from etl_jobs.run.inputs import Snapshot, look
from etl_jobs.run.plan import Walk
from etl_jobs.run.questions import Questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_jobs.contract import Query
    from etl_jobs.job import Job
    from etl_jobs.place import Place
    from gcp_accessor import PublicationRun


@dataclass(frozen=True, slots=True)
class QueryCost:
    """What one query would read.

    Attributes:
        bytes: By a dry run; None while a table that it reads is still to be made.
        limit: The most that it may read; None without one.
    """

    name: str
    bytes: int | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of one job.

    Attributes:
        state: "nothing to do", "to be made", or "committed, to be published".
        rows_replaced: The rows that the day has now in the job's table; None where it makes none,
            or there is none yet.
        replaced_run: Whose rows they are, as far as that is certain.
    """

    job: Job
    run_id: str
    state: str
    costs: tuple[QueryCost, ...]
    rows_replaced: int | None
    replaced_run: str | None


def preview(
    plan: Sequence[Job],
    place: Place,
    settings: Mapping[str, object],
    *,
    max_bytes: int | None = None,
) -> Iterator[Preview]:
    """Tell of each job of a plan what running it would do. Nothing is written, nothing billed.

    Raises:
        JobError: there is no such place, or a table that no job makes is not there.
    """
    local = place.warehouse.local
    if local is not None and not (local / "warehouse.duckdb").exists():
        raise JobError(
            f"the folder {local} holds no warehouse yet; fill one with `etl-jobs run`, or plan "
            "without --local"
        )
    for job in plan:
        if job.module:
            settings = import_module(job.module).settle(settings, place)
    plan = [job.as_asked(settings) for job in plan]
    made = {job.output for job in plan}
    sources = {table for job in plan for table in job.reads} - made
    seen = Snapshot({table: look(place.warehouse, table) for table in sorted(sources)}, None)
    walk = Walk(place, settings, seen, max_bytes)
    for job in plan:
        run = walk.run_of(job)
        manifest = run.committed()
        if manifest is None:
            state = "to be made"
        elif is_done(manifest, job, place, run):
            state = "nothing to do"
        else:
            state = "committed, to be published"
        questions = Questions(job.name, place.warehouse, settings, None, frozenset(), "", max_bytes)
        costs = tuple(_cost(questions, query, max_bytes) for query in job.queries)
        rows, replaced = _replaced(job, place, run)
        yield Preview(job, run.run_id, state, costs, rows, replaced)
        walk.note(job, run)


def _cost(questions: Questions, query: Query, max_bytes: int | None) -> QueryCost:
    from google.api_core.exceptions import NotFound

    limit = max_bytes or query.byte_budget
    try:
        estimate = questions.warehouse.estimate(*questions.statement(query))
    except NotFound:
        return QueryCost(query.name, None, limit)
    return QueryCost(query.name, estimate.bytes_processed, limit)


def _replaced(job: Job, place: Place, run: PublicationRun) -> tuple[int | None, str | None]:
    if job.table is None:
        return None, None
    table = OutputTable(job.table, place.warehouse, place.store, run.publication.uri)
    mark = day_of(run).mark()
    return table.rows_of(run.as_of), mark.run_id if mark.state == "done" else None
