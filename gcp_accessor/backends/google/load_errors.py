"""What a failed load says of its rows, in sentences that name them."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# BigQuery tells where a row begins by the bytes before it, decompressed.
_POSITION = re.compile(r"starting at (?:position|location):? (\d+)")
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 20


def wrong_rows(
    whole: Mapping[str, Any], errors: Iterable[Mapping[str, Any]], file: BinaryIO | None
) -> tuple[str, ...]:
    """Return one sentence for each row that BigQuery names.

    Args:
        whole: The load's own error, which mostly counts the others; it is said elsewhere.
        errors: All of them.
        file: What was sent, in which a position becomes a line; None for objects.
    """
    sentences = dict.fromkeys(_sentence(error, file) for error in errors if error != whole)
    return tuple(sentences) or (_sentence(whole, file),)


def _sentence(error: Mapping[str, Any], file: BinaryIO | None) -> str:
    message = str(error.get("message", error))
    location = error.get("location")
    if location and location not in message:
        message = f"{location}: {message}"
    position = _POSITION.search(message)
    if position is None or file is None:
        return message
    return f"line {_line_at(file, int(position[1]))}: {message}"


def _line_at(file: BinaryIO, position: int) -> int:
    file.seek(0)
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    text = gzip.GzipFile(fileobj=file) if packed else file
    lines, left = 1, position
    while left > 0 and (block := text.read(min(left, _BLOCK))):
        lines += block.count(b"\n")
        left -= len(block)
    return lines
