"""BigQuery's functions in DuckDB's terms: which are admitted, and how each is called.

Most are macros of googlesql.sql, found by name. Here are those whose arguments are more
than values (units, formats, orders) and the aggregates, which a macro cannot wrap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from google.api_core.exceptions import BadRequest
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from gcp_accessor.backends.duckdb_functions import macro_names
from gcp_accessor.backends.googlesql import GoogleSQL, refused

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
    "AVG CORR COVAR_POP COVAR_SAMP STDDEV STDDEV_POP STDDEV_SAMP VARIANCE VAR_POP VAR_SAMP".split()
)
_WINDOW_ONLY = frozenset(
    "CUME_DIST DENSE_RANK FIRST_VALUE LAG LAST_VALUE LEAD NTH_VALUE NTILE PERCENT_RANK RANK "
    "ROW_NUMBER".split()
)
_WEEKDAYS = "SUNDAY MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY".split()
_MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}
_CALENDAR = {
    "DAY": "days",
    "WEEK": "weeks",
    "MONTH": "months",
    "QUARTER": "quarters",
    "YEAR": "years",
}
# The format elements that DuckDB writes and reads as BigQuery does.
_FORMAT_ELEMENTS = frozenset("YmdHMSjyaAbB%")


def admitted() -> frozenset[str]:
    """The functions that the local warehouse runs."""
    macros = {name.removeprefix("gs_").upper() for name in macro_names()}
    return frozenset(macros | AGGREGATES.keys() | _WINDOW_ONLY | _SPECIAL.keys())


# --- Aggregates and windows ---------------------------------------------------------------


def check_window(node: exp.Expression) -> None:
    """Refuse OVER after anything but an aggregate or a window function."""
    if node.arg_key == "windows":
        return
    function = node.this
    if isinstance(function, (exp.IgnoreNulls, exp.RespectNulls)):
        function = function.this
    name = function.name.upper() if isinstance(function, exp.Anonymous) else ""
    if name not in AGGREGATES and name not in _WINDOW_ONLY:
        raise refused(f"{name or function.sql(GoogleSQL)[:40]} with OVER")


def window(node: exp.Expression) -> exp.Expression:
    """A window over what is still one call."""
    if isinstance(node.this, exp.Var):
        raise refused("ARRAY_AGG and STRING_AGG with DISTINCT or LIMIT and OVER")
    return node


def _aggregate(name: str, node: exp.Anonymous) -> exp.Expression:
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


def _inner(
    argument: exp.Expression, change: Callable[[exp.Expression], exp.Expression]
) -> exp.Expression:
    if isinstance(argument, exp.Distinct):
        return exp.Distinct(expressions=[change(item) for item in argument.expressions])
    return change(argument)


def _float_input(value: exp.Expression) -> exp.Expression:
    return _macro("gs_float_input", value)


@dataclass(frozen=True, slots=True)
class _Ordered:
    """The last argument of an aggregate, apart from what was said about its order."""

    value: exp.Expression
    order: exp.Order | None
    limit: exp.Expression | None
    skip_nulls: bool

    @classmethod
    def read(cls, node: exp.Expression) -> _Ordered:
        limit = order = None
        if isinstance(node, exp.Limit):
            limit, node = node.expression, node.this
        if isinstance(node, exp.Order):
            order, node = node, node.this
        skip_nulls = isinstance(node, exp.IgnoreNulls)
        if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)):
            node = node.this
        return cls(node, order, limit, skip_nulls)


def _array_agg(given: _Ordered) -> exp.Expression:
    """array_agg(x ORDER BY y) FILTER (WHERE x IS NOT NULL), cut to its first n elements."""
    value = given.value
    bare = value.expressions[0] if isinstance(value, exp.Distinct) else value
    if given.order is not None:
        value = exp.Order(this=value, expressions=given.order.expressions)
    result: exp.Expression = exp.Anonymous(this="array_agg", expressions=[value])
    if given.skip_nulls:
        present = exp.Not(this=exp.Is(this=bare.copy(), expression=exp.Null()))
        result = exp.Filter(this=result, expression=exp.Where(this=present))
    if given.limit is not None:
        result = exp.Var(this=f"({_sql(result)})[1:{_sql(given.limit)}]")
    return result


def _string_agg(node: exp.Anonymous, arguments: list[exp.Expression]) -> exp.Expression:
    given = _Ordered.read(arguments[-1])
    if isinstance(given.value, exp.Distinct):
        values = given.value.expressions
    else:
        values = [*arguments[:-1], given.value]
    separator = values[1] if len(values) > 1 else exp.Literal.string(",")
    if given.limit is None and not isinstance(given.value, exp.Distinct):
        last: exp.Expression = separator
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


def _with_nulls_said(arguments: list[exp.Expression]) -> list[exp.Expression]:
    """IGNORE NULLS as plain text: sqlglot admits it only after functions that it knows."""
    return [
        exp.Var(this=f"{_sql(argument.this)} IGNORE NULLS")
        if isinstance(argument, exp.IgnoreNulls)
        else argument
        for argument in arguments
    ]


# --- Calls --------------------------------------------------------------------------------


def call(node: exp.Expression) -> exp.Expression:
    """The call of one function, its arguments already DuckDB's."""
    node = cast("exp.Anonymous", node)
    name = node.name.upper()
    if isinstance(node.parent, exp.Dot):
        raise refused(f"the function {node.parent.sql(GoogleSQL).split('(')[0]}")
    if name == "WEEK" and isinstance(node.parent, exp.Anonymous):
        return node
    safe = isinstance(node.parent, exp.SafeFunc)
    if name in AGGREGATES and not safe:
        return _aggregate(name, node)
    if name in _WINDOW_ONLY and not safe:
        return exp.Anonymous(this=name.lower(), expressions=_with_nulls_said(node.expressions))
    if name in _SPECIAL:
        return _SPECIAL[name](node, "safe_" if safe else "")
    macro = f"gs_safe_{name.lower()}" if safe else f"gs_{name.lower()}"
    if macro not in macro_names() or name.startswith("SAFE_") is not ("safe" in macro and not safe):
        raise refused(f"the function {'SAFE.' if safe else ''}{name}")
    return _macro(macro, *node.expressions)


def safe_call(node: exp.Expression) -> exp.Expression:
    """SAFE.f(x): the call within has already become the one that gives NULL."""
    return cast("exp.Expression", node.this)


def current_date(_: exp.Expression) -> exp.Expression:
    """CURRENT_DATE without its parentheses."""
    return _macro("gs_current_date")


def interval(node: exp.Expression) -> exp.Expression:
    """INTERVAL n UNIT, for any n."""
    unit = node.args["unit"].name.upper() if isinstance(node.args.get("unit"), exp.Var) else ""
    amount = node.this
    if isinstance(amount, exp.Literal):
        if not amount.name.lstrip("-").isdigit():
            raise refused(f"the interval {node.sql(GoogleSQL)}")
        amount = exp.Var(this=f"CAST({amount.name} AS BIGINT)")
    if unit in _CALENDAR:
        whole = exp.Var(this=f"CAST({_sql(amount)} AS INTEGER)")
        return exp.Anonymous(this=f"to_{_CALENDAR[unit]}", expressions=[whole])
    if unit in _MICROSECONDS:
        total = exp.Var(this=f"CAST({_sql(amount)} AS BIGINT) * {_MICROSECONDS[unit]}")
        return exp.Anonymous(this="to_microseconds", expressions=[total])
    raise refused(f"the interval {node.sql(GoogleSQL)}")


def extract(node: exp.Expression) -> exp.Expression:
    """EXTRACT(PART FROM x)."""
    part = node.this.name.lower()
    if f"gs_extract_{part}" not in macro_names() or not isinstance(node.this, exp.Var):
        raise refused(f"EXTRACT({node.this.sql(GoogleSQL)} FROM ...)")
    return _macro(f"gs_extract_{part}", node.expression)


def _difference(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """DATE_DIFF, DATETIME_DIFF and TIMESTAMP_DIFF."""
    name = node.name.upper()
    first, second, unit = _arguments(node, prefix, 3)
    part, weekday = _unit(unit)
    if name == "TIMESTAMP_DIFF":
        if part not in _MICROSECONDS:
            raise BadRequest(f"TIMESTAMP_DIFF does not support the {part} date part")
        return _macro("gs_timestamp_diff", first, second, _number(_MICROSECONDS[part]))
    if name == "DATETIME_DIFF":
        if part not in _MICROSECONDS | {"MONTH": 0, "QUARTER": 0, "YEAR": 0}:
            raise refused(f"DATETIME_DIFF by {part}")
        return _macro("gs_datetime_diff", first, second, exp.Literal.string(part.lower()))
    if weekday is not None:
        return _macro("gs_date_diff_week", first, second, _number(weekday))
    if f"gs_date_diff_{part.lower()}" not in macro_names():
        raise refused(f"DATE_DIFF by {part}")
    return _macro(f"gs_date_diff_{part.lower()}", first, second)


def _truncation(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """DATE_TRUNC, DATETIME_TRUNC and TIMESTAMP_TRUNC."""
    value, unit = _arguments(node, prefix, 2)
    part, weekday = _unit(unit)
    if weekday is not None:
        return _macro("gs_date_trunc_week", value, _number(weekday))
    if part not in _MICROSECONDS | {"MONTH": 0, "QUARTER": 0, "YEAR": 0}:
        raise refused(f"{node.name.upper()} to {part}")
    return _macro("gs_date_trunc", value, exp.Literal.string(part.lower()))


def _unit(node: exp.Expression) -> tuple[str, int | None]:
    """A date part; for a week also the day that it begins on."""
    part, day = node.name.upper(), "SUNDAY"
    if isinstance(node, exp.Anonymous) and len(node.expressions) == 1:
        day = node.expressions[0].name.upper()
    if part == "ISOWEEK":
        return "WEEK", 1
    if part == "WEEK" and day in _WEEKDAYS:
        return "WEEK", _WEEKDAYS.index(day)
    return part, None


def _format(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """FORMAT_DATE and its like, in those format elements that agree."""
    name = node.name.upper()
    if prefix or len(node.expressions) not in (2, 3):
        raise refused(f"the function {'SAFE.' if prefix else ''}{name}")
    macro = f"gs_formatted_{name.removeprefix('FORMAT_').lower()}"
    pattern = _pattern(name, node.expressions[0])
    return exp.Anonymous(
        this="strftime", expressions=[_macro(macro, *node.expressions[1:]), pattern]
    )


def _parse(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """PARSE_DATE and its like, in those format elements that agree."""
    name = node.name.upper()
    pattern, value = _arguments(node, "", 2)
    function = "try_strptime" if prefix else "strptime"
    parsed = exp.Anonymous(this=function, expressions=[value, _pattern(name, pattern)])
    return _macro(f"gs_{name.removeprefix('PARSE_').lower()}", parsed)


def _pattern(name: str, node: exp.Expression) -> exp.Expression:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise refused(f"{name} with a format that is not a literal")
    text = node.name.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
    for element in text.split("%")[1:]:
        if element[:1] not in _FORMAT_ELEMENTS and element:
            raise refused(f"{name} with the format element %{element[:1]}")
    return exp.Literal.string(text)


def _regexp_extract(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """REGEXP_EXTRACT and REGEXP_EXTRACT_ALL of the one group, or of the whole match."""
    name = node.name.upper()
    value, pattern = _arguments(node, prefix, 2)
    if not isinstance(pattern, exp.Literal):
        raise refused(f"{name} with a pattern that is not a literal")
    groups = _count_groups(pattern.name)
    if groups > 1:
        raise BadRequest(f"{name}: the pattern {pattern.name!r} has more than 1 capturing group")
    found = exp.Anonymous(
        this=name.lower(), expressions=[value, pattern, exp.Var(this=str(groups))]
    )
    if name == "REGEXP_EXTRACT_ALL":
        return found
    # DuckDB gives an empty string where nothing matches.
    matches = exp.Anonymous(this="regexp_matches", expressions=[value.copy(), pattern.copy()])
    return exp.Case(ifs=[exp.If(this=matches, true=found)])


def _count_groups(pattern: str) -> int:
    groups, in_class, index = 0, False, 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\":
            index += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character == "(":
            plain = pattern[index + 1 : index + 2] != "?"
            groups += plain or pattern[index + 1 : index + 4] in ("?P<",)
        index += 1
    return groups


def _normalize(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """NORMALIZE and NORMALIZE_AND_CASEFOLD, whose mode is a bare word."""
    if prefix or not 1 <= len(node.expressions) <= 2:
        raise refused(f"the function {'SAFE.' if prefix else ''}{node.name.upper()}")
    mode = node.expressions[1].name.upper() if len(node.expressions) == 2 else "NFC"
    if mode not in ("NFC", "NFKC", "NFD", "NFKD"):
        raise BadRequest(f"{node.name.upper()}: {mode!r} is not NFC, NFKC, NFD or NFKD")
    return exp.Anonymous(
        this=f"py_{node.name.lower()}_{mode.lower()}", expressions=[node.expressions[0]]
    )


def _greatest(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """GREATEST and LEAST: NULL as soon as one value is."""
    if prefix:
        raise refused(f"the function SAFE.{node.name.upper()}")
    missing: exp.Expression = exp.Is(this=node.expressions[0].copy(), expression=exp.Null())
    for value in node.expressions[1:]:
        missing = exp.Or(this=missing, expression=exp.Is(this=value.copy(), expression=exp.Null()))
    plain = exp.Anonymous(this=node.name.lower(), expressions=node.expressions)
    return exp.Case(ifs=[exp.If(this=exp.Not(this=exp.Paren(this=missing)), true=plain)])


def _concat(node: exp.Anonymous, prefix: str) -> exp.Expression:
    """CONCAT: NULL as soon as one value is."""
    if prefix or not node.expressions:
        raise refused(f"the function {'SAFE.' if prefix else ''}CONCAT")
    joined, *others = node.expressions
    for value in others:
        joined = exp.DPipe(this=joined, expression=value)
    return exp.Paren(this=joined)


def _arguments(node: exp.Anonymous, prefix: str, count: int) -> list[exp.Expression]:
    name = node.name.upper()
    if prefix:
        raise refused(f"the function SAFE.{name}")
    if len(node.expressions) != count:
        raise refused(f"{name} with {len(node.expressions)} arguments")
    return list(node.expressions)


def _number(value: int) -> exp.Expression:
    return exp.Var(this=f"CAST({value} AS BIGINT)")


def _macro(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _sql(node: exp.Expression) -> str:
    return node.sql("duckdb", identify=True, unsupported_level=ErrorLevel.RAISE, comments=False)


_SPECIAL: dict[str, Callable[[exp.Anonymous, str], exp.Expression]] = {
    "CONCAT": _concat,
    "DATETIME_DIFF": _difference,
    "DATETIME_TRUNC": _truncation,
    "DATE_DIFF": _difference,
    "DATE_TRUNC": _truncation,
    "FORMAT_DATE": _format,
    "FORMAT_DATETIME": _format,
    "FORMAT_TIMESTAMP": _format,
    "GREATEST": _greatest,
    "LEAST": _greatest,
    "NORMALIZE": _normalize,
    "NORMALIZE_AND_CASEFOLD": _normalize,
    "PARSE_DATE": _parse,
    "PARSE_DATETIME": _parse,
    "PARSE_TIMESTAMP": _parse,
    "REGEXP_EXTRACT": _regexp_extract,
    "REGEXP_EXTRACT_ALL": _regexp_extract,
    "TIMESTAMP_DIFF": _difference,
    "TIMESTAMP_TRUNC": _truncation,
}
