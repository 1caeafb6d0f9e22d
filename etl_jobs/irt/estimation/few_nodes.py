"""A few abilities from which sums at all others follow.

Log-probabilities bend slowly along ability. What they add up to at a grid's nodes follows from
what it is at fewer of them, by interpolation, and posterior weights are gathered there in turn:
the score is exactly that of the interpolated likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from etl_jobs.irt.estimation.strands import one_thread

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from etl_jobs.irt.model.models import FloatArray, ItemTables
    from etl_jobs.irt.model.quadrature import Grid

# Nodes of few persons are weighed as if this share of those at the middle were there.
_FEWEST_PERSONS = 1e-3
# So many items show what curves there are.
_ENOUGH_ITEMS = 4_000
# What interpolation may be wrong by, as a share of what there is: by more, and a finer grid finds
# something left to climb.
_ROUGHLY = 1e-8
_ROUNDING = 1e-13


class FewNodes(NamedTuple):
    """Abilities from which others are interpolated.

    Attributes:
        chosen: Which of a grid's nodes they are, shape (few,).
        spread: What each is worth at each node, shape (few, nodes).
    """

    chosen: NDArray[np.int64]
    spread: FloatArray

    @classmethod
    def of(cls, tables: ItemTables, grid: Grid) -> Self:
        """Enough nodes for items like these: pivots of their curves, most telling first."""
        from scipy.linalg import qr

        persons = np.exp(grid.log_weights - grid.log_weights.max())
        weight = np.sqrt(np.maximum(persons, _FEWEST_PERSONS))
        items = slice(None, None, 1 + len(tables.log_outcome) // _ENOUGH_ITEMS)
        curves = tables.log_outcome[items].reshape(-1, len(weight))
        # Straight lines, which right answers add, are followed exactly.
        lines = np.stack((np.ones(len(weight)), grid.nodes))
        lines *= len(curves) * np.abs(curves).max()
        table = np.concatenate((lines, curves)) * weight
        with one_thread():
            triangle, order = qr(table, mode="r", pivoting=True, check_finite=False)
        size = np.abs(np.diagonal(triangle))
        # Curves that are no more than lines leave rounding.
        few = max(int(np.count_nonzero(size > max(_ROUGHLY * size[2], _ROUNDING * size[0]))), 2)
        spread = np.empty((few, len(order)))
        spread[:, order] = np.linalg.solve(triangle[:few, :few], triangle[:few])
        chosen = order[:few]
        return cls(chosen, spread * weight[chosen][:, np.newaxis] / weight)
