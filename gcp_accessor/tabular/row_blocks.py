"""Rows and records as callers give them, in blocks that are checked as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set, Sized
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROWS_HELD = 256
_NONE_LEFT = object()


class RowBlocks:
    """Rows of one width, taken once and in their order, a block at a time.

    Attributes:
        names: The columns' names, as far as they are known: the header's or the records'.
        taken: How many rows have been taken.

    Raises:
        ValueError: the data is a string or one mapping, has no rows, or has a row of another
            width or other fields than the first; the message says which.
    """

    def __init__(self, data: object, header: Sequence[str] | None) -> None:
        if isinstance(data, str | bytes | bytearray | Mapping | Set) or not isinstance(
            data, Iterable
        ):
            raise ValueError(
                f"rows are an iterable of sequences or of records, not one {type(data).__name__}"
            )
        if isinstance(header, str):
            raise ValueError(f"header is the string {header!r}; expected a sequence of names")
        remaining = iter(data)
        first = next(remaining, _NONE_LEFT)
        if first is _NONE_LEFT:
            raise ValueError("there are no rows")
        self._remaining = chain([first], remaining)
        self._records = isinstance(first, Mapping)
        names = list(first) if isinstance(first, Mapping) and header is None else header
        self.names = None if names is None else list(names)
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(f"the header names the column {twice[0]!r} twice")
        self._width = None if self.names is None else len(self.names)
        self.taken = 0

    def take(self, count: int) -> list[Sequence[object]]:
        """Return the next rows, at most `count`; none at the end."""
        block = list(islice(self._remaining, count))
        first = self.taken + 1
        self.taken += len(block)
        return self._values(block, first) if self._records else self._of_one_width(block, first)

    def __iter__(self) -> Iterator[Sequence[object]]:
        """Yield the rows one by one."""
        while block := self.take(_ROWS_HELD):
            yield from block

    def _of_one_width(self, block: list[Any], first: int) -> list[Sequence[object]]:
        # The usual case without a loop in Python.
        width = self._width
        if width and {*map(type, block)} <= {list, tuple} and {*map(len, block)} <= {width}:
            return block
        for number, row in enumerate(block, start=first):
            if isinstance(row, str | bytes | Mapping | Set) or not isinstance(row, Sized):
                raise ValueError(f"row {number} is a {type(row).__name__}; expected a sequence")
            if self._width is None:
                self._width = len(row)
            if len(row) != self._width or not self._width:
                raise ValueError(
                    f"row {number} has {len(row)} values; expected {self._width or 'some'}"
                )
        return block

    def _values(self, block: list[Any], first: int) -> list[Sequence[object]]:
        names = cast("list[Any]", self.names)
        if len(names) > 1 and {*map(type, block)} <= {dict} and {*map(len, block)} <= {len(names)}:
            try:
                return list(map(itemgetter(*names), block))
            except KeyError:
                # Which record it was is found below.
                pass
        return [values_of(record, names, number) for number, record in enumerate(block, first)]


def values_of(record: object, names: list[Any], number: int) -> list[object]:
    """Return a record's values in the order of the names.

    Raises:
        ValueError: it has other fields, or is no record; the message says which it was.
    """
    if not isinstance(record, Mapping) or record.keys() != set(names) or not names:
        found = list(record) if isinstance(record, Mapping) else type(record).__name__
        raise ValueError(f"record {number} has {found}; expected the fields {names or 'of a row'}")
    return [record[name] for name in names]
