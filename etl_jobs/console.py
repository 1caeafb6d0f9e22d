"""What a command prints: lines for people, and entries of a log in a Cloud Run job."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl_jobs.cloud_log import about, in_cloud_run, labels_of, logged, write_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from etl_jobs.cloud_log import Severity
    from etl_jobs.job import Job
    from etl_jobs.run import Outcome


@contextmanager
def speaking() -> Iterator[None]:
    """Give a command its voice; in a Cloud Run job, that of every library that it uses too.

    Raises:
        SystemExit: in a Cloud Run job, in place of an error that nobody expected.
    """
    if not in_cloud_run():
        yield
        return
    with logged():
        yield


def say(line: str, **facts: object) -> None:
    """Print a line at once, so that a log shows how far a run is.

    Args:
        facts: Names, counts and sizes behind the line, for who asks a log for them. Only a log
            shows them.
    """
    try:
        if in_cloud_run():
            write_entry(sys.stdout, "INFO", line.strip(), facts)
        else:
            print(line, flush=True)
    except BrokenPipeError:
        # Whoever listened has left, as `head` does. The work goes on without.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def detail(line: str) -> None:
    """Print a line for people alone: it may name items or quote what was read.

    A log is kept for weeks, and read by many; no value of a row belongs into it.
    """
    if not in_cloud_run():
        say(line)


def complain(
    line: str, severity: Severity = "ERROR", *, error: BaseException | None = None
) -> None:
    """Print on standard error what went wrong.

    Args:
        error: What the line is of; a log then says of which job and run it was.
    """
    if in_cloud_run():
        with about(**(labels_of(error) if error else {})):
            write_entry(sys.stderr, severity, line)
    else:
        print(f"etl-jobs: {line}", file=sys.stderr, flush=True)


def columns(pairs: Iterable[tuple[str, object]], indent: str = "") -> None:
    """Print names and what is said of them side by side, as wide as the terminal."""
    pairs = list(pairs)
    if in_cloud_run():
        for name, text in pairs:
            say(f"{name}: {text}")
        return
    width = max((len(name) for name, _ in pairs), default=0)
    terminal = shutil.get_terminal_size((100, 24)).columns
    for name, text in pairs:
        before = f"{indent}{name:{width}}  "
        say(
            textwrap.fill(
                str(text),
                max(terminal, len(before) + 30),
                initial_indent=before,
                subsequent_indent=" " * len(before),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def rows(number: int) -> str:
    """Return "1 row" or "1,234 rows"."""
    return "1 row" if number == 1 else f"{number:,} rows"


def watched(outcomes: Iterable[Outcome], plan: Sequence[Job]) -> Iterator[Outcome]:
    """Give each outcome of a plan as it comes, and meanwhile show what is being done.

    In a terminal that is the job's name and a clock, which are gone when it ends; in a Cloud Run
    job, a line when each begins, and the job as a label of all that is said until it has ended.
    In a file or a pipe it is nothing: the outcome itself is a line.

    Args:
        outcomes: What `run_plan` gives of the plan.
    """
    from gcp_accessor.progress import clock

    waiting, total = iter(outcomes), len(plan)
    for number, job in enumerate(plan, 1):
        with about(job=job.name):
            if in_cloud_run():
                say(f"{job.name}: begins, {number} of {total}", step=number, steps=total)
            with clock(f"{job.name} ({number} of {total})"):
                outcome = next(waiting, None)
        if outcome is None:
            return
        run = {"run": outcome.run_id} if outcome.run_id else {}
        with about(job=job.name, **run):
            yield outcome
    yield from waiting
