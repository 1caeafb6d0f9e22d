"""The bytes that BigQuery would say a query reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_accessor.backends.duckdb_catalog import LocalCatalog, sql_name
from gcp_accessor.backends.duckdb_types import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection
    from sqlglot import exp

    from gcp_accessor.backends import Parameter
    from gcp_accessor.schema import Column, TableName

_FIXED = {
    "INT64": 8,
    "FLOAT64": 8,
    "NUMERIC": 16,
    "BOOL": 1,
    "DATE": 8,
    "DATETIME": 8,
    "TIME": 8,
    "TIMESTAMP": 8,
}


def bytes_of_table(connection: DuckDBPyConnection, catalog: LocalCatalog, name: TableName) -> int:
    """The logical bytes of a whole table."""
    return _bytes(connection, name, catalog.columns(name), "TRUE")


def bytes_read(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    tree: exp.Expression,
    tables: Sequence[TableName],
    parameters: Sequence[Parameter],
) -> int:
    """The logical bytes of the columns that a resolved query refers to."""
    return sum(bytes_of_table(connection, catalog, name) for name in tables)


def _bytes(
    connection: DuckDBPyConnection, name: TableName, columns: Sequence[Column], condition: str
) -> int:
    if not columns:
        return 0
    sizes = " + ".join(f"coalesce({_total(column)}, 0)" for column in columns)
    rows = connection.execute(f"SELECT {sizes} FROM {sql_name(name)} WHERE {condition}").fetchall()
    return int(rows[0][0])


def _total(column: Column) -> str:
    name = quoted(column.name)
    if column.mode == "NULLABLE" and column.type in _FIXED:
        return f"count({name}) * {_FIXED[column.type]}"
    return f"sum({_size(column, name)})"


def _size(column: Column, value: str, depth: int = 0) -> str:
    if column.mode == "REPEATED":
        from dataclasses import replace

        element = f"e{depth}"
        inner = _size(replace(column, mode="NULLABLE"), element, depth + 1)
        return f"coalesce(list_sum(list_transform({value}, lambda {element}: {inner})), 0)"
    if column.type == "STRUCT":
        parts = (_size(part, f"{value}.{quoted(part.name)}", depth) for part in column.fields)
        return "(" + " + ".join(parts) + ")"
    if column.type in _FIXED:
        return f"CASE WHEN {value} IS NULL THEN 0 ELSE {_FIXED[column.type]} END"
    length = "octet_length" if column.type == "BYTES" else "strlen"
    return f"coalesce({length}({value}) + 2, 0)"
