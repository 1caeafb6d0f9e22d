"""Rows written to a table: created, replaced, appended, or one partition of it replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import BadRequest, Conflict

from gcp_accessor.backends.duckdb.catalog import Details, LocalCatalog, check_partitioning, sql_name
from gcp_accessor.backends.duckdb.types import duckdb_type, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection
    from sqlglot import exp

    from gcp_accessor.backends import IfExists
    from gcp_accessor.schema import Column, TableName

# Rows wait here, in the connection's own schema, until they are known to be good.
_INCOMING = "temp.main.gcp_accessor_incoming"


@dataclass(frozen=True, slots=True)
class Write:
    """Where rows go."""

    table: TableName
    if_exists: IfExists
    partition_by: str | None = None
    cluster_by: tuple[str, ...] = ()


def refuse_order(tree: exp.Expr, write: Write) -> None:
    """Raise BadRequest, as BigQuery does, for rows sorted into a table that keeps no order."""
    if tree.args.get("order") is None or tree.args.get("limit") is not None:
        return
    if write.partition_by is not None:
        raise BadRequest(
            f"Result of ORDER BY queries cannot be partitioned by field '{write.partition_by}'; "
            "leave the last ORDER BY out, a table keeps no order"
        )
    if write.cluster_by:
        raise BadRequest(
            "Result of ORDER BY queries cannot be clustered; leave the last ORDER BY out, a table "
            "keeps no order"
        )


def write_rows(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    write: Write,
    source: str,
    schema: Sequence[Column],
    parameters: dict[str, Any] | None = None,
) -> int:
    """Put the rows of the query `source`, whose columns are `schema`, into a table.

    Part of the caller's transaction. Returns how many rows were written.
    """
    catalog.require_dataset(write.table.dataset)
    kind = catalog.kind(write.table)
    if kind == "view":
        raise BadRequest(f"{write.table.whole} is a view; rows are written to tables")
    details = Details(write.partition_by, write.cluster_by)
    if kind == "table":
        details = _merged(catalog.details(write.table), details, schema, write)
    check_partitioning(schema, details)
    if kind == "table" and write.if_exists == "fail" and write.table.partition is None:
        _fail_if_rows(connection, write.table, "TRUE")
    if write.table.partition is not None:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_INCOMING} AS {source}", parameters)
        source, parameters = f"SELECT * FROM {_INCOMING}", None
        _clear_partition(connection, catalog, write, details, schema, exists=kind == "table")
    elif kind is None or write.if_exists == "replace":
        # The rows may come from the very table that they replace.
        connection.execute(
            f"CREATE OR REPLACE TABLE {sql_name(write.table)} AS {source}", parameters
        )
        catalog.complete_table(write.table, schema, details)
        return _count(connection, f"FROM {sql_name(write.table)}")
    return _insert(connection, catalog, write.table, schema, source, parameters)


def _merged(held: Details, asked: Details, schema: Sequence[Column], write: Write) -> Details:
    """A table keeps its partitioning, unless it is replaced whole by another one."""
    names = {column.name for column in schema}
    if write.if_exists == "replace" and write.table.partition is None:
        by = asked.partition_by or (held.partition_by if held.partition_by in names else None)
        cluster = asked.cluster_by or tuple(name for name in held.cluster_by if name in names)
        return replace(held, partition_by=by, cluster_by=cluster)
    for what in ("partition_by", "cluster_by"):
        if (wanted := getattr(asked, what)) and wanted != getattr(held, what):
            raise BadRequest(
                f"{write.table.whole} has {what}={getattr(held, what)!r} and not {wanted!r}; "
                'leave it out, or replace the whole table with if_exists="replace"'
            )
    return held


def _insert(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    table: TableName,
    schema: Sequence[Column],
    source: str,
    parameters: dict[str, Any] | None,
) -> int:
    held = {column.name.lower(): column for column in catalog.columns(table)}
    for column in schema:
        there = held.get(column.name.lower())
        if there is None:
            raise BadRequest(
                f"Provided schema does not match table {table.whole}: it has no column "
                f"{column.name!r}; it has {', '.join(c.name for c in held.values())}"
            )
        if duckdb_type(there) != duckdb_type(column):
            raise BadRequest(
                f"Provided schema does not match table {table.whole}: the column {column.name!r} "
                f"is {there.type} there and {column.type} here"
            )
    given = {column.name.lower() for column in schema}
    absent = [column for name, column in held.items() if name not in given]
    for column in absent:
        if column.mode == "REQUIRED":
            raise BadRequest(f"the column {column.name!r} of {table.whole} is REQUIRED and missing")
    # BigQuery has no NULL arrays: one that was not given is empty.
    empty = "".join(f", [] AS {quoted(c.name)}" for c in absent if c.mode == "REPEATED")
    connection.execute(
        f"INSERT INTO {sql_name(table)} BY NAME SELECT *{empty} FROM ({source})", parameters
    )
    return int(connection.fetchall()[0][0])


def partition_day(table: TableName) -> date:
    """The day that a name's $YYYYMMDD means."""
    try:
        return datetime.strptime(table.partition or "", "%Y%m%d").date()
    except ValueError:
        raise BadRequest(
            f"${table.partition} in {table} is not a day; expected $YYYYMMDD"
        ) from None


def in_partition(table: TableName, partition_by: str) -> str:
    """The condition, in DuckDB's SQL, that a row is of the day the table's name carries."""
    return f"CAST({quoted(partition_by)} AS DATE) = DATE '{partition_day(table).isoformat()}'"


def _clear_partition(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    write: Write,
    details: Details,
    schema: Sequence[Column],
    *,
    exists: bool,
) -> None:
    if details.partition_by is None:
        raise BadRequest(
            f"{write.table.whole} is not partitioned, so it has no partition "
            f"${write.table.partition}; create it with partition_by="
        )
    condition = in_partition(write.table, details.partition_by)
    if outside := _count(connection, f"FROM {_INCOMING} WHERE ({condition}) IS NOT TRUE"):
        raise BadRequest(
            f"Some rows belong to different partitions rather than destination partition "
            f"{write.table}: {outside} rows have another {details.partition_by}"
        )
    if not exists:
        catalog.create_table(write.table, schema, details)
    elif write.if_exists == "fail":
        _fail_if_rows(connection, write.table, condition)
    elif write.if_exists == "replace":
        connection.execute(f"DELETE FROM {sql_name(write.table)} WHERE {condition}")


def _fail_if_rows(connection: DuckDBPyConnection, table: TableName, condition: str) -> None:
    if connection.execute(f"SELECT 1 FROM {sql_name(table)} WHERE {condition} LIMIT 1").fetchall():
        error = Conflict(f"Already Exists: Table local:{table} has rows")
        error.add_note('Give if_exists="replace" or "append".')
        raise error


def _count(connection: DuckDBPyConnection, rows: str) -> int:
    return int(connection.execute(f"SELECT count(*) {rows}").fetchall()[0][0])
