"""Remove the name of a run, so that it is kept no longer than others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import opened
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "keep a run no longer than others"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, the pin's name, and where it is."""
    add_job(parser)
    parser.add_argument("name", metavar="NAME", help="the pin's")
    add_place(parser)


def run(options: Namespace) -> None:
    """Remove the pin.

    Raises:
        CorruptRun: there is no such pin.
    """
    with opened(options) as (publication, _):
        # A name that is not there was typed wrongly, which this says.
        run_id = publication.pins().get(options.name) or publication.pinned(options.name).run_id
        publication.unpin(options.name)
    say(f"{options.job}: {run_id} is no longer kept as {options.name}")
