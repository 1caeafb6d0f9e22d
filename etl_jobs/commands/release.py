"""End the hold of a rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import opened
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "end a rollback: publish the newest run"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, and where it is."""
    add_job(parser)
    add_place(parser)


def run(options: Namespace) -> None:
    """Move the pointer to the newest run.

    Raises:
        CorruptRun: nothing was ever published, or the newest run is damaged; the hold stays.
    """
    with opened(options) as (publication, _):
        manifest = publication.release()
    say(f"{options.job}: {manifest.run_id} is published, and none is held")
