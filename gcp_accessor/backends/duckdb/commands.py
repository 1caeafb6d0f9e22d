"""The statements that are not queries: CREATE, DROP, TRUNCATE, INSERT, UPDATE, DELETE, MERGE."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from google.api_core.exceptions import BadRequest, Conflict, NotFound
from sqlglot import exp

from gcp_accessor.backends import Changes
from gcp_accessor.backends.duckdb.catalog import Details, sql_name
from gcp_accessor.backends.duckdb.functions import add_functions
from gcp_accessor.backends.duckdb.query import read_query
from gcp_accessor.backends.duckdb.views import make_view
from gcp_accessor.backends.duckdb.writes import Write, refuse_order, write_rows
from gcp_accessor.backends.googlesql.dialect import to_duckdb
from gcp_accessor.backends.googlesql.parser import GoogleSQL, refused, resolve, table_name
from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import Statement
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
    return run(_Command(connection, catalog, statement), tree)


def _spelled(tree: exp.Expr) -> str:
    if isinstance(tree, exp.Command):
        return tree.name.upper()
    kind = type(tree).__name__
    return {"Export": "EXPORT DATA"}.get(kind, kind.upper())


class _Command:
    def __init__(
        self, connection: DuckDBPyConnection, catalog: LocalCatalog, statement: Statement
    ) -> None:
        self.connection = connection
        self.catalog = catalog
        self.statement = statement

    def table(self, node: exp.Expr) -> TableName:
        table = node.find(exp.Table)
        if table is None:
            raise BadRequest(f"Syntax error: {node.sql(GoogleSQL)[:60]} names no table")
        return table_name(table, self.statement.default_dataset)


_CREATE_PARTS = {"this", "kind", "properties", "expression", "exists", "replace"}


# --- CREATE -------------------------------------------------------------------------------


def _create(command: _Command, tree: exp.Expr) -> None:
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


def _is_done(command: _Command, tree: exp.Expr, name: TableName) -> bool:
    """Whether a CREATE has nothing to do; Conflict when it may not do it."""
    command.catalog.require_dataset(name.dataset)
    if command.catalog.kind(name) is None or tree.args.get("replace"):
        return False
    if tree.args.get("exists"):
        return True
    raise Conflict(f"Already Exists: Table local:{name}")


def _create_table(command: _Command, tree: exp.Expr) -> None:
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


def _create_view(command: _Command, tree: exp.Expr) -> None:
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


def _drop(command: _Command, tree: exp.Expr) -> None:
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


def _drop_dataset(command: _Command, tree: exp.Expr, *, missing_is_fine: bool) -> None:
    named = tree.find(exp.Table)
    name = (named.db or named.name) if named is not None else ""
    if name not in command.catalog.datasets():
        if missing_is_fine:
            return
        raise NotFound(f"Not found: Dataset local:{name}")
    command.catalog.drop_dataset(name, contents=bool(tree.args.get("cascade")))


def _truncate(command: _Command, tree: exp.Expr) -> None:
    name = command.table(tree)
    command.catalog.require(name)
    command.connection.execute(f"DELETE FROM {sql_name(name)}")


# --- Rows ---------------------------------------------------------------------------------


def _insert(command: _Command, tree: exp.Expr) -> Changes:
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


def _change(command: _Command, tree: exp.Expr) -> Changes:
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


_COMMANDS: dict[type[exp.Expr], Callable[[_Command, Any], Changes | None]] = {
    exp.Create: _create,
    exp.Drop: _drop,
    exp.TruncateTable: _truncate,
    exp.Insert: _insert,
    exp.Update: _change,
    exp.Delete: _change,
    exp.Merge: _change,
}
