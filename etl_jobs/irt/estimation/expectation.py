"""The E-step: from answers and item tables to posteriors and sums over persons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from etl_jobs.irt.answers.blocks import DenseBlock, persons_in
from etl_jobs.irt.answers.products import dot
from etl_jobs.irt.estimation.straight_lines import Lines, sums_on_lines
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_jobs.irt.answers.blocks import Block, Floats, Precision
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
        brief: Whether of right answers only what a score asks for need be right in the sums:
            where log-odds are straight lines, their number and mean ability.
        threads: At most so many work; by default as many as there are processors.
    """

    blocks: Sequence[Block]
    precision: Precision = np.float64
    brief: bool = False
    threads: int | None = None

    @cached_property
    def persons(self) -> float:
        """How many persons gave answers."""
        return persons_in(self.blocks)

    def __call__(self, tables: ItemTables, grid: Grid) -> Sums:
        """The sums over all persons, at these item tables on this grid."""
        block_sums = self._prepared(tables, grid)

        def strand_sums(blocks: Sequence[Block]) -> tuple[float, FloatArray]:
            log_likelihood, tally = block_sums(blocks[0])
            for block in blocks[1:]:
                more, part = block_sums(block)
                log_likelihood += more
                tally += part
            return log_likelihood, tally

        parts = in_strands(strand_sums, _dealt(self.blocks), threads=self.threads)
        tally = parts[0][1]
        for part in parts[1:]:
            tally += part[1]
        return Sums(sum(part[0] for part in parts), tally[:, 0], tally[:, 1])

    def _prepared(
        self, tables: ItemTables, grid: Grid
    ) -> Callable[[Any], tuple[float, FloatArray]]:
        """What makes the sums of one block."""
        first = self.blocks[0]
        if isinstance(first, DenseBlock):
            lines = Lines.of(first, tables, grid.log_weights, self.precision)
            if lines is not None:
                return partial(sums_on_lines, lines=lines, brief=self.brief)
        return partial(
            _block_sums,
            prepared=first.prepared(tables.log_outcome, self.precision),
            log_weights=grid.log_weights.astype(self.precision),
        )


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


def _block_sums(block: Block, prepared: Any, log_weights: Floats) -> tuple[float, FloatArray]:
    """The log-likelihood of one block, and its tally (items, 2, nodes), in double precision."""
    axis = block.node_axis
    weight: Floats = block.fast_total(prepared)
    weight += np.expand_dims(log_weights, 1 - axis)
    peak = weight.max(axis=axis, keepdims=True)
    weight -= peak
    np.exp(weight, out=weight)
    total = weight.sum(axis=axis, keepdims=True)
    count = np.expand_dims(block.count, axis)
    weight *= (count / total).astype(weight.dtype)
    log_marginal = np.log(total, dtype=np.float64) + peak
    tally = block.fast_tally(weight)
    return dot(count, log_marginal), tally.astype(np.float64, copy=False)
