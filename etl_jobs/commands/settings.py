"""What a run is told besides its place: the day, the jobs' parameters, and what may be spent."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from etl_jobs.commands.values import assignment, day, size

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from etl_jobs.job import Job
    from etl_jobs.place import Place


def add_day(parser: ArgumentParser) -> None:
    """Let a command be told the day."""
    parser.add_argument(
        "--as-of",
        type=day,
        metavar="DATE",
        help="the last UTC day whose data counts (default: yesterday, the last complete one)",
    )


def add_parameters(parser: ArgumentParser) -> None:
    """Let a command be told the jobs' parameters."""
    parser.add_argument(
        "--set",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a job's parameter, as `etl-jobs plan` lists them",
    )
    parser.add_argument(
        "--anchor",
        metavar="RUN",
        help="keep the items of this run of `calibrate`, or of the latest, as they are",
    )


def add_limits(parser: ArgumentParser) -> None:
    """Let a command be told what it may read."""
    parser.add_argument(
        "--max-bytes",
        type=size,
        metavar="SIZE",
        help="the most one query may read, such as 20GB, in place of the jobs' budgets",
    )
    parser.add_argument(
        "--budget",
        type=size,
        metavar="SIZE",
        help="the most that all queries of the run may read together",
    )


def budget_of(options: Namespace, place: Place) -> AbstractContextManager[object]:
    """Return a block in which all queries together read no more than was typed."""
    return place.warehouse.budget(options.budget) if options.budget else nullcontext()


def as_of(options: Namespace) -> date:
    """Return the last UTC day whose data counts.

    Raises:
        Misuse: it is yet to come.
    """
    return past(options.as_of, "--as-of") if options.as_of else today() - timedelta(days=1)


def past(each: date, option: str) -> date:
    """Return the day if it has begun.

    Raises:
        Misuse: it is yet to come.
    """
    from etl_jobs.errors import Misuse

    if each > today():
        raise Misuse(
            f"{option} {each} is in the future: today is {today()} (UTC), and a run describes a "
            "day that has been"
        )
    return each


def today() -> date:
    """Return the UTC day that it is now."""
    return datetime.now(UTC).date()


def settings_of(options: Namespace, plan: Sequence[Job], as_of: date) -> dict[str, object]:
    """Return the value of every parameter of a plan's jobs.

    Raises:
        Misuse: what was typed is no parameter's name or value.
    """
    from etl_jobs.run import parse_settings

    # `--anchor` is short for a parameter, of which only some jobs' plans have one.
    anchor = {"anchor": options.anchor} if options.anchor else {}
    return parse_settings(plan, dict(options.set) | anchor, as_of)
