"""The bytes that BigQuery would say a query reads: logical sizes of the columns it refers to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from gcp_accessor.backends.duckdb.catalog import LocalCatalog, sql_name
from gcp_accessor.backends.duckdb.functions import add_functions
from gcp_accessor.backends.duckdb.types import quoted
from gcp_accessor.backends.googlesql.dialect import to_duckdb
from gcp_accessor.backends.googlesql.parser import GoogleSQL
from gcp_accessor.schema import TableName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import Parameter
    from gcp_accessor.schema import Column

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
_COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)


def bytes_of_table(connection: DuckDBPyConnection, catalog: LocalCatalog, name: TableName) -> int:
    """The logical bytes of a whole table."""
    return _bytes(connection, name, catalog.columns(name), "TRUE", {})


def bytes_read(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    tree: exp.Expr,
    tables: Sequence[TableName],
    parameters: Sequence[Parameter],
) -> int:
    """The logical bytes that a resolved query reads.

    Each table's referred columns count once, whole, or for the days only that a condition
    on the partition column leaves in every place where the table is read.
    """
    if not tables:
        return 0
    schemas = {name: catalog.columns(name) for name in tables}
    uses = _uses(tree, schemas)
    total = 0
    for name, schema in schemas.items():
        used = {column for use in uses if use.table == name for column in use.columns}
        columns = [column for column in schema if column.name.lower() in used]
        condition = "TRUE"
        values: dict[str, object] = {}
        partition_by = catalog.details(name).partition_by
        if partition_by is not None:
            pruned = [_days(use, partition_by, parameters) for use in uses if use.table == name]
            if pruned and all(sql for sql, _ in pruned):
                condition, values = _in_days(name, partition_by, pruned)
        total += _bytes(connection, name, columns, condition, values)
    return total


# --- Which columns ------------------------------------------------------------------------


class _Use:
    """One place where a table is read."""

    def __init__(self, table: TableName, alias: str, scope: Scope) -> None:
        self.table = table
        self.alias = alias
        self.scope = scope
        self.columns: set[str] = set()


def _uses(tree: exp.Expr, schemas: dict[TableName, tuple[Column, ...]]) -> list[_Use]:
    datasets: dict[str, dict[str, dict[str, str]]] = {}
    for name, columns in schemas.items():
        kinds = {column.name: column.type for column in columns}
        datasets.setdefault(name.dataset or "", {})[name.table] = kinds
    known: dict[str, object] = {**datasets}
    try:
        qualified = qualify(
            tree.copy(),
            dialect=GoogleSQL,
            schema=known,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
        # A column that a subquery gives and nobody takes is not read.
        qualified = pushdown_projections(qualified)
    except OptimizeError:
        # What cannot be told apart counts for every table that has a column of the name.
        qualified = tree
    uses: list[_Use] = []
    for scope in traverse_scope(qualified):
        here = [
            _Use(TableName(source.name, source.db), alias, scope)
            for alias, source in scope.sources.items()
            if isinstance(source, exp.Table) and source.db
        ]
        uses += here
        _collect(scope, here, schemas)
    return uses


def _collect(scope: Scope, here: list[_Use], schemas: dict[TableName, tuple[Column, ...]]) -> None:
    stars = any(projection.is_star for projection in getattr(scope.expression, "selects", ()))
    for use in here:
        names = {column.name.lower() for column in schemas[use.table]}
        if stars:
            use.columns |= names
        for column in scope.columns:
            # A name that could be this table's counts as this table's.
            if column.table in ("", use.alias) and column.name.lower() in names:
                use.columns.add(column.name.lower())
            # alias.struct.field, and struct.field without the table's alias.
            if column.table.lower() in names:
                use.columns.add(column.table.lower())


# --- Which days ---------------------------------------------------------------------------


def _days(
    use: _Use, partition_by: str, parameters: Sequence[Parameter]
) -> tuple[str, dict[str, object]]:
    """The conditions on the partition column alone, in DuckDB's SQL; "" if there are none."""
    select = use.scope.expression
    where = select.args.get("where") if isinstance(select, exp.Select) else None
    if where is None:
        return "", {}
    every = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    found = [condition for condition in every if _is_about(condition, use, partition_by)]
    if not found:
        return "", {}
    bare = [condition.copy() for condition in found]
    for condition in bare:
        for column in list(condition.find_all(exp.Column)):
            column.replace(exp.Column(this=exp.to_identifier(partition_by)))
    sql, values = to_duckdb(exp.and_(*bare), parameters)
    return sql, values


def _is_about(condition: exp.Expr, use: _Use, partition_by: str) -> bool:
    if not isinstance(condition, _COMPARISONS):
        return False
    if condition.find(exp.Query) is not None:
        return False
    columns = list(condition.find_all(exp.Column))
    return bool(columns) and all(
        column.name.lower() == partition_by.lower() and column.table in ("", use.alias)
        for column in columns
    )


def _in_days(
    name: TableName, partition_by: str, pruned: Iterable[tuple[str, dict[str, object]]]
) -> tuple[str, dict[str, object]]:
    """A partition is read whole: all rows of the days that any row of it passes."""
    day = f"CAST({quoted(partition_by)} AS DATE)"
    either = " OR ".join(f"({sql})" for sql, _ in pruned)
    values = {key: value for _, bound in pruned for key, value in bound.items()}
    return f"{day} IN (SELECT {day} FROM {sql_name(name)} WHERE {either})", values


# --- How large ----------------------------------------------------------------------------


def _bytes(
    connection: DuckDBPyConnection,
    name: TableName,
    columns: Sequence[Column],
    condition: str,
    values: dict[str, object],
) -> int:
    if not columns:
        return 0
    sizes = " + ".join(f"coalesce({_total(column)}, 0)" for column in columns)
    sql = f"SELECT {sizes} FROM {sql_name(name)} WHERE {condition}"
    add_functions(connection, sql)
    return int(connection.execute(sql, values or None).fetchall()[0][0])


def _total(column: Column) -> str:
    name = quoted(column.name)
    if column.mode != "REPEATED" and column.type in _FIXED:
        return f"count({name}) * {_FIXED[column.type]}"
    return f"sum({_size(column, name)})"


def _size(column: Column, value: str, depth: int = 0) -> str:
    if column.mode == "REPEATED":
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
