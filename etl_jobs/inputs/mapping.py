"""A mapping file: which columns of a log, and which of its values, mean what.

`docs/inputs.md` explains the file by example.
"""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

from etl_jobs.errors import InputError, nearest
from etl_jobs.plain_yaml import read_plain_yaml
from etl_jobs.sources import Source, load_sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gcp_accessor.schema import Column

DEFAULT_TABLE = "raw.answers"
# Stands for a column wherever one is named: the row's number in the file, from 1.
ROW = "$row"

Unit = Literal["seconds", "milliseconds", "microseconds"]


@dataclass(frozen=True, slots=True)
class Copied:
    """The log's column under our name."""

    column: str


@dataclass(frozen=True, slots=True)
class Constant:
    """One value in every row; None is NULL."""

    value: str | None


@dataclass(frozen=True, slots=True)
class Joined:
    """Several columns as one text. NULL where one of them is NULL."""

    columns: tuple[str, ...]
    separator: str = "-"


@dataclass(frozen=True, slots=True)
class Scored:
    """1 for the values that mean right, 0 for those that mean wrong, in lower case."""

    column: str
    right: frozenset[str]
    wrong: frozenset[str]


@dataclass(frozen=True, slots=True)
class Written:
    """A time as text. Without a format it is ISO 8601; the zone is for texts without one."""

    column: str
    format: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Counted:
    """A time as a number of units after a start."""

    column: str
    unit: Unit = "seconds"
    start: datetime = datetime(1970, 1, 1, tzinfo=UTC)


Rule = Copied | Constant | Joined | Scored | Written | Counted


def columns_read(rule: Rule) -> tuple[str, ...]:
    """Return the columns of the log that a rule reads."""
    match rule:
        case Constant():
            return ()
        case Joined(columns):
            return columns
        case _:
            return (rule.column,)


@dataclass(frozen=True, slots=True)
class LogMapping:
    """How a log becomes rows of a table.

    Attributes:
        rules: By our column's name. A column without a rule is taken as it is named.
        missing: The texts that mean NULL in every column, such as "NA".
    """

    table: str = DEFAULT_TABLE
    rules: Mapping[str, Rule] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def rule(self, column: str) -> Rule:
        """Return the rule for one of our columns."""
        return self.rules.get(column, Copied(column))


def read_mapping(path: Path, sources: Mapping[str, Source] | None = None) -> LogMapping:
    """Return the mapping in a YAML file.

    Args:
        path: A file as `docs/inputs.md` describes it.
        sources: The tables that can be filled; by default those of `sql/sources.yaml`.

    Raises:
        InputError: the file cannot be read, or says something that has no meaning here.
    """
    try:
        return _mapping(read_plain_yaml(path), sources or load_sources())
    except ValueError as error:
        raise InputError(f"{path.name}: {error}") from error


def _mapping(content: object, sources: Mapping[str, Source]) -> LogMapping:
    keys = ("table", "columns", "missing")
    if not isinstance(content, dict) or "columns" not in content:
        raise ValueError("expected a mapping with 'columns:', and perhaps 'table:' and 'missing:'")
    _refuse_unknown(content, keys, "the mapping")
    table = content.get("table", DEFAULT_TABLE)
    if not isinstance(table, str) or table not in sources:
        raise ValueError(
            f"the table is {table!r}; expected {' or '.join(sources)}{nearest(str(table), sources)}"
        )
    columns = {column.name: column for column in sources[table].columns}
    rules = content["columns"]
    if not isinstance(rules, dict):
        raise ValueError("columns is not a mapping of our columns to the log's")
    _refuse_unknown(rules, tuple(columns), table)
    mapping = LogMapping(
        table=table,
        rules={name: _rule(columns[name], rule) for name, rule in rules.items()},
        missing=frozenset(_texts("missing", content["missing"]) if "missing" in content else ()),
    )
    for name in sources[table].required:
        if mapping.rule(name) == Constant(None):
            raise ValueError(f"{name} is NULL in every row; {table} needs a value")
    return mapping


# --- One rule ------------------------------------------------------------------------------

_KEYS = (
    *("constant", "join", "with", "from", "right", "wrong"),
    *("unit", "format", "timezone", "seconds_after"),
)


def _rule(column: Column, spec: object) -> Rule:
    if isinstance(spec, str):
        return Copied(spec)
    if not isinstance(spec, dict):
        raise ValueError(
            f"{column.name} is {spec!r}; expected the log's column, or {{constant: null}}, "
            "{join: [...]} or {from: ...}"
        )
    _refuse_unknown(spec, _KEYS, column.name)
    match sorted(spec):
        case ["constant"]:
            return Constant(_constant(column, spec["constant"]))
        case ["join"] | ["join", "with"]:
            _expect_type(column, "STRING", "join")
            separator = _text(f"{column.name}: with", spec.get("with", "-"))
            return Joined(_texts(f"{column.name}: join", spec["join"]), separator)
        case ["from"]:
            return Copied(_origin(column, spec))
        case ["from", "right", "wrong"]:
            _expect_type(column, "INT64", "right and wrong")
            return _scored(column, spec)
        case ["from", "unit"]:
            _expect_type(column, "TIMESTAMP", "unit")
            return Counted(_origin(column, spec), _unit(column, spec["unit"]))
        case ["from", "seconds_after"]:
            _expect_type(column, "TIMESTAMP", "seconds_after")
            start = _instant(column, spec["seconds_after"])
            return Counted(_origin(column, spec), start=start)
        case ["format", "from"] | ["format", "from", "timezone"] | ["from", "timezone"]:
            _expect_type(column, "TIMESTAMP", "format and timezone")
            return _written(column, spec)
    raise ValueError(
        f"{column.name} has {', '.join(spec)}, which do not make one rule; expected constant, "
        "or join (and with), or from alone or with one of: right and wrong, unit, "
        "format (and timezone), timezone, seconds_after"
    )


def _scored(column: Column, spec: Mapping[str, object]) -> Scored:
    right, wrong = (
        frozenset(text.strip().lower() for text in _texts(f"{column.name}: {key}", spec[key]))
        for key in ("right", "wrong")
    )
    if right & wrong:
        raise ValueError(f"{column.name}: {min(right & wrong)!r} is both right and wrong")
    return Scored(_origin(column, spec), right, wrong)


def _written(column: Column, spec: Mapping[str, object]) -> Written:
    zone = _text(f"{column.name}: timezone", spec.get("timezone", "UTC"))
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{column.name}: there is no timezone {zone!r}; expected a name such as Europe/Berlin"
            f"{nearest(zone, zoneinfo.available_timezones())}"
        ) from None
    if "format" not in spec:
        return Written(_origin(column, spec), timezone=zone)
    form = _text(f"{column.name}: format", spec["format"])
    if "%z" in form and "timezone" in spec:
        raise ValueError(f"{column.name}: the format has %z, so each text states its own timezone")
    # A format is tried on a moment of its own: it has to give back at least the day.
    moment = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    try:
        day = datetime.strptime(moment.strftime(form), form).date()
    except ValueError as error:
        raise ValueError(f"{column.name}: the format {form!r} cannot be read: {error}") from error
    if day != moment.date():
        raise ValueError(
            f"{column.name}: the format {form!r} states no full date; expected a year, month and "
            "day, such as '%d/%m/%Y %H:%M'"
        )
    return Written(_origin(column, spec), form, zone)


def _constant(column: Column, value: object) -> str | None:
    return None if value is None else _text(f"{column.name}: constant", value)


def _unit(column: Column, value: object) -> Unit:
    for unit in get_args(Unit):
        if value == unit:
            return unit  # type: ignore[no-any-return]  # get_args is untyped
    raise ValueError(
        f"{column.name}: the unit is {value!r}; expected {', '.join(get_args(Unit))}"
        f"{nearest(str(value), get_args(Unit))}"
    )


def _instant(column: Column, value: object) -> datetime:
    text = _text(f"{column.name}: seconds_after", value)
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{column.name}: seconds_after is {text!r}; expected a day or time such as 2009-09-01"
        ) from None
    return start if start.tzinfo else start.replace(tzinfo=UTC)


def _origin(column: Column, spec: Mapping[str, object]) -> str:
    return _text(f"{column.name}: from", spec["from"])


def _expect_type(column: Column, expected: str, key: str) -> None:
    if column.type != expected:
        raise ValueError(f"{column.name} is a {column.type}; {key} make a {expected}")


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} is {value!r}; expected one text")
    return value


def _texts(what: str, value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, str) for each in values):
        raise ValueError(f"{what} is {value!r}; expected a text or a list of texts")
    return tuple(values)


def _refuse_unknown(given: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            hint = nearest(key, known) or f"; expected {', '.join(known)}"
            raise ValueError(f"{where} has no {key!r}{hint}")
