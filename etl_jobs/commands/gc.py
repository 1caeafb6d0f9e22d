"""Delete the runs that nobody needs any more; by default, only say which."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_folder
from etl_jobs.commands.places import add_place
from etl_jobs.commands.publications import jobs_there, place_with_runs, publication
from etl_jobs.commands.values import count
from etl_jobs.console import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from etl_jobs.place import Place

SUMMARY = "delete runs that nobody needs; without --delete, only say which"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, what is to stay, and where it is."""
    parser.add_argument(
        "job", metavar="JOB", nargs="?", help="a name that `etl-jobs list` gives (default: all)"
    )
    add_folder(parser)
    parser.add_argument(
        "--keep", type=count, default=3, metavar="N", help="the newest N runs stay (default: 3)"
    )
    parser.add_argument(
        "--older-than",
        type=count,
        default=7,
        metavar="DAYS",
        help="what was written since stays, as it may be in use (default: 7)",
    )
    parser.add_argument(
        "--longest-task",
        type=count,
        metavar="HOURS",
        help="how long a task of yours may take with all its attempts (default: 120)",
    )
    parser.add_argument("--delete", action="store_true", help="do it")
    add_place(parser)


def run(options: Namespace) -> None:
    """Print what goes or would go, and what stays.

    Raises:
        Misuse: what is to be deleted may be in use.
        CorruptRun: it cannot be told what is needed.
    """
    from etl_jobs.errors import Misuse
    from gcp_accessor.byte_sizes import bytes_text
    from gcp_accessor.publication.collection import LONGEST_TASK

    longest = LONGEST_TASK if options.longest_task is None else _hours(options.longest_task)
    older_than = timedelta(days=options.older_than)
    if older_than < longest:
        raise Misuse(
            f"--older-than {options.older_than} days is less than a task may take "
            f"({longest / timedelta(hours=1):g} hours), which could delete work in progress; raise "
            "it, or say with --longest-task how many hours yours take at most"
        )
    place = place_with_runs(options)
    with place.advice():
        jobs = jobs_there(options, place)
        if options.delete:
            _warn(place)
        for job in jobs:
            found = publication(place, job).collect(
                options.keep, older_than, dry_run=not options.delete, longest_task=longest
            )
            done = "deleted" if options.delete else "would be deleted"
            runs = "1 run" if len(found.removed) == 1 else f"{len(found.removed)} runs"
            objects = "1 object" if found.objects == 1 else f"{found.objects:,} objects"
            size = bytes_text(found.bytes)
            say(f"{job}: {runs} {done} ({objects}, {size}), {len(found.kept)} kept")
            for run_id in found.removed:
                say(f"  {run_id}")
    if not options.delete:
        say("nothing was deleted; add --delete to do it")


def _warn(place: Place) -> None:
    """Say whether what is deleted can be had back, as far as this account may know."""
    from google.api_core.exceptions import Forbidden

    try:
        period = place.store.soft_delete_period(place.bucket)
    except Forbidden:
        say(
            f"whether gs://{place.bucket} keeps deleted objects for a while is not known: this "
            "account lacks storage.buckets.get"
        )
        return
    if period == timedelta(0):
        say(f"deletions in gs://{place.bucket} are final: it has no soft delete")
    else:
        say(f"deletions in gs://{place.bucket} can be undone for {period.days} days")


def _hours(number: int) -> timedelta:
    return timedelta(hours=number)
