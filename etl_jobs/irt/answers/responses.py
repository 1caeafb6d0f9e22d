"""Who answered what, and whether it was right: the form every model here is fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etl_jobs.irt.answers.spans import cached_spans
from etl_jobs.irt.memory import require_memory

Labels = NDArray[Any]

# What is held for a moment of each cell of a matrix, answered or not, and of each answer.
_BYTES_A_CELL = 6
_BYTES_AN_ANSWER = 40


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Answers of persons to items, at most one for each pair, stored sparsely.

    The answers of person `p` are `item[start[p]:start[p + 1]]`, with items ascending, and
    `correct` beside them. Five bytes an answer.

    Attributes:
        persons: One label for each person, shape (persons,).
        items: One label for each item, shape (items,).
        start: Where each person's answers begin, shape (persons + 1,).
        item: The item of each answer, an index into `items`, shape (answers,).
        correct: 1 for a right answer, 0 for a wrong one, shape (answers,).
    """

    persons: Labels
    items: Labels
    start: NDArray[np.int64]
    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    # Counted when first asked for: a calibration asks often.
    _outcomes: NDArray[np.int64] | None = field(default=None, init=False, repr=False)

    @classmethod
    def from_long(
        cls,
        person: ArrayLike,
        item: ArrayLike,
        correct: ArrayLike,
        *,
        persons: ArrayLike | None = None,
        items: ArrayLike | None = None,
    ) -> Self:
        """Responses from one row for each answer, in any order.

        Args:
            person: Who answered: labels of any sortable type, or, where `persons` is given,
                integer indices into it.
            item: What was answered, in the same way.
            correct: 1 or True, 0 or False, and None or NaN for a question without an answer.
            persons: The label of each person, including those without a row.
            items: The label of each item, including those without a row.

        Raises:
            ValueError: The columns differ in length, `correct` holds something else, a label
                is missing or unknown, or a person answers an item twice.
        """
        rows = np.size(correct)
        require_memory(
            rows * _BYTES_AN_ANSWER,
            f"a log of {rows:,} answers",
            "take a sample of the persons, or calibrate in the warehouse",
        )
        right = _as_correct(correct)
        person_code, persons_ = _as_codes("person", person, persons)
        item_code, items_ = _as_codes("item", item, items)
        if not len(right) == len(person_code) == len(item_code):
            raise ValueError(
                f"person, item and correct differ in length: "
                f"{len(person_code)}, {len(item_code)} and {len(right)}"
            )
        answered = right >= 0
        if not answered.all():
            right = right[answered]
            person_code, item_code = person_code[answered], item_code[answered]
        if not _in_order(person_code, item_code):
            key = person_code * np.int64(max(len(items_), 1)) + item_code
            order = np.argsort(key)
            key, right = key[order], right[order]
            twice = np.flatnonzero(key[1:] == key[:-1])
            if twice.size:
                who, what = divmod(int(key[twice[0]]), len(items_))
                raise ValueError(
                    f"person {persons_[who]!s} answers item {items_[what]!s} more than once "
                    f"({twice.size} rows too many in all); keep one answer for each pair"
                )
            person_code, item_code = np.divmod(key, max(len(items_), 1))
        start = np.zeros(len(persons_) + 1, np.int64)
        np.cumsum(np.bincount(person_code, minlength=len(persons_)), out=start[1:])
        return cls(persons_, items_, start, item_code.astype(np.int32), right.view(np.uint8))

    @classmethod
    def from_dense(
        cls,
        matrix: ArrayLike,
        *,
        persons: ArrayLike | None = None,
        items: ArrayLike | None = None,
    ) -> Self:
        """Responses from a matrix (persons, items) of 1 and 0, with NaN where nobody answered.

        Args:
            matrix: Shape (persons, items).
            persons: The label of each row; 0, 1, 2, ... without it.
            items: The label of each column; 0, 1, 2, ... without it.

        Raises:
            ValueError: The matrix is not two-dimensional, holds something else (the message
                names the first such row and column), or has another number of labels.
            MemoryError: The machine has no room for its answers.
        """
        values = _as_matrix(matrix)
        rows, columns = values.shape
        for what, labels, length in (("person", persons, rows), ("item", items, columns)):
            if labels is not None and np.shape(labels) != (length,):
                raise ValueError(
                    f"the {what} labels have shape {np.shape(labels)}; the matrix has {length} "
                    f"{'rows' if what == 'person' else 'columns'}"
                )
        require_memory(
            values.size * _BYTES_A_CELL,
            f"a matrix of {rows:,} x {columns:,} answers",
            "give a log of the answers there are to Responses.from_long, or fewer persons",
        )
        right = _as_correct(values.ravel(), columns).reshape(rows, columns)
        answered = right >= 0
        start = np.zeros(rows + 1, np.int64)
        np.cumsum(np.count_nonzero(answered, axis=1), out=start[1:])
        item = np.empty(start[-1], np.int32)
        for part in cached_spans(rows, max(columns, 1)):
            item[start[part.start] : start[part.stop]] = np.nonzero(answered[part])[1]
        return cls(
            _as_labels("person", np.arange(rows) if persons is None else persons),
            _as_labels("item", np.arange(columns) if items is None else items),
            start,
            item,
            right[answered].view(np.uint8),
        )

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return len(self.item)

    def answers_per_person(self) -> NDArray[np.int64]:
        """How many items each person answered, shape (persons,)."""
        return np.diff(self.start)

    def answers_per_item(self) -> NDArray[np.int64]:
        """How many persons answered each item, shape (items,)."""
        answers: NDArray[np.int64] = self._outcomes_per_item().sum(axis=1)
        return answers

    def right_per_item(self) -> NDArray[np.int64]:
        """How many persons answered each item correctly, shape (items,)."""
        return self._outcomes_per_item()[:, 1].copy()

    def person_of_answer(self) -> NDArray[np.int64]:
        """The person of each answer, an index into `persons`, shape (answers,)."""
        return np.repeat(np.arange(len(self.persons)), self.answers_per_person())

    def __repr__(self) -> str:
        return (
            f"<Responses: persons: {len(self.persons):,}, items: {len(self.items):,}, "
            f"answers: {self.answers:,}>"
        )

    def _outcomes_per_item(self) -> NDArray[np.int64]:
        """How many persons answered each item wrong and right, shape (items, 2)."""
        outcomes = self._outcomes
        if outcomes is None:
            counts = np.zeros(2 * len(self.items), np.int64)
            for answers in cached_spans(self.answers, 1):
                code = 2 * self.item[answers].astype(np.int64) + self.correct[answers]
                counts += np.bincount(code, minlength=len(counts))
            outcomes = counts.reshape(-1, 2)
            object.__setattr__(self, "_outcomes", outcomes)
        return outcomes


def check_responses(responses: object) -> None:
    """Refuse what is not `Responses`, saying how to come by them.

    Raises:
        TypeError: It is something else, such as the matrix itself.
    """
    if not isinstance(responses, Responses):
        raise TypeError(
            f"responses is of type {type(responses).__name__}; make Responses of it with "
            "Responses.from_dense(matrix) or Responses.from_long(person, item, correct)"
        )


def _as_matrix(matrix: ArrayLike) -> NDArray[Any]:
    try:
        values = np.asanyarray(matrix)
    except ValueError as error:
        raise ValueError(f"the rows of the matrix differ in length: {error}") from error
    if values.ndim != 2:
        raise ValueError(f"expected a matrix (persons, items), got shape {values.shape}")
    return values


def _as_correct(correct: ArrayLike, columns: int | None = None) -> NDArray[np.int8]:
    """1, 0, and -1 for a missing answer; `columns` are those of the matrix it was."""
    if isinstance(correct, np.ma.MaskedArray):
        values = np.ma.filled(correct.astype(np.float64), np.nan)
    else:
        values = np.asarray(correct)
    if values.ndim != 1:
        raise ValueError(f"correct has shape {values.shape}; expected one value for each answer")
    if values.dtype.kind == "b":
        return values.astype(np.int8)
    if values.dtype.kind not in "iuf":
        values = _as_numbers(values, columns)
    right: NDArray[np.int8] = (values == 1).astype(np.int8)
    known = (values == 0) | (right == 1)
    if known.all():
        return right
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    odd = np.flatnonzero(~(known | missing))
    if odd.size:
        raise ValueError(
            f"correct is {values[odd[0]]} in {_place(odd[0], columns)} ({odd.size} such "
            f"{'rows' if columns is None else 'cells'}); expected 1, 0 or missing"
        )
    right[missing] = -1
    return right


def _as_numbers(values: NDArray[Any], columns: int | None) -> NDArray[np.float64]:
    """Numbers from objects or texts; None becomes NaN."""
    objects = values.astype(object)
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError):
        # Only now is it worth looking for the one that is no number, such as pandas' NA.
        for row, value in enumerate(objects.tolist()):
            try:
                objects[row] = np.nan if _is_no_value(value) else float(value)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"correct is {value!r:.60} in {_place(row, columns)}; expected 1, 0 or missing"
                ) from error
        return objects.astype(np.float64)


def _place(row: int, columns: int | None) -> str:
    if columns is None:
        return f"row {row}"
    return f"row {row // columns}, column {row % columns}"


def _as_codes(
    what: str, values: ArrayLike, labels: ArrayLike | None
) -> tuple[NDArray[np.integer], Labels]:
    """Each value's index among the labels, and the labels."""
    column = np.asarray(values)
    if column.ndim != 1:
        raise ValueError(f"{what} has shape {column.shape}; expected one value for each answer")
    if labels is None:
        return _rank(what, column)
    known = _as_labels(what, labels)
    if column.dtype.kind not in "iu" and column.size:
        raise ValueError(f"{what} holds {column.dtype}; beside labels it is their integer index")
    if column.size and (column.min() < 0 or column.max() >= len(known)):
        raise ValueError(
            f"{what} runs from {column.min()} to {column.max()}, with {len(known)} labels"
        )
    # As they are, if they are wide enough: a copy of each would be most of the memory.
    return column.astype(np.int64 if column.dtype.kind == "u" else column.dtype, copy=False), known


def _as_labels(what: str, labels: ArrayLike) -> Labels:
    known = np.asarray(labels)
    if known.ndim != 1:
        raise ValueError(f"the {what} labels have shape {known.shape}; expected one column")
    if _is_missing(known).any():
        raise ValueError(f"one of the {what} labels is missing; give them all, or none")
    if len(np.unique(known)) != len(known):
        raise ValueError(f"the {what} labels are not distinct")
    return known


def _in_order(person: NDArray[np.integer], item: NDArray[np.integer]) -> bool:
    """Whether every row is beyond the last, by person and then by item."""
    for part in cached_spans(max(len(person) - 1, 0), 8):
        ahead = slice(part.start + 1, part.stop + 1)
        beyond = person[ahead] > person[part]
        beyond |= (person[ahead] == person[part]) & (item[ahead] > item[part])
        if not beyond.all():
            return False
    return True


def _is_missing(labels: Labels) -> NDArray[np.bool_]:
    """Which labels are None, NaN, NaT or pandas' NA."""
    if labels.dtype.kind == "f":
        return np.isnan(labels)
    if labels.dtype.kind in "mM":
        return np.isnat(labels)
    if labels.dtype.kind != "O":
        return np.zeros(1, bool)
    return np.array([_is_no_value(value) for value in labels.tolist()], bool)


def _is_no_value(value: object) -> bool:
    # pandas' NA does not say whether it equals itself; NaN and NaT do not.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _rank(what: str, column: Labels) -> tuple[NDArray[np.int64], Labels]:
    if _is_missing(column).any():
        raise ValueError(f"{what} is missing in some rows")
    small = 4 * column.size + 1024
    if column.dtype.kind in "iu" and column.size and column.min() >= 0 and column.max() < small:
        # Integers that nearly fill their range are ranked by counting, without a sort.
        seen = np.bincount(column) > 0
        rank = np.cumsum(seen) - 1
        return rank[column], np.flatnonzero(seen).astype(column.dtype)
    try:
        labels, codes = np.unique(column, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"the {what} labels cannot be put in order, as labels of one type can: {error}"
        ) from error
    return codes.astype(np.int64), labels
