"""Publish an earlier run of a job again, and no other before a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import add_run, opened
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "publish an earlier run again, verified, and hold it there"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, the run, and where it is."""
    add_job(parser)
    add_run(parser)
    add_place(parser)


def run(options: Namespace) -> None:
    """Move the pointer and say how to move it on.

    Raises:
        CorruptRun: there is no such run, or something of it is gone or changed.
    """
    with opened(options) as (publication, _):
        manifest = publication.rollback(publication.resolve(options.run_id))
    say(f"{options.job}: {manifest.run_id} is published, and held")
    say(f"  runs go on, but none is published before `etl-jobs release {options.job}`")
