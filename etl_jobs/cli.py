"""etl-jobs: list, plan, run and show the jobs."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs.options import parse

# Nothing heavy here: `--help` answers before the engines are imported.
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

    from etl_jobs.inputs.mapping import LogMapping
    from etl_jobs.job import Job, Jobs
    from etl_jobs.place import Place
    from etl_jobs.run import Outcome

# What a publication says of a run that was made and yet is not the published one.
_NOT_PUBLISHED = {
    "held": "kept, but not published: the publication is on hold",
    "newer is published": "kept, but not published: a later day is",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 misused, 130 stopped."""
    options = parse(arguments)
    from etl_jobs.errors import Misuse
    from etl_jobs.failure import explain

    try:
        _COMMANDS[options.command](options)
    except KeyboardInterrupt:
        print("etl-jobs: stopped; what was not finished was not published", file=sys.stderr)
        return 130
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        print(f"etl-jobs: {sentence}", file=sys.stderr)
        return 2 if isinstance(error, Misuse) else 1
    return 0


def _jobs(options: Namespace) -> Jobs:
    from etl_jobs.job import Jobs

    return Jobs(options.sql)


def _place(options: Namespace) -> Place:
    from etl_jobs.place import name_place

    return name_place(
        local=options.local,
        project=options.project,
        dataset=options.dataset,
        bucket=options.bucket,
        location=options.location,
    )


# --- list and plan -------------------------------------------------------------------------


def _list(options: Namespace) -> None:
    _columns((name, job.description) for name, job in _jobs(options).by_name.items())


def _plan(options: Namespace) -> None:
    for number, job in enumerate(_jobs(options).plan(options.job), 1):
        _say(f"{number}. {job.name}")
        makes = f"the table {job.output}" if job.output else f"files under {job.name}/"
        facts = [("reads", ", ".join(job.reads)), ("makes", makes), *_parameters(job)]
        _columns(facts, indent="   ")


def _parameters(job: Job) -> Iterable[tuple[str, str]]:
    """Return a job's own parameters as one sets them; the day is `--as-of`."""
    parameters = {p.name: p for p in job.parameters}
    parameters |= {p.name: p for query in job.queries for p in query.parameters}
    for parameter in parameters.values():
        if parameter.name != "as_of":
            values = "|".join(parameter.one_of) or parameter.type
            default = f" (default: {parameter.default})" if parameter.default is not None else ""
            yield f"--set {parameter.name}={values}", f"{parameter.about}{default}"


# --- run -----------------------------------------------------------------------------------


def _run(options: Namespace) -> None:
    from etl_jobs.place import open_place
    from etl_jobs.run import parse_settings, run_plan

    # All that was typed is looked at before anything is touched.
    as_of = _as_of(options)
    jobs = _jobs(options)
    plan = jobs.plan(options.job)
    # `--anchor` is short for a parameter, of which only some jobs' plans have one.
    anchor = {"anchor": options.anchor} if options.anchor else {}
    settings = parse_settings(plan, dict(options.set) | anchor, as_of)
    mapping = _mapping(options, jobs)
    place = _place(options)

    open_place(place)
    _say(f"as of {as_of}" + ("" if options.as_of else ", the last complete UTC day"))
    with place.advice():
        _load_inputs(options, jobs, mapping, place)
        for outcome in run_plan(plan, place, settings, max_bytes=options.max_bytes):
            _say_outcome(outcome, place)


def _as_of(options: Namespace) -> date:
    from etl_jobs.errors import Misuse

    today = datetime.now(UTC).date()
    as_of: date = options.as_of or today - timedelta(days=1)
    if as_of > today:
        raise Misuse(
            f"--as-of {as_of} is in the future: today is {today} (UTC), and a run describes a "
            "day that has been"
        )
    return as_of


def _mapping(options: Namespace, jobs: Jobs) -> LogMapping | None:
    from etl_jobs.errors import Misuse
    from etl_jobs.inputs.mapping import read_mapping

    if options.map is None:
        return None
    if not options.input:
        raise Misuse("--map says how a file becomes a table; name the file with --input")
    return read_mapping(options.map, jobs.sources)


def _load_inputs(options: Namespace, jobs: Jobs, mapping: LogMapping | None, place: Place) -> None:
    from etl_jobs.inputs.load import load_input

    for table, path in options.input:
        loaded = load_input(place.warehouse, table, Path(path), mapping, sources=jobs.sources)
        _say(f"{table}: {_rows(loaded.rows)} from {path}")
        for note in loaded.notes:
            _say(f"  {note}")


def _say_outcome(outcome: Outcome, place: Place) -> None:
    facts = outcome.manifest.facts
    state = _NOT_PUBLISHED.get(outcome.state, outcome.state)
    rows = "" if facts["rows"] is None else f", {_rows(facts['rows'])}"
    _say(f"{outcome.job}: {state}{rows} ({outcome.seconds:.1f} s)")
    for note in facts["metrics"].get("notes", ()):
        _say(f"  {note}")
    for uri in outcome.files:
        _say(f"  {place.address(uri)}")


# --- show ----------------------------------------------------------------------------------


def _show(options: Namespace) -> None:
    from etl_jobs.errors import JobError, Misuse

    job = options.job
    place = _place(options)
    publication = place.store.publication(f"gs://{place.bucket}/{job}")
    try:
        manifest = publication.manifest(options.run) if options.run else publication.latest()
    except ValueError as error:
        # A name that no run and no job can have.
        raise Misuse(str(error)) from error
    if manifest is None:
        job = _jobs(options).find(job).name
        folder = f" of the folder {options.local}" if options.local else ""
        raise JobError(
            f"{job} has published nothing in gs://{place.bucket}{folder}; run `etl-jobs run {job}` "
            "first"
        )
    facts = manifest.facts
    metrics = dict(facts["metrics"])
    notes = metrics.pop("notes", ())
    _say(f"{job}, as of {manifest.as_of}")
    _columns(
        [
            ("run", manifest.run_id),
            (
                "made",
                f"{manifest.created_at:%Y-%m-%d %H:%M:%S} UTC by gcp-accessor {facts['version']}",
            ),
            *(
                (f"set {name}", value)
                for name, value in facts["settings"].items()
                if name != "as_of"
            ),
            *((f"read {name}", version) for name, version in facts["inputs"].items()),
            *metrics.items(),
        ],
        indent="  ",
    )
    for note in notes:
        _say(f"  {note}")
    for file, uri in zip(manifest.files, publication.files(manifest), strict=True):
        rows = "" if file.rows is None else f", {_rows(file.rows)}"
        _say(f"  {place.address(uri)} ({file.size:,} bytes{rows})")


# --- What is printed -----------------------------------------------------------------------


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def _columns(pairs: Iterable[tuple[str, object]], indent: str = "") -> None:
    """Print names and what is said of them side by side, as wide as the terminal."""
    pairs = list(pairs)
    width = max(len(name) for name, _ in pairs)
    columns = shutil.get_terminal_size((100, 24)).columns
    for name, text in pairs:
        before = f"{indent}{name:{width}}  "
        _say(
            textwrap.fill(
                str(text),
                max(columns, len(before) + 30),
                initial_indent=before,
                subsequent_indent=" " * len(before),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def _say(line: str) -> None:
    """Print a line at once, so that a log shows how far a run is."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # Whoever listened has left, as `head` does. The work goes on without.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_COMMANDS = {"list": _list, "plan": _plan, "run": _run, "show": _show}


if __name__ == "__main__":
    sys.exit(main())
