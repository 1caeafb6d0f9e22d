"""How an answer's log-likelihood moves with ability: its slope, information and bias.

With P = c + (u - c) L, L logistic, and derivatives by ability P' and P'':

    slope        (x - P) P' / (P Q)
    information  P'^2 / (P Q)              Fisher's, expected over the answer
    bias         P' P'' / (P Q)            J of Warm (1989): what pulls maximum likelihood outward
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray


class AbilitySlopes(NamedTuple):
    """What one answer contributes at one ability; all fields of one shape.

    Attributes:
        wrong: The slope of a wrong answer's log-likelihood.
        right: The slope of a right answer's.
        information: Fisher's information.
        bias: Warm's J.
    """

    wrong: FloatArray
    right: FloatArray
    information: FloatArray
    bias: FloatArray


def ability_slopes(items: Items, chosen: NDArray[np.int64], ability: FloatArray) -> AbilitySlopes:
    """The chosen items' slopes at abilities of a shape that broadcasts against them.

    Args:
        items: The bank.
        chosen: Indices into it: (answers,) beside abilities (answers,), or (items, 1) beside
            (abilities,).
        ability: The abilities.
    """
    slope = items.discrimination[chosen]
    lower, upper = items.lower[chosen], items.upper[chosen]
    log_odds = slope * ability + items.intercept[chosen]
    # exp only ever sees numbers below 0: it can vanish, but not overflow.
    small = np.exp(-np.abs(log_odds))
    below, above = small / (1 + small), 1 / (1 + small)
    curve = np.where(log_odds >= 0, above, below)
    rest = np.where(log_odds >= 0, below, above)
    reach = upper - lower
    # The share of a right answer's probability that is knowledge and not luck, and of a wrong
    # one's that is not a slip: 1 without asymptotes, however far out.
    known = _share(reach * curve, lower)
    unknown = _share(reach * rest, 1 - upper)
    right, wrong = slope * known * rest, -slope * unknown * curve
    information = -right * wrong
    return AbilitySlopes(wrong, right, information, information * slope * (rest - curve))


def _share(part: FloatArray, remainder: FloatArray) -> FloatArray:
    part, remainder = np.broadcast_arrays(part, remainder)
    share = np.ones(part.shape)
    np.divide(part, part + remainder, out=share, where=remainder > 0)
    return share
