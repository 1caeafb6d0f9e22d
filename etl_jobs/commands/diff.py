"""Print how two runs of a job differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import RUN_HELP, opened
from etl_jobs.console import columns, rows, say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gcp_accessor.publication.comparison import TableDifference

SUMMARY = "how two runs of a job differ: settings, inputs, figures, rows"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, two of its runs, and where they are."""
    add_job(parser)
    parser.add_argument("before", metavar="RUN", help=RUN_HELP)
    parser.add_argument("after", metavar="RUN", help="the other one")
    add_place(parser)


def run(options: Namespace) -> None:
    """Print what is not the same, facts first, then the rows by their grain.

    Raises:
        CorruptRun: there is no such run, or it is damaged.
    """
    with opened(options) as (publication, _):
        found = publication.diff(
            publication.resolve(options.before), publication.resolve(options.after)
        )
    say(f"{options.job}: {found.before.run_id} -> {found.after.run_id}")
    columns(
        [(each.name, f"{_text(each.before)} -> {_text(each.after)}") for each in found.facts],
        indent="  ",
    )
    if not found.facts:
        say("  they state the same")
    if found.table is None:
        say(f"  rows were not compared: {found.reason}")
    else:
        _say_rows(found.table)


def _say_rows(table: TableDifference) -> None:
    say(f"  {table}")
    for column in table.columns:
        say(f"  {column.name}: changed in {rows(column.rows)}")
        for row, before, after in column.largest:
            say(f"    {row}: {before:g} -> {after:g}")


def _text(value: object) -> str:
    return "(not stated)" if value is None else str(value)
