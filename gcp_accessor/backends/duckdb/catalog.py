"""Datasets, tables and views as DuckDB's catalog holds them.

A dataset is a schema. What DuckDB has no place for (the partitioning, a view's GoogleSQL)
is JSON in the table's comment, so it is changed in the same transaction as the table.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import BadRequest, Conflict, NotFound

from gcp_accessor.backends import Table
from gcp_accessor.backends.duckdb.types import column_of, duckdb_type, quoted, text_literal
from gcp_accessor.backends.googlesql.parser import View
from gcp_accessor.schema import Column, TableName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

# DuckDB's own schemas. BigQuery allows such datasets; here they are taken.
_RESERVED = frozenset({"main", "temp", "system", "information_schema", "pg_catalog"})


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of a table beyond its columns."""

    partition_by: str | None = None
    cluster_by: tuple[str, ...] = ()
    description: str | None = None
    view_sql: str | None = None
    default_dataset: str | None = None
    expires: str | None = None


class LocalCatalog:
    """The catalog as one connection sees it."""

    def __init__(self, connection: DuckDBPyConnection, project: str | None) -> None:
        self._connection = connection
        self._project = project

    # --- Datasets ---------------------------------------------------------------------

    def datasets(self) -> list[str]:
        """The datasets' names, in order."""
        rows = self._rows(
            "SELECT schema_name FROM duckdb_schemas() "
            "WHERE database_name = current_database() AND NOT internal ORDER BY schema_name"
        )
        return [name for (name,) in rows if name not in _RESERVED]

    def dataset(self, name: str) -> str:
        """The dataset that `[project.]dataset` names; NotFound in a project that is not here."""
        project, _, dataset = name.rpartition(".")
        self.check_project(project or None)
        return dataset

    def drop_dataset(self, dataset: str, *, contents: bool) -> None:
        """Remove a dataset; BadRequest while it holds tables that are not to go as well."""
        self.require_dataset(dataset)
        if (tables := self.tables(dataset)) and not contents:
            raise BadRequest(
                f"Dataset local:{dataset} is still in use: it holds {', '.join(tables)}"
            )
        self._connection.execute(f"DROP SCHEMA {quoted(dataset)} CASCADE")

    def create_dataset(self, dataset: str) -> None:
        """Make a dataset; Conflict when it is there."""
        if not dataset.isascii() or not dataset.replace("_", "a").isalnum():
            raise BadRequest(f"Invalid dataset ID {dataset!r}; expected letters, digits and _")
        if dataset.lower() in _RESERVED:
            raise BadRequest(f"the dataset name {dataset!r} is reserved in the local warehouse")
        if dataset.lower() in (name.lower() for name in self.datasets()):
            raise Conflict(f"Already Exists: Dataset local:{dataset}")
        self._connection.execute(f"CREATE SCHEMA {quoted(dataset)}")

    def require_dataset(self, dataset: str | None) -> str:
        """The dataset's name, or NotFound with how to make it."""
        if dataset is not None and dataset in self.datasets():
            return dataset
        error = NotFound(f"Not found: Dataset local:{dataset}")
        error.add_note(f"Create it: BigQueryAccessor(local=...).create_dataset({dataset!r}).")
        raise error

    # --- Tables -----------------------------------------------------------------------

    def kind(self, name: TableName) -> str | None:
        """What the name stands for: "table", "view", or None for neither."""
        self.check_project(name.project)
        rows = self._rows(
            "SELECT 'table' FROM duckdb_tables() WHERE database_name = current_database() "
            "AND schema_name = $dataset AND table_name = $table "
            "UNION ALL SELECT 'view' FROM duckdb_views() WHERE database_name = current_database() "
            "AND schema_name = $dataset AND view_name = $table",
            {"dataset": name.dataset, "table": name.table},
        )
        return str(rows[0][0]) if rows else None

    def require(self, name: TableName) -> str:
        """What the name stands for, or NotFound with what is there instead."""
        kind = self.kind(name)
        if kind is not None:
            return kind
        dataset = self.require_dataset(name.dataset)
        error = NotFound(f"Not found: Table local:{name.dataset}.{name.table}")
        there = ", ".join(self.tables(dataset)) or "nothing"
        error.add_note(f"The dataset {dataset} holds {there}.")
        raise error

    def find(self, name: TableName) -> View | None:
        """The view of that name, None for a table; NotFound when there is neither."""
        if self.require(name) == "table":
            return None
        details = self.details(name)
        if details.view_sql is None:
            raise BadRequest(f"{name} is a view that was not made here; its SQL is not known")
        return View(details.view_sql, details.default_dataset)

    def tables(self, dataset: str) -> list[str]:
        """The names of a dataset's tables and views, in order."""
        self.require_dataset(dataset)
        rows = self._rows(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
            "AND schema_name = $dataset "
            "UNION ALL SELECT view_name FROM duckdb_views() "
            "WHERE database_name = current_database() AND schema_name = $dataset ORDER BY 1",
            {"dataset": dataset},
        )
        return [name for (name,) in rows]

    def columns(self, name: TableName) -> tuple[Column, ...]:
        """The columns of a table or view."""
        rows = self._rows(
            "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name = $dataset "
            "AND table_name = $table ORDER BY column_index",
            {"dataset": name.dataset, "table": name.table},
        )
        return tuple(
            replace(
                column_of(column, self._connection.sqltype(kind), required=not nullable),
                description=description,
            )
            for column, kind, nullable, description in rows
        )

    def details(self, name: TableName) -> Details:
        """What the table's comment holds."""
        rows = self._rows(
            "SELECT comment FROM duckdb_tables() WHERE database_name = current_database() "
            "AND schema_name = $dataset AND table_name = $table "
            "UNION ALL SELECT comment FROM duckdb_views() "
            "WHERE database_name = current_database() "
            "AND schema_name = $dataset AND view_name = $table",
            {"dataset": name.dataset, "table": name.table},
        )
        held = json.loads(rows[0][0]) if rows and rows[0][0] else {}
        return Details(**{**held, "cluster_by": tuple(held.get("cluster_by", ()))})

    def set_details(self, name: TableName, details: Details) -> None:
        """Write the table's comment."""
        held = {key: value for key, value in asdict(details).items() if value}
        kind = "TABLE" if self.kind(name) == "table" else "VIEW"
        self._connection.execute(
            f"COMMENT ON {kind} {sql_name(name)} IS {text_literal(json.dumps(held))}"
        )

    def create_table(self, name: TableName, schema: Sequence[Column], details: Details) -> None:
        """Make an empty table."""
        check_partitioning(schema, details)
        if not schema:
            raise BadRequest(f"the table {name} has no columns; expected at least one")
        columns = ", ".join(
            f"{quoted(column.name)} {duckdb_type(column)}"
            + (" NOT NULL" if column.mode == "REQUIRED" else "")
            for column in schema
        )
        self._connection.execute(f"CREATE TABLE {sql_name(name)} ({columns})")
        self._describe_columns(name, schema)
        self.set_details(name, details)

    def complete_table(self, name: TableName, schema: Sequence[Column], details: Details) -> None:
        """Give a table that a query has made what its rows do not tell."""
        for column in schema:
            if column.mode == "REQUIRED":
                self._connection.execute(
                    f"ALTER TABLE {sql_name(name)} ALTER {quoted(column.name)} SET NOT NULL"
                )
        self._describe_columns(name, schema)
        self.set_details(name, details)

    def _describe_columns(self, name: TableName, schema: Sequence[Column]) -> None:
        for column in schema:
            if column.description:
                self._connection.execute(
                    f"COMMENT ON COLUMN {sql_name(name)}.{quoted(column.name)} "
                    f"IS {text_literal(column.description)}"
                )

    def create_view(self, name: TableName, schema: Sequence[Column], details: Details) -> None:
        """Make a view. Its columns are DuckDB's; its query stays GoogleSQL, in the comment."""
        columns = ", ".join(
            f"CAST(NULL AS {duckdb_type(column)}) AS {quoted(column.name)}" for column in schema
        )
        self._connection.execute(
            f"CREATE OR REPLACE VIEW {sql_name(name)} AS "
            f"SELECT {columns} WHERE error('read this view through gcp_accessor')"
        )
        self.set_details(name, details)

    def drop(self, name: TableName) -> None:
        """Remove a table or view; NotFound when there is neither."""
        self._connection.execute(f"DROP {self.require(name).upper()} {sql_name(name)}")

    def drop_expired(self) -> None:
        """Remove the tables whose time is over, as a process that was killed left them."""
        rows = self._rows(
            "SELECT schema_name, table_name, json_extract_string(comment, '$.expires') "
            "FROM duckdb_tables() WHERE database_name = current_database() "
            "AND json_extract_string(comment, '$.expires') IS NOT NULL"
        )
        for dataset, table, expires in rows:
            if datetime.fromisoformat(expires) < datetime.now(UTC):
                self.drop(TableName(table, dataset))

    def describe(self, name: TableName, *, size: int | None) -> Table:
        """A table as it stands. `size` is its bytes, which the caller has counted."""
        kind = self.require(name)
        details, schema = self.details(name), self.columns(name)
        rows = version = None
        if kind == "table":
            # Sums and not sequences: the same rows give the same figures in any order.
            hashed = f"hash({', '.join(quoted(column.name) for column in schema)})"
            counted = self._rows(
                f"SELECT count(*), sum({hashed}), bit_xor({hashed}) FROM {sql_name(name)}"
            )
            rows, total, mixed = counted[0]
            types = "|".join(f"{column.name} {duckdb_type(column)}" for column in schema)
            (shape,) = self._rows("SELECT hash($types)", {"types": types})[0]
            version = f"{rows:x}-{total or 0:x}-{mixed or 0:x}-{shape:x}"
        return Table(
            name=TableName(name.table, name.dataset, "local"),
            schema=schema,
            rows=rows,
            bytes=size,
            kind="table" if kind == "table" else "view",
            version=version,
            partition_by=details.partition_by,
            cluster_by=details.cluster_by,
            description=details.description,
            view_sql=details.view_sql,
        )

    def check_project(self, project: str | None) -> None:
        """Raise NotFound for a project other than this one."""
        if project not in (None, "local", self._project):
            error = NotFound(f"Not found: Project {project}")
            error.add_note('The local warehouse is the project "local"; leave the project out.')
            raise error

    def _rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()


def sql_name(name: TableName) -> str:
    """A table's name in DuckDB's SQL."""
    return f"{quoted(name.dataset or '')}.{quoted(name.table)}"


def check_partitioning(schema: Sequence[Column], details: Details) -> None:
    """Raise BadRequest unless the table can be split by the column that is to split it."""
    by = details.partition_by
    kinds = {column.name: column.type for column in schema if column.mode != "REPEATED"}
    if by is not None and kinds.get(by) not in ("DATE", "TIMESTAMP", "DATETIME"):
        found = kinds.get(by, "not a column")
        raise BadRequest(
            f"partition_by names {by!r}, which is {found}; expected a DATE, TIMESTAMP or "
            f"DATETIME column of {', '.join(kinds)}"
        )
    for column in details.cluster_by:
        if column not in kinds:
            raise BadRequest(
                f"cluster_by names {column!r}; expected a column of {', '.join(kinds)}"
            )
