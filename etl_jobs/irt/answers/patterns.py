"""Equal answer patterns as one, in an order that no row order can change."""

from __future__ import annotations

from dataclasses import dataclass, field
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
        count: How many persons gave each pattern, shape (patterns,).
        of_person: The pattern of each person, shape (persons,).
        responses: The answers.
        person: The first person who gave each pattern, shape (patterns,).
    """

    items: int
    start: NDArray[np.int64]
    count: FloatArray
    of_person: NDArray[np.int64]
    responses: Responses
    person: NDArray[np.int64]
    # Put together when first asked for: a whole test needs none.
    _code: NDArray[np.int32] | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(cls, responses: Responses) -> Self:
        """The patterns of all persons, including the empty one."""
        length = responses.answers_per_person()
        whole = _right(responses)
        digest = _digests(responses) if whole is None else _digests_of_whole(whole)
        # Equal digests may stand in any order: but for a collision their patterns are equal.
        order = np.argsort(digest)
        digest, length = digest[order], length[order]
        is_new = np.ones(len(order), bool)
        alike = 1 + np.flatnonzero((digest[1:] == digest[:-1]) & (length[1:] == length[:-1]))
        begin = responses.start[:-1]
        is_new[alike] = ~_equal_rows(
            responses, begin[order[alike - 1]], begin[order[alike]], length[alike]
        )
        of_person = np.empty(len(order), np.int64)
        of_person[order] = np.cumsum(is_new) - 1
        first = np.flatnonzero(is_new)
        start = np.zeros(len(first) + 1, np.int64)
        np.cumsum(length[first], out=start[1:])
        return cls(
            items=len(responses.items),
            start=start,
            count=np.diff(first, append=len(order)).astype(np.float64),
            of_person=of_person,
            responses=responses,
            person=order[first],
        )

    def __len__(self) -> int:
        return len(self.count)

    @property
    def answers(self) -> int:
        """Answers in all patterns."""
        return int(self.start[-1])

    @property
    def code(self) -> NDArray[np.int32]:
        """Each answer as 2 * item + correct, shape (answers,)."""
        code = self._code
        if code is None:
            code = _codes(self.responses, self.person, self.start)
            object.__setattr__(self, "_code", code)
        return code

    def right_of_whole(self) -> NDArray[np.uint8] | None:
        """Everybody's right answers, shape (persons, items), if nobody skipped an item.

        Those of a pattern are those of its `person`.
        """
        return _right(self.responses)

    def skipped_items(self) -> NDArray[np.int64]:
        """The items that some pattern holds no answer to, ascending."""
        if self.answers == len(self) * self.items:
            return np.empty(0, np.int64)
        answered = np.zeros(self.items, np.int64)
        for answers in spans(len(self.code), _ANSWERS_AT_ONCE):
            answered += np.bincount(self.code[answers] >> 1, minlength=self.items)
        return np.flatnonzero(answered < len(self))


def _right(responses: Responses) -> NDArray[np.uint8] | None:
    shape = len(responses.persons), len(responses.items)
    is_whole = 0 < responses.answers == shape[0] * shape[1]
    return responses.correct.reshape(shape) if is_whole else None


def _mixed(items: int) -> NDArray[np.uint64]:
    """A number for a wrong and for a right answer to each item, shape (items, 2)."""
    # splitmix64: well mixed, the same on every machine, and without any state.
    mixed = np.arange(1, 2 * items + 1, dtype=np.uint64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed.reshape(-1, 2)


def _digests_of_whole(right: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The same numbers as `_digests` gives, eight answers at a time."""
    persons, items = right.shape
    mixed = _mixed(items)
    gain = np.zeros(-(-items // 8) * 8, np.uint64)
    gain[:items] = mixed[:, 1] - mixed[:, 0]
    # What each possible byte of answers adds.
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)
    table = (bits * gain.reshape(-1, 1, 8)).sum(axis=2, dtype=np.uint64)
    digests = np.full(persons, mixed[:, 0].sum(dtype=np.uint64))

    def add_up(rows: slice) -> None:
        packed = np.packbits(right[rows], axis=1).T
        for byte, worth in zip(packed, table, strict=True):
            digests[rows] += worth[byte]

    in_strands(add_up, list(spans(persons, max(1, _ANSWERS_AT_ONCE // items))))
    return digests


def _digests(responses: Responses) -> NDArray[np.uint64]:
    """A 64-bit number for each row of answers: the wrapping sum of one for each answer."""
    mixed = _mixed(len(responses.items)).ravel()
    digests = np.zeros(len(responses.persons), np.uint64)

    def add_up(rows: slice) -> None:
        start = responses.start[rows.start : rows.stop + 1]
        answers = slice(int(start[0]), int(start[-1]))
        each = mixed.take(2 * responses.item[answers] + responses.correct[answers])
        # A row without answers adds nothing, and would upset reduceat.
        filled = np.flatnonzero(start[1:] > start[:-1])
        if filled.size:
            digests[rows.start + filled] = np.add.reduceat(each, start[filled] - start[0])

    in_strands(add_up, _rows_at_once(responses.answers_per_person()))
    return digests


def _codes(
    responses: Responses, person: NDArray[np.int64], start: NDArray[np.int64]
) -> NDArray[np.int32]:
    """The answers of these persons, as 2 * item + correct, one person after another."""
    code = np.empty(start[-1], np.int32)
    length, begin = np.diff(start), responses.start[person]
    most = int(length.max(initial=0))
    # Where all persons answered as many items, whole rows are copied.
    alike = 0 < most * len(responses.persons) == responses.answers

    def fill(rows: slice) -> None:
        part = code[start[rows.start] : start[rows.stop]]
        if alike:
            item = responses.item.reshape(-1, most).take(person[rows], axis=0).ravel()
            correct = responses.correct.reshape(-1, most).take(person[rows], axis=0).ravel()
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
