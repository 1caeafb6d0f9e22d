"""Print the jobs there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_folder, jobs_of
from etl_jobs.console import columns

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "the jobs there are"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the folder of jobs."""
    add_folder(parser)


def run(options: Namespace) -> None:
    """Print each job's name and what it makes."""
    columns((name, job.description) for name, job in jobs_of(options).by_name.items())
