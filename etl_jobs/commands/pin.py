"""Give a run a name by which it is kept and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import add_run, opened
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "keep a run under a name, whatever is published and collected"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, the name, the run, and where it is."""
    add_job(parser)
    parser.add_argument("name", metavar="NAME", help="letters, digits, '.', _ or -")
    add_run(parser)
    add_place(parser)


def run(options: Namespace) -> None:
    """Pin the run.

    Raises:
        CorruptRun: there is no such run, or it is damaged.
    """
    with opened(options) as (publication, _):
        manifest = publication.pin(options.name, publication.resolve(options.run_id))
    say(f"{options.job}: {manifest.run_id} is kept as {options.name}")
