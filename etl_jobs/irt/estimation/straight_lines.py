"""The E-step over a whole test whose log-odds are straight lines in ability.

There an answer pattern says of ability what one number does: the sum of the discriminations of
its right answers. Two products with a matrix of nodes become two with a vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from etl_jobs.irt.answers.products import dot

if TYPE_CHECKING:
    from typing import Self

    from etl_jobs.irt.answers.blocks import DenseBlock, Floats, Precision
    from etl_jobs.irt.model.models import FloatArray, ItemTables

# Rounding bends a line by less than this share of its height.
_BENT = 1e-13


class Lines(NamedTuple):
    """What a right answer has over a wrong one: a line for each item, and what all have in common.

    Attributes:
        slope: From the first node to the last, shape (items,).
        level: At the first node, shape (items,).
        place: The nodes between 0 and 1, shape (nodes,).
        always: The wrong answers to the items that nobody skipped, and the persons' mass,
            shape (nodes, 1).
        gap: The wrong answers to each of the other items, shape (nodes, gaps).
    """

    slope: Floats
    level: FloatArray
    place: Floats
    always: Floats
    gap: Floats

    @classmethod
    def of(
        cls, block: DenseBlock, tables: ItemTables, log_weights: FloatArray, precision: Precision
    ) -> Self | None:
        """The lines for this block and all that are cut like it; None where a curve is bent."""
        wrong, right = tables.log_outcome[:, 0], tables.log_outcome[:, 1]
        gain = right - wrong
        place = np.linspace(0.0, 1.0, gain.shape[1])
        level, slope = gain[:, 0].copy(), gain[:, -1] - gain[:, 0]
        bend = np.multiply.outer(slope, place)
        bend += level[:, np.newaxis]
        bend -= gain
        if not np.abs(bend, out=bend).max() <= _BENT * np.abs(gain, out=gain).max():
            return None
        always = np.delete(wrong, block.gaps, axis=0) if block.gaps.size else wrong
        return cls(
            slope.astype(precision),
            level,
            place.astype(precision),
            (always.sum(axis=0) + log_weights)[:, np.newaxis].astype(precision),
            np.ascontiguousarray(wrong[block.gaps].T, precision),
        )


def sums_on_lines(block: DenseBlock, lines: Lines, *, brief: bool) -> tuple[float, FloatArray]:
    """The log-likelihood of one block, and its tally (items, 2, nodes).

    Args:
        block: The answers.
        lines: The items.
        brief: Put an item's right answers at the first and the last node, so that their number
            and their mean ability are kept: more no score asks of them.
    """
    precision = lines.slope.dtype
    right = block.right.astype(precision)
    weight: Floats = np.multiply.outer(lines.place, lines.slope @ right)
    weight += lines.always
    if block.gaps.size:
        answered = block.answered.astype(precision)
        weight += lines.gap @ answered
    peak = weight.max(axis=0)
    weight -= peak
    np.exp(weight, out=weight)
    total = weight.sum(axis=0)
    share = (block.count / total).astype(precision)
    number = right @ block.count.astype(precision)
    log_marginal = np.log(total, dtype=np.float64) + peak
    tally = np.empty((len(right), 2, len(weight)))
    if brief:
        tally[:, 1] = 0.0
        tally[:, 1, -1] = right @ ((lines.place @ weight) * share)
        tally[:, 1, 0] = number - tally[:, 1, -1]
        tally[:, 0] = weight @ share
    else:
        weight *= share
        tally[:, 1] = right @ weight.T
        tally[:, 0] = weight.sum(axis=1, dtype=np.float64)
    if block.gaps.size:
        if brief:
            weight *= share
        tally[block.gaps, 0] = answered @ weight.T
    tally[:, 0] -= tally[:, 1]
    return dot(block.count, log_marginal) + dot(number, lines.level), tally
