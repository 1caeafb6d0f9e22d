"""The CSV that BigQuery loads unchanged, with NULL and the empty string apart.

Every value is quoted, NULL is an empty field without quotes, lines end in a line feed, and
line breaks inside quotes are kept as they are. A row of one NULL is an empty line.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING
from uuid import UUID

from gcp_accessor.arguments import utf8
from gcp_accessor.python_values import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FLOAT_NAMES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
# The types whose values str() writes as `text_of` does, but for those that are mended after.
_AS_STR = frozenset({str, int, float, bool, type(None), date, time, UUID})


def line_of(values: Iterable[object]) -> str:
    """Return one row as a line, its line feed included.

    Raises:
        TypeError: a value is nothing that a CSV field can hold.
    """
    return ",".join([_field(value) for value in values]) + "\n"


def block_of(rows: Sequence[Sequence[object]], first: int) -> bytes:
    """Return what `line_of` says of each row, all at once and several times as fast.

    Args:
        rows: Of one width.
        first: The first one's number, for messages.

    Raises:
        TypeError: a value is nothing that a CSV field can hold; a note says in which row.
        ValueError: a text has no UTF-8; the message says in which row.
    """
    try:
        text = _at_once(rows)
        if text is not None:
            return text.encode()
    except (TypeError, UnicodeEncodeError):
        # One by one they say which of them it was.
        pass
    return b"".join([_encoded(row, number) for number, row in enumerate(rows, start=first)])


def text_of(value: object) -> str | None:
    """Return a value as BigQuery reads it from a CSV field, None for NULL.

    true and false; ISO dates; an aware datetime in UTC, as a TIMESTAMP, a naive one without
    an offset, as a DATETIME; bytes in base64.
    """
    match plain(value):
        case None:
            return None
        case bool() as flag:
            return "true" if flag else "false"
        case str() as text:
            # A subclass may print as something else than its text.
            return str.__str__(text)
        case int() as number:
            return int.__repr__(number)
        case float() as number:
            return float_text(number)
        case Decimal() as number if number.is_finite():
            return format(number, "f")
        case datetime() as moment:
            return (moment if moment.tzinfo is None else moment.astimezone(UTC)).isoformat(" ")
        case date() | time() as when:
            return when.isoformat()
        case bytes() as content:
            return b64encode(content).decode()
        case UUID() as identity:
            return str(identity)
    raise TypeError(
        f"{value!r} is a {type(value).__name__}, which a CSV field cannot hold; write NDJSON or "
        "Parquet"
    )


def float_text(value: float) -> str:
    """Return the shortest text that reads back as the same float; NaN and Infinity by name."""
    text = float.__repr__(value)
    return _FLOAT_NAMES.get(text, text)


def _field(value: object) -> str:
    text = text_of(value)
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def _at_once(rows: Sequence[Sequence[object]]) -> str | None:
    """All rows by one string operation, None if they hold a text that it would mistake."""
    values = tuple(chain.from_iterable(rows))
    kinds = set(map(type, values))
    if not kinds <= _AS_STR:
        values = tuple([each if type(each) in _AS_STR else text_of(each) for each in values])
        kinds = set(map(type, values))
    pattern = (",".join(['"%s"'] * len(rows[0])) + "\n") * len(rows)
    text = pattern % values
    if text.count('"') != 2 * len(values):
        # Some text has quotes inside.
        text = pattern % tuple(
            [each.replace('"', '""') if type(each) is str else each for each in values]
        )
    if float in kinds and ('"nan"' in text or 'inf"' in text):
        return None
    if type(None) in kinds:
        if text.count('"None"') != values.count(None):
            return None
        text = text.replace('"None"', "")
    if bool in kinds:
        flags = text.count('"True"') + text.count('"False"')
        if flags != list(map(type, values)).count(bool):
            return None
        text = text.replace('"True"', '"true"').replace('"False"', '"false"')
    return text


def _encoded(row: Sequence[object], number: int) -> bytes:
    try:
        return utf8(f"row {number}", line_of(row))
    except TypeError as error:
        error.add_note(f"in row {number}")
        raise
