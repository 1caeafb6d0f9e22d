"""Write what Terraform is told of the jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_folder, jobs_of
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "what Terraform is told of the jobs that a file schedules"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the file of choices, and where to write."""
    parser.add_argument(
        "choices", type=Path, metavar="FILE", help="YAML that says when a job runs, and with what"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write there, in place of standard output"
    )
    add_folder(parser)


def run(options: Namespace) -> None:
    """Print or write the variables as JSON.

    Raises:
        InputError: the file names what there is not, or cannot be written.
    """
    from etl_jobs.commands.settings import today
    from etl_jobs.deployment import read_deployment
    from etl_jobs.errors import InputError

    variables = read_deployment(options.choices, jobs_of(options), today())
    text = json.dumps(variables, indent=2)
    if options.output is None:
        say(text)
        return
    try:
        options.output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{options.output} cannot be written: {error.strerror}") from error
    say(f"{options.output}: {', '.join(variables['jobs'])}")
