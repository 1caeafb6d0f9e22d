"""Where a search stands: parameters without bounds, and which of them it may move.

A point has one row for each item, then one for a slope that items share, if they do, then one
for each group of persons: its mean and the logarithm of its deviation. An item's row holds its
discrimination (or its logarithm, under a prior that only positive ones have), its intercept,
and an angle for each asymptote: c = sin(angle)^2 and u = cos(angle)^2. The angles have no
bounds: a maximum at c = 0 is an ordinary one, at angle 0, where the slope vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from etl_jobs.irt.model.curves import ItemParameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.model.models import FloatArray

LOWER, UPPER = 2, 3
# An asymptote nearer than this to its bound is at it.
AT_BOUND = 1e-6
# A coordinate of an asymptote is this part of its angle, so that a long step is not a whole turn.
_RADIANS = 0.25

SlopeKind = Literal["own", "shared", "one"]


class Rates(NamedTuple):
    """How an item's parameters change with its coordinates: first and second derivatives."""

    first: FloatArray
    second: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """How points stand for parameters.

    Attributes:
        slope: "own" for each item, one "shared", or "one", which is 1.
        columns: Parameters of an item: 2, 3 with a lower asymptote, 4 with an upper one.
        logarithmic: Whether discriminations are searched for by their logarithm.
        fixed: The parameters of items that are held; of the others, where a search begins.
        held: Whether an item is held, shape (items,).
        moves: Whether the search moves a group's mean and deviation, shape (groups, 2).
    """

    slope: SlopeKind
    columns: int
    logarithmic: bool
    fixed: ItemParameters
    held: NDArray[np.bool_]
    moves: NDArray[np.bool_]

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.held)

    @property
    def first_group(self) -> int:
        """The row of the first group of persons."""
        return self.items + (self.slope == "shared")

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which coordinates the search moves, shape (rows, columns)."""
        free = np.zeros((self.first_group + len(self.moves), self.columns), bool)
        free[: self.items] = ~self.held[:, np.newaxis]
        if self.slope != "own":
            free[: self.items, 0] = False
        # Held items of a common slope hold it for all.
        free[self.items : self.first_group, 0] = not self.held.any()
        free[self.first_group :, :2] = self.moves
        return free

    def start(self) -> FloatArray:
        """The point that stands for `fixed`, all persons standard normal."""
        point = np.zeros((self.first_group + len(self.moves), self.columns))
        discrimination, intercept, lower, upper = self.fixed
        slope = np.log(discrimination) if self.logarithmic else discrimination
        point[: self.items, 0], point[: self.items, 1] = slope, intercept
        if self.columns > LOWER:
            point[: self.items, LOWER] = np.arcsin(np.sqrt(lower)) / _RADIANS
        if self.columns > UPPER:
            point[: self.items, UPPER] = np.arcsin(np.sqrt(1 - upper)) / _RADIANS
        if self.slope == "shared":
            point[self.items, 0] = slope[self.held.argmax()]
        return point

    def parameters(self, point: FloatArray) -> ItemParameters:
        """The items at a point; held ones exactly as they were given."""
        if self.slope == "own":
            slope = point[: self.items, 0]
        elif self.slope == "shared":
            slope = np.full(self.items, point[self.items, 0])
        else:
            slope = np.ones(self.items)
        if self.logarithmic and self.slope != "one":
            slope = np.exp(slope)
        lower, upper = self.fixed.lower, self.fixed.upper
        if self.columns > LOWER:
            lower = np.sin(_RADIANS * point[: self.items, LOWER]) ** 2
        if self.columns > UPPER:
            upper = np.cos(_RADIANS * point[: self.items, UPPER]) ** 2
        found = ItemParameters(slope, point[: self.items, 1], lower, upper)
        if not self.held.any():
            return found
        return ItemParameters(
            *(np.where(self.held, *pair) for pair in zip(self.fixed, found, strict=True))
        )

    def populations(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and deviations of the groups, each of shape (groups,)."""
        rows = point[self.first_group :]
        return rows[:, 0], np.exp(rows[:, 1])

    def rates(self, point: FloatArray) -> Rates:
        """Derivatives of items' parameters by their coordinates, each (items, columns)."""
        shape = (self.items, self.columns)
        first, second = np.ones(shape), np.zeros(shape)
        if self.logarithmic:
            first[:, 0] = second[:, 0] = self.parameters(point).discrimination
        for column, sign in ((LOWER, 1.0), (UPPER, -1.0)):
            if column < self.columns:
                twice = 2 * _RADIANS * point[: self.items, column]
                first[:, column] = sign * _RADIANS * np.sin(twice)
                second[:, column] = sign * _RADIANS**2 * 2 * np.cos(twice)
        return Rates(first, second)
