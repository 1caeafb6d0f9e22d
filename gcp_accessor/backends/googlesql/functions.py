"""BigQuery's functions in DuckDB's terms: which are admitted, and how each is called.

Most are macros of functions.sql, found by name. Here are those whose arguments are more
than values: units, formats, patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from google.api_core.exceptions import BadRequest
from sqlglot import exp

from gcp_accessor.backends.duckdb.functions import macro_names
from gcp_accessor.backends.duckdb.sql import macro, sql_of
from gcp_accessor.backends.googlesql.aggregates import (
    AGGREGATES,
    WINDOW_FUNCTIONS,
    aggregate,
    with_nulls_said,
)
from gcp_accessor.backends.googlesql.parser import GoogleSQL, refused

if TYPE_CHECKING:
    from collections.abc import Callable

_WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
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
    macros = {name.removeprefix("gs_").upper() for name in macro_names() if name.startswith("gs_")}
    return frozenset(macros | AGGREGATES.keys() | WINDOW_FUNCTIONS | _SPECIAL.keys())


# --- Calls --------------------------------------------------------------------------------


def call(node: exp.Expr) -> exp.Expr:
    """The call of one function, its arguments already DuckDB's."""
    node = cast("exp.Anonymous", node)
    name = node.name.upper()
    if isinstance(node.parent, exp.Dot):
        raise refused(f"the function {node.parent.sql(GoogleSQL).split('(')[0]}")
    if name == "WEEK" and isinstance(node.parent, exp.Anonymous):
        return node
    safe = isinstance(node.parent, exp.SafeFunc)
    if name in AGGREGATES and not safe:
        return aggregate(name, node)
    if name in WINDOW_FUNCTIONS and not safe:
        return exp.Anonymous(this=name.lower(), expressions=with_nulls_said(node.expressions))
    if name in _SPECIAL:
        return _SPECIAL[name](node, "safe_" if safe else "")
    wanted = f"x_safe_{name.lower()}" if safe else f"gs_{name.lower()}"
    if wanted not in macro_names():
        raise refused(f"the function {'SAFE.' if safe else ''}{name}")
    return macro(wanted, *node.expressions)


def safe_call(node: exp.Expr) -> exp.Expr:
    """SAFE.f(x): the call within has already become the one that gives NULL."""
    return cast("exp.Expr", node.this)


def current_date(_: exp.Expr) -> exp.Expr:
    """CURRENT_DATE without its parentheses."""
    return macro("gs_current_date")


def interval(node: exp.Expr) -> exp.Expr:
    """INTERVAL n UNIT, for any n."""
    unit = node.args["unit"].name.upper() if isinstance(node.args.get("unit"), exp.Var) else ""
    amount = node.this
    if isinstance(amount, exp.Literal):
        if not amount.name.lstrip("-").isdigit():
            raise refused(f"the interval {node.sql(GoogleSQL)}")
        amount = exp.Var(this=f"CAST({amount.name} AS BIGINT)")
    if unit in _CALENDAR:
        whole = exp.Var(this=f"CAST({sql_of(amount)} AS INTEGER)")
        return exp.Anonymous(this=f"to_{_CALENDAR[unit]}", expressions=[whole])
    if unit in _MICROSECONDS:
        total = exp.Var(this=f"CAST({sql_of(amount)} AS BIGINT) * {_MICROSECONDS[unit]}")
        return exp.Anonymous(this="to_microseconds", expressions=[total])
    raise refused(f"the interval {node.sql(GoogleSQL)}")


def extract(node: exp.Expr) -> exp.Expr:
    """EXTRACT(PART FROM x)."""
    part = node.this.name.lower()
    if f"x_extract_{part}" not in macro_names() or not isinstance(node.this, exp.Var):
        raise refused(f"EXTRACT({node.this.sql(GoogleSQL)} FROM ...)")
    return macro(f"x_extract_{part}", node.expression)


def _difference(node: exp.Anonymous, prefix: str) -> exp.Expr:
    """DATE_DIFF, DATETIME_DIFF and TIMESTAMP_DIFF."""
    name = node.name.upper()
    first, second, unit = _arguments(node, prefix, 3)
    part, weekday = _unit(unit)
    if name == "TIMESTAMP_DIFF":
        if part not in _MICROSECONDS:
            raise BadRequest(f"TIMESTAMP_DIFF does not support the {part} date part")
        return macro("x_timestamp_diff", first, second, _number(_MICROSECONDS[part]))
    if name == "DATETIME_DIFF":
        if part not in _MICROSECONDS | {"MONTH": 0, "QUARTER": 0, "YEAR": 0}:
            raise refused(f"DATETIME_DIFF by {part}")
        return macro("x_datetime_diff", first, second, exp.Literal.string(part.lower()))
    if weekday is not None:
        return macro("x_date_diff_week", first, second, _number(weekday))
    if f"x_date_diff_{part.lower()}" not in macro_names():
        raise refused(f"DATE_DIFF by {part}")
    return macro(f"x_date_diff_{part.lower()}", first, second)


def _truncation(node: exp.Anonymous, prefix: str) -> exp.Expr:
    """DATE_TRUNC, DATETIME_TRUNC and TIMESTAMP_TRUNC."""
    value, unit = _arguments(node, prefix, 2)
    part, weekday = _unit(unit)
    if weekday is not None:
        return macro("x_date_trunc_week", value, _number(weekday))
    if part not in _MICROSECONDS | {"MONTH": 0, "QUARTER": 0, "YEAR": 0}:
        raise refused(f"{node.name.upper()} to {part}")
    return macro("x_date_trunc", value, exp.Literal.string(part.lower()))


def _unit(node: exp.Expr) -> tuple[str, int | None]:
    """A date part; for a week also the day that it begins on."""
    part, day = node.name.upper(), "SUNDAY"
    if isinstance(node, exp.Anonymous) and len(node.expressions) == 1:
        day = node.expressions[0].name.upper()
    if part == "ISOWEEK":
        return "WEEK", 1
    if part == "WEEK" and day in _WEEKDAYS:
        return "WEEK", _WEEKDAYS.index(day)
    return part, None


def _format(node: exp.Anonymous, prefix: str) -> exp.Expr:
    """FORMAT_DATE and its like, in those format elements that agree."""
    name = node.name.upper()
    if prefix or len(node.expressions) not in (2, 3):
        raise refused(f"the function {'SAFE.' if prefix else ''}{name}")
    value = macro(f"x_formatted_{name.removeprefix('FORMAT_').lower()}", *node.expressions[1:])
    pattern = _pattern(name, node.expressions[0])
    return macro("strftime", value, pattern)


def _parse(node: exp.Anonymous, prefix: str) -> exp.Expr:
    """PARSE_DATE and its like, in those format elements that agree."""
    name = node.name.upper()
    pattern, value = _arguments(node, "", 2)
    function = "try_strptime" if prefix else "strptime"
    parsed = exp.Anonymous(this=function, expressions=[value, _pattern(name, pattern)])
    return macro(f"x_cast_{name.removeprefix('PARSE_').lower()}", parsed)


def _pattern(name: str, node: exp.Expr) -> exp.Expr:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise refused(f"{name} with a format that is not a literal")
    text = node.name.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
    for element in text.split("%")[1:]:
        if element[:1] not in _FORMAT_ELEMENTS and element:
            raise refused(f"{name} with the format element %{element[:1]}")
    return exp.Literal.string(text)


def _regexp_extract(node: exp.Anonymous, prefix: str) -> exp.Expr:
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
            groups += plain or pattern[index + 1 : index + 4] == "?P<"
        index += 1
    return groups


def _normalize(node: exp.Anonymous, prefix: str) -> exp.Expr:
    """NORMALIZE and NORMALIZE_AND_CASEFOLD, whose mode is a bare word."""
    if prefix or not 1 <= len(node.expressions) <= 2:
        raise refused(f"the function {'SAFE.' if prefix else ''}{node.name.upper()}")
    mode = node.expressions[1].name.upper() if len(node.expressions) == 2 else "NFC"
    if mode not in ("NFC", "NFKC", "NFD", "NFKD"):
        raise BadRequest(f"{node.name.upper()}: {mode!r} is not NFC, NFKC, NFD or NFKD")
    return exp.Anonymous(
        this=f"py_{node.name.lower()}_{mode.lower()}", expressions=[node.expressions[0]]
    )


def _greatest(node: exp.Anonymous, prefix: str) -> exp.Expr:
    """GREATEST and LEAST: NULL as soon as one value is."""
    if prefix:
        raise refused(f"the function SAFE.{node.name.upper()}")
    missing: exp.Expr = exp.Is(this=node.expressions[0].copy(), expression=exp.Null())
    for value in node.expressions[1:]:
        missing = exp.Or(this=missing, expression=exp.Is(this=value.copy(), expression=exp.Null()))
    plain = exp.Anonymous(this=node.name.lower(), expressions=node.expressions)
    return exp.Case(ifs=[exp.If(this=exp.Not(this=exp.Paren(this=missing)), true=plain)])


def _concat(node: exp.Anonymous, prefix: str) -> exp.Expr:
    """CONCAT: NULL as soon as one value is."""
    if prefix or not node.expressions:
        raise refused(f"the function {'SAFE.' if prefix else ''}CONCAT")
    joined, *others = node.expressions
    for value in others:
        joined = exp.DPipe(this=joined, expression=value)
    return exp.Paren(this=joined)


def _arguments(node: exp.Anonymous, prefix: str, count: int) -> list[exp.Expr]:
    name = node.name.upper()
    if prefix:
        raise refused(f"the function SAFE.{name}")
    if len(node.expressions) != count:
        raise refused(f"{name} with {len(node.expressions)} arguments")
    return list(node.expressions)


def _number(value: int) -> exp.Expr:
    return exp.Var(this=f"CAST({value} AS BIGINT)")


_SPECIAL: dict[str, Callable[[exp.Anonymous, str], exp.Expr]] = {
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
