"""What calibration maximises: the marginal log-likelihood plus the log prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from etl_jobs.irt.ascent import Slope
from etl_jobs.irt.models import FloatArray, ItemTables, item_tables
from etl_jobs.irt.priors import LogNormal, Priors
from etl_jobs.irt.spans import cached_spans

if TYPE_CHECKING:
    from etl_jobs.irt.expectation import Expectation, Sums
    from etl_jobs.irt.quadrature import Grid


# No discrimination goes beyond it.
STEEPEST_CURVE = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation(Slope):
    """The objective at one point, with the E-step it came from."""

    sums: Sums


class _Belief(NamedTuple):
    """The log prior at one point, its slope and its curvature, sign turned."""

    log_density: float
    slope: FloatArray
    curvature: FloatArray


@dataclass(frozen=True, slots=True)
class MarginalPosterior:
    """The log posterior of the 2PL model's parameters, ability integrated out.

    A point has shape (items, 2): slope and intercept. Under a prior that only positive
    discriminations have, the slope is the logarithm of the discrimination.
    """

    expect: Expectation
    grid: Grid
    priors: Priors

    def __call__(self, point: FloatArray) -> Evaluation:
        """Height, score and complete-data information, from one pass over the answers."""
        discrimination, intercept = self.parameters(point)
        tables = item_tables(self.grid.nodes, discrimination, intercept)
        sums = self.expect(tables, self.grid)
        score, information = _expected_score(sums, tables, self.grid)
        if self._is_logarithmic:
            score[:, 0] *= discrimination
            information[:, 0] *= discrimination[:, np.newaxis]
            information[:, :, 0] *= discrimination[:, np.newaxis]
        belief = self._belief(discrimination, intercept)
        information[:, [0, 1], [0, 1]] += belief.curvature
        # Where a likelihood has no maximum the search would go on until nothing is left of the
        # information; a wall ends it where every curve is a step anyway.
        walled = np.abs(discrimination).max() > STEEPEST_CURVE
        return Evaluation(
            height=-np.inf if walled else sums.log_likelihood + belief.log_density,
            score=score + belief.slope,
            information=information,
            joint=self._joint(discrimination, belief.curvature),
            sums=sums,
        )

    def _belief(self, discrimination: FloatArray, intercept: FloatArray) -> _Belief:
        log_density = 0.0
        slope, curvature = np.zeros((2, len(discrimination), 2))
        pairs = ((self.priors.discrimination, discrimination), (self.priors.intercept, intercept))
        for column, (prior, value) in enumerate(pairs):
            if prior is None:
                continue
            log_density += float(prior.log_density(value).sum())
            slope[:, column] = prior.slope(value)
            curvature[:, column] = prior.curvature(value)
            if isinstance(prior, LogNormal):
                curvature[:, column] *= value**2
                curvature[:, column] -= slope[:, column] * value
                slope[:, column] *= value
        return _Belief(log_density, slope, curvature)

    def _joint(self, discrimination: FloatArray, curvature: FloatArray) -> FloatArray:
        """Shifting and stretching the ability scale, said in item parameters.

        In a model whose persons' mean and deviation are free too (PX-EM, Liu, Rubin & Wu
        1998), complete data tell persons and 2 * persons about them.
        """
        joint = np.zeros((2, len(discrimination), 2))
        joint[0, :, 1] = discrimination
        joint[1, :, 0] = 1.0 if self._is_logarithmic else discrimination
        known = self.expect.persons * np.array([1.0, 2.0]) + (joint**2 * curvature).sum(axis=(1, 2))
        joint /= np.sqrt(known)[:, np.newaxis, np.newaxis]
        return joint

    @property
    def _is_logarithmic(self) -> bool:
        return isinstance(self.priors.discrimination, LogNormal)

    def point(self, discrimination: FloatArray, intercept: FloatArray) -> FloatArray:
        """The point that stands for these parameters."""
        slope = np.log(discrimination) if self._is_logarithmic else discrimination
        return np.stack((slope, intercept), axis=1)

    def parameters(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Discrimination and intercept at a point."""
        slope = np.exp(point[:, 0]) if self._is_logarithmic else point[:, 0]
        return slope, point[:, 1]


def _expected_score(sums: Sums, tables: ItemTables, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Score and information of the expected complete data, in slope and intercept.

    By Fisher's identity that score is also the marginal one.
    """
    items = len(tables.probability)
    powers = np.vander(grid.nodes, 3)
    score, moments = np.empty((items, 2)), np.empty((items, 3))
    for rows in cached_spans(*tables.probability.shape):
        right, probability = sums.right[rows], tables.probability[rows]
        expected = right + sums.wrong[rows]
        expected *= probability
        score[rows] = (right - expected) @ powers[:, 1:]
        expected *= 1 - probability
        moments[rows] = expected @ powers
    return score, moments[:, [[0, 1], [1, 2]]]
