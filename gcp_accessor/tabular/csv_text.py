"""The CSV that BigQuery loads unchanged, with NULL and the empty string apart.

Every value is quoted, NULL is an empty field without quotes, lines end in a line feed, and
line breaks inside quotes are kept as they are. A row of one NULL is an empty line.
"""

from __future__ import annotations

import csv
import re
from base64 import b64encode
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from gcp_accessor.python_values import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The csv module refuses fields over 128 KiB; BigQuery takes 100 MB.
_MAX_FIELD = 2**31 - 1
_FLOAT_NAMES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_FIELD = re.compile(r'(?:\A|,)("[^"]*(?:""[^"]*)*"|[^,]*)')


def line_of(values: Iterable[object]) -> str:
    """Return one row as a line, its line feed included.

    Raises:
        TypeError: a value is nothing that a CSV field can hold.
    """
    return ",".join([_field(value) for value in values]) + "\n"


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
            return text
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


def rows_of(lines: Iterable[str], where: str) -> Iterator[list[str | None]]:
    """Yield the rows of CSV text: None for an empty field without quotes, "" for a quoted one.

    Args:
        lines: The text in lines, their ends kept as they are.
        where: The object's address, for messages.

    Raises:
        ValueError: the text is not CSV.
    """
    # It is a limit of the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD))
    raw: list[str] = []

    def noted() -> Iterator[str]:
        for line in lines:
            raw.append(line)
            yield line

    width = 0
    reader = csv.reader(noted(), strict=True)
    try:
        for row in reader:
            if row:
                width = width or len(row)
                yield _with_nulls(row, "".join(raw)) if "" in row else list(row)
            elif width <= 1:
                width = 1
                yield [None]
            raw.clear()
    except csv.Error as error:
        raise ValueError(f"{where} is not CSV: line {reader.line_num}: {error}") from error


def _with_nulls(row: list[str], raw: str) -> list[str | None]:
    """The csv module reads `,,` and `,"",` alike, so the raw text decides."""
    marks = _FIELD.findall(raw.rstrip("\r\n"))
    return [value if mark else None for value, mark in zip(row, marks, strict=True)]


def _field(value: object) -> str:
    # The usual types first, and by identity: this runs for every value.
    if type(value) is int:
        return f'"{value}"'
    if type(value) is str:
        text: str | None = value
    elif type(value) is float:
        text = float_text(value)
    else:
        text = text_of(value)
    return "" if text is None else '"' + text.replace('"', '""') + '"'
