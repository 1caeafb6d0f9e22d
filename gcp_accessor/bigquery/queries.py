"""Statements: run, submitted, and asked what they would read."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from gcp_accessor.backends import Estimate, Statement
from gcp_accessor.bigquery.budget import Budget, Reservation, entered, entering
from gcp_accessor.bigquery.connection import Connection
from gcp_accessor.bigquery.query_job import QueryJob
from gcp_accessor.parameters import Parameters, from_python
from gcp_accessor.progress import clock
from gcp_accessor.query_result import QueryResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gcp_accessor.backends import IfExists, QueryStats

# Two threads may open or close a budget of one accessor at once.
_OPENING = Lock()
_LEAST_SECONDS = 0.001


class Queries(Connection):
    """What `BigQueryAccessor` does with statements."""

    # Open ones, of whichever thread; the outermost first.
    _budgets: tuple[Budget, ...] = ()

    def query(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        destination: str | None = None,
        if_exists: IfExists = "replace",
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
        max_bytes_billed: int | None = None,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> QueryResult:
        """Run one statement and return its result, whose rows a destination keeps to itself.

        A destination is written at once or not at all, and a table or partition that is
        replaced is readable throughout. Ctrl-C and a timeout cancel the job.

        Args:
            sql: GoogleSQL. Values belong in `params`, as `@name`.
            params: By name; the values' types are inferred, or said by `Typed`.
            destination: A table to write, or with `$YYYYMMDD` one of its days.
            if_exists: What happens to the destination's rows.
            partition_by: A DATE or TIMESTAMP column that splits a new destination by day.
            cluster_by: Columns that order a new destination.
            max_bytes_billed: A query that would bill more is not run.
            timeout: Seconds of wall clock, from now to the job's end. BigQuery itself ends the
                job a minute later, should this program not be there to do it.
            labels: Put on this job, beside the accessor's.
            idempotency_key: The statement takes effect once under this key, however often it
                is asked for: "answers/2024-03-01". A program that was killed and is started
                again finds the job that runs, or has ended well, and returns its result; after
                one that failed or was cancelled it starts another. The key is the job's id
                (with `_2`, `_3` after failures), good for as long as BigQuery keeps that, half
                a year; the rows of a query without a destination it keeps for a day. A folder
                keeps the key with the rows that were written, and reads those of a query
                without a destination again.

        Raises:
            ValueError: the parameters are not those that the statement uses, or show no type.
            CostLimitExceeded: it would bill more than `max_bytes_billed`, or than is left of a
                `budget`.
            QueryTimeout: it took longer than `timeout`.
            google.api_core.exceptions.BadRequest: the SQL is wrong.
            google.api_core.exceptions.NotFound: a table or dataset does not exist.
            google.api_core.exceptions.Cancelled: somebody else has cancelled the job.
            google.api_core.exceptions.Conflict: the key is that of another statement, or of
                this one with other parameters or another destination.

        Example:
            >>> result = warehouse.query(
            ...     "SELECT item_id FROM answers WHERE event_date = @day", {"day": date(2024, 3, 1)}
            ... )
            >>> result.records()
            [{'item_id': 'q1'}]
            >>> frame = result.to_dataframe()
        """
        return self._run(
            self._statement(
                sql,
                params,
                destination=destination,
                if_exists=if_exists,
                partition_by=partition_by,
                cluster_by=cluster_by,
                max_bytes_billed=max_bytes_billed,
                timeout=timeout,
                labels=labels,
                idempotency_key=idempotency_key,
            )
        )

    def submit(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        destination: str | None = None,
        if_exists: IfExists = "replace",
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
        max_bytes_billed: int | None = None,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> QueryJob:
        """Start one statement and return at once, with a handle of its job.

        Everything else is as for `query`, which is `submit` and `result` in one. What is wrong
        with a statement may be raised here or by `result()`: BigQuery sees some of it at once.
        Unlike `query`, this does not start a job anew that BigQuery itself gave up.

        Args:
            sql: GoogleSQL. Values belong in `params`, as `@name`.
            params: As for `query`.
            destination: As for `query`.
            if_exists: As for `query`.
            partition_by: As for `query`.
            cluster_by: As for `query`.
            max_bytes_billed: As for `query`.
            timeout: Seconds of wall clock, from now to the job's end. `result()` keeps them to
                the second; where nobody waits, BigQuery does, a minute later.
            labels: As for `query`.
            idempotency_key: As for `query`.

        Example:
            >>> sql = "SELECT COUNT(*) AS n FROM answers WHERE event_date = @day"
            >>> days = [date(2024, 3, 1), date(2024, 3, 2)]
            >>> jobs = [warehouse.submit(sql, {"day": day}) for day in days]
            >>> [job.result().scalar() for job in jobs]
            [1, 0]
        """
        statement = self._statement(
            sql,
            params,
            destination=destination,
            if_exists=if_exists,
            partition_by=partition_by,
            cluster_by=cluster_by,
            max_bytes_billed=max_bytes_billed,
            timeout=timeout,
            labels=labels,
            idempotency_key=idempotency_key,
        )
        reservation = self._reserve(statement, patience=0)
        if reservation is None:
            running = self._backend.submit(statement)
        else:
            limited = replace(statement, max_bytes_billed=reservation.max_bytes)
            try:
                running = self._backend.submit(limited)
            except BaseException as error:
                reservation.charge_failure(error)
                raise
        return QueryJob(running, sql, self.progress, self._cost, reservation)

    @contextmanager
    def budget(self, max_bytes: int) -> Iterator[Budget]:
        """Cap what all queries of the block may bill together.

        Each query is limited to what is left, so that their sum cannot be more; one that would
        need more is not run. What comes from the cache costs nothing, nor does one that fails;
        one that was cancelled, or whose end was not heard of, is charged all it could have
        billed. Loads and exports cost nothing. On a folder the bytes that are read count.

        A query holds its `max_bytes_billed`, or else all that is left, until it ends. `query`
        waits for its turn, within its `timeout`; `submit` takes what nobody holds. So queries that
        are to run at the same time are given a `max_bytes_billed` each.

        Charged are the queries of this accessor that its thread, or asyncio task, runs in the
        block, and those of all threads that are in no budget of their own: workers that the
        block has started. Budgets may be nested: the tighter one counts, and both are charged.
        Other processes are not seen.

        Raises:
            CostLimitExceeded: by a query for which there is not enough left.

        Example:
            >>> with warehouse.budget(1_000) as budget:
            ...     score = warehouse.query("SELECT AVG(score) AS score FROM answers").scalar()
            ...     print(budget.spent, budget.left)
            8 992
        """
        budget = Budget(max_bytes)
        with _OPENING:
            self._budgets = (*self._budgets, budget)
        try:
            with entering(budget):
                yield budget
        finally:
            with _OPENING:
                self._budgets = tuple(other for other in self._budgets if other is not budget)

    def estimate(self, sql: str, params: Parameters | None = None) -> Estimate:
        """Return what a statement would read, without running it and for free.

        Raises:
            UnsupportedLocally: on a folder, for a statement that is not a query.

        Example:
            >>> warehouse.estimate("SELECT score FROM answers").bytes_processed
            8
        """
        return self._backend.estimate(
            Statement(
                sql,
                from_python(params, sql),
                default_dataset=self.dataset,
                labels=self.labels,
            )
        )

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_budgets": ()}

    def _statement(
        self,
        sql: str,
        params: Parameters | None,
        *,
        destination: str | None,
        if_exists: IfExists,
        partition_by: str | None,
        cluster_by: Sequence[str],
        max_bytes_billed: int | None,
        timeout: float | None,
        labels: Mapping[str, str] | None,
        idempotency_key: str | None,
    ) -> Statement:
        return Statement(
            sql,
            from_python(params, sql),
            default_dataset=self.dataset,
            destination=None if destination is None else self._name(destination),
            if_exists=if_exists,
            partition_by=partition_by,
            cluster_by=tuple(cluster_by),
            max_bytes_billed=self._limit(max_bytes_billed),
            timeout=self._timeout(timeout),
            labels={**self.labels, **(labels or {})},
            idempotency_key=idempotency_key,
        )

    def _run(self, statement: Statement) -> QueryResult:
        with clock("query", self.progress):
            began, allowed = time.monotonic(), statement.timeout
            reservation = self._reserve(statement, float("inf") if allowed is None else allowed)
            if reservation is None:
                return QueryResult(self._backend.run(statement), statement.sql)
            limited = replace(statement, max_bytes_billed=reservation.max_bytes)
            try:
                if allowed is not None:
                    # Its turn may have been long in coming.
                    left = allowed - (time.monotonic() - began)
                    limited = replace(limited, timeout=max(left, _LEAST_SECONDS))
                cursor = self._backend.run(limited)
            except BaseException as error:
                reservation.charge_failure(error)
                raise
            reservation.charge(self._cost(cursor.stats))
            return QueryResult(cursor, statement.sql)

    def _reserve(self, statement: Statement, patience: float) -> Reservation | None:
        if not self._budgets:
            return None
        mine = tuple(budget for budget in entered() if budget in self._budgets)
        return Reservation(mine or self._budgets, statement.max_bytes_billed, patience)

    def _cost(self, stats: QueryStats) -> int:
        if stats.cache_hit:
            return 0
        return (stats.bytes_billed if self.local is None else stats.bytes_processed) or 0
