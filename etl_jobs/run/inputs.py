"""The rows that a plan reads: which version of each table, and as of which moment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from etl_jobs.contract import parse_sql, tables_read
from etl_jobs.errors import JobError, TryAgain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gcp_accessor import BigQueryAccessor

# A dataset may be told to remember as little as two days.
_REMEMBERED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Input:
    """A table as it stood.

    Attributes:
        version: Changes whenever the rows may have changed.
        rows: How many; None of a view.
        is_known: Whether something tells when the rows change.
        is_kept: Whether BigQuery itself holds the rows, and so can read those of an earlier
            moment.
    """

    version: str
    rows: int | None
    is_known: bool
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tables that a plan reads and does not make, looked at once for all of its jobs.

    Attributes:
        read_at: The warehouse's own time, at which the tables had these versions; None in a
            folder, which keeps no former rows.
    """

    inputs: Mapping[str, Input]
    read_at: datetime | None

    def pins(self, tables: Iterable[str]) -> frozenset[str]:
        """Return those of the tables that can be read as of the moment."""
        if self.read_at is None:
            return frozenset()
        return frozenset(
            name for name in tables if name in self.inputs and self.inputs[name].is_kept
        )


def table_version(warehouse: BigQueryAccessor, table: str) -> str:
    """Return what changes whenever a table's rows may have changed.

    A view has the versions of the tables under it. Where nothing tells (an external table, a
    view over wildcard tables or over tables that this account may not see), it is the moment,
    so that a job never takes such rows for those it has seen.

    Raises:
        JobError: there is no such table.
    """
    return look(warehouse, table).version


def look(warehouse: BigQueryAccessor, table: str) -> Input:
    """Return a table as it stands.

    Raises:
        JobError: there is no such table.
    """
    from google.api_core.exceptions import Forbidden, NotFound

    try:
        found = warehouse.table(table)
    except NotFound as error:
        raise JobError(
            f"there is no table {table}; fill it with --input {table}=FILE, or create it in "
            "BigQuery"
        ) from error
    if found.version is not None:
        return Input(found.version, found.rows, is_known=True, is_kept=True)
    parts = [found.view_sql or ""]
    try:
        under = [look(warehouse, name) for name in tables_read(parse_sql(parts[0]))]
    except (ValueError, Forbidden):
        unknown = f"unknown at {datetime.now(UTC).isoformat()}"
        return Input(unknown, None, is_known=False, is_kept=False)
    parts += [each.version for each in under]
    version = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return Input(version, None, is_known=all(each.is_known for each in under), is_kept=False)


def snapshot(warehouse: BigQueryAccessor, tables: Collection[str]) -> Snapshot:
    """Return the tables' versions and a moment at which they had them.

    Raises:
        JobError: one of the tables is not there.
    """
    inputs = {table: look(warehouse, table) for table in sorted(tables)}
    if warehouse.local is not None or not any(each.is_kept for each in inputs.values()):
        return Snapshot(inputs, None)
    read_at = cast("datetime", warehouse.query("SELECT CURRENT_TIMESTAMP() AS read_at").scalar())
    for table, before in inputs.items():
        after = look(warehouse, table)
        if before.is_known and after.version != before.version:
            # Rows came in just now: what is read is neither version, but that of the moment.
            version = f"{after.version} read at {read_at.isoformat()}"
            inputs[table] = Input(version, after.rows, after.is_known, after.is_kept)
    return Snapshot(inputs, read_at)


def refuse_changes(
    warehouse: BigQueryAccessor, snapshot: Snapshot, tables: Iterable[str], job: str
) -> None:
    """Look again at the tables that were read as they happened to be.

    Raises:
        TryAgain: one of them has changed since the snapshot.
    """
    for table in tables:
        before = snapshot.inputs[table]
        if before.is_known and look(warehouse, table).version != before.version:
            raise TryAgain(
                f"{table} changed while {job} read it, so nothing was published; run again once "
                "it is filled"
            )


def moment_of(facts: Mapping[str, object], read_at: datetime | None) -> datetime | None:
    """Return the moment as of which a run's tables are read.

    That of the run's first attempt, so that every attempt sends the same queries; the versions
    that the run is named after stood then as they stand now. One that is long past is not taken:
    BigQuery forgets.

    Args:
        facts: Those that the first attempt recorded.
        read_at: This execution's own moment.
    """
    recorded = facts.get("read_at")
    if read_at is None or not isinstance(recorded, str):
        return read_at
    first = datetime.fromisoformat(recorded)
    return first if abs(read_at - first) < _REMEMBERED else read_at


def as_of_moment(sql: str, tables: Collection[str]) -> str:
    """Return the query reading these tables as they were at `@read_at`; the rest as it is written.

    Example:
        >>> as_of_moment("SELECT item FROM raw.answers AS a -- all", {"raw.answers"})
        'SELECT item FROM raw.answers AS a FOR SYSTEM_TIME AS OF @read_at -- all'
    """
    from sqlglot import exp

    ends = []
    for table in parse_sql(sql).find_all(exp.Table):
        if ".".join(part.name for part in table.parts) in tables:
            alias = table.args.get("alias")
            last = alias.this if alias is not None and alias.this is not None else table.parts[-1]
            ends.append(last.meta["end"] + 1)
    for end in sorted(ends, reverse=True):
        sql = f"{sql[:end]} FOR SYSTEM_TIME AS OF @read_at{sql[end:]}"
    return sql
