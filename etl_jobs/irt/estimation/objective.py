"""What calibration maximises: the marginal log-likelihood plus the log prior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from etl_jobs.irt.answers.products import dot
from etl_jobs.irt.estimation.ascent import Slope
from etl_jobs.irt.estimation.complete_data import Persons, complete_data
from etl_jobs.irt.model.coordinates import LOWER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from etl_jobs.irt.estimation.expectation import Expectation, Sums
    from etl_jobs.irt.model.coordinates import Coordinates
    from etl_jobs.irt.model.curves import ItemParameters
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.priors import Priors
    from etl_jobs.irt.model.quadrature import Grid


# No discrimination goes beyond it.
STEEPEST_CURVE = 30.0
_RIDGE = 1e-10
_SMALLEST = 1e-30
# At angle 0 nothing moves an asymptote, also one that wants away from there: this rate does.
_LEAST_RATE = 1e-3
# Scaled scores of which more is far from the top.
_NEAR = 4.0
# Of an item's information as much as this is believed to be noise.
_MOST_NOISE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation(Slope):
    """The objective at one point, with the E-steps it came from.

    Attributes:
        curvature: What a score is measured against, shape (items, parameters).
        alone: The coordinates that the blocks of the information step along; along the others
            only the joint directions do, shape (items, parameters).
        sums: One for each group of persons.
    """

    curvature: FloatArray
    alone: NDArray[np.bool_]
    sums: tuple[Sums, ...]

    @property
    def log_likelihood(self) -> float:
        """Marginal, of all groups."""
        return sum(each.log_likelihood for each in self.sums)

    @property
    def steepness(self) -> float:
        """The largest |score| / sqrt(information): how far the top is, in standard errors."""
        # Where nothing is told there is nothing to climb.
        scale = np.sqrt(np.maximum(self.curvature, _SMALLEST))
        return float(np.max(np.abs(self.score) / scale))

    def newton_step(self, score: FloatArray) -> FloatArray:
        """The step to where the score would vanish, item by item and along the joint ones."""
        solved = np.linalg.solve(_invertible(self.information), score[..., np.newaxis])[..., 0]
        step: FloatArray = np.where(self.alone, solved, 0.0)
        for direction in self.joint:
            step += dot(direction, score) * direction
        return step


class _Belief(NamedTuple):
    """The log prior at one point, its slope and its curvature, sign turned."""

    log_density: float
    slope: FloatArray
    curvature: FloatArray


@dataclass(frozen=True)
class MarginalPosterior:
    """The log posterior of a model's parameters, ability integrated out.

    A group whose persons have mean m and deviation s is integrated over m + s * x, with x
    standard normal: the grid is fine enough for every group alike.
    """

    groups: Sequence[Expectation]
    grid: Grid
    priors: Priors
    coordinates: Coordinates

    def __call__(self, point: FloatArray) -> Evaluation:
        """Height, score and complete-data information, from one pass over the answers."""
        coordinates = self.coordinates
        parameters = coordinates.parameters(point)
        if _is_walled(parameters):
            return _beyond_the_wall(point)
        items, columns = coordinates.items, coordinates.columns
        score = np.zeros(point.shape)
        information = np.zeros((*point.shape, columns))
        noise = np.zeros((items, columns, columns))
        sums = []
        for group, (mean, deviation) in enumerate(
            zip(*coordinates.populations(point), strict=True)
        ):
            ability = mean + deviation * self.grid.nodes
            tables = parameters.tables(ability)
            sums.append(self.groups[group](tables, self.grid))
            number = self.groups[group].persons
            persons = Persons(ability, number * self._mass, deviation)
            known = complete_data(sums[-1], tables, persons, parameters, columns)
            score[:items] += known.score
            information[:items] += known.information
            noise += known.noise
            row = coordinates.first_group + group
            # To move all persons is to move all items the other way.
            shift = dot(known.score[:, 1], parameters.discrimination)
            stretch = dot(known.score[:, 0], parameters.discrimination)
            score[row, :2] = shift, stretch - mean * shift
            information[row, 0, 0], information[row, 1, 1] = number / deviation**2, 2 * number
        belief, bend = self._into_coordinates(point, parameters, score, information, noise)
        rows = self._share_slopes(score, information)
        free, apart = self._free
        score[~free] = 0.0
        information[apart] = 0.0
        diagonal = _diagonal(information)
        diagonal[~free] = 1.0
        curvature = diagonal.copy()
        if columns > LOWER:
            curvature[:items] += np.where(free[:items], np.maximum(bend, 0.0), 0.0)
            diagonal[:items] += np.where(free[:items], np.abs(bend), 0.0)
        if coordinates.slope == "own":
            # Far from the top EM's steps do not overshoot, and longer ones do.
            near = score[:items] ** 2 <= _NEAR**2 * curvature[:items]
            noise[~near.all(axis=1)] = 0.0
            noise[apart[:items]] = 0.0
            _without_noise(information[:items], noise)
        return Evaluation(
            height=sum(each.log_likelihood for each in sums) + belief.log_density,
            score=score,
            information=information,
            joint=np.concatenate((rows, self._scale_directions(point, parameters, belief))),
            curvature=curvature,
            alone=self._alone(free),
            sums=tuple(sums),
        )

    @cached_property
    def _mass(self) -> FloatArray:
        return np.exp(self.grid.log_weights)

    @cached_property
    def _free(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which coordinates the search moves, and which pairs of an item's it does not."""
        free = self.coordinates.free
        return free, ~(free[:, :, np.newaxis] & free[:, np.newaxis])

    def _into_coordinates(
        self,
        point: FloatArray,
        parameters: ItemParameters,
        score: FloatArray,
        information: FloatArray,
        noise: FloatArray,
    ) -> tuple[_Belief, FloatArray]:
        """Turn the items' rows from parameters into coordinates, priors added, in place.

        Returns:
            The prior, and the curvature that comes of an angle's being one: at its ends, where
            its rate of change vanishes, it is all there is. It is negative where the asymptote
            wants away from there. Shape (items, columns).
        """
        coordinates = self.coordinates
        items, columns = coordinates.items, coordinates.columns
        rates, belief = coordinates.rates(point), self._belief(parameters)
        bend = -score[:items] * rates.second
        bend[:, :2] = 0.0
        curvature = belief.curvature * rates.first**2 - belief.slope * rates.second
        first = rates.first
        stuck = (bend < 0) & (np.abs(first) < _LEAST_RATE)
        first = np.where(stuck, np.copysign(_LEAST_RATE, first), first)
        each = np.arange(columns)
        score[:items] = (score[:items] + belief.slope) * first
        across = first[:, :, np.newaxis] * first[:, np.newaxis]
        information[:items] *= across
        noise *= across
        information[:items, each, each] += curvature
        return _Belief(belief.log_density, belief.slope, curvature), bend

    def _belief(self, parameters: ItemParameters) -> _Belief:
        coordinates = self.coordinates
        log_density = 0.0
        slope, curvature = np.zeros((2, coordinates.items, coordinates.columns))
        free = np.flatnonzero(~coordinates.held)
        for column, (prior, value, sign) in enumerate(
            (
                (self.priors.discrimination, parameters.discrimination, 1.0),
                (self.priors.intercept, parameters.intercept, 1.0),
                (self.priors.lower, parameters.lower, 1.0),
                (self.priors.slip, 1 - parameters.upper, -1.0),
            )[: coordinates.columns]
        ):
            # What all items share is believed once.
            rows = free[:1] if column == 0 and coordinates.slope == "shared" else free
            if prior is None or (column == 0 and coordinates.slope == "one"):
                continue
            log_density += float(prior.log_density(value[rows]).sum())
            slope[rows, column] = sign * prior.slope(value[rows])
            curvature[rows, column] = prior.curvature(value[rows])
        return _Belief(log_density, slope, curvature)

    def _share_slopes(self, score: FloatArray, information: FloatArray) -> FloatArray:
        """Gather a common slope into its row, in place, and return its joint direction.

        With it the intercepts move as complete data would have them.
        """
        coordinates = self.coordinates
        items, shape = coordinates.items, score.shape
        if coordinates.slope != "shared" or coordinates.held.any():
            return np.empty((0, *shape))
        score[items, 0] = score[:items, 0].sum()
        information[items, 0, 0] = information[:items, 0, 0].sum()
        direction = np.zeros((1, *shape))
        across, own = information[:items, 0, 1], information[:items, 1, 1]
        direction[0, :items, 1] = -across / own
        direction[0, items, 0] = 1.0
        direction /= np.sqrt(information[items, 0, 0] - dot(across, across / own))
        return direction

    def _alone(self, free: NDArray[np.bool_]) -> NDArray[np.bool_]:
        alone = free.copy()
        alone[self.coordinates.items : self.coordinates.first_group] = False
        return alone

    def _scale_directions(
        self, point: FloatArray, parameters: ItemParameters, belief: _Belief
    ) -> FloatArray:
        """Shifting and stretching the ability scale, said in item parameters.

        In a model whose persons' mean and deviation are free too (PX-EM, Liu, Rubin & Wu
        1998), complete data tell persons and 2 * persons about them.
        """
        coordinates = self.coordinates
        if coordinates.held.any():
            return np.empty((0, *point.shape))
        items, first = coordinates.items, coordinates.first_group
        mean, deviation = coordinates.populations(point)
        joint = np.zeros((2, *point.shape))
        joint[0, :items, 1] = parameters.discrimination
        joint[0, first + 1 :, 0] = -1.0
        slope = np.ones(items) if coordinates.logarithmic else parameters.discrimination
        joint[1, :items, 0] = slope
        joint[1, items:first, 0] = slope[0]
        joint[1, first + 1 :, 0], joint[1, first + 1 :, 1] = -mean[1:], -1.0
        known = self.groups[0].persons * np.array([deviation[0] ** -2, 2.0])
        known += (joint[:, :items] ** 2 * belief.curvature).sum(axis=(1, 2))
        joint /= np.sqrt(known)[:, np.newaxis, np.newaxis]
        if coordinates.slope == "shared":
            joint[:, :items, 0] = 0.0
        # A scale that a slope of 1 holds does not stretch.
        return joint[:1] if coordinates.slope == "one" else joint


def _is_walled(parameters: ItemParameters) -> bool:
    """Whether a search has gone too far.

    Where a likelihood has no maximum it would go on until nothing is left of the information; a
    wall ends it where every curve is a step anyway, or flat between its asymptotes.
    """
    steepest = float(np.abs(parameters.discrimination).max())
    return steepest > STEEPEST_CURVE or bool(np.any(parameters.lower >= parameters.upper))


def _invertible(information: FloatArray) -> FloatArray:
    """Blocks whose inverse is a step's."""
    # Few answers can leave two parameters of an item indistinguishable: the least that
    # makes the information invertible changes no other step.
    each = information.copy()
    diagonal = _diagonal(each)
    diagonal *= 1 + _RIDGE
    diagonal += _SMALLEST
    return each


def _diagonal(blocks: FloatArray) -> FloatArray:
    """A view of the diagonal of each block, shape (blocks, columns)."""
    view: FloatArray = np.einsum("iaa->ia", blocks)
    return view


def _without_noise(information: FloatArray, noise: FloatArray) -> None:
    """Take from each item's information what is noise, in place; it stays positive definite."""
    share = _traces(_invertible(information), noise)
    noise *= np.minimum(1.0, _MOST_NOISE / np.maximum(share, _SMALLEST))[:, np.newaxis, np.newaxis]
    information -= noise


def _traces(left: FloatArray, right: FloatArray) -> FloatArray:
    """The trace of inverse(left) @ right, of symmetric blocks, shape (blocks,)."""
    if left.shape[1] != LOWER:
        traces: FloatArray = np.trace(np.linalg.solve(left, right), axis1=1, axis2=2)
        return traces
    # Of two columns Cramer's rule is several times as fast.
    total = left[:, 0, 0] * right[:, 1, 1] + left[:, 1, 1] * right[:, 0, 0]
    total -= 2 * left[:, 0, 1] * right[:, 0, 1]
    total /= left[:, 0, 0] * left[:, 1, 1] - left[:, 0, 1] ** 2
    return total


def _beyond_the_wall(point: FloatArray) -> Evaluation:
    rows, columns = point.shape
    return Evaluation(
        height=-np.inf,
        score=np.zeros_like(point),
        information=np.tile(np.eye(columns), (rows, 1, 1)),
        joint=np.empty((0, *point.shape)),
        curvature=np.ones_like(point),
        alone=np.zeros(point.shape, bool),
        sums=(),
    )
