"""How sure the parameters are: the inverse of the observed information."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from etl_jobs.irt.estimation.missing_information import effort, missing_information
from etl_jobs.irt.estimation.observed_information import Group, added
from etl_jobs.irt.estimation.places import Places
from etl_jobs.irt.memory import require_memory
from etl_jobs.irt.model.coordinates import AT_BOUND, LOWER, UPPER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.estimation.search import Maximum
    from etl_jobs.irt.model.coordinates import Coordinates
    from etl_jobs.irt.model.curves import ItemParameters
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.priors import Priors
    from etl_jobs.irt.model.quadrature import Grid

InformationKind = Literal["joint", "near", "none"]

# Multiplications that "auto" spends on the joint information: so many for each one of a pass
# over the answers, or a hundredth of a second: less than a search takes.
_JOINT_PASSES = 8.0
_JOINT_EFFORT = 4e8
# How far a grid reaches for what is delicate.
_FARTHEST = 6.5
# One over the mean square distance from 0 of a number between 0 and 1.
_ANYWHERE = 3.0
# Of all parameters by all parameters: held at once while it is added up and inverted.
_JOINT_MATRICES = 8


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
    maximum: Maximum, groups: Sequence[Sequence[Block]], *, kind: Literal["auto"] | InformationKind
) -> Covariances:
    """The covariance of each item's parameters, and the populations' standard errors.

    NaN where nobody asked for them, and where the observed information is not positive
    definite, as it can be where the search has not converged.

    Args:
        maximum: Where the search has ended.
        groups: The answers of each group of persons.
        kind: "auto" is "joint" while that is cheap.
    """
    objective, point = maximum.objective, maximum.found.point
    coordinates = objective.coordinates
    means, deviations = coordinates.populations(point)
    places = Places.of(coordinates)
    if kind == "none":
        unknown = np.full(places.count + 1, np.nan)
        unknown[-1] = 0.0
        spread = unknown[places.population]
        covariance = np.where(_owned(places), np.nan, 0.0)
        return Covariances(covariance, (spread[:, 0], spread[:, 1]), "none")
    # A posterior covariance is no more delicate than a step of the search. But that of a
    # deviation's score grows with the fourth power of ability, and asymptotes, which answers
    # hardly tell from the rest, magnify what is left out.
    grid = objective.grid
    is_delicate = coordinates.columns > LOWER or bool(np.any(places.population >= 0))
    quick = (grid.coarser(_FARTHEST) if is_delicate else grid.coarser()) or grid
    parts = [
        Group.at(
            maximum.parameters, mean, deviation, coordinates.columns, blocks, sums, grid, quick
        )
        for mean, deviation, blocks, sums in zip(
            means, deviations, groups, maximum.found.slope.sums, strict=True
        )
    ]
    prior = _prior_information(objective.priors, maximum.parameters, coordinates)
    prior += _room_at_bounds(maximum, added([part.score for part in parts]))
    if kind == "joint" or (kind == "auto" and _joint_is_cheap(parts, places, grid)):
        require_memory(
            _JOINT_MATRICES * 8 * float(places.count) ** 2,
            f"the joint information of {coordinates.items:,} items",
            'take standard_errors="near", which grows with the items alone',
        )
        found, spread = _joint(parts, places, prior)
        kind = "joint"
    else:
        scale = _scale_directions(coordinates, maximum.parameters, means)
        found, spread = _near(parts, places, prior, scale)
        kind = "near"
    return Covariances(found, (spread[:, 0], deviations * spread[:, 1]), kind)


def _joint_is_cheap(parts: Sequence[Group], places: Places, grid: Grid) -> bool:
    answers = float(sum(block.answers_held for part in parts for block in part.blocks))
    joint = sum(effort(part) for part in parts) + float(places.count) ** 3
    return joint <= max(_JOINT_EFFORT, _JOINT_PASSES * 2 * answers * len(grid.nodes))


def _owned(places: Places) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = places.item >= 0
    return known[:, :, np.newaxis] & known[:, np.newaxis]


def _joint(
    parts: Sequence[Group], places: Places, prior: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """From the information of all parameters together."""
    information = places.blocks(prior + sum(part.complete for part in parts))
    for group, part in enumerate(parts):
        moved = np.flatnonzero(places.population[group] >= 0)
        persons = places.population[group, moved]
        information[np.ix_(persons, persons)] += part.person_information[np.ix_(moved, moved)]
        information -= missing_information(part, places, group)
    covariance = np.zeros((places.count + 1, places.count + 1))
    covariance[:-1, :-1] = _inverse(information[np.newaxis])[0]
    found = covariance[places.item[:, :, np.newaxis], places.item[:, np.newaxis]]
    return found, np.sqrt(np.diagonal(covariance)[places.population])


def _near(
    parts: Sequence[Group],
    places: Places,
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
    alone = _inverse_of_own(own, places.own)
    shared = np.concatenate((places.item[:, 0][~places.own[:, 0]], places.population.flat))
    extras = np.unique(shared[shared >= 0])
    units = np.zeros((places.count, len(extras)))
    units[extras, np.arange(len(extras))] = 1.0
    # Whatever a shared parameter does, each item's own follow it.
    units -= _apply(alone, places, _act(parts, places, prior, units))
    directions = np.concatenate((places.directions(*scale), units), axis=1)
    # A direction of the scale that nothing estimated moves along is none.
    directions = directions[:, np.any(directions != 0, axis=0)]
    pull = _act(parts, places, prior, directions)
    inner = _inverse((directions.T @ pull)[np.newaxis])[0]
    follow = _apply(alone, places, pull)
    twice = inner + inner @ (pull.T @ follow) @ inner
    along, after = (
        np.concatenate((each, np.zeros((1, each.shape[1])))) for each in (directions, follow)
    )
    item_along, item_after = along[places.item], after[places.item]
    found = alone + item_along @ twice @ item_along.transpose(0, 2, 1)
    across = item_along @ inner @ item_after.transpose(0, 2, 1)
    found -= across + across.transpose(0, 2, 1)
    of_population = along[places.population]
    return found, np.sqrt(np.einsum("gpm,mn,gpn->gp", of_population, inner, of_population))


def _act(
    parts: Sequence[Group], places: Places, prior: FloatArray, directions: FloatArray
) -> FloatArray:
    """The observed information times some directions, (places, directions) both."""
    items, populations = places.scatter(directions)
    item_part = np.einsum("iab,mib->mia", prior, items)
    population_part = np.zeros_like(populations)
    for group, part in enumerate(parts):
        item_part += np.einsum("iab,mib->mia", part.complete, items)
        population_part[:, group] = populations[:, group] @ part.person_information
        item_missing, person_missing = part.missing(items, populations[:, group])
        item_part -= item_missing
        population_part[:, group] -= person_missing
    return places.gather(item_part, population_part)


def _apply(alone: FloatArray, places: Places, values: FloatArray) -> FloatArray:
    items, populations = places.scatter(values)
    own = np.where(places.own, np.einsum("iab,mib->mia", alone, items), 0.0)
    return places.gather(own, np.zeros_like(populations))


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


def _room_at_bounds(maximum: Maximum, score: FloatArray) -> FloatArray:
    """How far from its bound an asymptote may be, as an information, (items, columns, columns).

    At a bound the likelihood does not level out, it falls away at a rate: where nothing else
    bends it, as an exponential density whose mean square distance is 2 / rate^2. Half the
    squared rate as information gives that, and half a normal density where the rate is 0. Where
    the answers say nothing, anything between the bounds may be. To take the asymptote for known
    would make every other error of the item far too small.
    """
    coordinates, priors = maximum.objective.coordinates, maximum.objective.priors
    parameters = maximum.parameters
    total = np.zeros((*score.shape, coordinates.columns))
    for column, value, prior in (
        (LOWER, parameters.lower, priors.lower),
        (UPPER, 1 - parameters.upper, priors.slip),
    )[: coordinates.columns - LOWER]:
        at_bound = np.flatnonzero(~coordinates.held & (value < AT_BOUND))
        rate = score[at_bound, column] * (1 if column == LOWER else -1)
        if prior is not None:
            rate += prior.slope(value[at_bound])
        total[at_bound, column, column] = rate**2 / 2 + _ANYWHERE
    return total


def _inverse(information: FloatArray) -> FloatArray:
    """The inverse of each matrix in a stack, NaN where one is not positive definite."""
    inverse = np.full_like(information, np.nan)
    sound = np.all(np.isfinite(information), axis=(1, 2))
    try:
        np.linalg.cholesky(information[sound])
    except np.linalg.LinAlgError:
        # Some are not; which ones takes longer to find out.
        sound[sound] = np.linalg.eigvalsh(information[sound])[:, 0] > 0
    inverse[sound] = np.linalg.inv(information[sound])
    return inverse
