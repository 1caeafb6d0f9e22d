"""The statements that are not queries: definitions here, changes of rows beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from google.api_core.exceptions import BadRequest, Conflict, NotFound
from sqlglot import exp

from gcp_accessor.backends.duckdb.catalog import Details, sql_name
from gcp_accessor.backends.duckdb.changes import change, insert
from gcp_accessor.backends.duckdb.query import read_query
from gcp_accessor.backends.duckdb.views import make_view
from gcp_accessor.backends.duckdb.writes import Write, refuse_order, write_rows
from gcp_accessor.backends.googlesql.parser import GoogleSQL, refused, table_name
from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import Changes, Statement
    from gcp_accessor.backends.duckdb.catalog import LocalCatalog
    from gcp_accessor.schema import TableName


def run_command(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    tree: exp.Expr,
    statement: Statement,
) -> Changes | None:
    """Run a statement that is not a query, as a part of the caller's transaction.

    Returns:
        What an INSERT, UPDATE, DELETE or MERGE did to its table; None for other statements.

    Raises:
        UnsupportedLocally: it is none of those that are understood.
    """
    run = _COMMANDS.get(type(tree))
    if run is None:
        raise refused(f"{_spelled(tree)} statements")
    return run(Command(connection, catalog, statement), tree)


def _spelled(tree: exp.Expr) -> str:
    if isinstance(tree, exp.Command):
        return tree.name.upper()
    kind = type(tree).__name__
    return {"Export": "EXPORT DATA"}.get(kind, kind.upper())


class Command:
    """A statement, with the catalog and the connection that it runs on."""

    def __init__(
        self, connection: DuckDBPyConnection, catalog: LocalCatalog, statement: Statement
    ) -> None:
        self.connection = connection
        self.catalog = catalog
        self.statement = statement

    def table(self, node: exp.Expr) -> TableName:
        """The table that a part of the statement names."""
        table = node.find(exp.Table)
        if table is None:
            raise BadRequest(f"Syntax error: {node.sql(GoogleSQL)[:60]} names no table")
        return table_name(table, self.statement.default_dataset)


_CREATE_PARTS = {"this", "kind", "properties", "expression", "exists", "replace"}


# --- CREATE -------------------------------------------------------------------------------


def _create(command: Command, tree: exp.Expr) -> None:
    kind = str(tree.args.get("kind")).upper()
    for part, value in tree.args.items():
        if value and part not in _CREATE_PARTS:
            raise refused(f"CREATE {kind} with {part.strip('_').upper()}")
    if kind == "SCHEMA":
        name = tree.this.db or tree.this.name
        if not (tree.args.get("exists") and name in command.catalog.datasets()):
            command.catalog.create_dataset(name)
    elif kind == "TABLE":
        _create_table(command, tree)
    elif kind == "VIEW":
        _create_view(command, tree)
    else:
        raise refused(f"CREATE {kind}")


def _is_done(command: Command, tree: exp.Expr, name: TableName) -> bool:
    """Whether a CREATE has nothing to do; Conflict when it may not do it."""
    command.catalog.require_dataset(name.dataset)
    if command.catalog.kind(name) is None or tree.args.get("replace"):
        return False
    if tree.args.get("exists"):
        return True
    raise Conflict(f"Already Exists: Table local:{name}")


def _create_table(command: Command, tree: exp.Expr) -> None:
    name = command.table(tree.this)
    details = _properties(tree)
    if _is_done(command, tree, name):
        return
    query, listed = tree.expression, tree.this
    columns = _columns(listed) if isinstance(listed, exp.Schema) else ()
    if isinstance(query, exp.Query):
        if columns:
            raise refused("CREATE TABLE with both columns and a query")
        read = read_query(command.connection, command.catalog, query, command.statement)
        where = Write(name, "replace", details.partition_by, details.cluster_by)
        refuse_order(query, where)
        write_rows(command.connection, command.catalog, where, read.sql, read.schema, read.values)
    elif query is not None:
        raise refused(f"CREATE TABLE with {query.sql(GoogleSQL)[:40]}")
    else:
        if tree.args.get("replace") and command.catalog.kind(name) is not None:
            command.catalog.drop(name)
        command.catalog.create_table(name, columns, details)
    if details.description:
        held = command.catalog.details(name)
        command.catalog.set_details(name, replace(held, description=details.description))


def _create_view(command: Command, tree: exp.Expr) -> None:
    name = command.table(tree.this)
    if isinstance(tree.this, exp.Schema):
        raise refused("CREATE VIEW with a list of columns")
    if _is_done(command, tree, name):
        return
    query = cast("exp.Query", tree.expression)
    details = replace(_properties(tree), view_sql=query.sql(GoogleSQL))
    make_view(command.connection, command.catalog, name, query, details, command.statement)


def _columns(schema: exp.Schema) -> tuple[Column, ...]:
    found = []
    for definition in schema.expressions:
        if not isinstance(definition, exp.ColumnDef):
            raise refused(f"{definition.sql(GoogleSQL)[:40]} in CREATE TABLE")
        column = _column(definition.name, cast("exp.DataType", definition.args.get("kind")))
        for constraint in definition.args.get("constraints") or ():
            column = _constrained(column, constraint.args.get("kind"))
        found.append(column)
    return tuple(found)


def _constrained(column: Column, kind: exp.Expr) -> Column:
    if isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null"):
        return replace(column, mode="REQUIRED")
    if isinstance(kind, exp.Properties):
        options = {option.name.lower(): option for option in kind.expressions}
        if options.keys() == {"description"}:
            return replace(column, description=options["description"].args["value"].name)
    raise refused(f"the option {kind.sql(GoogleSQL)[:40]} of a column")


def _column(name: str, kind: exp.DataType) -> Column:
    if kind.this == exp.DType.ARRAY:
        return replace(_column(name, cast("exp.DataType", kind.expressions[0])), mode="REPEATED")
    if kind.this == exp.DType.STRUCT:
        fields = tuple(_column(field.name, field.args["kind"]) for field in kind.expressions)
        return Column(name, "STRUCT", fields=fields)
    try:
        return Column(name, kind.sql(GoogleSQL))
    except ValueError:
        raise refused(f"the type {kind.sql(GoogleSQL)}") from None


def _properties(tree: exp.Expr) -> Details:
    details = Details()
    properties = tree.args.get("properties")
    for item in properties.expressions if properties else ():
        if isinstance(item, exp.PartitionedByProperty):
            details = replace(details, partition_by=_partition_column(item.this))
        elif isinstance(item, exp.ClusterProperty):
            names = tuple(part.name for part in item.expressions)
            details = replace(details, cluster_by=names)
        elif isinstance(item, exp.Property) and item.name.lower() == "description":
            details = replace(details, description=item.args["value"].name)
        else:
            raise refused(f"the option {item.sql(GoogleSQL)[:40]} of CREATE")
    return details


def _partition_column(node: exp.Expr) -> str:
    """The column of PARTITION BY day, DATE(at) or TIMESTAMP_TRUNC(at, DAY)."""
    if isinstance(node, (exp.Column, exp.Identifier)):
        return node.name
    if isinstance(node, exp.Anonymous) and isinstance(node.expressions[0], exp.Column):
        name, units = node.name.upper(), [unit.name.upper() for unit in node.expressions[1:]]
        by_day = name == "DATE" and not units
        if by_day or (name in ("TIMESTAMP_TRUNC", "DATETIME_TRUNC") and units == ["DAY"]):
            return node.expressions[0].name
    raise refused(f"PARTITION BY {node.sql(GoogleSQL)[:60]}", "Partition by a column, by day.")


# --- DROP and TRUNCATE --------------------------------------------------------------------


def _drop(command: Command, tree: exp.Expr) -> None:
    kind = str(tree.args.get("kind")).upper()
    missing_is_fine = bool(tree.args.get("exists"))
    if kind == "SCHEMA":
        _drop_dataset(command, tree, missing_is_fine=missing_is_fine)
        return
    if kind not in ("TABLE", "VIEW"):
        raise refused(f"DROP {kind}")
    name = command.table(tree)
    there = command.catalog.kind(name)
    if there is None and missing_is_fine:
        return
    if there is not None and there != kind.lower():
        raise BadRequest(f"{name} is a {there}, not a {kind.lower()}")
    command.catalog.drop(name)


def _drop_dataset(command: Command, tree: exp.Expr, *, missing_is_fine: bool) -> None:
    named = tree.find(exp.Table)
    name = (named.db or named.name) if named is not None else ""
    if name not in command.catalog.datasets():
        if missing_is_fine:
            return
        raise NotFound(f"Not found: Dataset local:{name}")
    command.catalog.drop_dataset(name, contents=bool(tree.args.get("cascade")))


def _truncate(command: Command, tree: exp.Expr) -> None:
    name = command.table(tree)
    command.catalog.require(name)
    command.connection.execute(f"DELETE FROM {sql_name(name)}")


_COMMANDS: dict[type[exp.Expr], Callable[[Command, Any], Changes | None]] = {
    exp.Create: _create,
    exp.Drop: _drop,
    exp.TruncateTable: _truncate,
    exp.Insert: insert,
    exp.Update: change,
    exp.Delete: change,
    exp.Merge: change,
}
