"""Long arrays a piece at a time, so that what is computed on the way stays in cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CACHED_NUMBERS = 32_768


def spans(rows: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that together cover `rows`."""
    for begin in range(0, rows, size):
        yield slice(begin, min(begin + size, rows))


def cached_spans(rows: int, columns: int) -> Iterator[slice]:
    """Slices of the rows of a table, each small enough to be worked on in cache."""
    return spans(rows, max(1, _CACHED_NUMBERS // columns))
