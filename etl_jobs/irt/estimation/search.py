"""The search for the maximum, on grids of ability fine enough for the answers at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.estimation.ascent import Climb, Move, climb
from etl_jobs.irt.estimation.drafts import Draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.estimation.objective import Evaluation, MarginalPosterior
    from etl_jobs.irt.model.curves import ItemParameters
    from etl_jobs.irt.model.models import FloatArray

# A grid is fine enough once a finer one would move no parameter by this.
_GRID_AGREEMENT = 5e-5
# Where the finer grid moves no parameter by more than so many times that, a few steps on it
# settle the matter: what the coarser one is wrong by, the finer one is by a thousandth.
_SLIGHTLY = 10.0
_LOOKS = 3
# Who asks for smaller steps than usual asks for a finer grid, too: so many of them at most.
_AGREEMENT_IN_STEPS = 5.0
# The scaled score that still counts as the top.
STEEPEST_TOP = 0.01
# Of the narrowest posterior: a sum over nodes this close errs by exp(-22), and over those of the
# coarser grid by exp(-12).
_SPACING = 0.93
_FEWEST_NODES = 61
_MOST_NODES_AT_FIRST = 401
_MOST_NODES = 1500


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Where a search ended.

    Attributes:
        objective: What was maximised, on a finer grid than the one it was climbed on.
        found: The end of the search on that grid.
        passes: How often the answers were gone through.
        converged: Whether the score vanished there, and no step was left to be made.
    """

    objective: MarginalPosterior
    found: Climb[Evaluation]
    passes: int
    converged: bool

    @property
    def finer(self) -> Evaluation:
        """The hill at the end of the search."""
        return self.found.slope

    @property
    def parameters(self) -> ItemParameters:
        """The items."""
        return self.objective.coordinates.parameters(self.found.point)


def search(
    objective: MarginalPosterior,
    point: FloatArray,
    *,
    tolerance: float,
    max_passes: int,
    drafts: Sequence[Draft] = (),
) -> Maximum:
    """The maximum near a point, checked on a finer grid than it was found on.

    "No change" alone is not convergence, and a grid too coarse for the longest answer
    patterns has its maximum elsewhere: where the finer grid disagrees, it takes over.

    Args:
        objective: On the grid that is thought to be fine enough; a coarser one is climbed.
        point: Where to begin.
        tolerance: A climb ends when a step changes no parameter by more.
        max_passes: Over the answers, all grids and drafts together.
        drafts: What to climb, in this order, instead of the objective on the coarser grid.
    """
    passes, climbed = 0, False
    moves: tuple[Move, ...] = ()
    coarser = objective.grid.coarser()
    if not drafts and coarser is not None:
        drafts = [Draft(objective.groups, coarser, tolerance)]
    for draft in drafts:
        end = climb(
            replace(objective, groups=draft.groups, grid=draft.grid),
            point,
            tolerance=draft.tolerance,
            max_evaluations=max(max_passes - passes - 1, 1),
            judged="step after it",
            moves=moves,
            rounding=draft.rounding,
        )
        climbed = end.is_done
        # The last step is small enough to be looked at on the finer grid only.
        point = end.point + end.step if climbed else end.point
        passes += end.evaluations
        # Moves of a sample's hill mislead on that of all persons.
        moves = end.moves if draft.whole else ()
    agreement = max(tolerance, min(_GRID_AGREEMENT, _AGREEMENT_IN_STEPS * tolerance))
    while True:
        if climbed:
            check = climb(
                objective,
                point,
                tolerance=agreement,
                max_evaluations=max(min(_LOOKS, max_passes - passes), 1),
                moves=moves,
            )
            passes += check.evaluations
            moved = float(np.abs(check.point - point).max())
            settled = check.next_step <= agreement and moved <= _SLIGHTLY * agreement
            if settled or passes >= max_passes or len(objective.grid.nodes) > _MOST_NODES:
                converged = bool(settled and check.slope.steepness <= STEEPEST_TOP)
                return Maximum(objective, check, passes, converged)
            point, moves = check.point, check.moves
        found = climb(
            objective,
            point,
            tolerance=tolerance,
            max_evaluations=max(max_passes - passes - 1, 1),
            moves=moves,
        )
        passes += found.evaluations
        if found.next_step > tolerance:
            return Maximum(objective, found, passes, False)
        climbed, point, moves = True, found.point, found.moves
        objective = replace(objective, grid=objective.grid.refined())


def enough_nodes(most_answers: int, span: float) -> int:
    """Nodes over [-span, span] close enough for the narrowest posterior there is likely to be.

    Args:
        most_answers: Of any one person.
        span: The largest ability.
    """
    # An answer to an item of discrimination 1 tells at most 1/4.
    narrowest = 1 / np.sqrt(1 + most_answers / 4)
    nodes = 1 + 2 * int(np.ceil(span / (_SPACING * narrowest)))
    return min(max(nodes, _FEWEST_NODES), _MOST_NODES_AT_FIRST)
