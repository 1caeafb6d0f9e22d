"""The ability that explains a person's answers best: MAP, ML and WLE.

All three are where an estimating function of ability crosses zero: the slope of the
log-likelihood alone (ML), with the slope of the log prior added (MAP), or with Warm's (1989)
bias / (2 information) added (WLE), which undoes maximum likelihood's outward bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from etl_jobs.irt.ability.slopes import AbilitySlopes, ability_slopes
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.answers.patterns import Patterns
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.bank.scale import Scale
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.priors import Normal

PointMethod = Literal["MAP", "ML", "WLE"]

# Where a root is looked for first: close enough that two modes of a 3PL likelihood differ.
_LOOKOUTS = 81
# Answers worked on at once, so that what is computed on the way stays in cache.
_ANSWERS = 16_384
_TOLERANCE = 1e-10
_MOST_STEPS = 100


class PointEstimates(NamedTuple):
    """Estimates of distinct answer patterns; each field has shape (patterns,).

    Attributes:
        ability: Within the bounds; NaN where nothing speaks for any ability.
        standard_error: 1 / sqrt(information), the prior's included under MAP; NaN where the
            estimate is a bound.
    """

    ability: FloatArray
    standard_error: FloatArray


def point_estimates(
    items: Items, scale: Scale, method: PointMethod, persons: Normal, bound: float
) -> PointEstimates:
    """The highest point within [-bound, bound] for each pattern of the scale."""
    ability, error = np.empty((2, len(scale.patterns)))
    nodes = np.linspace(-bound, bound, _LOOKOUTS)
    each = ability_slopes(items, scale.place[:, np.newaxis], nodes)

    def work(part: tuple[slice, Block]) -> None:
        rows, block = part
        slope = _slope_at_nodes(each, block, nodes, method, persons)
        ability[rows], error[rows] = _highest(
            items, scale.place, scale.patterns, rows, nodes, slope, method, persons
        )

    in_strands(work, scale.parts)
    return PointEstimates(ability, error)


def _slope_at_nodes(
    each: AbilitySlopes, block: Block, nodes: FloatArray, method: PointMethod, persons: Normal
) -> FloatArray:
    """The estimating function of each pattern at each node, shape (patterns, nodes)."""

    def total(wrong: FloatArray, right: FloatArray) -> FloatArray:
        return block.total(np.ascontiguousarray(np.stack((wrong, right), axis=1)))

    slope = total(each.wrong, each.right)
    if method == "MAP":
        slope += persons.slope(nodes)
    elif method == "WLE":
        information = total(each.information, each.information)
        slope += _warm(total(each.bias, each.bias), information)
    return slope


def _warm(bias: FloatArray, information: FloatArray) -> FloatArray:
    pull = np.zeros_like(bias)
    np.divide(bias, 2 * information, out=pull, where=information > 0)
    return pull


def _highest(
    items: Items,
    place: NDArray[np.int64],
    patterns: Patterns,
    rows: slice,
    nodes: FloatArray,
    slope: FloatArray,
    method: PointMethod,
    persons: Normal,
) -> tuple[FloatArray, FloatArray]:
    """Estimates and errors of one block's patterns."""
    # The function's integral is what its roots maximise or minimise: the highest one counts.
    height = np.zeros_like(slope)
    np.cumsum(slope[:, 1:] + slope[:, :-1], axis=1, out=height[:, 1:])
    top = height.argmax(axis=1)
    here = np.arange(len(top))
    last = len(nodes) - 1
    beyond = (top == 0) & (slope[:, 0] <= 0) | (top == last) & (slope[:, last] >= 0)
    low, high = np.maximum(top - 1, 0), np.minimum(top + 1, last)
    # A parabola through the height's slope starts the search close by.
    fall = np.maximum(slope[here, low] - slope[here, high], 1e-300)
    share = np.clip(slope[here, low] / fall, 0.01, 0.99)
    guess = nodes[low] + share * (nodes[high] - nodes[low])
    ability, error = nodes[top].copy(), np.full(len(top), np.nan)
    # Without answers, or with none that depend on ability, no point is higher than another.
    ability[~slope.any(axis=1)] = np.nan
    for part in _parts(patterns.start, rows, np.flatnonzero(~beyond)):
        answers = _Answers(items, place, patterns, rows.start + part, method, persons)
        ability[part], error[part] = _root(
            answers, guess[part], nodes[low[part]], nodes[high[part]]
        )
    return ability, error


def _parts(
    start: NDArray[np.int64], rows: slice, wanted: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """The wanted rows, in groups of so many answers."""
    length = start[rows.start + 1 + wanted] - start[rows.start + wanted]
    group = np.cumsum(length + 1) // _ANSWERS
    yield from np.split(wanted, 1 + np.flatnonzero(np.diff(group)))


class _Answers:
    """The estimating function of some patterns, exactly and anywhere."""

    def __init__(
        self,
        items: Items,
        place: NDArray[np.int64],
        patterns: Patterns,
        rows: NDArray[np.int64],
        method: PointMethod,
        persons: Normal,
    ) -> None:
        begin = patterns.start[rows]
        length = patterns.start[rows + 1] - begin
        self.row = np.repeat(np.arange(len(rows)), length)
        offset = np.repeat(begin - (np.cumsum(length) - length), length)
        code = patterns.code[np.arange(len(offset)) + offset]
        self.right = (code & 1).astype(bool)
        self.place = place[code >> 1]
        self.items, self.method, self.persons, self.rows = items, method, persons, len(rows)

    def __call__(self, ability: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The function and the information, shape (patterns,) each."""
        each = ability_slopes(self.items, self.place, ability[self.row])
        slope = self._total(np.where(self.right, each.right, each.wrong))
        information = self._total(each.information)
        if self.method == "MAP":
            slope += self.persons.slope(ability)
            information += self.persons.curvature(ability)
        elif self.method == "WLE":
            slope += _warm(self._total(each.bias), information)
        return slope, information

    def _total(self, value: FloatArray) -> FloatArray:
        total: FloatArray = np.bincount(self.row, value, self.rows).astype(np.float64, copy=False)
        return total


def _root(
    answers: _Answers, ability: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fisher scoring that halves the bracket wherever a step leaves it or gains little."""
    last_step = high - low
    for _ in range(_MOST_STEPS):
        slope, information = answers(ability)
        rising = slope > 0
        low, high = np.where(rising, ability, low), np.where(rising, high, ability)
        step = slope / np.maximum(information, 1e-300)
        middle = (low + high) / 2 - ability
        stalled = ~((low < ability + step) & (ability + step < high))
        stalled |= np.abs(step) > last_step / 2
        settled = np.abs(step) <= _TOLERANCE
        step = np.where(stalled & ~settled, middle, step)
        ability, last_step = ability + step, np.abs(step)
        if np.all(last_step <= _TOLERANCE):
            break
    with np.errstate(divide="ignore"):
        return ability, 1 / np.sqrt(information)
