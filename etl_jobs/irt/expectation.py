"""The E-step: from answers and item tables to posteriors and sums over persons."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from etl_jobs.irt.products import dot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.blocks import Block
    from etl_jobs.irt.models import FloatArray, ItemTables
    from etl_jobs.irt.quadrature import Grid

# The sums are made in this many strands and then added, in the same order on every machine,
# however many threads work on them.
_STRANDS = 4


class Sums(NamedTuple):
    """What the answers say at the items' parameters, summed over persons.

    Attributes:
        log_likelihood: Marginal: ability is integrated out.
        wrong: Expected number of wrong answers, shape (items, nodes).
        right: Expected number of right answers, shape (items, nodes).
    """

    log_likelihood: float
    wrong: FloatArray
    right: FloatArray


class Expectation(Protocol):
    """The E-step over the answers of a calibration, wherever they are kept."""

    @property
    def persons(self) -> float:
        """How many persons gave answers."""
        ...

    def __call__(self, tables: ItemTables, grid: Grid) -> Sums:
        """The sums over all persons, at these item tables on this grid."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """The E-step over answers that are held in memory."""

    blocks: Sequence[Block]

    @property
    def persons(self) -> float:
        """How many persons gave answers."""
        return sum(float(block.count.sum()) for block in self.blocks)

    def __call__(self, tables: ItemTables, grid: Grid) -> Sums:
        """The sums over all persons, at these item tables on this grid."""
        return expect(self.blocks, tables, grid)


def expect(blocks: Sequence[Block], tables: ItemTables, grid: Grid) -> Sums:
    """The E-step over all blocks."""
    strands = [blocks[strand::_STRANDS] for strand in range(min(_STRANDS, len(blocks)))]
    with ThreadPoolExecutor(min(len(strands), os.cpu_count() or 1)) as pool:
        parts = list(pool.map(lambda strand: _expect_strand(strand, tables, grid), strands))
    tally = parts[0][1]
    for part in parts[1:]:
        tally += part[1]
    return Sums(sum(part[0] for part in parts), tally[:, 0], tally[:, 1])


def posterior(block: Block, tables: ItemTables, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Each pattern's posterior over the nodes, and its log-likelihood.

    Returns:
        Probabilities that sum to 1 along each row, shape (patterns, nodes), and the marginal
        log-likelihood of each pattern, shape (patterns,).
    """
    joint = block.total(tables.log_outcome)
    joint += grid.log_weights
    peak = joint.max(axis=1, keepdims=True)
    joint -= peak
    np.exp(joint, out=joint)
    total = joint.sum(axis=1, keepdims=True)
    joint /= total
    return joint, (np.log(total) + peak)[:, 0]


def _expect_strand(
    blocks: Sequence[Block], tables: ItemTables, grid: Grid
) -> tuple[float, FloatArray]:
    log_likelihood, tally = _expect_block(blocks[0], tables, grid)
    for block in blocks[1:]:
        more, part = _expect_block(block, tables, grid)
        log_likelihood += more
        tally += part
    return log_likelihood, tally


def _expect_block(block: Block, tables: ItemTables, grid: Grid) -> tuple[float, FloatArray]:
    weight, log_marginal = posterior(block, tables, grid)
    weight *= block.count[:, np.newaxis]
    return dot(block.count, log_marginal), block.tally(weight)
