"""The search for the items together with the shape of the persons' distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.estimation.ascent import Slope, climb
from etl_jobs.irt.estimation.expectation import posterior
from etl_jobs.irt.estimation.search import Maximum, search
from etl_jobs.irt.estimation.strands import in_strands
from etl_jobs.irt.model.shape import COEFFICIENTS, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.estimation.drafts import Draft
    from etl_jobs.irt.estimation.objective import MarginalPosterior
    from etl_jobs.irt.model.models import FloatArray

# The climb ends when a step changes no coefficient by more: no curve's height, by a thousandth.
_TOLERANCE = 1e-3
_MOST_STEPS = 60
# Of a coefficient's normal prior: it decides where a few answers cannot tell, and nothing else.
_DEVIATION = 1.0
# The items' maximum, of which every height here is one, is itself found to so many digits.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Shaped(Slope):
    """The hill over shapes, the items at their best for each."""

    maximum: Maximum


def search_with_shape(
    objective: MarginalPosterior,
    point: FloatArray,
    *,
    blocks: Sequence[Block],
    tolerance: float,
    max_passes: int,
    drafts: Sequence[Draft] = (),
) -> Maximum:
    """The items' maximum together with that of the distribution's shape, begun at the normal.

    For each shape the items are searched for, from where they were for the last one; by the
    envelope theorem the slope over shapes is the expected complete data's at the items found.
    The whole has converged where the items have, and a step changes no coefficient by more than
    a thousandth.

    Args:
        objective: For one group of persons, whose mean and deviation are those of the scale.
        point: Where the search for the items begins.
        blocks: The answers.
        tolerance: A search for the items ends when a step changes no parameter by more.
        max_passes: Over the answers, in all.
        drafts: What to climb before the first search for the items.
    """
    begin, passes, first_climbs = point, 0, drafts
    last: _Shaped | None = None

    def at(coefficients: FloatArray) -> _Shaped:
        nonlocal begin, passes, first_climbs, last
        if last is not None and passes >= max_passes:
            # No step is worth taking that nothing is left to look at.
            return replace(last, height=-np.inf)
        shape = Shape(tuple(coefficients[0].tolist()))
        maximum = search(
            replace(objective, grid=objective.grid.shaped(shape)),
            begin,
            tolerance=tolerance,
            max_passes=max(max_passes - passes, 1),
            drafts=first_climbs,
        )
        begin, passes, first_climbs = maximum.found.point, passes + maximum.passes + 1, ()
        mass = _masses(maximum, blocks)
        grid = maximum.objective.grid
        slopes = shape.slopes(grid.nodes)
        information = mass.sum() * (slopes * np.exp(grid.log_weights)) @ slopes.T
        belief = np.eye(COEFFICIENTS) / _DEVIATION**2
        last = _Shaped(
            height=maximum.finer.height - 0.5 * float((coefficients**2).sum()) / _DEVIATION**2,
            score=(slopes @ mass - belief @ coefficients[0])[np.newaxis],
            information=(information + belief)[np.newaxis],
            joint=np.empty((0, 1, COEFFICIENTS)),
            maximum=maximum,
        )
        return last

    end = climb(
        at,
        np.zeros((1, COEFFICIENTS)),
        tolerance=_TOLERANCE,
        max_evaluations=_MOST_STEPS,
        rounding=_ROUNDING,
    )
    maximum = end.slope.maximum
    has_converged = maximum.converged and end.next_step <= _TOLERANCE
    return replace(maximum, passes=passes, converged=has_converged)


def _masses(maximum: Maximum, blocks: Sequence[Block]) -> FloatArray:
    """How many persons are expected at each node."""
    grid, coordinates = maximum.objective.grid, maximum.objective.coordinates
    (mean,), (deviation,) = coordinates.populations(maximum.found.point)
    tables = maximum.parameters.tables(mean + deviation * grid.nodes)

    def mass(block: Block) -> FloatArray:
        result: FloatArray = block.count @ posterior(block, tables, grid)[0]
        return result

    total: FloatArray = np.array(in_strands(mass, blocks)).sum(axis=0)
    return total
