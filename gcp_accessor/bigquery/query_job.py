"""A statement that was submitted, and is not waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gcp_accessor.errors import QueryTimeout
from gcp_accessor.progress import clock
from gcp_accessor.query_result import QueryResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor.backends import QueryStats, RunningQuery
    from gcp_accessor.bigquery.budget import Reservation
    from gcp_accessor.progress import Wanted


class QueryJob:
    """A statement on its way; made by `BigQueryAccessor.submit()`.

    It goes on whether or not anybody waits for it, and may be used by any thread. On Google
    Cloud it also outlives the program; a folder's program ends when its statements have.

    Example:
        >>> job = warehouse.submit("SELECT COUNT(*) AS n FROM answers")
        >>> job.result().scalar()
        1
    """

    def __init__(
        self,
        running: RunningQuery,
        sql: str,
        progress: Wanted,
        cost: Callable[[QueryStats], int],
        reservation: Reservation | None,
    ) -> None:
        self._running = running
        self._sql = sql
        self._progress: Wanted = progress
        self._cost = cost
        self._reservation = reservation
        self._submitted = time.monotonic()
        self._end: str | None = None
        if reservation is not None:
            reservation.settle = self._settle

    @property
    def job_id(self) -> str:
        """The job's id, by which BigQuery's console and logs know it."""
        return self._running.job_id

    def done(self) -> bool:
        """Return whether the job has ended, well or not. This asks BigQuery."""
        return self._running.done()

    def result(self, timeout: float | None = None) -> QueryResult:
        """Wait for the job's end and return its result; the same one each time.

        Args:
            timeout: Seconds to wait now. The job goes on after them, unlike after the `timeout`
                that it was submitted with.

        Raises:
            TimeoutError: the job has not ended yet, and goes on.
            QueryTimeout: it took longer than the `timeout` that it was submitted with.
            google.api_core.exceptions.Cancelled: it was cancelled.
            google.api_core.exceptions.GoogleAPICallError: whatever `query` raises.
        """
        try:
            with clock(f"query {self.job_id}", self._progress):
                cursor = self._running.result(timeout)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(f"The job {self.job_id} goes on; its cancel() ends it.")
            raise
        except Exception as error:
            still_runs = isinstance(error, TimeoutError) and not isinstance(error, QueryTimeout)
            if still_runs and timeout is not None:
                raise TimeoutError(
                    f"the job {self.job_id} has not ended within {timeout:g} seconds; it goes on"
                ) from None
            self._end = type(error).__name__
            if self._reservation is not None:
                self._reservation.charge_failure(error)
            raise
        self._end = "done"
        if self._reservation is not None:
            self._reservation.charge(self._cost(cursor.stats))
        return QueryResult(cursor, self._sql)

    def cancel(self) -> None:
        """Ask for the job's end and return at once; one that has ended stays as it is.

        What it was to write is not written. `result()` raises Cancelled, unless the job was
        faster. BigQuery may bill what was read so far.
        """
        self._running.cancel()

    def __repr__(self) -> str:
        # Without asking BigQuery: a notebook shows what it is handed.
        state = self._end or f"submitted {time.monotonic() - self._submitted:.0f} s ago"
        return f"<QueryJob {self.job_id}: {state}>"

    def _settle(self) -> bool:
        """Charge the job to its budgets if it has ended."""
        if not self._running.done():
            return False
        try:
            self.result()
        # It is charged, and whoever asks for the result hears of the error.
        except Exception:
            return True
        return True
