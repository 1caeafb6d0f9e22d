"""Rows put into a table by their key: staged beside it, checked, and merged by one statement."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from gcp_accessor.backends import Changes, LoadSettings, Parameter, Statement
from gcp_accessor.backends.time_limit import within
from gcp_accessor.bigquery.data import Data, names
from gcp_accessor.bigquery.merge import TIMES, Merge
from gcp_accessor.bigquery.queries import Queries
from gcp_accessor.errors import LoadFailed, SchemaMismatch
from gcp_accessor.python_values import common_column
from gcp_accessor.schema import Column, TableName
from gcp_accessor.type_names import columns, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gcp_accessor.backends import Table
    from gcp_accessor.query_result import QueryResult

_LOGGER = logging.getLogger("gcp_accessor")
# Should this process die before it removes its staged rows, BigQuery does.
_STAGED_LIFE = timedelta(hours=24)
# What that may take if the caller's own time is limited, be it over or not.
_REMOVAL_SECONDS = 20.0
_MAX_ERRORS = 10
_NO_KEYS = frozenset({"STRUCT", "JSON", "GEOGRAPHY"})


class Upserts(Queries, Data):
    """What `BigQueryAccessor` does with rows that have a key."""

    def upsert(
        self,
        data: Any,
        table: str,
        key: Sequence[str],
        *,
        format: Literal["infer", "csv", "ndjson", "parquet"] = "infer",
        schema: Sequence[Column] | Mapping[str, str] | None = None,
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
        skip_leading_rows: int = 0,
        max_bytes_billed: int | None = None,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Changes:
        """Update the rows whose key is there, insert the others, and return how many of each.

        All rows arrive or none, at once, and doing it again changes nothing. The rows are
        first loaded into a table of their own in the same dataset, which is removed at the
        end, also after an error; if this process is killed, BigQuery deletes it within a day.

        Columns that the data does not have keep their values in the rows that are there, and
        are NULL in new ones. If a column of the key splits the table by day, only the days of
        the data are read and billed.

        Args:
            data: As for `load`.
            table: Made if it does not exist.
            key: The columns that tell one row from another. They hold no NULL, and no two
                rows of the data agree in all of them.
            format: As for `load`.
            schema: As for `load`; without one, the table's types are taken if there is one.
            partition_by: A DATE or TIMESTAMP column that splits a new table by day.
            cluster_by: Columns that order a new table.
            skip_leading_rows: Lines of a CSV before its data, 1 for a header.
            max_bytes_billed: A merge that would bill more is not run.
            timeout: Seconds of wall clock, for all of it.
            labels: Put on these jobs, beside the accessor's.

        Raises:
            LoadFailed: rows do not fit their columns, share a key, or have a NULL in it; its
                `errors` name up to ten of them.
            SchemaMismatch: the data lacks a column of the key, or has one that the table does
                not have or that has another type there.
            CostLimitExceeded: the merge would bill more than `max_bytes_billed`.
            QueryTimeout: it took longer than `timeout`.

        Example:
            >>> answers = [{"student_id": "ana", "item_id": "q1", "is_correct": True}]
            >>> warehouse.upsert(answers, "exams.correct", key=["student_id", "item_id"])
            Changes(inserted=1, updated=0, deleted=0)
        """
        name = self._name(table)
        if name.partition is not None:
            raise ValueError(f"{name} is one day of a table; rows are upserted into the whole")
        clock = _Clock(self._timeout(timeout))
        labels = {**self.labels, **(labels or {})}
        there = self._found(name, clock.left())
        staging = LoadSettings(
            TableName(f"upsert_{secrets.token_hex(16)}", name.dataset, name.project),
            "ndjson",
            skip_leading_rows=skip_leading_rows,
            timeout=clock.left(),
            expires=datetime.now(UTC) + _STAGED_LIFE,
            labels=labels,
        )
        known = None if schema is None else columns(schema)
        table_schema = None if there is None else there.schema
        key = names("key", key)
        with self._removed_afterwards(staging):
            sent = self._send(data, format, known, lambda: table_schema, staging)
            staged = sent.schema or self._staged(staging.table, clock)
            merge = _merge(name, staging.table, key, staged, sent.present, there)
            if there is None:
                with within(clock.left()):
                    self._make(name, staged, partition_by, names("cluster_by", cluster_by))
            if not sent.rows:
                return Changes()
            self._check_keys(merge, clock, labels)
            days = self._days(merge, clock, labels)
            with _partitions_advised(there, key):
                merged = self._run(
                    Statement(
                        merge.statement(),
                        days,
                        max_bytes_billed=self._limit(max_bytes_billed),
                        timeout=clock.left(),
                        labels=labels,
                    )
                )
        return merged.stats.changes or Changes()

    @contextmanager
    def _removed_afterwards(self, staging: LoadSettings) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPIError, NotFound

        try:
            yield
        finally:
            try:
                with within(None if staging.timeout is None else _REMOVAL_SECONDS):
                    self._backend.delete_table(staging.table)
            except NotFound:
                # The load failed before it made the table.
                pass
            except (GoogleAPIError, OSError) as error:
                # The rows are merged, or another error is on its way: neither is to be hidden.
                _LOGGER.warning("the staged rows in %s stay for a day: %s", staging.table, error)

    def _staged(self, name: TableName, clock: _Clock) -> tuple[Column, ...]:
        with within(clock.left()):
            return self._backend.table(name).schema

    def _make(
        self,
        name: TableName,
        schema: tuple[Column, ...],
        partition_by: str | None,
        cluster_by: tuple[str, ...],
    ) -> None:
        from google.api_core.exceptions import Conflict

        try:
            self._backend.create_table(name, schema, partition_by, cluster_by)
        except Conflict:
            # Somebody else has just made it; then the merge says whether it fits.
            _LOGGER.debug("%s was made by somebody else in the meantime", name)

    def _check_keys(self, merge: Merge, clock: _Clock, labels: Mapping[str, str]) -> None:
        """Raise LoadFailed where staged rows share a key, or have none."""
        wrong = self._asked(merge.wrong_keys(_MAX_ERRORS), clock, labels).records()
        if wrong:
            raise LoadFailed(
                f"nothing was written to {merge.table}: rows share a key, or have none",
                tuple(map(_wrong_key, wrong)),
            )

    def _days(
        self, merge: Merge, clock: _Clock, labels: Mapping[str, str]
    ) -> tuple[Parameter, ...]:
        if merge.partition_by is None:
            return ()
        days = self._asked(merge.days(), clock, labels)
        (found,) = days.rows()
        return tuple(Parameter(*pair) for pair in zip(days.schema, found, strict=True))

    def _asked(self, sql: str, clock: _Clock, labels: Mapping[str, str]) -> QueryResult:
        return self._run(Statement(sql, timeout=clock.left(), labels=labels))


@contextmanager
def _partitions_advised(there: Table | None, key: tuple[str, ...]) -> Iterator[None]:
    """Say what to do where a table is only ever to be read by its days, which the key lacks."""
    from google.api_core.exceptions import BadRequest

    try:
        yield
    except BadRequest as error:
        if there is not None and "partition elimination" in error.message:
            error.add_note(
                f"{there.name} is read by its partitions only; add the column that splits it, "
                f"{there.partition_by!r}, to key={list(key)}"
            )
        raise


class _Clock:
    """What is left of the time that several jobs share."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        # A job that gets no time at all says what there was too little of.
        return None if self._end is None else max(self._end - time.monotonic(), 0.1)


def _merge(
    table: TableName,
    staged: TableName,
    key: tuple[str, ...],
    schema: tuple[Column, ...],
    present: frozenset[str] | None,
    there: Table | None,
) -> Merge:
    """Return the merge of staged rows of this schema.

    Raises:
        SchemaMismatch: they have no such key, or the table has not their columns.
    """
    given = {column.name: column for column in schema if present is None or column.name in present}
    for name in key:
        column = given.get(name)
        if column is None:
            raise SchemaMismatch(
                f"the key's column {name!r} is not in the data, which has {', '.join(given)}"
            )
        if column.mode == "REPEATED" or column.type in _NO_KEYS:
            raise SchemaMismatch(
                f"the key's column {name!r} is of the type {type_name(column)}, whose values "
                "BigQuery does not compare; expected a column of simple values"
            )
    if there is None:
        return Merge(table, staged, key, tuple(given))
    held = {column.name.lower(): column for column in there.schema}
    for column in given.values():
        _check_column(column, held.get(column.name.lower()), there)
    by = there.partition_by if there.partition_by in key else None
    return Merge(table, staged, key, tuple(given), by)


def _check_column(column: Column, held: Column | None, there: Table) -> None:
    if held is None:
        raise SchemaMismatch(
            f"the data has the column {column.name!r}, which {there.name} does not; it has "
            f"{', '.join(each.name for each in there.schema)}"
        )
    common = common_column(_nullable(held), _nullable(column))
    if common is None or common.type != held.type:
        raise SchemaMismatch(
            f"the column {column.name!r} is of the type {type_name(column)} in the data and "
            f"{type_name(held)} in {there.name}"
        )


def _nullable(column: Column) -> Column:
    return replace(column, mode="NULLABLE") if column.mode == "REQUIRED" else column


def _wrong_key(record: dict[str, object]) -> str:
    times = record.pop(TIMES)
    shown = ", ".join(f"{name}={value!r}" for name, value in record.items())
    return f"{shown}: {times} rows" if None not in record.values() else f"{shown}: no key"
