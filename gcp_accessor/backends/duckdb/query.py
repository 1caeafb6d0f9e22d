"""A query made ready to run: resolved, translated, its columns typed as BigQuery types them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.api_core.exceptions import BadRequest

from gcp_accessor.backends.duckdb.functions import add_functions
from gcp_accessor.backends.duckdb.types import column_of, conformed, described
from gcp_accessor.backends.googlesql.dialect import to_duckdb
from gcp_accessor.backends.googlesql.parser import resolve

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from sqlglot import exp

    from gcp_accessor.backends import Statement
    from gcp_accessor.backends.duckdb.catalog import LocalCatalog
    from gcp_accessor.schema import Column, TableName


@dataclass(frozen=True, slots=True)
class Query:
    """A query of DuckDB's, and the GoogleSQL tree that it came from."""

    sql: str
    values: dict[str, object]
    schema: tuple[Column, ...]
    tables: tuple[TableName, ...]
    tree: exp.Expr


def read_query(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    tree: exp.Expr,
    statement: Statement,
) -> Query:
    """Make a query ready on a connection, which is given the functions that it calls."""
    tables = resolve(tree, catalog, statement.default_dataset)
    sql, values = to_duckdb(tree, statement.parameters)
    add_functions(connection, sql)
    types = described(connection, sql, values)
    repeated = [name for name, n in Counter(name.lower() for name, _ in types).items() if n > 1]
    if repeated:
        raise BadRequest(
            "Duplicate column names in the result are not supported. "
            f"Found duplicate(s): {', '.join(repeated)}"
        )
    schema = tuple(column_of(name, kind) for name, kind in types)
    exact = ", ".join(
        conformed(column, kind) for column, (_, kind) in zip(schema, types, strict=True)
    )
    return Query(f"SELECT {exact} FROM ({sql}) AS rows", values, schema, tables, tree)
