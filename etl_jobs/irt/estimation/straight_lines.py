"""The E-step over a whole test whose log-odds are straight lines in ability.

There an answer pattern says of ability what one number does: the sum of the discriminations of
its right answers. A product with a matrix of nodes becomes one with a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.answers.products import dot
from etl_jobs.irt.estimation.item_curves import exponentiated

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.blocks import DenseBlock, Floats, Precision
    from etl_jobs.irt.model.models import FloatArray, ItemTables


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """What a right answer has over a wrong one: a line for each item, and what all have in common.

    Attributes:
        slope: From the first node to the last, shape (items,).
        level: At the first node, shape (items,).
        place: The nodes between 0 and 1, shape (nodes,).
        always: The wrong answers to the items that nobody skipped, and the persons' mass,
            shape (nodes, 1).
        gaps: The other items.
        gap: The wrong answers to each of those, shape (nodes, gaps).
        tallied: The precision of the tally.
        brief: Whether of an item's right answers only their number and their mean ability are
            kept, which is all that a score asks of them.
    """

    slope: Floats
    level: FloatArray
    place: Floats
    always: Floats
    gaps: NDArray[np.int64]
    gap: Floats
    tallied: Precision
    brief: bool

    @classmethod
    def of(
        cls,
        block: DenseBlock,
        tables: ItemTables,
        log_weights: FloatArray,
        precision: Precision,
        tallied: Precision,
        *,
        brief: bool,
    ) -> Self:
        """The lines, at equally spaced nodes, for this block and all that are cut like it."""
        wrong = tables.log_outcome[:, 0]
        first, last = (tables.log_outcome[:, 1] - wrong)[:, [0, -1]].T
        always = np.delete(wrong, block.gaps, axis=0) if block.gaps.size else wrong
        return cls(
            slope=(last - first).astype(precision),
            level=first,
            place=(np.arange(len(log_weights)) / (len(log_weights) - 1)).astype(precision),
            always=(always.sum(axis=0) + log_weights)[:, np.newaxis].astype(precision),
            gaps=block.gaps,
            gap=np.ascontiguousarray(wrong[block.gaps].T, precision),
            tallied=tallied,
            brief=brief,
        )

    def add_up(self, block: DenseBlock) -> tuple[float | FloatArray, ...]:
        """Sums over one block: the log-likelihood, and what `tally` makes a tally of."""
        precision = self.slope.dtype
        right = block.right.astype(precision)
        count = block.count.astype(precision, copy=False)
        weight: Floats = np.multiply.outer(self.place, self.slope @ right)
        weight += self.always
        if self.gaps.size:
            answered = block.answered.astype(precision)
            weight += self.gap @ answered
        peak, total = exponentiated(weight)
        log_marginal = np.log(total, dtype=np.float64) + peak
        share = (block.count / total).astype(precision)
        number = (right @ count).astype(np.float64, copy=False)
        log_likelihood = dot(block.count, log_marginal) + dot(number, self.level)
        mean = (self.place @ weight) * share
        mass = (weight @ share).astype(np.float64, copy=False)
        sums = [log_likelihood, number, (right @ mean).astype(np.float64, copy=False), mass]
        if self.gaps.size or not self.brief:
            weight *= share
            weight = weight.astype(self.tallied, copy=False)
        if self.gaps.size:
            answered = answered.astype(self.tallied, copy=False)
            sums.append((answered @ weight.T).astype(np.float64, copy=False))
        if not self.brief:
            right = right if right.dtype == self.tallied else block.right.astype(self.tallied)
            sums.append((right @ weight.T).astype(np.float64, copy=False))
        return tuple(sums)

    def tally(
        self, number: FloatArray, mean: FloatArray, mass: FloatArray, *rest: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Wrong and right answers expected at each node, each of shape (items, nodes).

        If brief, right ones stand at the first and the last node, where they have the same
        number and mean ability.
        """
        if self.brief:
            right = np.zeros((len(number), len(mass)))
            right[:, -1] = mean
            right[:, 0] = number - mean
        else:
            right = rest[-1]
        wrong = mass - right
        if self.gaps.size:
            wrong[self.gaps] = rest[0] - right[self.gaps]
        return wrong, right
