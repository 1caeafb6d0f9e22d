"""Answers laid out for matrix products, in blocks that fit the processor's cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from etl_jobs.irt.products import cross_product, product
from etl_jobs.irt.spans import cached_spans, spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from etl_jobs.irt.models import FloatArray, ItemTables
    from etl_jobs.irt.patterns import Patterns
    from etl_jobs.irt.quadrature import Grid

# Above this share of answered cells a dense product beats a sparse one.
_DENSE_SHARE = 0.25
_DENSE_ROWS = 2048
_SPARSE_ROWS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class SparseBlock:
    """Some patterns, for a bank of which each person saw little.

    Attributes:
        answers: 1 in column 2 * item + correct, shape (patterns, 2 * items).
        count: How many persons gave each pattern.
    """

    answers: sparse.csr_array
    count: FloatArray

    def total(self, outcome: FloatArray) -> FloatArray:
        """Values (items, 2, nodes) of each answer, summed, shape (patterns, nodes)."""
        total: FloatArray = self.answers @ outcome.reshape(self.answers.shape[1], -1)
        return total

    def tally(self, weight: FloatArray) -> FloatArray:
        """Weights (patterns, nodes) summed over wrong and right, shape (items, 2, nodes)."""
        total: FloatArray = self.answers.T @ weight
        return total.reshape(-1, 2, weight.shape[1])

    def squared_scores(self, weight: FloatArray, tables: ItemTables, grid: Grid) -> FloatArray:
        """Squares of the patterns' expected scores, summed, shape (items, 2, 2)."""
        row = np.repeat(np.arange(len(self.count)), np.diff(self.answers.indptr))
        item, right = self.answers.indices >> 1, self.answers.indices & 1
        powers = np.vander(grid.nodes, 2)
        score = right[:, np.newaxis] * product(weight, powers)[row]
        score -= mean_at_answers(weight, row, tables.probability, item, powers)
        count = self.count[row]
        total = np.empty((tables.probability.shape[0], 2, 2))
        for left, right_ in ((0, 0), (0, 1), (1, 0), (1, 1)):
            square = count * score[:, left] * score[:, right_]
            total[:, left, right_] = np.bincount(item, weights=square, minlength=len(total))
        return total


@dataclass(frozen=True, slots=True, eq=False)
class DenseBlock:
    """Some patterns, for a test that most persons took whole.

    Attributes:
        right: 1 where an item was answered correctly, shape (patterns, items).
        gaps: The items that some person skipped, shape (gaps,).
        answered: 1 where one of those was answered, shape (patterns, gaps).
        count: How many persons gave each pattern.
    """

    right: NDArray[np.uint8]
    gaps: NDArray[np.int64]
    answered: NDArray[np.uint8]
    count: FloatArray

    def total(self, outcome: FloatArray) -> FloatArray:
        """Values (items, 2, nodes) of each answer, summed, shape (patterns, nodes)."""
        wrong, right = outcome[:, 0], outcome[:, 1]
        total = product(self.right.astype(np.float64), right - wrong)
        total += np.delete(wrong, self.gaps, axis=0).sum(axis=0)
        if self.gaps.size:
            total += product(self.answered.astype(np.float64), wrong[self.gaps])
        return total

    def tally(self, weight: FloatArray) -> FloatArray:
        """Weights (patterns, nodes) summed over wrong and right, shape (items, 2, nodes)."""
        total = np.empty((self.right.shape[1], 2, weight.shape[1]))
        total[:, 1] = cross_product(self.right.astype(np.float64), weight)
        total[:, 0] = weight.sum(axis=0)
        if self.gaps.size:
            total[self.gaps, 0] = cross_product(self.answered.astype(np.float64), weight)
        total[:, 0] -= total[:, 1]
        return total

    def squared_scores(self, weight: FloatArray, tables: ItemTables, grid: Grid) -> FloatArray:
        """Squares of the patterns' expected scores, summed, shape (items, 2, 2)."""
        score = []
        for power in np.vander(grid.nodes, 2).T:
            moment = weight * power
            expected = self.right * moment.sum(axis=1, keepdims=True)
            expected -= product(moment, tables.probability.T)
            expected[:, self.gaps] *= self.answered
            score.append(expected)
        count = self.count
        return np.array(
            [[np.einsum("p,pi,pi->i", count, left, right) for right in score] for left in score]
        ).transpose(2, 0, 1)


Block = SparseBlock | DenseBlock


def blocks_of(patterns: Patterns) -> list[Block]:
    """The patterns, in order, laid out for the fastest product."""
    if len(patterns.code) > _DENSE_SHARE * len(patterns) * patterns.items:
        return list(_dense_blocks(patterns))
    return list(_sparse_blocks(patterns))


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


def _sparse_blocks(patterns: Patterns) -> Iterator[SparseBlock]:
    # Each block's sums are as large as the item table: a block is worth one, or fits the cache.
    parts = list(spans(len(patterns), max(_SPARSE_ROWS, 2 * patterns.items)))
    starts = [patterns.start[part.start : part.stop + 1] for part in parts]
    ones = np.ones(max((int(start[-1] - start[0]) for start in starts), default=0))
    for part, start in zip(parts, starts, strict=True):
        code = patterns.code[start[0] : start[-1]]
        answers = sparse.csr_array(
            (ones[: len(code)], code, (start - start[0]).astype(np.int32)),
            shape=(len(start) - 1, 2 * patterns.items),
        )
        yield SparseBlock(answers, patterns.count[part])


def _dense_blocks(patterns: Patterns) -> Iterator[DenseBlock]:
    answered = np.bincount(patterns.code >> 1, minlength=patterns.items)
    gaps = np.flatnonzero(answered < len(patterns))
    for part in spans(len(patterns), _DENSE_ROWS):
        start = patterns.start[part.start : part.stop + 1]
        code = patterns.code[start[0] : start[-1]]
        row = np.repeat(np.arange(len(start) - 1), np.diff(start))
        right, seen = np.zeros((2, len(start) - 1, patterns.items), np.uint8)
        right[row, code >> 1] = code & 1
        seen[row, code >> 1] = 1
        yield DenseBlock(right, gaps, seen[:, gaps], patterns.count[part])
