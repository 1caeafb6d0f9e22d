"""What is believed of an item before anybody has answered it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from etl_jobs.irt.model.models import FloatArray


def _check_numbers(what: str, *values: object) -> None:
    odd = [value for value in values if not isinstance(value, Real)]
    if odd:
        raise TypeError(f"{what} is made of {odd[0]!r:.60}; expected numbers")


def _check(mean: float, deviation: float) -> None:
    _check_numbers("a prior", mean, deviation)
    if not math.isfinite(mean):
        raise ValueError(f"a prior's mean is {mean}; expected a finite number")
    if not 0 < deviation < np.inf:
        raise ValueError(
            f"a prior's deviation is {deviation}; expected a positive number, or None in the "
            "place of a prior that says nothing"
        )


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal prior."""

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        _check(self.mean, self.deviation)

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
        _check(self.mean, self.deviation)

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
class Beta:
    """A prior for a share between 0 and 1, such as how often a guess is right.

    The most likely value, the one that a fit without answers gives, is
    (alpha - 1) / (alpha + beta - 2).
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        _check_numbers("a beta prior", self.alpha, self.beta)
        if not (1 <= self.alpha < np.inf and 1 <= self.beta < np.inf):
            raise ValueError(
                f"a beta prior's alpha and beta are {self.alpha} and {self.beta}; expected 1 or "
                "more of each: below 1 it has no most likely value, it only drives to a bound"
            )

    @property
    def mode(self) -> float:
        """The most likely value; a half where all are equally likely."""
        weight = self.alpha + self.beta - 2
        return (self.alpha - 1) / weight if weight else 0.5

    def log_density(self, value: FloatArray) -> FloatArray:
        """Up to a constant."""
        density: FloatArray = special.xlogy(self.alpha - 1, value)
        density += special.xlog1py(self.beta - 1, -value)
        return density

    def slope(self, value: FloatArray) -> FloatArray:
        """The first derivative of `log_density`."""
        return _share(self.alpha - 1, value) - _share(self.beta - 1, 1 - value)

    def curvature(self, value: FloatArray) -> FloatArray:
        """The second derivative of `log_density`, its sign turned."""
        return _share(self.alpha - 1, value**2) + _share(self.beta - 1, (1 - value) ** 2)


def _share(weight: float, value: FloatArray) -> FloatArray:
    return weight / value if weight else np.zeros_like(value)


@dataclass(frozen=True, slots=True)
class Priors:
    """The priors of every item's parameters; None for none.

    On real logs they are what makes the answer right, not a refinement: thousands of items
    with a handful of answers, or with only right ones, have no other finite estimate.

    A model takes those of the parameters it has. The beta prior of guessing is BILOG-MG's
    (Zimowski, Muraki, Mislevy & Bock 1996) for five choices: its mode is one in five, and it
    weighs as much as 20 answers. Slips have its mirror image, so that a test read the other
    way round, wrong for right, has the mirrored parameters.

    Attributes:
        discrimination: Of a. A slope that all items share has it once; the Rasch model none.
        intercept: Of d.
        lower: Of the lower asymptote c.
        slip: Of 1 - u, how far the upper asymptote stays below 1.
    """

    discrimination: Normal | LogNormal | None = Normal(1.0, 0.5)
    intercept: Normal | None = Normal(0.0, 2.0)
    lower: Beta | None = Beta(5.0, 17.0)
    slip: Beta | None = Beta(5.0, 17.0)

    def __post_init__(self) -> None:
        for name, kinds in _KINDS.items():
            prior = getattr(self, name)
            if not isinstance(prior, (*kinds, type(None))):
                expected = " or ".join(kind.__name__ for kind in kinds)
                raise TypeError(
                    f"the prior of {name} is {prior!r:.60}; expected {expected}, or None for none"
                )


_KINDS = {
    "discrimination": (Normal, LogNormal),
    "intercept": (Normal,),
    "lower": (Beta,),
    "slip": (Beta,),
}

DEFAULT_PRIORS = Priors()
NO_PRIORS = Priors(discrimination=None, intercept=None, lower=None, slip=None)
