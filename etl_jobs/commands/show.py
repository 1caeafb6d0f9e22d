"""Print what a job has published."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs.commands.names import add_job, jobs_of
from etl_jobs.commands.places import add_place, local_folder
from etl_jobs.commands.publications import RUN_HELP, opened, refuse_nothing
from etl_jobs.commands.values import day
from etl_jobs.console import columns, rows, say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "what a job has published"

# What `--metrics` stands for without a name; no metric is called so.
_ALL = ""
_DAYS_SHOWN = 30


def add_arguments(parser: ArgumentParser) -> None:
    """Add the job, one of its runs, and where it is."""
    add_job(parser)
    parser.add_argument(
        "--run", metavar="RUN", help=f"a committed run in place of the published one: {RUN_HELP}"
    )
    parser.add_argument("--pin", metavar="NAME", help="the run that is kept under this name")
    parser.add_argument(
        "--metrics",
        nargs="?",
        const=_ALL,
        metavar="NAME",
        help="the course of what its runs wrote to Monitoring: all of it, or one metric as a chart",
    )
    parser.add_argument(
        "--png", type=Path, metavar="FILE", help="with --metrics: a picture, written there"
    )
    parser.add_argument(
        "--since",
        type=day,
        metavar="DATE",
        help="with --metrics: the first UTC day to show (default: 30 days ago)",
    )
    add_place(parser)


def run(options: Namespace) -> None:
    """Print a run's settings, inputs, figures and files; or the metrics of all runs.

    Raises:
        JobError: nothing is published.
        CorruptRun: there is no such run, or it is damaged.
    """
    from etl_jobs.errors import Misuse

    if options.metrics is not None:
        _show_metrics(options)
        return
    if options.png or options.since:
        raise Misuse("--png and --since are about --metrics; give that too")
    if options.run and options.pin:
        raise Misuse("a run is named by --run or by --pin; give one of them")
    with opened(options) as (publication, place):
        if options.pin:
            manifest = publication.pinned(options.pin)
        elif options.run:
            manifest = publication.manifest(publication.resolve(options.run))
        else:
            manifest = publication.latest() or refuse_nothing(options, place)
        is_held = publication.is_held()
    facts = manifest.facts
    metrics = dict(facts["metrics"])
    notes = metrics.pop("notes", ())
    # The notes say the same.
    metrics.pop("counts", None)
    made = f"{manifest.created_at:%Y-%m-%d %H:%M:%S} UTC by gcp-accessor {facts['version']}"
    settings = {name: value for name, value in facts["settings"].items() if name != "as_of"}
    say(f"{options.job}, as of {manifest.as_of}")
    if is_held:
        say(f"  a rollback holds what is published; `etl-jobs release {options.job}` ends it")
    columns(
        [
            ("run", manifest.run_id),
            ("made", made),
            *((f"set {name}", value) for name, value in settings.items()),
            *((f"read {name}", version) for name, version in facts["inputs"].items()),
            *metrics.items(),
        ],
        indent="  ",
    )
    for note in notes:
        say(f"  {note}")
    for file, uri in zip(manifest.files, publication.files(manifest), strict=True):
        counted = "" if file.rows is None else f", {rows(file.rows)}"
        say(f"  {place.address(uri)} ({file.size:,} bytes{counted})")


def _show_metrics(options: Namespace) -> None:
    """Print the metrics of a job's runs, or draw them.

    Raises:
        Misuse: there is no such job or metric, or the days are yet to come.
        JobError: nothing was written.
        MissingExtra: a picture needs matplotlib.
    """
    from etl_jobs.errors import Misuse
    from etl_jobs.place import name_metrics
    from etl_jobs.telemetry.history import history
    from etl_jobs.telemetry.show import chart, draw, overview

    job = jobs_of(options).find(options.job).name
    today = datetime.now(UTC).date()
    first = options.since or today - timedelta(days=_DAYS_SHOWN)
    if first > today:
        raise Misuse(f"--since {first} is in the future: today is {today} (UTC)")
    since = datetime.combine(first, time(tzinfo=UTC))
    metrics = name_metrics(local=local_folder(options), project=options.project)
    found = history(metrics, job, options.metrics or None, since)
    if options.png:
        draw(found, job, options.png)
        say(str(options.png))
        return
    if options.metrics == _ALL:
        say(f"{job}, since {first}")
        for line in overview(found):
            say(f"  {line}")
        return
    for series in found:
        for line in chart(series):
            say(line)
