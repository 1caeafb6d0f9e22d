"""Print what a job needs, in order, and what running it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job, jobs_of
from etl_jobs.commands.places import add_place, local_folder, place_of
from etl_jobs.commands.settings import add_day, add_limits, add_parameters, as_of, settings_of
from etl_jobs.console import columns, rows, say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator

    from etl_jobs.job import Job
    from etl_jobs.run.preview import Preview, QueryCost

SUMMARY = "what a job needs, in order; in a place, what would be done there"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job; and what a run is told, so that it can be foretold."""
    add_job(parser)
    add_day(parser)
    add_parameters(parser)
    add_limits(parser)
    add_place(parser)


def run(options: Namespace) -> None:
    """Print each job of the plan: what it reads and makes and, in a place, what it would do there.

    Nothing is written, and nothing is billed: what queries would read is found out by dry runs.

    Raises:
        JobError: a table that no job makes is not there.
    """
    from etl_jobs.run.preview import preview

    plan = jobs_of(options).plan(options.job)
    if local_folder(options) is None and options.bucket is None and options.project is None:
        if options.set or options.anchor:
            # Nothing is made of the values here, and a wrong one is told all the same.
            settings_of(options, plan, as_of(options))
        for number, job in enumerate(plan, 1):
            _say(number, job, ())
        return
    day = as_of(options)
    settings = settings_of(options, plan, day)
    place = place_of(options)
    say(f"as of {day}" + ("" if options.as_of else ", the last complete UTC day"))
    total, is_whole = 0, True
    with place.advice():
        foretold = preview(plan, place, settings, max_bytes=options.max_bytes)
        for number, each in enumerate(foretold, 1):
            _say(number, each.job, _foretold(each, str(day)))
            if each.state != "nothing to do":
                total += sum(cost.bytes or 0 for cost in each.costs)
                is_whole &= all(cost.bytes is not None for cost in each.costs)
    _say_total(total, is_whole, options.budget)


def _say(number: int, job: Job, more: Iterable[tuple[str, str]]) -> None:
    say(f"{number}. {job.name}")
    makes = f"the table {job.output}" if job.output else f"files under {job.name}/"
    facts = [("reads", ", ".join(job.reads)), ("makes", makes), *_parameters(job), *more]
    columns(facts, indent="   ")


def _parameters(job: Job) -> Iterable[tuple[str, str]]:
    """Return a job's own parameters as one sets them; the day is `--as-of`."""
    parameters = {p.name: p for p in job.parameters}
    parameters |= {p.name: p for query in job.queries for p in query.parameters}
    for parameter in parameters.values():
        if parameter.name != "as_of":
            values = "|".join(parameter.one_of) or parameter.type
            default = f" (default: {parameter.default})" if parameter.default is not None else ""
            yield f"--set {parameter.name}={values}", f"{parameter.about}{default}"


def _foretold(each: Preview, day: str) -> Iterator[tuple[str, str]]:
    yield "run", f"{each.run_id}: {each.state}"
    if each.state == "nothing to do":
        return
    if each.rows_replaced:
        whose = f" (of run {each.replaced_run})" if each.replaced_run else ""
        yield "replaces", f"{rows(each.rows_replaced)} of {day} in {each.job.output}{whose}"
    for cost in each.costs:
        yield "bytes", _bytes(cost)


def _bytes(cost: QueryCost) -> str:
    from gcp_accessor.byte_sizes import bytes_text

    limit = "" if cost.limit is None else f" of at most {bytes_text(cost.limit)}"
    if cost.bytes is None:
        return f"sql/{cost.name}.sql: known once what it reads is made{limit}"
    over = cost.limit is not None and cost.bytes > cost.limit
    refused = ": it will be refused" if over else ""
    return f"sql/{cost.name}.sql: {bytes_text(cost.bytes)}{limit}{refused}"


def _say_total(total: int, is_whole: bool, budget: int | None) -> None:
    from gcp_accessor.byte_sizes import bytes_text

    least = "" if is_whole else "at least "
    limit = "" if budget is None else f" of a budget of {bytes_text(budget)}"
    over = ", which does not suffice" if budget is not None and total > budget else ""
    say(f"to read: {least}{bytes_text(total)}{limit}{over}")
