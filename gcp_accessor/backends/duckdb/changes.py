"""The statements that change a table's rows: INSERT, UPDATE, DELETE and MERGE."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from google.api_core.exceptions import BadRequest
from sqlglot import exp

from gcp_accessor.backends import Changes
from gcp_accessor.backends.duckdb.catalog import sql_name
from gcp_accessor.backends.duckdb.functions import add_functions
from gcp_accessor.backends.duckdb.query import read_query
from gcp_accessor.backends.googlesql.dialect import to_duckdb
from gcp_accessor.backends.googlesql.parser import GoogleSQL, refused, resolve

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends.duckdb.commands import Command


def insert(command: Command, tree: exp.Expr) -> Changes:
    """INSERT [(columns)] of VALUES or of a query."""
    name = command.table(tree.this)
    if command.catalog.require(name) == "view":
        raise BadRequest(f"{name} is a view; rows are written to tables")
    columns = command.catalog.columns(name)
    if isinstance(tree.this, exp.Schema):
        listed = [column.name.lower() for column in tree.this.expressions]
        by_name = {column.name.lower(): column for column in columns}
        if unknown := [column for column in listed if column not in by_name]:
            raise BadRequest(f"{name} has no column {', '.join(unknown)}")
        columns = tuple(by_name[column] for column in listed)
    query = _values(tree.expression) if isinstance(tree.expression, exp.Values) else tree.expression
    if not isinstance(query, exp.Query):
        raise refused(f"INSERT of {tree.expression.sql(GoogleSQL)[:40]}")
    read = read_query(command.connection, command.catalog, query, command.statement)
    if len(read.schema) != len(columns):
        raise BadRequest(
            f"Inserted row has {len(read.schema)} columns; {name} is given {len(columns)}"
        )
    for target, given in zip(columns, read.schema, strict=True):
        if not _assignable(given.type, target.type):
            raise BadRequest(
                f"the column {target.name!r} of {name} is {target.type}; the query gives "
                f"{given.type}"
            )
    targets = ", ".join(f'"{column.name}"' for column in columns)
    command.connection.execute(f"INSERT INTO {sql_name(name)} ({targets}) {read.sql}", read.values)
    return Changes(inserted=_count(command.connection))


def _assignable(given: str, target: str) -> bool:
    # A NULL, or a literal that BigQuery would coerce, comes as an INT64 or a STRING.
    numbers = {"INT64", "NUMERIC", "FLOAT64"}
    texts = {"DATE", "TIMESTAMP", "DATETIME", "TIME"}
    return (
        given == target
        or {given, target} <= numbers
        or (given == "STRING" and target in texts)
        or given == "INT64"
    )


def _values(values: exp.Values) -> exp.Query:
    """VALUES as a query: each row a SELECT, so that its literals are typed as ever."""
    rows: list[exp.Query] = []
    for row in values.expressions:
        items = row.expressions if isinstance(row, exp.Tuple) else [row]
        named = [
            exp.Alias(this=item.copy(), alias=exp.to_identifier(f"v{index}"))
            for index, item in enumerate(items)
        ]
        rows.append(exp.Select(expressions=named))
    query = rows[0]
    for other in rows[1:]:
        query = exp.Union(this=query, expression=other, distinct=False)
    return query


def change(command: Command, tree: exp.Expr) -> Changes:
    """UPDATE, DELETE and MERGE, which DuckDB spells as BigQuery does."""
    name = command.table(tree.this)
    if command.catalog.require(name) == "view":
        raise BadRequest(f"{name} is a view; rows are changed in tables")
    if isinstance(tree, (exp.Update, exp.Delete)) and tree.args.get("where") is None:
        raise BadRequest(f"{type(tree).__name__.upper()} must have a WHERE clause")
    resolve(tree, command.catalog, command.statement.default_dataset)
    sql, values = to_duckdb(tree, command.statement.parameters)
    add_functions(command.connection, sql)
    if isinstance(tree, exp.Merge):
        return _merged(command.connection, sql, values)
    command.connection.execute(sql, values)
    count = _count(command.connection)
    return Changes(updated=count) if isinstance(tree, exp.Update) else Changes(deleted=count)


def _merged(connection: DuckDBPyConnection, sql: str, values: dict[str, object]) -> Changes:
    """Run a MERGE and count what it did; DuckDB tells the action of each row."""
    done: Counter[str] = Counter()
    connection.execute(f"{sql} RETURNING merge_action", values)
    while rows := connection.fetchmany(65_536):
        done.update(action for (action,) in rows)
    return Changes(done["INSERT"], done["UPDATE"], done["DELETE"])


def _count(connection: DuckDBPyConnection) -> int:
    return int(connection.fetchall()[0][0])
