"""How sure the parameters are: the inverse of the observed information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import sparse

from etl_jobs.irt.estimation.observed_information import Group, Sample
from etl_jobs.irt.memory import require_memory
from etl_jobs.irt.model.coordinates import AT_BOUND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from etl_jobs.irt.estimation.search import Maximum
    from etl_jobs.irt.model.coordinates import Coordinates
    from etl_jobs.irt.model.curves import ItemParameters
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.priors import Priors

InformationKind = Literal["joint", "near", "none"]

# Multiplications that "auto" spends on the joint information: a few hundredths of a second.
_JOINT_EFFORT = 2e8
# Of all parameters by all parameters: held at once while it is added up and inverted.
_JOINT_MATRICES = 4


class Covariances(NamedTuple):
    """How sure items and populations are.

    Attributes:
        items: Of each item's parameters, shape (items, columns, columns).
        population_errors: Standard errors of the groups' means, and of their deviations.
        information: Where they come from.
    """

    items: FloatArray
    population_errors: tuple[FloatArray, FloatArray]
    information: InformationKind


def covariances(
    maximum: Maximum, samples: Sequence[Sample], *, kind: Literal["auto"] | InformationKind
) -> Covariances:
    """The covariance of each item's parameters, and the populations' standard errors.

    NaN where nobody asked for them, and where the observed information is not positive
    definite, as it can be where the search has not converged.
    """
    objective, point = maximum.objective, maximum.found.point
    coordinates = objective.coordinates
    items, columns, groups = coordinates.items, coordinates.columns, len(samples)
    means, deviations = coordinates.populations(point)
    estimated = _Estimated.of(coordinates, maximum.parameters)
    if kind == "none":
        unknown = np.full(estimated.count + 1, np.nan)
        unknown[-1] = 0.0
        spread = unknown[estimated.population]
        covariance = np.where(_owned(estimated), np.nan, 0.0)
        return Covariances(covariance, (spread[:, 0], spread[:, 1]), "none")
    parts = [
        Group.at(maximum.parameters, mean, deviation, columns, sample, sums, objective.grid)
        for mean, deviation, sample, sums in zip(
            means, deviations, samples, maximum.found.slope.sums, strict=True
        )
    ]
    prior = _prior_information(objective.priors, maximum.parameters, coordinates)
    patterns = sum(len(sample.patterns) for sample in samples)
    effort = float(patterns) * len(objective.grid.nodes) * (items * columns) ** 2
    if kind == "joint" or (kind == "auto" and effort <= _JOINT_EFFORT):
        places = float(items) * columns
        require_memory(
            _JOINT_MATRICES * 8 * places**2,
            f"the joint information of {items:,} items",
            'take standard_errors="near", which grows with the items alone',
        )
        found, spread = _joint(parts, estimated, prior, groups)
        kind = "joint"
    else:
        scale = _scale_directions(coordinates, maximum.parameters, means)
        found, spread = _near(parts, estimated, prior, scale)
        kind = "near"
    return Covariances(found, (spread[:, 0], deviations * spread[:, 1]), kind)


@dataclass(frozen=True, slots=True, eq=False)
class _Estimated:
    """Which parameters are estimated, and their places among those.

    Attributes:
        item: The place of each item's parameters, -1 where one is not estimated; items may
            share one, shape (items, columns).
        population: The same of each group's mean and log deviation, shape (groups, 2).
        own: Whether a place is its item's alone, shape (items, columns).
        count: How many places there are.
    """

    item: NDArray[np.int64]
    population: NDArray[np.int64]
    own: NDArray[np.bool_]
    count: int

    @classmethod
    def of(cls, coordinates: Coordinates, parameters: ItemParameters) -> _Estimated:
        items, first = coordinates.items, coordinates.first_group
        free = coordinates.free
        own = free[:items].copy()
        # An asymptote at its bound is there because it would go on; it does not vary around it.
        if own.shape[1] > 2:
            own[:, 2] &= parameters.lower > AT_BOUND
        if own.shape[1] > 3:
            own[:, 3] &= parameters.upper < 1 - AT_BOUND
        item = np.where(own, np.cumsum(own).reshape(own.shape) - 1, -1)
        count = int(own.sum())
        if free[items:first].any():
            item[:, 0] = count
            count += 1
        moves = free[first:, :2]
        population = np.where(moves, count + np.cumsum(moves).reshape(moves.shape) - 1, -1)
        return cls(item, population, own, count + int(moves.sum()))

    def gather(self, items: FloatArray, populations: FloatArray) -> FloatArray:
        """What belongs to each place, added up, shape (places, directions).

        Args:
            items: Shape (directions, items, columns).
            populations: Shape (directions, groups, 2).
        """
        total = np.zeros((self.count + 1, len(items)))
        np.add.at(total, self.item, items.transpose(1, 2, 0))
        np.add.at(total, self.population, populations.transpose(1, 2, 0))
        return total[:-1]

    def directions(self, items: FloatArray, populations: FloatArray) -> FloatArray:
        """Directions in the same shapes, of which items that share a place agree."""
        total = np.zeros((self.count + 1, len(items)))
        total[self.item] = items.transpose(1, 2, 0)
        total[self.population] = populations.transpose(1, 2, 0)
        return total[:-1]

    def scatter(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The reverse: the values of each item and of each group, 0 where not estimated."""
        padded = np.concatenate((places, np.zeros((1, places.shape[1]))))
        return (
            np.moveaxis(padded[self.item], 2, 0),
            np.moveaxis(padded[self.population], 2, 0),
        )


def _owned(estimated: _Estimated) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = estimated.item >= 0
    return known[:, :, np.newaxis] & known[:, np.newaxis]


def _joint(
    parts: Sequence[Group], estimated: _Estimated, prior: FloatArray, groups: int
) -> tuple[FloatArray, FloatArray]:
    """From the information of all parameters together."""
    items, columns = estimated.item.shape
    size = items * columns
    information = np.zeros((size + 2 * groups, size + 2 * groups))
    each = np.arange(size).reshape(items, columns)
    complete = prior + sum(part.complete for part in parts)
    information[each[:, :, np.newaxis], each[:, np.newaxis]] = complete
    for group, part in enumerate(parts):
        persons = size + 2 * group + np.arange(2)
        information[np.ix_(persons, persons)] += part.person_information
        places = np.concatenate((np.arange(size), persons))
        information[np.ix_(places, places)] -= part.joint_missing()
    place = np.concatenate((estimated.item.ravel(), estimated.population.ravel()))
    known = np.flatnonzero(place >= 0)
    merge = sparse.csr_array(
        (np.ones(len(known)), (known, place[known])), shape=(len(place), estimated.count)
    )
    covariance = np.zeros((estimated.count + 1, estimated.count + 1))
    covariance[:-1, :-1] = _inverse((merge.T @ (merge.T @ information).T)[np.newaxis])[0]
    found = covariance[estimated.item[:, :, np.newaxis], estimated.item[:, np.newaxis]]
    return found, np.sqrt(np.diagonal(covariance)[estimated.population])


def _near(
    parts: Sequence[Group],
    estimated: _Estimated,
    prior: FloatArray,
    scale: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """From each item's own information, and what all items share.

    Items hang together almost only through the origin and the unit of the ability scale, a
    common slope, and the distribution of the persons. What the answers tell along those few
    directions is found exactly, and the items' own covariances are corrected so that they agree
    with it (a block BFGS update: the least change that does).
    """
    own = prior + sum(part.bend + part.own_squares() for part in parts)
    alone = _inverse_of_own(own, estimated.own)
    shared = np.concatenate((estimated.item[:, 0][~estimated.own[:, 0]], estimated.population.flat))
    extras = np.unique(shared[shared >= 0])
    units = np.zeros((estimated.count, len(extras)))
    units[extras, np.arange(len(extras))] = 1.0
    # Whatever a shared parameter does, each item's own follow it.
    units -= _apply(alone, estimated, _act(parts, estimated, prior, units))
    directions = np.concatenate((estimated.directions(*scale), units), axis=1)
    # A direction of the scale that nothing estimated moves along is none.
    directions = directions[:, np.any(directions != 0, axis=0)]
    pull = _act(parts, estimated, prior, directions)
    inner = _inverse((directions.T @ pull)[np.newaxis])[0]
    follow = _apply(alone, estimated, pull)
    twice = inner + inner @ (pull.T @ follow) @ inner
    along, after = (
        np.concatenate((each, np.zeros((1, each.shape[1])))) for each in (directions, follow)
    )
    item_along, item_after = along[estimated.item], after[estimated.item]
    found = alone + item_along @ twice @ item_along.transpose(0, 2, 1)
    across = item_along @ inner @ item_after.transpose(0, 2, 1)
    found -= across + across.transpose(0, 2, 1)
    of_population = along[estimated.population]
    return found, np.sqrt(np.einsum("gpm,mn,gpn->gp", of_population, inner, of_population))


def _act(
    parts: Sequence[Group], estimated: _Estimated, prior: FloatArray, directions: FloatArray
) -> FloatArray:
    """The observed information times some directions, (places, directions) both."""
    items, populations = estimated.scatter(directions)
    item_part = np.einsum("iab,mib->mia", prior, items)
    population_part = np.zeros_like(populations)
    for group, part in enumerate(parts):
        item_part += np.einsum("iab,mib->mia", part.complete, items)
        population_part[:, group] = populations[:, group] @ part.person_information
        item_missing, person_missing = part.missing(items, populations[:, group])
        item_part -= item_missing
        population_part[:, group] -= person_missing
    return estimated.gather(item_part, population_part)


def _apply(alone: FloatArray, estimated: _Estimated, places: FloatArray) -> FloatArray:
    items, populations = estimated.scatter(places)
    own = np.where(estimated.own, np.einsum("iab,mib->mia", alone, items), 0.0)
    return estimated.gather(own, np.zeros_like(populations))


def _inverse_of_own(information: FloatArray, own: NDArray[np.bool_]) -> FloatArray:
    """The inverse over each item's own parameters, 0 elsewhere."""
    pairs = own[:, :, np.newaxis] & own[:, np.newaxis]
    filled = np.where(pairs, information, np.eye(own.shape[1]))
    return np.where(pairs, _inverse(filled), 0.0)


def _scale_directions(
    coordinates: Coordinates, parameters: ItemParameters, means: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Shifting and stretching the ability scale, in items and in the groups but the first."""
    items = np.zeros((2, coordinates.items, coordinates.columns))
    populations = np.zeros((2, len(means), 2))
    items[0, :, 1] = items[1, :, 0] = parameters.discrimination
    if coordinates.held.any():
        # Free items move against the held ones; what ties them to those is found exactly, too.
        return items, populations
    populations[0, 1:, 0] = -1.0
    populations[1, 1:, 0], populations[1, 1:, 1] = -means[1:], -1.0
    return items, populations


def _prior_information(
    priors: Priors, parameters: ItemParameters, coordinates: Coordinates
) -> FloatArray:
    """The curvature of the log prior, in parameters, shape (items, columns, columns)."""
    free = np.flatnonzero(~coordinates.held)
    total = np.zeros((coordinates.items, coordinates.columns, coordinates.columns))
    pairs = (
        (priors.discrimination, parameters.discrimination),
        (priors.intercept, parameters.intercept),
        (priors.lower, parameters.lower),
        (priors.slip, 1 - parameters.upper),
    )
    for column, (prior, value) in enumerate(pairs[: coordinates.columns]):
        rows = free[:1] if column == 0 and coordinates.slope == "shared" else free
        if prior is None or (column == 0 and coordinates.slope == "one"):
            continue
        total[rows, column, column] = prior.curvature(value[rows])
    return total


def _inverse(information: FloatArray) -> FloatArray:
    """The inverse of each matrix in a stack, NaN where one is not positive definite."""
    inverse = np.full_like(information, np.nan)
    sound = np.all(np.isfinite(information), axis=(1, 2))
    if information.shape[1]:
        sound[sound] = np.linalg.eigvalsh(information[sound])[:, 0] > 0
    inverse[sound] = np.linalg.inv(information[sound])
    return inverse
