"""Pieces of DuckDB's SQL in sqlglot's trees."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import ErrorLevel


def raw(sql: str) -> exp.Var:
    """An expression that is already DuckDB's SQL, and stays as it is."""
    return exp.Var(this=sql)


def macro(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """A call of one of functions.sql's macros, or of a function of DuckDB's."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def sql_of(node: exp.Expr) -> str:
    """The node in DuckDB's SQL, every name quoted.

    Raises:
        sqlglot.errors.SqlglotError: DuckDB has no such SQL.
    """
    return node.sql("duckdb", identify=True, unsupported_level=ErrorLevel.RAISE, comments=False)
