"""The items at the nodes of a grid, in the forms that sums over persons take them.

Each form adds up one block of answers, and makes a tally of the blocks' sums: the wrong and the
right answers to each item that are expected at each node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.answers.products import dot

if TYPE_CHECKING:
    from typing import Self

    from etl_jobs.irt.answers.blocks import (
        DenseBlock,
        DenseOutcome,
        Floats,
        Precision,
        SparseBlock,
    )
    from etl_jobs.irt.estimation.few_nodes import FewNodes
    from etl_jobs.irt.model.models import FloatArray, ItemTables

# Logarithm of the least weight: smaller ones change no sum, and in single precision numbers as
# small as they become take ten times as long to add.
_LEAST = -80.0
# Bytes of a register: columns of a sparse product that do not fill one are added one by one.
_REGISTER = 16


@dataclass(frozen=True, slots=True, eq=False)
class SparseCurves:
    """Items' curves, as sums over sparse answers take them.

    Attributes:
        values: Logarithms of the probabilities of each outcome at a few nodes or all, and
            columns of zeros beyond them, shape (2 * items, columns).
        spread: What makes all nodes of a few, shape (columns, nodes); None where they are all.
        log_weights: Of the persons, shape (nodes, 1).
        tallied: The precision of the tally.
        few: Which nodes the few are.
    """

    values: Floats
    spread: Floats | None
    log_weights: Floats
    tallied: Precision
    few: FewNodes | None

    @classmethod
    def of(
        cls,
        tables: ItemTables,
        log_weights: FloatArray,
        precision: Precision,
        tallied: Precision,
        *,
        few: FewNodes | None = None,
    ) -> Self:
        """The curves, interpolated from a few nodes if there are any."""
        values = tables.log_outcome.reshape(-1, len(log_weights))
        if few is not None:
            values = values[:, few.chosen]
        return cls(
            _padded(values, precision),
            None if few is None else _padded(few.spread.T, precision).T,
            log_weights[:, np.newaxis].astype(precision),
            tallied,
            few,
        )

    def add_up(self, block: SparseBlock) -> tuple[float | FloatArray, ...]:
        """Sums over one block: the log-likelihood, and what `tally` makes a tally of."""
        each: Floats = (block.answers @ self.values).T
        # Sums over nodes are quicker down columns.
        if self.spread is None:
            weight = np.ascontiguousarray(each[: len(self.log_weights)])
        else:
            weight = self.spread.T @ each
        weight += self.log_weights
        log_likelihood = _log_likelihood(block.count, weight)
        back = weight.T if self.spread is None else weight.T @ self.spread.T
        tally: Floats = block.answers.T @ _padded(back, self.tallied)
        return log_likelihood, tally.astype(np.float64, copy=False)

    def tally(self, tally: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Wrong and right answers expected at each node, each of shape (items, nodes)."""
        nodes = len(self.log_weights)
        if self.few is None:
            tally = tally[:, :nodes]
        else:
            few, tally = tally[:, : len(self.few.chosen)], np.zeros((len(tally), nodes))
            tally[:, self.few.chosen] = few
        outcomes = tally.reshape(-1, 2, nodes)
        return outcomes[:, 0], outcomes[:, 1]


@dataclass(frozen=True, slots=True, eq=False)
class DenseCurves:
    """Curves of any kind, as sums over a whole test take them.

    Attributes:
        outcome: What answers add to a pattern's log-probability.
        log_weights: Of the persons, shape (nodes, 1).
    """

    outcome: DenseOutcome
    log_weights: Floats

    def add_up(self, block: DenseBlock) -> tuple[float, FloatArray]:
        """The log-likelihood of one block, and its tally (items, 2, nodes)."""
        weight: Floats = block.fast_total(self.outcome)
        weight += self.log_weights
        return _log_likelihood(block.count, weight), block.fast_tally(weight)

    def tally(self, tally: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Wrong and right answers expected at each node, each of shape (items, nodes)."""
        return tally[:, 0], tally[:, 1]


def _padded(table: FloatArray, precision: Precision) -> Floats:
    """The table, with zeros beyond its columns, so that each row fills whole registers."""
    rows, columns = table.shape
    beyond = -columns % (_REGISTER // np.dtype(precision).itemsize)
    if not beyond:
        return np.ascontiguousarray(table, precision)
    padded: Floats = np.zeros((rows, columns + beyond), precision)
    padded[:, :columns] = table
    return padded


def _log_likelihood(count: FloatArray, weight: Floats) -> float:
    """That of some patterns; their joint log-densities (nodes, patterns) become weights."""
    peak, total = exponentiated(weight)
    weight *= (count / total).astype(weight.dtype)
    return dot(count, np.log(total, dtype=np.float64) + peak)


def exponentiated(log_density: Floats) -> tuple[Floats, Floats]:
    """Densities (nodes, patterns) of logarithms, in place, each pattern's highest being 1.

    Returns:
        The highest logarithms, and what the densities sum to, each of shape (patterns,).
    """
    peak: Floats = log_density.max(axis=0)
    log_density -= peak
    np.maximum(log_density, _LEAST, out=log_density)
    np.exp(log_density, out=log_density)
    return peak, log_density.sum(axis=0)
