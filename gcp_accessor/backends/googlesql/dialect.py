"""A GoogleSQL query as DuckDB's: the same rows and the same types, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.api_core.exceptions import BadRequest
from sqlglot import exp
from sqlglot.errors import SqlglotError

from gcp_accessor.backends.duckdb.sql import macro, raw, sql_of
from gcp_accessor.backends.duckdb.types import duckdb_type, quoted
from gcp_accessor.backends.googlesql import aggregates, functions
from gcp_accessor.backends.googlesql.casts import cast_call
from gcp_accessor.backends.googlesql.parser import GoogleSQL, refused
from gcp_accessor.backends.googlesql.stages import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gcp_accessor.backends import Parameter


def to_duckdb(tree: exp.Expr, parameters: Sequence[Parameter]) -> tuple[str, dict[str, object]]:
    """Return a resolved query in DuckDB's SQL, with the values to bind to it.

    Raises:
        BadRequest: it uses a parameter that was not given.
        UnsupportedLocally: it cannot be run faithfully; the message names the construct.
    """
    bound = _Parameters(parameters)
    copy = _name_columns(tree.copy())
    stage(copy)
    translated = _rewrite(copy, bound)
    try:
        sql = sql_of(translated)
    except SqlglotError as error:
        raise refused(f"this SQL ({error})") from error
    return sql, bound.values


class _Parameters:
    """The parameters that a statement uses, under names that DuckDB takes."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._given = {parameter.column.name.lower(): parameter for parameter in parameters}
        self.values: dict[str, object] = {}

    def expression(self, node: exp.Parameter) -> exp.Expr:
        name = node.name
        parameter = self._given.get(name.lower())
        if parameter is None:
            given = ", ".join(f"@{p.column.name}" for p in self._given.values()) or "none"
            error = BadRequest(f"Query parameter '{name}' not found; given: {given}")
            error.add_note(f"Give it: query(sql, {{{name!r}: ...}}).")
            raise error
        slot = f"p_{name.lower()}"
        self.values[slot] = parameter.value
        return raw(f"CAST(${slot} AS {duckdb_type(parameter.column)})")


# --- Names --------------------------------------------------------------------------------


def _name_columns(tree: exp.Expr) -> exp.Expr:
    """Name the result's anonymous columns as BigQuery does: f0_, f1_, ..."""
    select: exp.Expr = tree
    while isinstance(select, (exp.SetOperation, exp.Subquery)):
        select = select.this
    if not isinstance(select, exp.Select):
        return tree
    if select.args.get("kind"):
        raise refused(f"SELECT AS {select.args['kind']} at the top of a query")
    unnamed = 0
    named: list[exp.Expr] = []
    for projection in select.expressions:
        if not isinstance(projection, (exp.Alias, exp.Star)) and not projection.output_name:
            projection = exp.Alias(this=projection, alias=exp.to_identifier(f"f{unnamed}_"))
            unnamed += 1
        named.append(projection)
    select.set("expressions", named)
    return tree


# The macros, in DuckDB's SQL, whose values are numbers whatever they are given.
_NUMBERS = frozenset({"x_multiply", "x_divide"})


# --- Node by node -------------------------------------------------------------------------


def _rewrite(node: exp.Expr, bound: _Parameters) -> exp.Expr:
    """Rewrite a tree from its leaves; a node is looked at with its parts already done."""
    before = _BEFORE.get(type(node))
    if before is not None:
        before(node)
    for key, value in list(node.args.items()):
        if isinstance(value, exp.Expr):
            node.set(key, _rewrite(value, bound))
        elif isinstance(value, list):
            node.set(
                key,
                [_rewrite(v, bound) if isinstance(v, exp.Expr) else v for v in value],
            )
    if isinstance(node, exp.Parameter):
        return bound.expression(node)
    after = _AFTER.get(type(node))
    return node if after is None else after(node)


def _literal(node: exp.Expr) -> exp.Expr:
    if node.args.get("is_string"):
        return node
    text = node.name
    if not text.isdigit():
        # 1.5 is a FLOAT64 in BigQuery and a DECIMAL in DuckDB, unless it has an exponent.
        return exp.Literal.number(text if "e" in text.lower() else f"{text}e0")
    # A bare 1 would be an INT32.
    return exp.Cast(this=node.copy(), to=exp.DataType.build("BIGINT"))


def _negative(node: exp.Expr) -> exp.Expr:
    inner = node.this
    if isinstance(inner, exp.Cast) and isinstance(inner.this, exp.Literal):
        # -9223372036854775808 has no positive twin.
        return raw(f"CAST(-{inner.this.name} AS BIGINT)")
    return node


def _text(node: exp.Expr) -> exp.Expr:
    return exp.Literal.string(node.name)


def _bytes(node: exp.Expr) -> exp.Expr:
    if "\\" in node.name or not node.name.isascii():
        raise refused("a bytes literal with escapes", "Use FROM_HEX('...').")
    return macro("encode", exp.Literal.string(node.name))


def _hexadecimal(node: exp.Expr) -> exp.Expr:
    return raw(f"CAST({int(node.name, 16)} AS BIGINT)")


def _keep_integers(*keys: str) -> Callable[[exp.Expr], None]:
    """Leave a bare integer in these places: there it is a count or a column's position."""

    def mark(node: exp.Expr) -> None:
        for key in keys:
            value = node.args.get(key)
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, exp.Literal) and not item.is_string:
                    item.replace(raw(item.name))

    return mark


def _divide(node: exp.Expr) -> exp.Expr:
    return macro("x_divide", node.this, node.expression)


def _add(node: exp.Expr) -> exp.Expr:
    if _is_number(node.this) and _is_number(node.expression):
        return node
    return macro("x_add", node.this, node.expression)


def _is_number(node: exp.Expr) -> bool:
    """Whether it cannot be a date, so that the macro for those has nothing to decide.

    DuckDB binds a macro's arguments twice, and in a sum of many terms again at every level.
    """
    node = node.unnest()
    return isinstance(node, exp.Add) or (isinstance(node, exp.Anonymous) and node.name in _NUMBERS)


def _multiply(node: exp.Expr) -> exp.Expr:
    return macro("x_multiply", node.this, node.expression)


def _subtract(node: exp.Expr) -> exp.Expr:
    return macro("x_subtract", node.this, node.expression)


def _like(node: exp.Expr) -> exp.Expr:
    like = exp.Like(this=node.this, expression=node.expression)
    escaped = exp.Escape(this=like, expression=exp.Literal.string("\\"))
    return exp.Not(this=exp.Paren(this=escaped)) if node.args.get("negate") else escaped


def _in(node: exp.Expr) -> None:
    """IN UNNEST(array) is IN of a query, NULLs included."""
    unnest = node.args.get("unnest")
    if unnest is not None:
        values = exp.Select(expressions=[exp.Var(this="element")])
        node.set("unnest", None)
        node.set("query", exp.Subquery(this=values.from_(_elements(unnest.expressions[0]))))


def _elements(array: exp.Expr) -> exp.Unnest:
    alias = exp.TableAlias(columns=[exp.to_identifier("element")])
    return exp.Unnest(expressions=[array], alias=alias)


def _bracket(node: exp.Expr) -> exp.Expr:
    offset = node.args.get("offset")
    if offset is None or len(node.expressions) != 1:
        raise refused(f"the subscript {node.sql(GoogleSQL)[:60]}", "Write OFFSET or ORDINAL.")
    position = node.expressions[0]
    if offset == 0:
        position = exp.Add(this=exp.Paren(this=position), expression=raw("1"))
    return macro("x_safe_element" if node.args.get("safe") else "x_element", node.this, position)


def _struct(node: exp.Expr) -> exp.Expr:
    fields = []
    for index, field in enumerate(node.expressions):
        name, value = f"_field_{index + 1}", field
        if isinstance(field, (exp.PropertyEQ, exp.Alias)):
            name = field.name if isinstance(field, exp.PropertyEQ) else field.alias
            value = field.expression if isinstance(field, exp.PropertyEQ) else field.this
        elif isinstance(field, (exp.Column, exp.Dot)):
            name = field.output_name
        fields.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value))
    return exp.Struct(expressions=fields)


def _select(node: exp.Expr) -> None:
    """What must be seen before a SELECT's parts are rewritten."""
    if node.args.get("kind") == "STRUCT":
        if any(projection.is_star for projection in node.expressions):
            raise refused("SELECT AS STRUCT *", "List the columns.")
        node.set("kind", None)
        node.set("expressions", [exp.Struct(expressions=node.expressions)])
    elif node.args.get("kind"):
        raise refused(f"SELECT AS {node.args['kind']}")
    _group_by_aliases(node)
    if any(projection.is_star for projection in node.expressions):
        _check_star(node)


def _group_by_aliases(select: exp.Expr) -> None:
    """Group by what an alias means, where DuckDB would take a column of that name."""
    group = select.args.get("group")
    if group is None:
        return
    aliases = {
        projection.alias.lower(): position
        for position, projection in enumerate(select.expressions, start=1)
        if isinstance(projection, exp.Alias)
    }
    for item in group.expressions:
        if isinstance(item, exp.Column) and not item.table and item.name.lower() in aliases:
            item.replace(raw(str(aliases[item.name.lower()])))


def _check_star(select: exp.Expr) -> None:
    joins = select.args.get("joins") or []
    if any(join.args.get("using") for join in joins):
        raise refused("SELECT * over JOIN ... USING", "List the columns: their order differs.")
    sources = [select.args["from_"].this] if select.args.get("from_") else []
    for source in (*sources, *(join.this for join in joins)):
        if isinstance(source, exp.Unnest) and not _is_scalar_array(source.expressions[0]):
            raise refused("SELECT * over UNNEST", "Name the element: SELECT element.field, ...")


def _is_scalar_array(array: exp.Expr) -> bool:
    if isinstance(array, exp.Array):
        return all(isinstance(item, (exp.Literal, exp.Neg)) for item in array.expressions)
    return isinstance(array, exp.Anonymous) and array.name.upper().startswith("GENERATE_")


def _join(node: exp.Expr) -> None:
    """LEFT JOIN UNNEST needs no condition in BigQuery."""
    if isinstance(node.this, exp.Unnest) and node.args.get("side") and not node.args.get("on"):
        node.set("on", exp.true())


def _unnest(node: exp.Expr) -> exp.Expr:
    alias = node.args.get("alias")
    element = (alias.columns[0].name if alias and alias.columns else "") or (
        alias.name if alias else ""
    )
    element = element or "f0_"
    offset = node.args.get("offset")
    array = sql_of(node.expressions[0])
    rows, value = quoted(f"{element}_rows"), quoted(element)
    if not offset:
        return raw(f"UNNEST({array}) AS {rows}({value})")
    # DuckDB counts from one.
    name = quoted(offset.name if isinstance(offset, exp.Identifier) else "offset")
    return raw(
        f"LATERAL (SELECT {value}, gs_position - 1 AS {name} "  # noqa: S608 - names are quoted
        f"FROM UNNEST({array}) WITH ORDINALITY AS elements({value}, gs_position)) AS {rows}"
    )


_BEFORE: dict[type[exp.Expr], Callable[[exp.Expr], None]] = {
    exp.Select: _select,
    exp.In: _in,
    exp.Join: _join,
    exp.Limit: _keep_integers("expression"),
    exp.Offset: _keep_integers("expression"),
    exp.Ordered: _keep_integers("this"),
    exp.Group: _keep_integers("expressions"),
    exp.WindowSpec: _keep_integers("start", "end"),
    exp.Window: aggregates.check_window,
}
_AFTER: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Literal: _literal,
    exp.Neg: _negative,
    exp.RawString: _text,
    exp.ByteString: _bytes,
    exp.HexString: _hexadecimal,
    exp.Cast: cast_call,
    exp.TryCast: cast_call,
    exp.Div: _divide,
    exp.Add: _add,
    exp.Mul: _multiply,
    exp.Sub: _subtract,
    exp.Like: _like,
    exp.Bracket: _bracket,
    exp.Struct: _struct,
    exp.Unnest: _unnest,
    exp.Interval: functions.interval,
    exp.Extract: functions.extract,
    exp.CurrentDate: functions.current_date,
    exp.SafeFunc: functions.safe_call,
    exp.Anonymous: functions.call,
    exp.Window: aggregates.window,
}
