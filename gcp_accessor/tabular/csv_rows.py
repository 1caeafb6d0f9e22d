"""CSV text as rows: in blocks, with NULL and the empty string apart."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = list[str | None]

_BLOCK = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# All that stands beside an empty field without quotes.
_GAPS = (",,", ",\n", "\n,", "\n\n", ",\r", "\r,", "\r\r", "\n\r")
# The csv module refuses fields over 128 KiB; BigQuery takes 100 MB.
_MAX_FIELD = 2**31 - 1
_ENDS = ",\r\n"
_EMPTY = re.compile(r"(?<=[,\n])(?=[,\r\n])|(?<=\r)(?=[,\r])")
_FIELD = re.compile(r'(?:\A|,)("[^"]*(?:""[^"]*)*"|[^,]*)')


def blocks_of(file: BinaryIO, where: str) -> Iterator[list[Row]]:
    """Yield the rows of a CSV file: None for an empty field without quotes, "" for a quoted one.

    A few thousand are held at a time. An empty line is a row of one NULL, and nothing in a file
    of several columns.

    Args:
        file: UTF-8 text; a byte order mark, as Excel writes it, is dropped.
        where: The object's address, for messages.

    Raises:
        ValueError: the text is not CSV, or not UTF-8.
    """
    # It is a limit of the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD))
    lines = width = 0
    rest = file.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
    at_end = False
    while not at_end:
        # As much again, so that a field of many megabytes is not copied for each block of it.
        read = file.read(max(_BLOCK, len(rest)))
        at_end = not read
        held = rest + read
        end = len(held) if at_end else _end_of_rows(held)
        text = _text(held[:end], where)
        source = io.StringIO(text, newline="")
        reader = csv.reader(source, strict=True)
        try:
            rows = list(reader)
        except csv.Error as error:
            if not at_end and not source.read(1):
                # The last row may go on in what follows.
                rest = held
                continue
            line = lines + reader.line_num
            raise ValueError(f"{where} is not CSV: line {line}: {error}") from error
        rest = held[end:]
        lines += reader.line_num
        width = width or next((len(row) or 1 for row in rows), 0)
        if rows:
            yield _with_nulls(rows, text, width)


def records_of(
    blocks: Iterator[list[Row]], where: str, header: Sequence[str] | None = None
) -> Iterator[list[dict[str, object]]]:
    """Yield the blocks' rows as records, named by the first row or by the header given.

    Raises:
        ValueError: there is no header, it names a column twice, or a row has another width.
    """
    number = 0
    names = None if header is None else list(header)
    for block in blocks:
        rows = block
        if names is None:
            names, rows = [name or "" for name in block[0]], block[1:]
            number = 1
        if number <= 1 and len(set(names)) < len(names):
            raise ValueError(f"{where} names a column twice: {', '.join(names)}")
        if not {*map(len, rows)} <= {len(names)}:
            wrong = next(at for at, row in enumerate(rows) if len(row) != len(names))
            raise ValueError(
                f"{where} has {len(rows[wrong])} values in row {number + wrong + 1}; its header "
                f"has {len(names)}"
            )
        number += len(rows)
        yield [dict(zip(names, row, strict=True)) for row in rows]
    if names is None:
        raise ValueError(f"{where} is empty; expected a header")


def _end_of_rows(held: bytes) -> int:
    """Where the last whole row ends, most likely: its line feed has even quotes before it."""
    last = end = held.rfind(b"\n") + 1
    quotes = held.count(b'"', 0, end)
    while end and quotes % 2:
        before = held.rfind(b"\n", 0, end - 1) + 1
        quotes -= held.count(b'"', before, end)
        end = before
    # Other programs' quotes within a field without quotes may be odd: then the parser decides.
    return end or last


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 text: {error}; save it as UTF-8") from error


def _with_nulls(rows: list[list[str]], text: str, width: int) -> list[Row]:
    """The csv module reads `,,` and `,"",` alike: where both are there, the text decides."""
    read = cast("list[Row]", rows)
    empty = [at for at, row in enumerate(rows) if not row or "" in row]
    if not empty:
        return read
    if '""' not in text:
        for at in empty:
            read[at] = [value or None for value in rows[at]]
    elif text[0] == "," or text[-1] == "," or any(gap in text for gap in _GAPS):
        read = _marked(text) or _by_their_text(text)
    if width > 1:
        return [row for row in read if row]
    return [row or [None] for row in read]


def _marked(text: str) -> list[Row] | None:
    """The rows, read with a mark in every empty field; None if quotes stand within a field."""
    mark = "\0"
    while mark in text:
        mark += "\0"
    ended = text if text[-1] in "\r\n" else f"{text}\n"
    # By turns what is outside quotes and what is inside. Of an escaped quote nothing is outside.
    pieces = f"\n{ended}".split('"')
    outside = dict.fromkeys(pieces[::2])
    # Where a quoted field ends, the strict reader has seen to it before.
    if len(pieces) % 2 == 0 or not all(piece[-1] in _ENDS for piece in outside if piece):
        return None
    marked = {piece: _EMPTY.sub(mark, piece) for piece in outside}
    pieces[::2] = [marked[piece] for piece in pieces[::2]]
    source = io.StringIO('"'.join(pieces)[1:], newline="")
    return [
        ([None if value == mark else value for value in row] if row != [mark] else [])
        if mark in row
        else cast("Row", row)
        for row in csv.reader(source, strict=True)
    ]


def _by_their_text(text: str) -> list[Row]:
    """The rows, each of them that has empty fields beside what it was read from: slow."""
    raw: list[str] = []

    def noted() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            raw.append(line)
            yield line

    found: list[Row] = []
    for row in csv.reader(noted(), strict=True):
        if "" in row:
            marks = _FIELD.findall("".join(raw).rstrip("\r\n"))
            pairs = zip(row, marks, strict=True)
            found.append([value if mark else None for value, mark in pairs])
        else:
            found.append(cast("Row", row))
        raw.clear()
    return found
