"""Statements on the DuckDB file: run, started, and asked what they would read."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from google.api_core.exceptions import BadRequest
from sqlglot import exp

from gcp_accessor.backends import Cursor, Estimate, QueryStats, Statement
from gcp_accessor.backends.duckdb.bytes_read import bytes_read
from gcp_accessor.backends.duckdb.commands import run_command
from gcp_accessor.backends.duckdb.finished import as_outcome, as_stats, asked_by, run_once
from gcp_accessor.backends.duckdb.query import Query, read_query
from gcp_accessor.backends.duckdb.result import LocalCursor, keep
from gcp_accessor.backends.duckdb.running import LocalQuery, bounded
from gcp_accessor.backends.duckdb.writes import Write, refuse_order, write_rows
from gcp_accessor.backends.googlesql.parser import parse
from gcp_accessor.backends.idempotency import job_id_of
from gcp_accessor.errors import CostLimitExceeded, UnsupportedLocally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from threading import Event

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import Changes
    from gcp_accessor.backends.duckdb.catalog import LocalCatalog
    from gcp_accessor.backends.duckdb.file import DatabaseFile
    from gcp_accessor.schema import TableName


class Statements(ABC):
    """What `DuckDBWarehouse` does with statements."""

    file: DatabaseFile

    def run(self, statement: Statement) -> Cursor:
        """Run one statement. Its rows are read at once and outlive the open file."""
        return _Run(self, statement).cursor()

    def submit(self, statement: Statement) -> LocalQuery:
        """Start one statement, in a thread."""
        run = _Run(self, statement)

        def work(cancelled: Event) -> Cursor:
            run.cancelled = cancelled
            return run.cursor()

        return LocalQuery(run.job_id, work)

    def estimate(self, statement: Statement) -> Estimate:
        """What a query would read and give, without running it."""
        tree = parse(statement.sql)
        if not isinstance(tree, exp.Query):
            raise UnsupportedLocally(
                "only a query is estimated in the local warehouse; this is another statement"
            )
        with self._reading() as (connection, catalog):
            query = read_query(connection, catalog, tree, statement)
            size = bytes_read(connection, catalog, query.tree, query.tables, statement.parameters)
        return Estimate(size, query.tables, query.schema, "SELECT")

    @abstractmethod
    def _reading(
        self, timeout: float | None = None
    ) -> AbstractContextManager[tuple[DuckDBPyConnection, LocalCatalog]]:
        """Open the file to read."""

    @abstractmethod
    def _transaction(
        self, timeout: float | None = None
    ) -> AbstractContextManager[tuple[DuckDBPyConnection, LocalCatalog]]:
        """Open the file to write, all of it or nothing."""


class _Run:
    """One statement from its start to its end."""

    def __init__(self, warehouse: Statements, statement: Statement) -> None:
        self.warehouse = warehouse
        self.statement = statement
        self.cancelled: Event | None = None
        key = statement.idempotency_key
        # A job id that the caller chose is run once, as a key is.
        self.key = statement.job_id if key is None else job_id_of(key)
        self.job_id = self.key or f"local-{uuid4()}"
        self.started = time.monotonic()

    def cursor(self) -> Cursor:
        statement = self.statement
        tree = parse(statement.sql)
        destination = statement.destination
        if isinstance(tree, exp.Query) and destination is None:
            return self._select(tree)
        if not isinstance(tree, exp.Query) and destination is not None:
            raise BadRequest("only a query has a destination; this is another statement")
        stats = self._change(tree)
        if destination is not None and statement.returns_stored:
            whole = Statement(f"SELECT * FROM `{destination.whole}`", timeout=statement.timeout)
            rows = _Run(self.warehouse, whole)._select(cast("exp.Query", parse(whole.sql)))
            return replace(rows, stats=stats)
        return LocalCursor((), 0, stats)

    def _select(self, tree: exp.Query) -> LocalCursor:
        if self.key is not None:
            self._claim(self.key)
        file = self.warehouse.file
        with self._ready(self.warehouse._reading) as (connection, catalog):
            query = read_query(connection, catalog, tree, self.statement)
            read = _within_limit(connection, catalog, query, self.statement)
            # The result's file, should it need one, must be on the same disk as the folder.
            result = connection.sql(query.sql, params=query.values)
            total, batches = keep(query.schema, result.to_arrow_reader(65_536), file.scratch)
        return LocalCursor(query.schema, total, self._stats(read), batches)

    def _claim(self, key: str) -> None:
        """See that the key is this statement's. Its rows are no effect, and are read again."""
        with self._ready(self.warehouse._transaction) as (connection, _):
            run_once(connection, key, asked_by(self.statement), dict)

    def _change(self, tree: exp.Expr) -> QueryStats:
        """Run what changes the warehouse, or tell what came of it under the same key."""
        with self._ready(self.warehouse._transaction) as (connection, catalog):

            def change() -> dict[str, object]:
                destination = self.statement.destination
                if destination is not None and isinstance(tree, exp.Query):
                    stats = self._stats(self._write(connection, catalog, tree, destination))
                else:
                    changes = run_command(connection, catalog, tree, self.statement)
                    stats = self._stats(0, changes)
                return as_outcome(stats)

            outcome = run_once(connection, self.key, asked_by(self.statement), change)
        return as_stats(outcome)

    def _write(
        self,
        connection: DuckDBPyConnection,
        catalog: LocalCatalog,
        tree: exp.Query,
        destination: TableName,
    ) -> int:
        statement = self.statement
        catalog.require_dataset(destination.dataset)
        query = read_query(connection, catalog, tree, statement)
        read = _within_limit(connection, catalog, query, statement)
        where = Write(
            destination, statement.if_exists, statement.partition_by, statement.cluster_by
        )
        refuse_order(tree, where)
        write_rows(connection, catalog, where, query.sql, query.schema, query.values)
        return read

    @contextmanager
    def _ready(
        self,
        opening: Callable[
            [float | None], AbstractContextManager[tuple[DuckDBPyConnection, LocalCatalog]]
        ],
    ) -> Iterator[tuple[DuckDBPyConnection, LocalCatalog]]:
        """Open the warehouse for as long as the statement may take: others may be at work."""
        with opening(self._left()) as (connection, catalog):
            timeout = self.statement.timeout
            with bounded(connection, timeout, self.cancelled, self.started):
                yield connection, catalog

    def _left(self) -> float | None:
        timeout = self.statement.timeout
        return None if timeout is None else max(timeout - (time.monotonic() - self.started), 0.0)

    def _stats(self, read: int, changes: Changes | None = None) -> QueryStats:
        return QueryStats(
            job_id=self.job_id,
            seconds=time.monotonic() - self.started,
            bytes_processed=read,
            bytes_billed=0,
            changes=changes,
        )


def _within_limit(
    connection: DuckDBPyConnection, catalog: LocalCatalog, query: Query, statement: Statement
) -> int:
    read = bytes_read(connection, catalog, query.tree, query.tables, statement.parameters)
    limit = statement.max_bytes_billed
    if limit is not None and read > limit:
        error = CostLimitExceeded(
            f"the query would read {read:,} bytes, more than the limit of {limit:,}; "
            "nothing was run"
        )
        error.add_note("Filter on the partition column, select fewer columns, or raise the limit.")
        raise error
    return read
