"""etl-jobs: list, plan, run and show the jobs."""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

# Nothing heavy here: `--help` answers before the engines are imported.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.job import Jobs
    from etl_jobs.run import Outcome, Place

_EXAMPLE = """\
examples:
  etl-jobs run calibrate --local demo --input raw.answers=examples/lsat6.csv.gz
  etl-jobs run calibrate --project my-project --bucket my-bucket --as-of 2026-03-31
  etl-jobs show calibrate --local demo
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 misused, 130 stopped."""
    options = _parser().parse_args(arguments)
    from etl_jobs.failure import explain

    try:
        options.command(options)
    except KeyboardInterrupt:
        print("etl-jobs: stopped; what was not finished was not published", file=sys.stderr)
        return 130
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        print(f"etl-jobs: {sentence}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="etl-jobs",
        description="SQL-first jobs: raw logs become features and trained models.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--sql", type=Path, metavar="DIR", help="a folder of SQL jobs in place of the project's own"
    )
    place = _place_options()

    listing = commands.add_parser("list", parents=[folder], help="the jobs there are")
    listing.set_defaults(command=_list)

    planning = commands.add_parser(
        "plan", parents=[folder], help="what a job needs, in order, with its parameters"
    )
    planning.add_argument("job", metavar="JOB")
    planning.set_defaults(command=_plan)

    running = commands.add_parser(
        "run", parents=[folder, place], help="run a job and all it needs, and publish it"
    )
    running.add_argument("job", metavar="JOB")
    running.add_argument(
        "--as-of",
        type=_day,
        metavar="DATE",
        help="the last UTC day whose data counts (default: yesterday, the last complete one)",
    )
    running.add_argument(
        "--input",
        type=_assignment,
        action="append",
        default=[],
        metavar="TABLE=FILE",
        help="first fill a table from a CSV, NDJSON or Parquet file, also gzipped",
    )
    running.add_argument(
        "--map",
        type=Path,
        metavar="FILE",
        help="YAML that says how the file's columns become the table's",
    )
    running.add_argument(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a job's parameter (see `plan`)",
    )
    running.add_argument(
        "--max-bytes",
        type=_size,
        metavar="SIZE",
        help="the most one query may read, such as 20GB, in place of the jobs' budgets",
    )
    running.set_defaults(command=_run)

    showing = commands.add_parser("show", parents=[place], help="what a job has published")
    showing.add_argument("job", metavar="JOB")
    showing.add_argument("--run", metavar="RUN", help="a committed run in place of the published")
    showing.set_defaults(command=_show)
    return parser


def _place_options() -> argparse.ArgumentParser:
    place = argparse.ArgumentParser(add_help=False)
    where = place.add_argument_group("where")
    where.add_argument(
        "--local",
        type=Path,
        metavar="DIR",
        default=os.environ.get("GCP_ACCESSOR_LOCAL") or None,
        help="no cloud: DuckDB and buckets in this folder (default: $GCP_ACCESSOR_LOCAL)",
    )
    where.add_argument("--project", help="Google Cloud project (default: the credentials')")
    where.add_argument("--dataset", help="BigQuery dataset of the jobs' own tables (default: etl)")
    where.add_argument("--bucket", help="Cloud Storage bucket (default with --local: etl)")
    where.add_argument("--location", help="where BigQuery runs, such as EU")
    return place


def _day(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; expected YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not in the calendar") from None


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} has no value; expected NAME=VALUE")
    return name, value


def _size(text: str) -> int:
    from etl_jobs.contract import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _jobs(options: argparse.Namespace) -> Jobs:
    from etl_jobs.job import Jobs

    return Jobs(options.sql)


def _list(options: argparse.Namespace) -> None:
    jobs = _jobs(options).by_name
    width = max(len(name) for name in jobs)
    for name, job in jobs.items():
        print(f"{name:{width}}  {job.description}")


def _plan(options: argparse.Namespace) -> None:
    for number, job in enumerate(_jobs(options).plan(options.job), 1):
        makes = f"makes {job.output}" if job.output else f"publishes {job.name}"
        print(f"{number}. {job.name}: reads {', '.join(job.reads)}; {makes}")
        parameters = {p.name: p for p in job.parameters}
        parameters |= {p.name: p for query in job.queries for p in query.parameters}
        for parameter in parameters.values():
            choices = f", one of {', '.join(parameter.one_of)}" if parameter.one_of else ""
            default = f" (default {parameter.default}{choices})" if parameter.default else ""
            print(f"     {parameter.name}: {parameter.about}{default}")


def _run(options: argparse.Namespace) -> None:
    from etl_jobs.run import parse_settings, run_plan

    as_of = _as_of(options)
    plan = _jobs(options).plan(options.job)
    settings = parse_settings(plan, dict(options.set), as_of)
    place = open_place(options)
    print(f"as of {as_of}")
    _load_inputs(options, place)
    for outcome in run_plan(plan, place, settings, max_bytes=options.max_bytes):
        _print_outcome(outcome, place)


def _as_of(options: argparse.Namespace) -> date:
    from etl_jobs.errors import JobError

    today = datetime.now(UTC).date()
    if options.as_of is None:
        return today - timedelta(days=1)
    if options.as_of > today:
        raise JobError(
            f"--as-of {options.as_of} is in the future: today is {today} (UTC), and a run "
            "describes a day that has been"
        )
    as_of: date = options.as_of
    return as_of


def open_place(options: argparse.Namespace) -> Place:
    """Return the accessors that the options name, checked to be there.

    With `--local` the default dataset and bucket are made; whatever is named has to exist.

    Raises:
        JobError: there is no bucket to write to.
        google.api_core.exceptions.NotFound: the dataset or bucket does not exist.
    """
    from etl_jobs.errors import JobError
    from etl_jobs.run import Place
    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

    if options.local is None and options.bucket is None:
        raise JobError("name a bucket with --bucket, or run without a cloud with --local DIR")
    warehouse = BigQueryAccessor(
        options.project,
        dataset=options.dataset or "etl",
        location=options.location,
        local=options.local,
    )
    store = CloudStorageAccessor(options.project, local=options.local)
    if options.local is not None:
        there = warehouse.datasets()
        for name in ("raw", "etl"):
            if name not in there:
                warehouse.create_dataset(name)
        store.create_bucket("etl", if_exists="keep")
    bucket = options.bucket or "etl"
    warehouse.tables()
    next(iter(store.list(f"gs://{bucket}/")), None)
    return Place(warehouse, store, bucket)


def _load_inputs(options: argparse.Namespace, place: Place) -> None:
    from etl_jobs.errors import JobError
    from etl_jobs.inputs import load_input
    from etl_jobs.mapping import read_mapping

    if options.map and not options.input:
        raise JobError("--map says how a file becomes a table; name the file with --input")
    mapping = read_mapping(options.map) if options.map else None
    for table, path in options.input:
        loaded = load_input(place.warehouse, table, Path(path), mapping)
        print(f"{table}: {loaded.rows:,} rows from {path}")
        for note in loaded.notes:
            print(f"  {note}")


def _print_outcome(outcome: Outcome, place: Place) -> None:
    facts = outcome.manifest.facts
    rows = "" if facts["rows"] is None else f", {facts['rows']:,} rows"
    print(f"{outcome.job}: {outcome.state}{rows} ({outcome.seconds:.1f} s)")
    for note in facts["metrics"].get("notes", ()):
        print(f"  {note}")
    for uri in outcome.files:
        print(f"  {_address(uri, place)}")


def _address(uri: str, place: Place) -> str:
    """Return where a person finds an object: locally a file to open."""
    local = place.store.local
    return uri if local is None else str(local / "buckets" / uri.removeprefix("gs://"))


def _show(options: argparse.Namespace) -> None:
    from etl_jobs.errors import JobError

    place = open_place(options)
    publication = place.store.publication(f"gs://{place.bucket}/{options.job}")
    manifest = publication.manifest(options.run) if options.run else publication.latest()
    if manifest is None:
        raise JobError(
            f"{options.job} has published nothing in gs://{place.bucket}; run "
            f"`etl-jobs run {options.job}` first, or see `etl-jobs list`"
        )
    print(f"{options.job}: run {manifest.run_id}, as of {manifest.as_of}")
    print(f"  made {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC by {manifest.facts['version']}")
    for title in ("settings", "inputs", "metrics"):
        for name, value in manifest.facts[title].items():
            print(f"  {title.removesuffix('s')} {name}: {value}")
    for file, uri in zip(manifest.files, publication.files(manifest), strict=True):
        rows = "" if file.rows is None else f", {file.rows:,} rows"
        print(f"  {_address(uri, place)} ({file.size:,} bytes{rows})")


if __name__ == "__main__":
    sys.exit(main())
