"""Climbing a smooth hill whose curvature is known item by item."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

import numpy as np

from etl_jobs.irt.answers.products import dot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from etl_jobs.irt.model.models import FloatArray

# How many past moves shape the next one.
_MEMORY = 10
_LONGEST_STEP = 2.0
_SHORTEST_STEP = 2.0**-12
# A step must gain this share of what the slope promises (Armijo's rule).
_LEAST_GAIN = 1e-4
# Heights are sums over persons: below this share of one, a difference is rounding, in double
# precision and in single.
ROUNDING = 1e-14
COARSE_ROUNDING = 1e-6
# What steps foretell is believed where they shrink to this share, and if it is so many times off.
_SHRINKING = 0.2
_CAUTION = 3.0
# Where the hill is not dome-shaped along a move, the move teaches nothing.
_LEAST_CURVATURE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """The hill at one point.

    Attributes:
        height: What is climbed.
        score: Its gradient, shape (items, parameters).
        information: A positive definite stand-in for its curvature, sign turned, one block
            for each item, shape (items, parameters, parameters).
        joint: Directions that move all items at once, each of a length that makes its own
            curvature 1, shape (directions, items, parameters).
    """

    height: float
    score: FloatArray
    information: FloatArray
    joint: FloatArray

    @property
    def steepness(self) -> float:
        """The largest |score| / sqrt(information): how far the top is, in standard errors."""
        scale: FloatArray = np.sqrt(np.diagonal(self.information, axis1=1, axis2=2))
        return float(np.max(np.abs(self.score) / scale))

    def newton_step(self, score: FloatArray) -> FloatArray:
        """The step to where the score would vanish, item by item and along the joint ones."""
        solved = np.linalg.solve(self.information, score[..., np.newaxis])
        step: FloatArray = solved[..., 0].astype(np.float64, copy=False)
        for direction in self.joint:
            step += dot(direction, score) * direction
        return step


S = TypeVar("S", bound=Slope)


class Move(NamedTuple):
    """A step taken, and by how much the score fell along it."""

    step: FloatArray
    score_drop: FloatArray
    product: float


@dataclass(frozen=True, slots=True, eq=False)
class Climb(Generic[S]):
    """Where a climb ended, and what it took.

    Attributes:
        point: Shape (items, parameters).
        slope: The hill there.
        step: The step that would have been the next, in the shape of the point.
        evaluations: How often the hill was looked at.
        is_done: Whether the tolerance was met, not the number of evaluations.
        moves: The last moves, from which another climb on a like hill can learn.
    """

    point: FloatArray
    slope: S
    step: FloatArray
    evaluations: int
    is_done: bool
    moves: tuple[Move, ...]

    @property
    def next_step(self) -> float:
        """The largest change of a parameter that the next step would have made."""
        return float(np.abs(self.step).max())


def climb(
    evaluate: Callable[[FloatArray], S],
    start: FloatArray,
    *,
    tolerance: float,
    max_evaluations: int,
    judged: Literal["next step", "step after it"] = "next step",
    moves: Iterable[Move] = (),
    rounding: float = ROUNDING,
) -> Climb[S]:
    """The way up from `start`, until a step would change no parameter by more than `tolerance`.

    That is the next step, or the step after it as the last two foretell it: a step that is a
    tenth of the last one is thought to be followed by one a tenth as long again.

    An EM step is a Newton step on the complete-data information (Lange 1995). It is sure
    but slow along directions that involve many items at once; those are learnt from the
    moves made so far (limited-memory BFGS, with the information as its first guess). The
    height never falls: a step that would lose some is shortened. Heights that differ by less
    than `rounding`, a share of them, say nothing; then the slope along the step must not grow.
    """
    memory = deque(moves, maxlen=_MEMORY)
    point, here, evaluations = start, evaluate(start), 1
    before = 0.0
    while True:
        direction = _direction(here, memory)
        farthest = float(np.abs(direction).max())
        is_done = farthest <= tolerance
        if judged == "step after it" and farthest <= _SHRINKING * before:
            is_done |= _CAUTION * farthest**2 <= tolerance * before
        if is_done or evaluations >= max_evaluations:
            return Climb(point, here, direction, evaluations, is_done, tuple(memory))
        before = farthest
        length = min(1.0, _LONGEST_STEP / farthest)
        promise = dot(here.score, direction)
        blur = rounding * abs(here.height)
        while length >= _SHORTEST_STEP and evaluations < max_evaluations:
            step = length * direction
            there = evaluate(point + step)
            evaluations += 1
            gain = there.height - here.height - _LEAST_GAIN * length * promise
            if gain >= -blur and (gain > blur or abs(dot(there.score, direction)) <= promise):
                drop = here.score - there.score
                product = dot(step, drop)
                if product > _LEAST_CURVATURE * (dot(step, step) * dot(drop, drop)) ** 0.5:
                    memory.append(Move(step, drop, product))
                point, here = point + step, there
                break
            length /= 4
        else:
            if not memory:
                return Climb(point, here, direction, evaluations, False, ())
            # What was learnt misleads here: begin again from the information alone.
            memory.clear()


def _direction(slope: Slope, memory: deque[Move]) -> FloatArray:
    """The two-loop recursion of limited-memory BFGS."""
    rest = slope.score.copy()
    weights = []
    for move in reversed(memory):
        weight = dot(move.step, rest) / move.product
        weights.append(weight)
        rest -= weight * move.score_drop
    direction = slope.newton_step(rest)
    for move, weight in zip(memory, reversed(weights), strict=True):
        repaid = dot(move.score_drop, direction) / move.product
        direction += (weight - repaid) * move.step
    return direction
