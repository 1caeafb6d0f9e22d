"""Many days of one job, each a run of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from etl_jobs.errors import JobError, Misuse, TryAgain
from etl_jobs.failure import ExitCode
from etl_jobs.stopping import heed, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from etl_jobs.tasks import Tasks


@dataclass(frozen=True, slots=True)
class DayEnd:
    """How one day ended.

    Attributes:
        lines: What was done, one job a line.
        failure: What a person is told of it; None if it went well.
    """

    day: date
    code: int
    lines: tuple[str, ...] = ()
    failure: str | None = None


def days_of(first: date, last: date, tasks: Tasks) -> list[date]:
    """Return the days from the first to the last, both included, that this task does.

    Raises:
        Misuse: the last day is before the first.
    """
    if last < first:
        raise Misuse(f"--to {last} is before --from {first}; expected a day on or after it")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return days[tasks.index :: tasks.count]


def in_turn(days: Sequence[date], run: Callable[[date], DayEnd]) -> Iterator[DayEnd]:
    """Run the days one after the other; one that fails holds up no other."""
    for day in days:
        heed()
        yield run(day)


class Processes:
    """Runs `etl-jobs run` for several days at once, each in a process of its own.

    Told to stop, by a signal or by its `with` block's end, it tells its processes the same, and
    waits for them.

    Args:
        typed: What stands after `etl-jobs`, but for the day.
        most: How many processes run at the same time.
    """

    def __init__(self, typed: Sequence[str], most: int) -> None:
        self._typed = typed
        self._most = most
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = Lock()
        self._stopped_by: signal.Signals | None = None

    def run(self, days: Sequence[date]) -> Iterator[DayEnd]:
        """Run the days, giving each one's end as it comes; one that fails holds up no other."""
        pool = ThreadPoolExecutor(self._most)
        try:
            for ended in as_completed([pool.submit(self._run, day) for day in days]):
                yield ended.result()
        except BaseException:
            self._stop(told() or signal.SIGTERM)
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _run(self, day: date) -> DayEnd:
        with self._lock:
            if self._stopped_by is not None:
                return DayEnd(day, 128 + self._stopped_by)
            process = subprocess.Popen(  # noqa: S603 - this interpreter, and what was typed
                [sys.executable, "-m", "etl_jobs.cli", *self._typed, "--as-of", str(day)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=_environment(),
                # A terminal's Ctrl-C reaches it once, from here.
                start_new_session=True,
            )
            self._running.add(process)
        out, err = process.communicate()
        with self._lock:
            self._running.discard(process)
        code = process.returncode
        failure = None
        if code:
            failure = err.strip().removeprefix("etl-jobs: ") or f"its process ended with {code}"
        # A process that was killed, as for its memory, says nothing; another attempt may.
        return DayEnd(day, ExitCode.TRY_AGAIN if code < 0 else code, _lines(out), failure)

    def _stop(self, by: signal.Signals) -> None:
        with self._lock:
            self._stopped_by = by
            for process in self._running:
                process.send_signal(by)


def raise_failures(ends: Sequence[DayEnd]) -> None:
    """Say which days failed, and why.

    Raises:
        TryAgain: some failed, all of them for a reason that may pass.
        JobError: some failed, and one of them would again.
    """
    failed = sorted((end for end in ends if end.failure is not None), key=lambda end: end.day)
    if not failed:
        return
    kind = TryAgain if all(end.code == ExitCode.TRY_AGAIN for end in failed) else JobError
    which = "1 day" if len(failed) == 1 else f"{len(failed)} days"
    reasons = "\n".join(f"  {end.day}: {end.failure}" for end in failed)
    raise kind(f"{which} of {len(ends)} failed; run again, what is done stays done\n{reasons}")


def _environment() -> dict[str, str]:
    """Return what a day's process is to know: all but which task of which job this is.

    The days are dealt already. What it prints is not for Cloud Run's log but for this process, and
    its metrics are a series of their own.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("CLOUD_RUN_JOB", "CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT")
    }


def _lines(out: str) -> tuple[str, ...]:
    """Return the lines that say how a job ended, without what belongs to them."""
    return tuple(line for line in out.splitlines()[1:] if line and not line.startswith(" "))
