"""Print what a job needs, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job, jobs_of
from etl_jobs.console import columns, say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from etl_jobs.job import Job

SUMMARY = "what a job needs, in order, with its parameters"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job."""
    add_job(parser)


def run(options: Namespace) -> None:
    """Print each job of the plan, with what it reads and makes."""
    for number, job in enumerate(jobs_of(options).plan(options.job), 1):
        say(f"{number}. {job.name}")
        makes = f"the table {job.output}" if job.output else f"files under {job.name}/"
        facts = [("reads", ", ".join(job.reads)), ("makes", makes), *_parameters(job)]
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
