"""The statements that are not queries: CREATE, DROP, INSERT, UPDATE, DELETE, MERGE, TRUNCATE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from gcp_accessor.backends.googlesql import refused

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import Statement
    from gcp_accessor.backends.duckdb_catalog import LocalCatalog


def run_command(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    tree: exp.Expression,
    statement: Statement,
) -> int:
    """Run a statement that is not a query; return the bytes that it read."""
    raise refused(f"{type(tree).__name__.upper()} statements")
