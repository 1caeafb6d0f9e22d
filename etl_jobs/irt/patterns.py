"""Equal answer patterns as one, in an order that no row order can change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.models import FloatArray
    from etl_jobs.irt.responses import Responses


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The distinct answer patterns, and how many persons gave each.

    Persons with equal answers have equal posteriors, so summing over patterns is exact.
    Patterns stand in the order of a hash of their content: however the persons were
    ordered, sums run the same way and round the same way, and any first part of the
    patterns is a random sample of them.

    Attributes:
        items: How many items there are.
        start: Where each pattern's answers begin, shape (patterns + 1,).
        code: Each answer as 2 * item + correct, shape (answers,).
        count: How many persons gave each pattern, shape (patterns,).
        of_person: The pattern of each person, shape (persons,).
    """

    items: int
    start: NDArray[np.int64]
    code: NDArray[np.int32]
    count: FloatArray
    of_person: NDArray[np.int64]

    @classmethod
    def of(cls, responses: Responses) -> Self:
        """The patterns of all persons, including the empty one."""
        items, start = len(responses.items), responses.start
        code = responses.item * np.int32(2) + responses.correct
        length = np.diff(start)
        digest = _digests(code, start, items)
        order = np.lexsort((length, digest))
        digest, length = digest[order], length[order]
        begin = start[:-1][order]
        is_new = np.ones(len(order), bool)
        alike = 1 + np.flatnonzero((digest[1:] == digest[:-1]) & (length[1:] == length[:-1]))
        is_new[alike] = ~_equal_rows(code, begin[alike - 1], begin[alike], length[alike])
        of_person = np.empty(len(order), np.int64)
        of_person[order] = np.cumsum(is_new) - 1
        first = np.flatnonzero(is_new)
        return cls(
            items=items,
            start=np.concatenate(([0], np.cumsum(length[first]))),
            code=code[_positions(begin[first], length[first])],
            count=np.diff(np.append(first, len(order))).astype(np.float64),
            of_person=of_person,
        )

    def __len__(self) -> int:
        return len(self.count)


def _digests(code: NDArray[np.int32], start: NDArray[np.int64], items: int) -> NDArray[np.uint64]:
    """A 64-bit number for each row of answers: the wrapping sum of one for each answer."""
    # splitmix64: well mixed, the same on every machine, and without any state.
    mixed = np.arange(1, 2 * items + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    total = np.zeros(len(code) + 1, np.uint64)
    np.cumsum(mixed[code], out=total[1:])
    return total[start[1:]] - total[start[:-1]]


def _positions(begin: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """begin[0], begin[0] + 1, ... for each row's length, one row after the other."""
    end = np.cumsum(length)
    shift = begin - (end - length)
    positions: NDArray[np.int64] = np.arange(end[-1] if len(end) else 0)
    positions += np.repeat(shift, length)
    return positions


def _equal_rows(
    code: NDArray[np.int32],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    length: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Whether the rows that begin at left and at right agree over their common length."""
    differs = code[_positions(left, length)] != code[_positions(right, length)]
    row = np.repeat(np.arange(len(length)), length)
    differences: NDArray[np.int64] = np.bincount(row[differs], minlength=len(length))
    equal: NDArray[np.bool_] = differences == 0
    return equal
