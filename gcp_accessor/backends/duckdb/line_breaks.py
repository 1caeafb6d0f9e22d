"""Where the first line of a CSV ends, which DuckDB mistakes where a field holds a break."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BLOCK = 1 << 16
_MARK = re.compile(rb'["\r\n]')


def end_in_line_feeds(paths: Iterable[Path]) -> bool:
    """Return whether the first line of each file ends in a line feed alone.

    DuckDB takes the first break of a file, even inside of quotes, for what its lines end in.
    """
    return all(_first_break(path) == b"\n" for path in paths)


def _first_break(path: Path) -> bytes:
    with _opened(path) as file:
        is_quoted = False
        while block := file.read(_BLOCK):
            for mark in _MARK.findall(block):
                if mark == b'"':
                    is_quoted = not is_quoted
                elif not is_quoted:
                    return cast("bytes", mark)
    return b""


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("BinaryIO", gzip.open(path, "rb") if packed else path.open("rb"))
