"""Climbing a smooth hill whose curvature is known item by item."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from etl_jobs.irt.models import FloatArray

# How many past moves shape the next one.
_MEMORY = 10
_LONGEST_STEP = 2.0
_SHORTEST_STEP = 2.0**-12
# A step must gain this share of what the slope promises (Armijo's rule).
_LEAST_GAIN = 1e-4
# Heights are sums over persons: below this share of one, a difference is rounding.
_ROUNDING = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """The hill at one point.

    Attributes:
        height: What is climbed.
        score: Its gradient, shape (items, parameters).
        information: A positive definite stand-in for its curvature, sign turned, one block
            for each item, shape (items, parameters, parameters).
    """

    height: float
    score: FloatArray
    information: FloatArray

    @property
    def steepness(self) -> float:
        """The largest |score| / sqrt(information): how far the top is, in standard errors."""
        scale = np.sqrt(np.diagonal(self.information, axis1=1, axis2=2))
        return float(np.max(np.abs(self.score) / scale))

    def newton_step(self, score: FloatArray) -> FloatArray:
        """The step to where the score would vanish, each item by itself."""
        step: FloatArray = np.linalg.solve(self.information, score[..., np.newaxis])[..., 0]
        return step


S = TypeVar("S", bound=Slope)


@dataclass(frozen=True, slots=True, eq=False)
class Climb(Generic[S]):
    """Where a climb ended, and what it took."""

    point: FloatArray
    slope: S
    evaluations: int


class _Move(NamedTuple):
    step: FloatArray
    score_drop: FloatArray
    product: float


def climb(
    evaluate: Callable[[FloatArray], S],
    start: FloatArray,
    *,
    tolerance: float,
    max_evaluations: int,
) -> Climb[S]:
    """The way up from `start`, until the slope is at most `tolerance` steep.

    An EM step is a Newton step on the complete-data information (Lange 1995). It is sure
    but slow along directions that involve many items at once; those are learnt from the
    moves made so far (limited-memory BFGS, with the information as its first guess). The
    height never falls: a step that would lose some is shortened.
    """
    point, here, evaluations = start, evaluate(start), 1
    memory: deque[_Move] = deque(maxlen=_MEMORY)
    while here.steepness > tolerance and evaluations < max_evaluations:
        direction = _direction(here, memory)
        length = min(1.0, _LONGEST_STEP / float(np.abs(direction).max()))
        promise = float(np.vdot(here.score, direction))
        while True:
            there = evaluate(point + length * direction)
            evaluations += 1
            least = here.height + _LEAST_GAIN * length * promise - _ROUNDING * abs(here.height)
            if there.height >= least:
                break
            length /= 4
            if length < _SHORTEST_STEP or evaluations >= max_evaluations:
                if not memory:
                    return Climb(point, here, evaluations)
                there = here
                memory.clear()
                break
        if there is not here:
            step, drop = length * direction, here.score - there.score
            product = float(np.vdot(step, drop))
            # Where the hill is not yet dome-shaped, a move teaches nothing.
            if product > 1e-10 * float(np.vdot(drop, drop)) ** 0.5 * float(np.vdot(step, step)) ** 0.5:
                memory.append(_Move(step, drop, product))
            point, here = point + step, there
    return Climb(point, here, evaluations)


def _direction(slope: Slope, memory: deque[_Move]) -> FloatArray:
    """The two-loop recursion of limited-memory BFGS."""
    rest = slope.score.copy()
    weights = []
    for move in reversed(memory):
        weight = float(np.vdot(move.step, rest)) / move.product
        weights.append(weight)
        rest -= weight * move.score_drop
    direction = slope.newton_step(rest)
    for move, weight in zip(memory, reversed(weights), strict=True):
        direction += (weight - float(np.vdot(move.score_drop, direction)) / move.product) * move.step
    return direction
