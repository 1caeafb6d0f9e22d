"""Answers laid out for matrix products, in blocks that fit the processor's cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from etl_jobs.irt.answers.products import cross_product, product
from etl_jobs.irt.answers.spans import cached_spans, spans
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_jobs.irt.answers.patterns import Patterns
    from etl_jobs.irt.model.models import FloatArray

# Single or double precision.
Floats = NDArray[Any]
Precision = type[np.float32] | type[np.float64]

# Above this share of answered cells a dense product beats a sparse one.
_DENSE_SHARE = 0.25
_DENSE_ROWS = 1024
_SPARSE_ROWS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class SparseBlock:
    """Some patterns, for a bank of which each person saw little.

    Attributes:
        answers: 1 in column 2 * item + correct, shape (patterns, 2 * items).
        count: How many persons gave each pattern.
    """

    answers: sparse.csr_array
    count: FloatArray

    # Along it lie the nodes in what the fast methods take and give: (patterns, nodes).
    node_axis: ClassVar[int] = 1

    def prepared(self, outcome: FloatArray, precision: Precision) -> Floats:
        """Values (items, 2, nodes) in the form that `fast_total` of all blocks takes."""
        return outcome.reshape(-1, outcome.shape[2]).astype(precision)

    def fast_total(self, prepared: Floats) -> Floats:
        """Values of each answer, summed, shape (patterns, nodes)."""
        total: Floats = self.answers @ prepared
        return total

    def fast_tally(self, weight: Floats) -> FloatArray:
        """Weights (patterns, nodes) summed over wrong and right, shape (items, 2, nodes)."""
        total: Floats = self.answers.T @ weight
        return total.reshape(-1, 2, weight.shape[1])

    def total(self, outcome: FloatArray) -> FloatArray:
        """Values (items, 2, nodes) of each answer, summed, shape (patterns, nodes)."""
        return self.fast_total(self.prepared(outcome, np.float64))

    def tally(self, weight: FloatArray) -> FloatArray:
        """Weights (patterns, nodes) summed over wrong and right, shape (items, 2, nodes)."""
        return self.fast_tally(weight)

    @property
    def answers_held(self) -> int:
        """Answers in the block."""
        return int(self.answers.nnz)

    def outcomes(self) -> NDArray[np.int64]:
        """Patterns with a wrong and with a right answer to each item, shape (items, 2)."""
        counts = np.bincount(self.answers.indices, minlength=self.answers.shape[1])
        return counts.reshape(-1, 2)


class DenseOutcome(NamedTuple):
    """What a pattern's total is made of.

    Attributes:
        gain: What a right answer has over a wrong one, shape (nodes, items).
        wrong: The sum over all items that nobody skipped, shape (nodes, 1).
        gap: Each of the other items' own, shape (nodes, gaps).
    """

    gain: Floats
    wrong: Floats
    gap: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DenseBlock:
    """Some patterns, for a test that most persons took whole.

    Attributes:
        right: 1 where an item was answered correctly, shape (items, patterns).
        gaps: The items that some person skipped, shape (gaps,).
        answered: 1 where one of those was answered, shape (gaps, patterns).
        count: How many persons gave each pattern.
    """

    right: NDArray[np.uint8]
    gaps: NDArray[np.int64]
    answered: NDArray[np.uint8]
    count: FloatArray

    # Sums over nodes are quicker down columns: the fast methods speak (nodes, patterns).
    node_axis: ClassVar[int] = 0

    def prepared(self, outcome: FloatArray, precision: Precision) -> DenseOutcome:
        """Values (items, 2, nodes) in the form that `fast_total` of all blocks takes."""
        wrong, right = outcome[:, 0], outcome[:, 1]
        always = wrong.sum(axis=0)
        if self.gaps.size:
            always = np.delete(wrong, self.gaps, axis=0).sum(axis=0)
        return DenseOutcome(
            np.ascontiguousarray((right - wrong).T, precision),
            always[:, np.newaxis].astype(precision),
            np.ascontiguousarray(wrong[self.gaps].T, precision),
        )

    def fast_total(self, prepared: DenseOutcome) -> Floats:
        """Values of each answer, summed, shape (nodes, patterns)."""
        total: Floats = prepared.gain @ self.right.astype(prepared.gain.dtype)
        total += prepared.wrong
        if self.gaps.size:
            total += prepared.gap @ self.answered.astype(prepared.gap.dtype)
        return total

    def fast_tally(self, weight: Floats) -> FloatArray:
        """Weights (nodes, patterns) summed over wrong and right, shape (items, 2, nodes)."""
        total = np.empty((len(self.right), 2, len(weight)))
        total[:, 1] = self.right.astype(weight.dtype) @ weight.T
        # A product is several times as fast as a sum along rows.
        total[:, 0] = weight @ np.ones(weight.shape[1], weight.dtype)
        if self.gaps.size:
            total[self.gaps, 0] = self.answered.astype(weight.dtype) @ weight.T
        total[:, 0] -= total[:, 1]
        return total

    def total(self, outcome: FloatArray) -> FloatArray:
        """Values (items, 2, nodes) of each answer, summed, shape (patterns, nodes)."""
        wrong, right = outcome[:, 0], outcome[:, 1]
        total = product(_turned(self.right), right - wrong)
        total += np.delete(wrong, self.gaps, axis=0).sum(axis=0)
        if self.gaps.size:
            total += product(_turned(self.answered), wrong[self.gaps])
        return total

    def tally(self, weight: FloatArray) -> FloatArray:
        """Weights (patterns, nodes) summed over wrong and right, shape (items, 2, nodes)."""
        total = np.empty((len(self.right), 2, weight.shape[1]))
        total[:, 1] = cross_product(_turned(self.right), weight)
        total[:, 0] = weight.sum(axis=0)
        if self.gaps.size:
            total[self.gaps, 0] = cross_product(_turned(self.answered), weight)
        total[:, 0] -= total[:, 1]
        return total

    @property
    def answers_held(self) -> int:
        """Answers in the block."""
        always = len(self.right) - len(self.gaps)
        return always * len(self.count) + int(np.count_nonzero(self.answered))

    def outcomes(self) -> NDArray[np.int64]:
        """Patterns with a wrong and with a right answer to each item, shape (items, 2)."""
        answered = np.full(len(self.right), len(self.count))
        answered[self.gaps] = np.count_nonzero(self.answered, axis=1)
        right = np.count_nonzero(self.right, axis=1)
        return np.stack((answered - right, right), axis=1)


Block = SparseBlock | DenseBlock


def blocks_of(patterns: Patterns) -> list[Block]:
    """The patterns, in order, laid out for the fastest product."""
    if patterns.answers > _DENSE_SHARE * len(patterns) * patterns.items:
        return _dense_blocks(patterns)
    return list(_sparse_blocks(patterns))


def sample_of(blocks: Sequence[Block], share: int) -> list[Block]:
    """One of so many blocks, its persons counted as if they stood for all.

    Patterns are in the order of a hash, so the first ones are a random sample.
    """
    some = blocks[: -(-len(blocks) // share)]
    scale = persons_in(blocks) / persons_in(some)
    return [replace(block, count=scale * block.count) for block in some]


def persons_in(blocks: Sequence[Block]) -> float:
    """How many persons the blocks stand for."""
    return sum(float(block.count.sum()) for block in blocks)


def mean_at_answers(
    weight: FloatArray,
    row: NDArray[np.int64],
    table: FloatArray,
    item: NDArray[np.int64],
    powers: FloatArray,
) -> FloatArray:
    """Sums over nodes of weight[row] * table[item] * powers, for each answer.

    Args:
        weight: Shape (persons, nodes).
        row: The person of each answer, shape (answers,).
        table: Shape (items, nodes).
        item: The item of each answer, shape (answers,).
        powers: Shape (nodes, powers).

    Returns:
        Shape (answers, powers).
    """
    result = np.empty((len(row), powers.shape[1]))
    for answers in cached_spans(len(row), len(powers)):
        each = weight[row[answers]]
        each *= table[item[answers]]
        np.matmul(each, powers, out=result[answers])
    return result


def _turned(matrix: NDArray[np.uint8]) -> FloatArray:
    return matrix.T.astype(np.float64, order="C")


def _sparse_blocks(patterns: Patterns) -> Iterator[SparseBlock]:
    # Each block's sums are as large as the item table: a block is worth one, or fits the cache.
    parts = list(spans(len(patterns), max(_SPARSE_ROWS, 2 * patterns.items)))
    starts = [patterns.start[part.start : part.stop + 1] for part in parts]
    # One array of ones for all; in single precision, which becomes double where that is asked.
    ones = np.ones(max((int(start[-1] - start[0]) for start in starts), default=0), np.float32)
    for part, start in zip(parts, starts, strict=True):
        code = patterns.code[start[0] : start[-1]]
        answers = sparse.csr_array(
            (ones[: len(code)], code, (start - start[0]).astype(np.int32)),
            shape=(len(start) - 1, 2 * patterns.items),
        )
        yield SparseBlock(answers, patterns.count[part])


def _dense_blocks(patterns: Patterns) -> list[Block]:
    gaps, whole = patterns.skipped_items(), patterns.right_of_whole()
    none = np.empty(0, np.int64)

    def block_of(part: slice) -> DenseBlock:
        count = patterns.count[part]
        if whole is not None:
            right = np.ascontiguousarray(whole[patterns.person[part]].T)
            return DenseBlock(right, none, np.empty((0, len(count)), np.uint8), count)
        start = patterns.start[part.start : part.stop + 1]
        code = patterns.code[start[0] : start[-1]]
        row = np.repeat(np.arange(len(count)), np.diff(start))
        right, seen = np.zeros((2, patterns.items, len(count)), np.uint8)
        right[code >> 1, row] = code & 1
        seen[code >> 1, row] = 1
        return DenseBlock(right, gaps, seen[gaps], count)

    return list(in_strands(block_of, list(spans(len(patterns), _DENSE_ROWS))))
