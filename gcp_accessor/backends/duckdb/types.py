"""Columns and rows in DuckDB's terms: which of its types stands for which of BigQuery's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gcp_accessor.errors import UnsupportedLocally
from gcp_accessor.schema import Column, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection
    from duckdb.sqltypes import DuckDBPyType

_DUCKDB = {
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "JSON": "JSON",
}
_BIGQUERY = {duckdb: bigquery for bigquery, duckdb in _DUCKDB.items()} | {
    # What DuckDB's own functions may still give; the result is cast to BigQuery's one type.
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "HUGEINT"), "INT64"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"), "INT64"),
    "FLOAT": "FLOAT64",
    # A bare NULL is an INT64 in BigQuery.
    '"NULL"': "INT64",
    "NULL": "INT64",
    "TIMESTAMP_S": "DATETIME",
    "TIMESTAMP_MS": "DATETIME",
    "TIMESTAMP_NS": "DATETIME",
}

_NESTED = ("list", "array", "struct")


def quoted(name: str) -> str:
    """An identifier, safe to place in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A string literal of DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def duckdb_type(column: Column) -> str:
    """The type of a column that holds `column`, as DuckDB spells it.

    Raises:
        UnsupportedLocally: DuckDB has no such type (GEOGRAPHY, BIGNUMERIC, INTERVAL).
    """
    if column.type == "STRUCT":
        fields = ", ".join(f"{quoted(field.name)} {duckdb_type(field)}" for field in column.fields)
        spelled = f"STRUCT({fields})"
    elif column.type in _DUCKDB:
        spelled = _DUCKDB[column.type]
    else:
        raise UnsupportedLocally(
            f"the column {column.name!r} is {column.type}, which the local warehouse does not have"
        )
    return f"{spelled}[]" if column.mode == "REPEATED" else spelled


def column_of(name: str, type_: DuckDBPyType, *, required: bool = False) -> Column:
    """The BigQuery column that a column of DuckDB stands for."""
    children = cast("list[tuple[str, DuckDBPyType]]", type_.children) if type_.id in _NESTED else []
    if type_.id in ("list", "array"):
        element = column_of(name, children[0][1])
        if element.mode == "REPEATED":
            raise UnsupportedLocally(
                f"the column {name!r} is an array of arrays, which BigQuery does not have"
            )
        return Column(name, element.type, "REPEATED", fields=element.fields)
    mode: Mode = "REQUIRED" if required else "NULLABLE"
    if type_.id == "struct":
        fields = tuple(column_of(field, inner) for field, inner in children)
        return Column(name, "STRUCT", mode, fields=fields)
    if type_.id == "decimal":
        return Column(name, "NUMERIC", mode)
    standard = _BIGQUERY.get(str(type_))
    if type_.id == "interval":
        raise UnsupportedLocally(
            f"the column {name!r} is an INTERVAL, which the local warehouse does not give; "
            "use DATE_DIFF or TIMESTAMP_DIFF"
        )
    if standard is None:
        raise UnsupportedLocally(
            f"the column {name!r} has DuckDB's type {type_}, not one of BigQuery's"
        )
    return Column(name, standard, mode)


def described(
    connection: DuckDBPyConnection, sql: str, parameters: object = None
) -> list[tuple[str, DuckDBPyType]]:
    """The names and types of the columns that a query gives, without running it."""
    rows = connection.execute(f"DESCRIBE {sql}", parameters).fetchall()
    # The module's own `sqltype` would open a second, default database, with threads for ever.
    return [(row[0], connection.sqltype(row[1])) for row in rows]


def conformed(column: Column, actual: DuckDBPyType) -> str:
    """An expression that reads `column` with exactly BigQuery's type, arrays never NULL."""
    name = quoted(column.name)
    wanted = duckdb_type(column)
    value = name if str(actual) == wanted else f"CAST({name} AS {wanted})"
    if column.mode == "REPEATED":
        value = f"coalesce({value}, [])"
    return f"{value} AS {name}"


def same_types(left: Sequence[Column], right: Sequence[Column]) -> bool:
    """Whether the columns agree in name, type and nesting; NULLABLE and REQUIRED are one."""
    return len(left) == len(right) and all(
        a.name.lower() == b.name.lower()
        and a.type == b.type
        and (a.mode == "REPEATED") == (b.mode == "REPEATED")
        and same_types(a.fields, b.fields)
        for a, b in zip(left, right, strict=True)
    )
