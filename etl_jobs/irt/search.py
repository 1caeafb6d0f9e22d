"""The search for the maximum, on grids of ability fine enough for the answers at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.ascent import Climb, climb
from etl_jobs.irt.quadrature import Grid

if TYPE_CHECKING:
    from etl_jobs.irt.curves import ItemParameters
    from etl_jobs.irt.models import FloatArray
    from etl_jobs.irt.objective import Evaluation, MarginalPosterior

# A grid is fine enough once one with twice as many nodes would move no parameter by this.
_GRID_AGREEMENT = 5e-5
# The scaled score that still counts as the top.
STEEPEST_TOP = 0.01
_FEWEST_NODES = 61
_MOST_NODES_AT_FIRST = 401
_MOST_NODES = 1500
# How near to the maximum it pays to come on a grid that is too coarse.
_NEARBY = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Where a search ended.

    Attributes:
        objective: What was climbed, on the last grid.
        found: The end of the climb on that grid.
        finer: The hill at the same point on a grid twice as fine.
        passes: How often the answers were gone through.
        converged: Whether the score vanished on the finer grid, too.
    """

    objective: MarginalPosterior
    found: Climb[Evaluation]
    finer: Evaluation
    passes: int
    converged: bool

    @property
    def parameters(self) -> ItemParameters:
        """The items."""
        return self.objective.coordinates.parameters(self.found.point)


def search(
    objective: MarginalPosterior, point: FloatArray, *, tolerance: float, max_passes: int
) -> Maximum:
    """The maximum near a point, checked on a grid twice as fine as it was found on.

    "No change" alone is not convergence, and a grid too coarse for the longest answer
    patterns has its maximum elsewhere: where the finer grid disagrees, it takes over.
    """
    grid = objective.grid
    first: Climb[Evaluation] | None = None
    if len(grid.nodes) > 2 * _FEWEST_NODES:
        coarse = Grid.standard_normal(_FEWEST_NODES, float(grid.nodes[-1]))
        first = climb(
            replace(objective, grid=coarse),
            point,
            tolerance=_NEARBY,
            max_evaluations=max_passes,
        )
        point = first.point
    passes = first.evaluations if first else 0
    moves = first.moves if first else ()
    while True:
        found = climb(
            objective,
            point,
            tolerance=tolerance,
            max_evaluations=max(max_passes - passes - 1, 1),
            moves=moves,
        )
        finer = replace(objective, grid=objective.grid.refined())
        check = climb(finer, found.point, tolerance=np.inf, max_evaluations=1, moves=found.moves)
        passes += found.evaluations + 1
        settled = check.next_step <= max(_GRID_AGREEMENT, tolerance)
        stuck = found.next_step > tolerance or len(finer.grid.nodes) > _MOST_NODES
        if settled or stuck or passes >= max_passes:
            converged = bool(settled and check.slope.steepness <= STEEPEST_TOP)
            return Maximum(objective, found, check.slope, passes, converged)
        objective, point, moves = finer, found.point, found.moves


def enough_nodes(most_answers: int, span: float) -> int:
    """Nodes over [-span, span] close enough for the narrowest posterior there is likely to be.

    Args:
        most_answers: Of any one person.
        span: The largest ability.
    """
    # An answer to an item of discrimination 1 tells at most 1/4.
    narrowest = 1 / np.sqrt(1 + most_answers / 4)
    nodes = 1 + 2 * int(np.ceil(span / (1.4 * narrowest)))
    return min(max(nodes, _FEWEST_NODES), _MOST_NODES_AT_FIRST)
