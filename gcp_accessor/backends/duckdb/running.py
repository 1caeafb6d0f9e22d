"""Statements that are ended from outside: by their time, or by another thread."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from google.api_core.exceptions import Cancelled

from gcp_accessor.errors import QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import Cursor

_LOOK_SECONDS = 0.05


@contextmanager
def bounded(
    connection: DuckDBPyConnection,
    timeout: float | None,
    cancelled: threading.Event | None = None,
    began: float | None = None,
) -> Iterator[None]:
    """Interrupt what the block runs when its time is over, or when it is cancelled.

    Args:
        connection: What runs in it.
        timeout: Seconds that it may take.
        cancelled: Set by another thread, to cancel it.
        began: When its time began, on the monotonic clock; now, if it is not said.

    Raises:
        QueryTimeout: its time was over.
        google.api_core.exceptions.Cancelled: it was cancelled before its end.
    """
    import duckdb

    if timeout is None and cancelled is None:
        yield
        return
    end = (time.monotonic() if began is None else began) + (timeout or float("inf"))
    limit = _Limit(connection, end, cancelled)
    try:
        yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if (reason := limit.passed(timeout)) is not None:
            raise reason from error
        raise
    else:
        # Between two statements an interruption is not heard.
        if (reason := limit.passed(timeout)) is not None:
            raise reason
    finally:
        limit.lift()


class _Limit:
    def __init__(
        self,
        connection: DuckDBPyConnection,
        end: float,
        cancelled: threading.Event | None,
    ) -> None:
        self._connection = connection
        self._end = end
        self._cancelled = cancelled
        self._is_over = False
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._interrupt, daemon=True)
        self._watch.start()

    def passed(self, timeout: float | None) -> Exception | None:
        """What the block is to end with."""
        if self._cancelled is not None and self._cancelled.is_set():
            return cancelled_error()
        if self._is_over:
            return QueryTimeout(f"the query ran for {timeout:g} s and was cancelled")
        return None

    def lift(self) -> None:
        self._ended.set()
        self._watch.join()

    def _interrupt(self) -> None:
        while not self._ended.wait(self._pause()):
            self._is_over = time.monotonic() >= self._end
            if self._is_over or (self._cancelled is not None and self._cancelled.is_set()):
                # Again and again, because the next statement does not know of this one's.
                self._connection.interrupt()

    def _pause(self) -> float:
        left = max(self._end - time.monotonic(), 0.0)
        if self._cancelled is None and left:
            return left
        return min(left or _LOOK_SECONDS, _LOOK_SECONDS)


class LocalQuery:
    """A statement that runs in a thread of its own.

    The program does not end before it has, as BigQuery goes on without the program.

    Args:
        job_id: Its name.
        run: Runs it, and ends with Cancelled soon after the event is set.
    """

    def __init__(self, job_id: str, run: Callable[[threading.Event], Cursor]) -> None:
        self.job_id = job_id
        self._run = run
        self._cancelled = threading.Event()
        self._cursor: Future[Cursor] = Future()
        threading.Thread(target=self._work, name=f"gcp_accessor {job_id}").start()

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._cursor.done()

    def result(self, timeout: float | None = None) -> Cursor:
        """Its rows. TimeoutError if it takes longer than `timeout`, and goes on."""
        return self._cursor.result(timeout)

    def cancel(self) -> None:
        """Have it end with Cancelled, unless it has ended."""
        self._cancelled.set()

    def _work(self) -> None:
        try:
            cursor = self._run(self._cancelled)
        except BaseException as error:  # whatever it is, result() raises it
            self._cursor.set_exception(error)
        else:
            self._cursor.set_result(cursor)


def cancelled_error() -> Cancelled:
    """What BigQuery says of a job that was cancelled."""
    message = "Job execution was cancelled: User requested cancellation"
    return Cancelled(message, errors=[{"reason": "stopped", "message": message}])
