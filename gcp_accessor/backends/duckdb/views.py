"""Views: GoogleSQL that is kept beside the columns it gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from google.api_core.exceptions import BadRequest, Conflict
from sqlglot import exp

from gcp_accessor.backends import Statement
from gcp_accessor.backends.duckdb.catalog import Details
from gcp_accessor.backends.duckdb.query import read_query
from gcp_accessor.backends.googlesql.parser import parse, table_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends.duckdb.catalog import LocalCatalog
    from gcp_accessor.schema import TableName


def create_view(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    name: TableName,
    sql: str,
    *,
    replace: bool,
    description: str | None,
) -> None:
    """Make a view of the query `sql`, whose tables are named with their datasets.

    Raises:
        BadRequest: it is not a query, or there is a table of that name.
        Conflict: there is such a view, and it is not to be replaced.
    """
    query = parse(sql)
    if not isinstance(query, exp.Query):
        raise BadRequest("a view is one query; this is another statement")
    catalog.require_dataset(name.dataset)
    there = catalog.kind(name)
    if there is not None and not replace:
        raise Conflict(f"Already Exists: Table local:{name}")
    if there == "table":
        raise BadRequest(f"{name} is a table, not a view")
    details = Details(description=description, view_sql=sql)
    make_view(connection, catalog, name, query, details, Statement(sql))


def make_view(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    name: TableName,
    query: exp.Query,
    details: Details,
    statement: Statement,
) -> None:
    """Put a view into the catalog, once its query is known to be good."""
    if any(True for _ in query.find_all(exp.Parameter)):
        raise BadRequest("a view cannot use query parameters")
    tables = query.find_all(exp.Table)
    if any(table_name(table, statement.default_dataset) == name for table in tables):
        raise BadRequest(f"the view {name} would read itself")
    read = read_query(connection, catalog, query, statement)
    catalog.create_view(
        name, read.schema, replace(details, default_dataset=statement.default_dataset)
    )
