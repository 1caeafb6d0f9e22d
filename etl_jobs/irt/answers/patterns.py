"""Equal answer patterns as one, in an order that no row order can change."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from etl_jobs.irt.answers.spans import spans
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Responses
    from etl_jobs.irt.model.models import FloatArray

# What is made of answers on the way is made for so many of them at a time.
_ANSWERS_AT_ONCE = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The distinct answer patterns, and how many persons gave each.

    Persons with equal answers have equal posteriors, so summing over patterns is exact.
    Patterns stand in the order of a hash of their content: however the persons were
    ordered, sums run the same way and round the same way, and any first part of the
    patterns is a random sample of them. Four bytes an answer.

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
        length = responses.answers_per_person()
        digest = _digests(responses)
        # Equal digests may stand in any order: but for a collision their patterns are equal.
        order = np.argsort(digest)
        digest, length = digest[order], length[order]
        begin = start[:-1][order]
        is_new = np.ones(len(order), bool)
        alike = 1 + np.flatnonzero((digest[1:] == digest[:-1]) & (length[1:] == length[:-1]))
        is_new[alike] = ~_equal_rows(responses, begin[alike - 1], begin[alike], length[alike])
        of_person = np.empty(len(order), np.int64)
        of_person[order] = np.cumsum(is_new) - 1
        first = np.flatnonzero(is_new)
        begin, length = begin[first], length[first]
        end = np.concatenate(([0], np.cumsum(length)))
        return cls(
            items=items,
            start=end,
            code=_codes(responses, begin, length, end),
            count=np.diff(np.append(first, len(order))).astype(np.float64),
            of_person=of_person,
        )

    def __len__(self) -> int:
        return len(self.count)

    def skipped_items(self) -> NDArray[np.int64]:
        """The items that some pattern holds no answer to, ascending."""
        if len(self.code) == len(self) * self.items:
            return np.empty(0, np.int64)
        answered = np.zeros(self.items, np.int64)
        for answers in spans(len(self.code), _ANSWERS_AT_ONCE):
            answered += np.bincount(self.code[answers] >> 1, minlength=self.items)
        return np.flatnonzero(answered < len(self))


def _digests(responses: Responses) -> NDArray[np.uint64]:
    """A 64-bit number for each row of answers: the wrapping sum of one for each answer."""
    # splitmix64: well mixed, the same on every machine, and without any state.
    mixed = np.arange(1, 2 * len(responses.items) + 1, dtype=np.uint64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    digests = np.zeros(len(responses.persons), np.uint64)

    def add_up(rows: slice) -> None:
        start = responses.start[rows.start : rows.stop + 1]
        answers = slice(int(start[0]), int(start[-1]))
        each = mixed[2 * responses.item[answers] + responses.correct[answers]]
        # A row without answers adds nothing, and would upset reduceat.
        filled = np.flatnonzero(start[1:] > start[:-1])
        if filled.size:
            digests[rows.start + filled] = np.add.reduceat(each, start[filled] - start[0])

    in_strands(add_up, _rows_at_once(responses.answers_per_person()))
    return digests


def _codes(
    responses: Responses,
    begin: NDArray[np.int64],
    length: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.int32]:
    """The answers of the rows that begin there, as 2 * item + correct, one row after another."""
    code = np.empty(end[-1], np.int32)
    most = int(length.max(initial=0))
    # Where all persons answered as many items, whole rows are copied.
    alike = 0 < most * len(responses.persons) == responses.answers

    def fill(rows: slice) -> None:
        part = code[end[rows.start] : end[rows.stop]]
        if alike:
            row = begin[rows] // most
            item = responses.item.reshape(-1, most)[row].ravel()
            correct = responses.correct.reshape(-1, most)[row].ravel()
        else:
            answers = _positions(begin[rows], length[rows])
            item, correct = responses.item[answers], responses.correct[answers]
        np.multiply(item, 2, out=part)
        part += correct

    in_strands(fill, _rows_at_once(length))
    return code


def _rows_at_once(length: NDArray[np.int64]) -> list[slice]:
    """Spans of rows, each of about as many answers as are worked on at once."""
    if not len(length):
        return []
    share = np.cumsum(length) // _ANSWERS_AT_ONCE
    cuts = np.flatnonzero(share[1:] != share[:-1]) + 1
    bounds = [0, *cuts.tolist(), len(length)]
    return [slice(*pair) for pair in pairwise(bounds)]


def _positions(begin: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """begin[0], begin[0] + 1, ... for each row's length, one row after the other."""
    end = np.cumsum(length)
    shift = begin - (end - length)
    positions: NDArray[np.int64] = np.arange(end[-1] if len(end) else 0)
    positions += np.repeat(shift, length)
    return positions


def _equal_rows(
    responses: Responses,
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    length: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Whether the rows that begin at left and at right agree over their common length."""
    equal = np.ones(len(length), bool)
    for rows in _rows_at_once(length):
        here = _positions(left[rows], length[rows])
        there = _positions(right[rows], length[rows])
        differs = responses.item[here] != responses.item[there]
        differs |= responses.correct[here] != responses.correct[there]
        row = np.repeat(np.arange(rows.start, rows.stop), length[rows])
        equal[row[differs]] = False
    return equal
