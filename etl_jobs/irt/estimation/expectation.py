"""The E-step: from answers and item tables to posteriors and sums over persons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from etl_jobs.irt.answers.blocks import SparseBlock, persons_in
from etl_jobs.irt.estimation.item_curves import DenseCurves, SparseCurves
from etl_jobs.irt.estimation.straight_lines import Lines
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.answers.blocks import Block, Precision
    from etl_jobs.irt.estimation.few_nodes import FewNodes
    from etl_jobs.irt.model.models import FloatArray, ItemTables
    from etl_jobs.irt.model.quadrature import Grid

# The sums are made in at most so many strands and then added, in the same order on every
# machine, however many threads work on them.
_STRANDS = 4
_FEWEST_BLOCKS = 2


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


@dataclass(frozen=True, eq=False)
class InMemory:
    """The E-step over answers that are held in memory.

    The sums do not depend on the number of threads, to the last bit.

    Attributes:
        blocks: The answers.
        precision: Of the work on one block; blocks are added up in double precision always.
            Single precision takes half the time, and errs by about 1e-5 standard errors.
        tallied: Of the sums over one block's persons. In single precision they err by a ten
            millionth, and the log-likelihood by nothing.
        brief: Whether the sums may be any that have the right score: they take less time.
        few: Nodes from which sums over sparse answers are interpolated to the others.
        threads: At most so many work; by default as many as there are processors.
    """

    blocks: Sequence[Block]
    precision: Precision = np.float64
    tallied: Precision = np.float64
    brief: bool = False
    few: FewNodes | None = None
    threads: int | None = None

    @cached_property
    def persons(self) -> float:
        """How many persons gave answers."""
        return persons_in(self.blocks)

    def __call__(self, tables: ItemTables, grid: Grid) -> Sums:
        """The sums over all persons, at these item tables on this grid."""
        curves = self._curves(tables, grid)

        def strand_sums(blocks: Sequence[Block]) -> list[Any]:
            sums = list(curves.add_up(blocks[0]))
            for block in blocks[1:]:
                _add(sums, curves.add_up(block))
            return sums

        first, *rest = in_strands(strand_sums, _dealt(self.blocks), threads=self.threads)
        for sums in rest:
            _add(first, sums)
        return Sums(first[0], *curves.tally(*first[1:]))

    def _curves(self, tables: ItemTables, grid: Grid) -> Any:
        """The items in the form in which the blocks' answers are summed fastest."""
        block, precisions = self.blocks[0], (self.precision, self.tallied)
        if isinstance(block, SparseBlock):
            return SparseCurves.of(tables, grid.log_weights, *precisions, few=self.few)
        if tables.is_straight:
            return Lines.of(block, tables, grid.log_weights, *precisions, brief=self.brief)
        return DenseCurves(
            block.prepared(tables.log_outcome, self.precision),
            grid.log_weights[:, np.newaxis].astype(self.precision),
        )


def _add(sums: list[Any], more: Sequence[Any]) -> None:
    for place, each in enumerate(more):
        sums[place] += each


def expect(blocks: Sequence[Block], tables: ItemTables, grid: Grid) -> Sums:
    """The E-step over all blocks."""
    return InMemory(blocks)(tables, grid)


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


def _dealt(blocks: Sequence[Block]) -> list[Sequence[Block]]:
    """The blocks in strands, fewer where there is too little to do for a thread of its own."""
    strands = min(_STRANDS, -(-len(blocks) // _FEWEST_BLOCKS))
    return [blocks[strand::strands] for strand in range(strands)]
