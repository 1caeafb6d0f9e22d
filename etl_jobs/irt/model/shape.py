"""Shapes of a distribution of ability that need not be normal, on a scale of their own.

A density is the normal one times the exponential of a sum of Hermite functions: waves that die
away where nobody is, so that the tails stay normal. It is smooth, positive and known between any
two nodes. Whatever the coefficients, it is moved and stretched to mean 0 and deviation 1: the
scale of the items stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import hermite_e
from scipy import special

from etl_jobs.irt.model.priors import Normal

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from etl_jobs.irt.model.models import FloatArray

# Hermite functions of degree 3, of skewness, up to 8. Those of 1 and 2 are location and width.
_DEGREES = range(3, 9)
COEFFICIENTS = len(_DEGREES)
_NODES, _SPAN = 401, 8.0
_STEP = 1e-4


@dataclass(frozen=True, slots=True)
class Shape:
    """A distribution with mean 0 and deviation 1.

    Attributes:
        coefficients: Of the Hermite functions, one for each degree from 3 on; none is normal.

    Example:
        >>> Shape(()).log_density(np.array([1.0, 2.0])).tolist()
        [-0.5, -2.0]
    """

    coefficients: tuple[float, ...] = ()

    def log_density(self, ability: FloatArray) -> FloatArray:
        """Up to a constant."""
        if not self.coefficients:
            return -0.5 * ability**2
        points = np.linspace(-_SPAN, _SPAN, _NODES)
        mass = special.softmax(self._raw(points))
        mean = float(mass @ points)
        deviation = float(np.sqrt(mass @ (points - mean) ** 2))
        return self._raw(mean + deviation * ability)

    def density(self, ability: ArrayLike) -> FloatArray:
        """The probability density at these abilities."""
        points = np.linspace(-_SPAN, _SPAN, _NODES)
        mass = np.exp(self.log_density(points)).sum() * (points[1] - points[0])
        result: FloatArray = np.exp(self.log_density(np.asarray(ability, np.float64))) / mass
        return result

    def log_weights(self, ability: FloatArray) -> FloatArray:
        """Logarithms of the masses at equally spaced abilities, which sum to 1."""
        log_density = self.log_density(ability)
        log_density -= log_density.max()
        log_density -= np.log(np.exp(log_density).sum())
        return log_density

    def slopes(self, ability: FloatArray) -> FloatArray:
        """Derivatives of `log_weights` by the coefficients, (coefficients, abilities)."""
        each = _STEP * np.eye(len(self.coefficients))
        ahead, behind = (
            [type(self)(tuple(self.coefficients + sign * step)) for step in each]
            for sign in (1, -1)
        )
        return np.array(
            [
                (above.log_weights(ability) - below.log_weights(ability)) / (2 * _STEP)
                for above, below in zip(ahead, behind, strict=True)
            ]
        )

    def _raw(self, point: FloatArray) -> FloatArray:
        degrees = np.zeros(_DEGREES.stop)
        used = _DEGREES[: len(self.coefficients)]
        degrees[used.start : used.stop] = self.coefficients / np.sqrt(special.factorial(used))
        # Orthonormal under the normal density whose root this is.
        waves = hermite_e.hermeval(point, degrees) * np.exp(-(point**2) / 4)
        result: FloatArray = -0.5 * point**2 + waves
        return result


NORMAL = Shape()


@dataclass(frozen=True, slots=True)
class AnyShape(Normal):
    """A distribution of another shape, where a normal one may stand."""

    shape: Shape = NORMAL

    def log_density(self, value: FloatArray) -> FloatArray:
        """Up to a constant."""
        return self.shape.log_density((value - self.mean) / self.deviation)

    def slope(self, value: FloatArray) -> FloatArray:
        """The first derivative of `log_density`, by differences."""
        ahead, behind = self.log_density(value + _STEP), self.log_density(value - _STEP)
        return (ahead - behind) / (2 * _STEP)

    def curvature(self, value: FloatArray) -> FloatArray:
        """The second derivative of `log_density`, its sign turned, by differences."""
        return -(self.slope(value + _STEP) - self.slope(value - _STEP)) / (2 * _STEP)
