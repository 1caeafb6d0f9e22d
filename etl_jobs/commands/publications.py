"""Which publication a command is about, as it is typed, and which of its runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from etl_jobs.commands.names import jobs_of
from etl_jobs.commands.places import local_folder, place_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from etl_jobs.place import Place
    from gcp_accessor import Publication

RUN_HELP = "a run's name, 'latest', 'previous', or a pin"


def add_run(parser: ArgumentParser, name: str = "run_id") -> None:
    """Let a command be told which run it is about."""
    parser.add_argument(name, metavar="RUN", help=RUN_HELP)


@contextmanager
def opened(options: Namespace) -> Iterator[tuple[Publication, Place]]:
    """Give the publication of the job that was typed, where it was said to be.

    Raises:
        Misuse: there is no such job, or a run, pin or age that was typed cannot be.
    """
    from etl_jobs.errors import Misuse
    from gcp_accessor.errors import CorruptRun

    place = place_with_runs(options)
    try:
        with place.advice():
            yield publication(place, options.job), place
    except CorruptRun:
        if next(_runs(place, options.job), None) is None:
            # There is nothing to be damaged: perhaps the job is misspelt.
            jobs_of(options).find(options.job)
        raise
    except ValueError as error:
        # A name that no run, no pin and no job can have.
        raise Misuse(str(error)) from error


def place_with_runs(options: Namespace) -> Place:
    """Return the place that was typed, where something may be published.

    Raises:
        JobError: it is a folder that holds no such bucket.
        Misuse: there is no bucket to look into, or both a folder and a project.
    """
    from etl_jobs.errors import JobError

    place = place_of(options)
    local = place.store.local
    if local is not None and not (local / "buckets" / place.bucket).is_dir():
        raise JobError(
            f"the folder {local} holds no bucket {place.bucket}, so nothing is published there; "
            "name another with --local, or run a job there first"
        )
    return place


def publication(place: Place, job: str) -> Publication:
    """Return what a job publishes to in a place."""
    return place.store.publication(f"gs://{place.bucket}/{job}")


def refuse_nothing(options: Namespace, place: Place) -> NoReturn:
    """Say that a job has published nothing, or that there is no such job.

    Raises:
        JobError: always.
    """
    from etl_jobs.errors import JobError

    job = jobs_of(options).find(options.job).name
    local = local_folder(options)
    folder = f" of the folder {local}" if local else ""
    where = f"gs://{place.bucket}{folder}"
    raise JobError(f"{job} has published nothing in {where}; run `etl-jobs run {job}` first")


def jobs_there(options: Namespace, place: Place) -> list[str]:
    """Return the job that was typed, or all those that have runs in the place.

    Raises:
        JobError: the job that was typed has published nothing there.
        Misuse: there is no such job.
    """
    if options.job is not None:
        pointer = f"gs://{place.bucket}/{options.job}/latest.json"
        if next(_runs(place, options.job), None) is None and not place.store.exists(pointer):
            refuse_nothing(options, place)
        return [options.job]
    names = jobs_of(options).by_name
    return [name for name in names if next(_runs(place, name), None) is not None]


def _runs(place: Place, job: str) -> Iterator[object]:
    return place.store.list(f"gs://{place.bucket}/{job}/runs/")
