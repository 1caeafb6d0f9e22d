"""What calibration maximises: the marginal log-likelihood plus the log prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etl_jobs.irt.ascent import Slope
from etl_jobs.irt.expectation import Block, Sums, expect
from etl_jobs.irt.models import FloatArray, item_tables
from etl_jobs.irt.priors import LogNormal, Priors
from etl_jobs.irt.quadrature import Grid


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation(Slope):
    """The objective at one point, with the E-step it came from."""

    sums: Sums


@dataclass(frozen=True, slots=True)
class MarginalPosterior:
    """The log posterior of the 2PL model's parameters, ability integrated out.

    A point has shape (items, 2): slope and intercept. Under a prior that only positive
    discriminations have, the slope is the logarithm of the discrimination.
    """

    blocks: Sequence[Block]
    grid: Grid
    priors: Priors

    def __call__(self, point: FloatArray) -> Evaluation:
        """Height, score and complete-data information, from one pass over the answers."""
        discrimination, intercept = self.parameters(point)
        tables = item_tables(self.grid.nodes, discrimination, intercept)
        sums = expect(self.blocks, tables, self.grid)
        # By Fisher's identity the score of the expected complete data is the marginal one.
        probability = tables.probability
        surplus = sums.right * (1 - probability) - sums.wrong * probability
        powers = np.vander(self.grid.nodes, 3)
        score = surplus @ powers[:, 1:]
        weight = (sums.right + sums.wrong) * (probability * (1 - probability))
        moments = weight @ powers
        information = moments[:, [[0, 1], [1, 2]]]
        height = sums.log_likelihood
        if self._is_logarithmic:
            score[:, 0] *= discrimination
            information[:, 0] *= discrimination[:, np.newaxis]
            information[:, :, 0] *= discrimination[:, np.newaxis]
        for column, prior in enumerate((self.priors.discrimination, self.priors.intercept)):
            if prior is None:
                continue
            value = discrimination if column == 0 else intercept
            slope, curvature = prior.slope(value), prior.curvature(value)
            if isinstance(prior, LogNormal):
                curvature = curvature * value**2 - slope * value
                slope = slope * value
            height += float(prior.log_density(value).sum())
            score[:, column] += slope
            information[:, column, column] += curvature
        return Evaluation(height, score, information, sums)

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
