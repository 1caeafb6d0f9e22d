"""Read all that jobs have published, and name what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_folder
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import RUN_HELP, jobs_there, place_with_runs, publication
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "read all that is published, and name what is damaged"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, one of its runs, and where they are."""
    parser.add_argument(
        "job", metavar="JOB", nargs="?", help="a name that `etl-jobs list` gives (default: all)"
    )
    add_folder(parser)
    parser.add_argument("--run", metavar="RUN", help=f"only one run: {RUN_HELP}")
    add_place(parser)


def run(options: Namespace) -> None:
    """Print each damage; whether there is any is also in the exit code.

    Raises:
        JobError: something is damaged.
        Misuse: a run was named, but no job.
    """
    from etl_jobs.errors import JobError, Misuse

    if options.run and options.job is None:
        raise Misuse("--run is of one job; name that too")
    place = place_with_runs(options)
    damages = 0
    with place.advice():
        for job in jobs_there(options, place):
            place_of_runs = publication(place, job)
            try:
                run_id = place_of_runs.resolve(options.run) if options.run else None
                found = place_of_runs.verify(run_id)
            except ValueError as error:
                raise Misuse(str(error)) from error
            say(f"{job}: {'sound' if not found else 'DAMAGED'}")
            for damage in found:
                say(f"  {damage.kind}: {damage}")
            damages += len(found)
    if damages:
        objects = "1 object is" if damages == 1 else f"{damages} objects are"
        raise JobError(f"{objects} not what was published; what to do is said above")
