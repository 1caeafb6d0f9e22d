"""Run a job for many days."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job, jobs_of
from etl_jobs.commands.places import add_place, local_folder, place_of
from etl_jobs.commands.run import told_of
from etl_jobs.commands.settings import add_limits, add_parameters, budget_of, past, settings_of
from etl_jobs.commands.values import day
from etl_jobs.console import complain, say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from datetime import date

    from etl_jobs.job import Job
    from etl_jobs.place import Place
    from etl_jobs.run.backfill import DayEnd

SUMMARY = "run a job for each of many days"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, the days, and what each day's run is told."""
    add_job(parser)
    parser.add_argument(
        "--from", dest="first", type=day, required=True, metavar="DATE", help="the first day"
    )
    parser.add_argument(
        "--to", dest="last", type=day, required=True, metavar="DATE", help="the last day"
    )
    parser.add_argument(
        "--parallel",
        type=_processes,
        default=1,
        metavar="N",
        help="how many days run at the same time, each in a process of its own (default: 1)",
    )
    add_parameters(parser)
    add_limits(parser)
    add_place(parser)


def run(options: Namespace) -> None:
    """Run each day in turn, or several at once; a day that fails holds up no other.

    What is published stays, or is that of a later day. Cloud Run's tasks share the days.

    Raises:
        JobError: some of the days failed; the message says which, and why.
    """
    from etl_jobs.place import open_place
    from etl_jobs.run.backfill import Processes, days_of, in_turn, raise_failures
    from etl_jobs.tasks import tasks_of_environment

    days = days_of(options.first, past(options.last, "--to"), tasks_of_environment())
    plan = jobs_of(options).plan(options.job)
    for each in days:
        settings_of(options, plan, each)
    parallel = _parallel(options, plan, days)
    place = place_of(options)
    open_place(place)
    if parallel > 1:
        ends = Processes(_typed(options), parallel).run(days)
    else:
        ends = in_turn(days, lambda each: _run(options, plan, place, each))
    seen = []
    for end in ends:
        seen.append(end)
        for line in end.lines:
            say(f"{end.day}  {line}")
        if end.failure is not None:
            complain(f"{end.day}  {end.failure}")
    raise_failures(seen)


def _parallel(options: Namespace, plan: Sequence[Job], days: Sequence[date]) -> int:
    """Return how many days may run at once.

    Raises:
        Misuse: each day needs the one before.
    """
    from etl_jobs.errors import Misuse

    wanted: int = min(options.parallel, max(len(days), 1))
    if wanted == 1:
        return 1
    anchor = options.anchor or dict(options.set).get("anchor")
    if anchor == "latest" and any(p.name == "anchor" for job in plan for p in job.parameters):
        raise Misuse(
            "the anchor is the latest run, so that each day waits for the one before; leave out "
            "--parallel, or anchor to one run"
        )
    earlier = [job.name for job in plan if job.earlier_days]
    if earlier:
        raise Misuse(
            f"{earlier[0]} reads days before its own, so that each day waits for those before; "
            "leave out --parallel"
        )
    if local_folder(options) is not None:
        say("a folder has one writer at a time: the days run one after the other")
        return 1
    return wanted


def _run(options: Namespace, plan: Sequence[Job], place: Place, each: date) -> DayEnd:
    """Run one day in this process."""
    from etl_jobs.failure import ExitCode, exit_code, explain
    from etl_jobs.run import run_plan
    from etl_jobs.run.backfill import DayEnd
    from etl_jobs.stopping import heed
    from etl_jobs.telemetry.runs import measured

    lines: list[str] = []
    try:
        with place.advice(), budget_of(options, place):
            settings = settings_of(options, plan, each)
            outcomes = run_plan(plan, place, settings, max_bytes=options.max_bytes)
            lines += [told_of(outcome) for outcome in measured(outcomes, plan, place)]
    except Exception as error:
        heed()
        sentence = explain(error)
        if sentence is None:
            raise
        return DayEnd(each, exit_code(error), tuple(lines), sentence)
    return DayEnd(each, ExitCode.DONE, tuple(lines))


def _typed(options: Namespace) -> list[str]:
    """Return what `etl-jobs` is told for each day, but for the day."""
    typed = ["run", options.job]
    for name in ("sql", "anchor", "project", "dataset", "bucket", "location"):
        value = getattr(options, name)
        if value is not None:
            typed += [f"--{name}", str(value)]
    for name, number in (("--max-bytes", options.max_bytes), ("--budget", options.budget)):
        if number is not None:
            typed += [name, f"{number} B"]
    for name, value in options.set:
        typed += ["--set", f"{name}={value}"]
    return typed


def _processes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 64):
        raise ArgumentTypeError(f"{text!r} processes cannot be; expected 1 to 64")
    return int(text)
