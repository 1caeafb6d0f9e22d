"""Print the runs of a job, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import opened, refuse_nothing
from etl_jobs.commands.values import count
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "the runs of a job, and what became of each"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, how many of its runs, and where they are."""
    add_job(parser)
    parser.add_argument(
        "--last", type=count, default=20, metavar="N", help="only the newest N (default: 20)"
    )
    add_place(parser)


def run(options: Namespace) -> None:
    """Print a line for each run, the newest day first.

    Raises:
        JobError: there is none.
        CorruptRun: something that says what they are is damaged.
    """
    with opened(options) as (publication, place):
        found = publication.runs(last=options.last)
        if not found:
            refuse_nothing(options, place)
        for line in repr(found).splitlines():
            say(line)
