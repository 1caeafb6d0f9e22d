"""Item response functions: how likely a right answer is, given ability.

The two-parameter logistic (2PL) model in slope-intercept form: a right answer has
log-odds a * theta + d, with discrimination a, intercept d and ability theta. Difficulty is
b = -d / a. Every function here takes the slope-intercept form, which has no pole at a = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etl_jobs.irt.spans import cached_spans

FloatArray = NDArray[np.float64]


class ItemTables(NamedTuple):
    """The items at each of some abilities: what an E-step and an M-step need of them.

    Attributes:
        probability: Of a right answer, shape (items, abilities).
        log_outcome: Log-probability of a wrong answer, then of a right one, shape
            (items, 2, abilities).
    """

    probability: FloatArray
    log_outcome: FloatArray


def difficulty(discrimination: ArrayLike, intercept: ArrayLike) -> FloatArray:
    """The ability at which a right answer is as likely as a wrong one, -d / a.

    Infinite where the discrimination is 0, and NaN where the intercept is 0 too.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.asarray(intercept, np.float64) / np.asarray(discrimination, np.float64)


def probability(ability: ArrayLike, discrimination: ArrayLike, intercept: ArrayLike) -> FloatArray:
    """The probability of a right answer, shape (items, abilities). Never overflows."""
    return item_tables(ability, discrimination, intercept).probability


def item_tables(ability: ArrayLike, discrimination: ArrayLike, intercept: ArrayLike) -> ItemTables:
    """Probabilities and their logarithms, exact to rounding at any log-odds.

    Args:
        ability: Shape (abilities,).
        discrimination: Shape (items,).
        intercept: Shape (items,).
    """
    theta = np.asarray(ability, np.float64)
    slope = np.asarray(discrimination, np.float64)[:, np.newaxis]
    level = np.asarray(intercept, np.float64)[:, np.newaxis]
    right = np.empty((len(slope), len(theta)))
    log_outcome = np.empty((len(slope), 2, len(theta)))
    for rows in cached_spans(*right.shape):
        log_odds = slope[rows] * theta
        log_odds += level[rows]
        # exp only ever sees numbers below 0: it can vanish, but not overflow.
        small = np.exp(-np.abs(log_odds))
        rest = np.log1p(small)
        np.subtract(np.minimum(-log_odds, 0.0), rest, out=log_outcome[rows, 0])
        np.subtract(np.minimum(log_odds, 0.0), rest, out=log_outcome[rows, 1])
        np.divide(np.where(log_odds >= 0, 1.0, small), 1.0 + small, out=right[rows])
    return ItemTables(right, log_outcome)
