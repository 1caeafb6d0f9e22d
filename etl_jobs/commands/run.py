"""Run a job and all it needs, and publish it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job, jobs_of
from etl_jobs.commands.places import add_place, place_of
from etl_jobs.commands.settings import (
    add_day,
    add_limits,
    add_parameters,
    as_of,
    budget_of,
    settings_of,
)
from etl_jobs.commands.values import assignment
from etl_jobs.console import detail, rows, say, watched

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from etl_jobs.inputs.mapping import LogMapping
    from etl_jobs.job import Jobs
    from etl_jobs.place import Place
    from etl_jobs.run import Outcome

SUMMARY = "run a job and all it needs, and publish it"

# What a publication says of a run that was made and yet is not the published one.
_NOT_PUBLISHED = {
    "held": "kept, but not published: a rollback holds another run (`etl-jobs release` ends it)",
    "newer is published": "made and kept; what is published is newer",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, its inputs and settings, and where it runs."""
    add_job(parser)
    add_day(parser)
    parser.add_argument(
        "--input",
        type=assignment,
        action="append",
        default=[],
        metavar="TABLE=FILE",
        help="first fill a table from a CSV, NDJSON or Parquet file, also gzipped",
    )
    parser.add_argument(
        "--map",
        type=Path,
        metavar="FILE",
        help="YAML that says how the file's columns become the table's",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="make JOB's run anew, even where its inputs and settings are those of one that stands",
    )
    add_parameters(parser)
    add_limits(parser)
    add_place(parser)


def run(options: Namespace) -> None:
    """Run the plan, telling how each job ended.

    Raises:
        JobError: the first job that fails; those before it stay published.
    """
    from etl_jobs.place import open_place
    from etl_jobs.run import run_plan
    from etl_jobs.tasks import tasks_of_environment
    from etl_jobs.telemetry.runs import measured

    # All that was typed is looked at before anything is touched.
    tasks = tasks_of_environment()
    day = as_of(options)
    jobs = jobs_of(options)
    plan = jobs.plan(options.job)
    settings = settings_of(options, plan, day)
    mapping = _mapping(options, jobs)
    place = place_of(options)

    open_place(place)
    say(f"as of {day}" + ("" if options.as_of else ", the last complete UTC day"))
    with place.advice(), budget_of(options, place):
        _load_inputs(options, jobs, mapping, place)
        outcomes = run_plan(
            plan, place, settings, max_bytes=options.max_bytes, tasks=tasks, force=options.force
        )
        for outcome in watched(measured(outcomes, plan, place), plan):
            say_outcome(outcome, place)


def told_of(outcome: Outcome) -> str:
    """Return in a line how a job ended."""
    state = _NOT_PUBLISHED.get(outcome.state, outcome.state)
    number = outcome.manifest.facts["rows"] if outcome.manifest else None
    counted = "" if number is None else f", {rows(number)}"
    return f"{outcome.job}: {state}{counted} ({outcome.seconds:.1f} s)"


def say_outcome(outcome: Outcome, place: Place) -> None:
    """Tell how a job ended, and where its files are."""
    if outcome.manifest is None:
        say(told_of(outcome), state=outcome.state)
        return
    facts = outcome.manifest.facts
    say(
        told_of(outcome),
        state=outcome.state,
        rows=facts["rows"],
        seconds=round(outcome.seconds, 3),
        figures={
            name: value
            for name, value in facts["metrics"].items()
            if isinstance(value, int | float)
        },
    )
    for note in facts["metrics"].get("notes", ()):
        detail(f"  {note}")
    for uri in outcome.files:
        say(f"  {place.address(uri)}")


def _mapping(options: Namespace, jobs: Jobs) -> LogMapping | None:
    from etl_jobs.errors import Misuse
    from etl_jobs.inputs.mapping import read_mapping

    if options.map is None:
        return None
    if not options.input:
        raise Misuse("--map says how a file becomes a table; name the file with --input")
    return read_mapping(options.map, jobs.sources)


def _load_inputs(options: Namespace, jobs: Jobs, mapping: LogMapping | None, place: Place) -> None:
    from etl_jobs.inputs.load import load_input

    for table, path in options.input:
        loaded = load_input(place.warehouse, table, Path(path), mapping, sources=jobs.sources)
        say(f"{table}: {rows(loaded.rows)} from {path}")
        for note in loaded.notes:
            detail(f"  {note}")
