"""How the log-probability of an answer changes with an item's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from etl_jobs.irt.model.models import FloatArray, ItemTables, item_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A probability this small weighs nothing, and dividing by it does not overflow.
_SMALLEST = 1e-30


class ItemParameters(NamedTuple):
    """Every item's parameters, each of shape (items,)."""

    discrimination: FloatArray
    intercept: FloatArray
    lower: FloatArray
    upper: FloatArray

    def tables(self, ability: FloatArray) -> ItemTables:
        """The items at these abilities, shape (abilities,)."""
        if np.all(self.lower == 0) and np.all(self.upper == 1):
            return item_tables(ability, self.discrimination, self.intercept)
        return item_tables(ability, *self)

    def take(self, items: slice | NDArray[np.int64]) -> Self:
        """Some of the items."""
        return type(self)(*(values[items] for values in self))


def outcome_scores(ability: FloatArray, parameters: ItemParameters, columns: int) -> FloatArray:
    """Derivatives of the log-probabilities of a wrong and of a right answer.

    Args:
        ability: Shape (abilities,).
        parameters: The items.
        columns: How many of discrimination, intercept, lower and upper to derive by.

    Returns:
        Shape (columns, items, 2, abilities).
    """
    curve = _Curve.of(ability, parameters)
    scores = np.empty((columns, len(curve.know), 2, len(ability)))
    # The shares keep what is 0 / 0 in an asymptote of 0 or 1 at its limit.
    scores[1, :, 0] = -curve.know * curve.wrong_from_ignorance
    scores[1, :, 1] = (1 - curve.know) * curve.right_from_knowledge
    scores[0] = scores[1] * ability
    if columns > 2:
        ignore = 1 - curve.know
        scores[2, :, 0] = -ignore / curve.wrong
        scores[2, :, 1] = ignore / curve.right
    if columns > 3:
        scores[3, :, 0] = -curve.know / curve.wrong
        scores[3, :, 1] = curve.know / curve.right
    return scores


def probability_curvature(
    ability: FloatArray, parameters: ItemParameters, columns: int
) -> FloatArray:
    """Second derivatives of the probability of a right answer.

    Returns:
        Shape (columns, columns, items, abilities), over discrimination, intercept, lower and
        upper, in this order.
    """
    know = _Curve.of(ability, parameters).know
    first = know * (1 - know)
    second = (parameters.upper - parameters.lower)[:, np.newaxis] * first * (1 - 2 * know)
    result = np.zeros((columns, columns, *know.shape))
    result[0, 0] = second * ability**2
    result[0, 1] = result[1, 0] = second * ability
    result[1, 1] = second
    for column, sign in ((2, -1.0), (3, 1.0)):
        if column < columns:
            result[0, column] = result[column, 0] = sign * first * ability
            result[1, column] = result[column, 1] = sign * first
    return result


class _Curve(NamedTuple):
    """A person knows the answer, or does not and may guess; who knows may slip."""

    know: FloatArray
    right: FloatArray
    wrong: FloatArray
    right_from_knowledge: FloatArray
    wrong_from_ignorance: FloatArray

    @classmethod
    def of(cls, ability: FloatArray, parameters: ItemParameters) -> _Curve:
        know = item_tables(ability, parameters.discrimination, parameters.intercept).probability
        lower = parameters.lower[:, np.newaxis]
        slip = 1 - parameters.upper[:, np.newaxis]
        reach = 1 - slip - lower
        gained, lost = reach * know, reach * (1 - know)
        right, wrong = np.maximum(lower + gained, _SMALLEST), np.maximum(slip + lost, _SMALLEST)
        return cls(
            know=know,
            right=right,
            wrong=wrong,
            right_from_knowledge=np.where(lower == 0, 1.0, gained / right),
            wrong_from_ignorance=np.where(slip == 0, 1.0, lost / wrong),
        )
