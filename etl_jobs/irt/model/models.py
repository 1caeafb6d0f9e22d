"""Item response functions: how likely a right answer is, given ability.

The logistic models in slope-intercept form: P = c + (u - c) / (1 + exp(-(a * theta + d))),
with discrimination a, intercept d, lower asymptote c (guessing), upper asymptote u (slips) and
ability theta. Difficulty is b = -d / a. In the models with one and two parameters c is 0 and
u is 1. Every function here takes the slope-intercept form, which has no pole at a = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etl_jobs.irt.answers.spans import cached_spans
from etl_jobs.irt.memory import require_memory

FloatArray = NDArray[np.float64]


class ItemTables(NamedTuple):
    """The items at each of some abilities: what an E-step and an M-step need of them.

    Attributes:
        probability: Of a right answer, shape (items, abilities).
        log_outcome: Log-probability of a wrong answer, then of a right one, shape
            (items, 2, abilities).
        is_straight: Whether log-odds are known to be straight lines in ability.
    """

    probability: FloatArray
    log_outcome: FloatArray
    is_straight: bool = False


def difficulty(discrimination: ArrayLike, intercept: ArrayLike) -> FloatArray:
    """The ability half-way between the asymptotes, -d / a.

    Infinite where the discrimination is 0, and NaN where the intercept is 0 too.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.asarray(intercept, np.float64) / np.asarray(discrimination, np.float64)


def probability(
    ability: ArrayLike,
    discrimination: ArrayLike,
    intercept: ArrayLike,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> FloatArray:
    """The probability of a right answer, shape (items, abilities). Never overflows.

    NaN where an ability or a parameter is.

    Raises:
        ValueError: The columns are not one number for each item, or abilities not one row.
        MemoryError: The machine has no memory for so many of both.
    """
    given = (discrimination, intercept, lower, upper)
    shapes = [np.shape(each) for each in given if each is not None]
    if np.ndim(ability) != 1 or any(shape != shapes[0] or len(shape) != 1 for shape in shapes):
        raise ValueError(
            f"abilities have shape {np.shape(ability)} and the items' parameters "
            f"{', '.join(map(str, shapes))}; expected (abilities,) and each (items,)"
        )
    require_memory(
        3.0 * 8 * np.size(ability) * np.size(discrimination),
        f"a table of {np.size(discrimination):,} items x {np.size(ability):,} abilities",
        "take the abilities in parts",
    )
    return item_tables(ability, discrimination, intercept, lower, upper).probability


def item_tables(
    ability: ArrayLike,
    discrimination: ArrayLike,
    intercept: ArrayLike,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> ItemTables:
    """Probabilities and their logarithms, exact to rounding at any log-odds.

    Args:
        ability: Shape (abilities,).
        discrimination: Shape (items,).
        intercept: Shape (items,).
        lower: The lower asymptotes, shape (items,); 0 without it.
        upper: The upper asymptotes, shape (items,); 1 without it.
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
    tables = ItemTables(right, log_outcome, lower is None and upper is None)
    if not tables.is_straight:
        floor = np.zeros(len(slope)) if lower is None else np.asarray(lower, np.float64)
        ceiling = np.ones(len(slope)) if upper is None else np.asarray(upper, np.float64)
        _squeeze(tables, floor, ceiling)
    return tables


def _squeeze(tables: ItemTables, lower: FloatArray, upper: FloatArray) -> None:
    """Curves from 0 to 1 made to run from `lower` to `upper`, in place."""
    items = np.flatnonzero((lower != 0) | (upper != 1))
    if not items.size:
        return
    floor, ceiling = lower[items, np.newaxis], upper[items, np.newaxis]
    with np.errstate(divide="ignore"):
        log_range = np.log(ceiling - floor)
        # Sums of logarithms: exact also where an asymptote is 0 or 1, or next to it.
        tables.log_outcome[items, 0] = np.logaddexp(
            np.log1p(-ceiling), log_range + tables.log_outcome[items, 0]
        )
        tables.log_outcome[items, 1] = np.logaddexp(
            np.log(floor), log_range + tables.log_outcome[items, 1]
        )
    tables.probability[items] = floor + (ceiling - floor) * tables.probability[items]
