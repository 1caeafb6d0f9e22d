"""Aggregates and window functions in DuckDB's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from gcp_accessor.backends.duckdb.sql import macro, sql_of
from gcp_accessor.backends.googlesql.parser import GoogleSQL, refused

if TYPE_CHECKING:
    from collections.abc import Callable

# BigQuery's aggregates and DuckDB's of the same meaning.
AGGREGATES = {
    "ANY_VALUE": "any_value",
    "ARRAY_AGG": "array_agg",
    "AVG": "avg",
    "CORR": "corr",
    "COUNT": "count",
    "COUNTIF": "count",
    "COVAR_POP": "covar_pop",
    "COVAR_SAMP": "covar_samp",
    "LOGICAL_AND": "bool_and",
    "LOGICAL_OR": "bool_or",
    "MAX": "max",
    "MIN": "min",
    "STDDEV": "stddev_samp",
    "STDDEV_POP": "stddev_pop",
    "STDDEV_SAMP": "stddev_samp",
    "STRING_AGG": "string_agg",
    "SUM": "sum",
    "VARIANCE": "var_samp",
    "VAR_POP": "var_pop",
    "VAR_SAMP": "var_samp",
}
_FLOAT_INPUT = frozenset(
    (
        "AVG",
        "CORR",
        "COVAR_POP",
        "COVAR_SAMP",
        "STDDEV",
        "STDDEV_POP",
        "STDDEV_SAMP",
        "VARIANCE",
        "VAR_POP",
        "VAR_SAMP",
    )
)
WINDOW_FUNCTIONS = frozenset(
    (
        "CUME_DIST",
        "DENSE_RANK",
        "FIRST_VALUE",
        "LAG",
        "LAST_VALUE",
        "LEAD",
        "NTH_VALUE",
        "NTILE",
        "PERCENT_RANK",
        "RANK",
        "ROW_NUMBER",
    )
)


def check_window(node: exp.Expr) -> None:
    """Refuse OVER after anything but an aggregate or a window function."""
    if node.arg_key == "windows":
        return
    function = node.this
    if isinstance(function, (exp.IgnoreNulls, exp.RespectNulls)):
        function = function.this
    name = function.name.upper() if isinstance(function, exp.Anonymous) else ""
    if name not in AGGREGATES and name not in WINDOW_FUNCTIONS:
        raise refused(f"{name or function.sql(GoogleSQL)[:40]} with OVER")


def window(node: exp.Expr) -> exp.Expr:
    """A window over what is still one call."""
    if isinstance(node.this, exp.Var):
        raise refused("ARRAY_AGG and STRING_AGG with DISTINCT or LIMIT and OVER")
    return node


def aggregate(name: str, node: exp.Anonymous) -> exp.Expr:
    """The call of an aggregate."""
    arguments = list(node.expressions)
    if name == "COUNTIF":
        if isinstance(arguments[0], exp.Distinct):
            raise refused("COUNTIF(DISTINCT ...)")
        when = exp.If(this=arguments[0], true=exp.Literal.number(1))
        return exp.Anonymous(this="count", expressions=[exp.Case(ifs=[when])])
    if name in _FLOAT_INPUT:
        arguments = [_inner(argument, _float_input) for argument in arguments]
    if name == "ARRAY_AGG":
        return _array_agg(_Ordered.read(arguments[0]))
    if name == "STRING_AGG":
        return _string_agg(node, arguments)
    if any(list(argument.find_all(exp.IgnoreNulls)) for argument in arguments):
        raise refused(f"{name} with IGNORE NULLS")
    if any(isinstance(argument, (exp.Limit, exp.Order)) for argument in arguments):
        raise refused(f"{name} with ORDER BY or LIMIT")
    return exp.Anonymous(this=AGGREGATES[name], expressions=arguments)


def _inner(argument: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    if isinstance(argument, exp.Distinct):
        return exp.Distinct(expressions=[change(item) for item in argument.expressions])
    return change(argument)


def _float_input(value: exp.Expr) -> exp.Expr:
    return macro("x_float_input", value)


@dataclass(frozen=True, slots=True)
class _Ordered:
    """The last argument of an aggregate, apart from what was said about its order."""

    value: exp.Expr
    order: exp.Order | None
    limit: exp.Expr | None
    skip_nulls: bool

    @classmethod
    def read(cls, node: exp.Expr) -> _Ordered:
        limit = order = None
        if isinstance(node, exp.Limit):
            limit, node = node.expression, node.this
        if isinstance(node, exp.Order):
            order, node = node, node.this
        skip_nulls = isinstance(node, exp.IgnoreNulls)
        if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)):
            node = node.this
        return cls(node, order, limit, skip_nulls)


def _array_agg(given: _Ordered) -> exp.Expr:
    """array_agg(x ORDER BY y) FILTER (WHERE x IS NOT NULL), cut to its first n elements."""
    value = given.value
    bare = value.expressions[0] if isinstance(value, exp.Distinct) else value
    if given.order is not None:
        value = exp.Order(this=value, expressions=given.order.expressions)
    result: exp.Expr = exp.Anonymous(this="array_agg", expressions=[value])
    if given.skip_nulls:
        present = exp.Not(this=exp.Is(this=bare.copy(), expression=exp.Null()))
        result = exp.Filter(this=result, expression=exp.Where(this=present))
    if given.limit is not None:
        result = exp.Var(this=f"({sql_of(result)})[1:{sql_of(given.limit)}]")
    return result


def _string_agg(node: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    given = _Ordered.read(arguments[-1])
    if isinstance(given.value, exp.Distinct):
        values = given.value.expressions
    else:
        values = [*arguments[:-1], given.value]
    separator = values[1] if len(values) > 1 else exp.Literal.string(",")
    if given.limit is None and not isinstance(given.value, exp.Distinct):
        last: exp.Expr = separator
        if given.order is not None:
            last = exp.Order(this=separator, expressions=given.order.expressions)
        return exp.Anonymous(this="string_agg", expressions=[values[0], last])
    if isinstance(node.parent, exp.Window):
        raise refused("STRING_AGG with DISTINCT or LIMIT and OVER")
    value = values[0]
    if isinstance(given.value, exp.Distinct):
        value = exp.Distinct(expressions=[value])
    texts = _array_agg(_Ordered(value, given.order, given.limit, skip_nulls=True))
    return exp.Anonymous(this="array_to_string", expressions=[texts, separator])


def with_nulls_said(arguments: list[exp.Expr]) -> list[exp.Expr]:
    """IGNORE NULLS as plain text: sqlglot admits it only after functions that it knows."""
    return [
        exp.Var(this=f"{sql_of(argument.this)} IGNORE NULLS")
        if isinstance(argument, exp.IgnoreNulls)
        else argument
        for argument in arguments
    ]
