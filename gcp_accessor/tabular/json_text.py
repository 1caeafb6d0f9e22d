"""JSON documents and newline-delimited JSON that BigQuery loads unchanged."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from gcp_accessor.python_values import plain
from gcp_accessor.tabular.csv_text import float_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def document_of(value: object) -> str:
    """Return a value as one indented JSON document, its keys in the order they came.

    Raises:
        TypeError: something in it has no place in JSON.
        ValueError: so has NaN.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, default=_known)
    except ValueError as error:
        raise ValueError(
            f"the value cannot be JSON, which has no NaN, no Infinity and no circles: {error}; "
            "give None, or write .ndjson, where they are texts"
        ) from error
    return f"{text}\n"


def line_of(record: Mapping[str, object]) -> str:
    """Return a record as one line of NDJSON, its line feed included.

    NaN and the infinities become strings, from which BigQuery loads a FLOAT64.
    """
    try:
        text = _COMPACT(record)
    except ValueError:
        text = _COMPACT(_without_nan(record))
    return f"{text}\n"


def value_of(text: str, where: str) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: it is not JSON; the message names `where`.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not JSON: {error}") from error


def records_of(lines: Iterable[str], where: str) -> Iterator[dict[str, object]]:
    """Yield the records of NDJSON; blank lines hold none.

    Raises:
        ValueError: a line is not a JSON object; the message names it.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = value_of(line, f"{where}, line {number},")
        if not isinstance(record, dict):
            raise ValueError(f"{where}, line {number}, is not a JSON object")
        yield record


def _known(value: object) -> object:
    """What the json module cannot write, as BigQuery reads it from JSON."""
    simple = plain(value)
    match simple:
        case Decimal() if simple.is_finite():
            return format(simple, "f")
        case datetime():
            return (simple if simple.tzinfo is None else simple.astimezone(UTC)).isoformat()
        case date() | time():
            return simple.isoformat()
        case bytes():
            return b64encode(simple).decode()
        case UUID():
            return str(simple)
    if simple is value:
        raise TypeError(f"{value!r} is a {type(value).__name__}, which JSON cannot hold")
    return simple


def _without_nan(value: object) -> object:
    match plain(value):
        case float() as number if number - number != 0:
            return float_text(number)
        case dict() as record:
            return {key: _without_nan(item) for key, item in record.items()}
        case list() as items:
            return [_without_nan(item) for item in items]
        case other:
            return other


# Made once: json.dumps makes one for every call that asks for anything beyond its defaults.
_COMPACT = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_known
).encode
