"""What is believed of an item before anybody has answered it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from etl_jobs.irt.models import FloatArray


def _check_deviation(deviation: float) -> None:
    if not deviation > 0:
        raise ValueError(f"a prior's deviation is {deviation}; expected a positive number")


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal prior."""

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        _check_deviation(self.deviation)

    def log_density(self, value: FloatArray) -> FloatArray:
        """Up to a constant."""
        return -0.5 * ((value - self.mean) / self.deviation) ** 2

    def slope(self, value: FloatArray) -> FloatArray:
        """The first derivative of `log_density`."""
        return (self.mean - value) / self.deviation**2

    def curvature(self, value: FloatArray) -> FloatArray:
        """The second derivative of `log_density`, its sign turned."""
        return np.full_like(value, self.deviation**-2)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A prior for what can only be positive: its logarithm is normal.

    The most likely value, the one that a fit without answers gives, is
    exp(mean - deviation ** 2).
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        _check_deviation(self.deviation)

    def log_density(self, value: FloatArray) -> FloatArray:
        """Up to a constant."""
        log = np.log(value)
        return -log - 0.5 * ((log - self.mean) / self.deviation) ** 2

    def slope(self, value: FloatArray) -> FloatArray:
        """The first derivative of `log_density`."""
        return -(1 + (np.log(value) - self.mean) / self.deviation**2) / value

    def curvature(self, value: FloatArray) -> FloatArray:
        """The second derivative of `log_density`, its sign turned."""
        variance = self.deviation**2
        return (1 + self.mean - np.log(value) - variance) / (variance * value**2)


@dataclass(frozen=True, slots=True)
class Priors:
    """The priors of every item's parameters; None for none.

    On real logs they are what makes the answer right, not a refinement: thousands of items
    with a handful of answers, or with only right ones, have no other finite estimate.
    """

    discrimination: Normal | LogNormal | None = Normal(1.0, 0.5)
    intercept: Normal | None = Normal(0.0, 2.0)


DEFAULT_PRIORS = Priors()
NO_PRIORS = Priors(discrimination=None, intercept=None)
