"""Which job a command is about, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from etl_jobs.job import Jobs


def add_job(parser: ArgumentParser) -> None:
    """Let a command be told which job it is about."""
    parser.add_argument("job", metavar="JOB", help="a name that `etl-jobs list` gives")
    add_folder(parser)


def add_folder(parser: ArgumentParser) -> None:
    """Let a command be told where the jobs are."""
    parser.add_argument(
        "--sql",
        type=Path,
        metavar="DIR",
        help="a folder of SQL jobs in place of the project's own",
    )


def jobs_of(options: Namespace) -> Jobs:
    """Return the jobs of the folder that was typed, or the project's own."""
    from etl_jobs.job import Jobs

    return Jobs(options.sql)
