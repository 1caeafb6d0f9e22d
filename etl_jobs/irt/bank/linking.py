"""Two calibrations on one scale, by the items they have in common.

A calibration's scale has an origin and a unit of its own. With ability_old = A * ability_new + B
the same items say a_old = a_new / A and b_old = A * b_new + B (Kolen & Brennan 2014, chapter 6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from etl_jobs.irt.bank.item_bank import ItemBank, Items, check_items, tables_of
from etl_jobs.irt.bank.scale import persons_of, spread_grid
from etl_jobs.irt.model.quadrature import Grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from etl_jobs.irt.answers.responses import Labels
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Normal

LinkMethod = Literal["stocking-lord", "haebara", "mean-sigma", "mean-mean"]

_NODES = 61
_SPAN = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """How abilities of a new scale read on an old one: slope * ability + intercept.

    Attributes:
        slope: A.
        intercept: B.
        method: How they were found.
        items: The labels of the common items they rest on.
        criterion: How far the linked items' curves are still apart: the mean over abilities of
            the squared difference of the common items' expected scores ("stocking-lord"), or of
            the items' probabilities, summed over items (all others).
    """

    slope: float
    intercept: float
    method: LinkMethod
    items: Labels
    criterion: float

    def apply(self, items: Items) -> ItemBank:
        """The new items on the old scale, with their covariances and populations, if known.

        The link itself is taken as certain: its own error adds to all items alike.
        """
        bank = ItemBank.copy_of(items)
        covariance = bank.covariance
        if covariance is not None:
            # (a, d) -> (a / A, d - a B / A); asymptotes stay as they are.
            turn = np.eye(covariance.shape[1])
            turn[:2, 0] = 1 / self.slope, -self.intercept / self.slope
            covariance = turn @ covariance @ turn.T
        slope = bank.discrimination / self.slope
        level = bank.intercept - slope * self.intercept
        populations = tuple(
            replace(
                group,
                mean=self.slope * group.mean + self.intercept,
                deviation=self.slope * group.deviation,
                mean_error=self.slope * group.mean_error,
                deviation_error=self.slope * group.deviation_error,
            )
            for group in bank.populations
        )
        return ItemBank(bank.items, slope, level, bank.lower, bank.upper, covariance, populations)

    def abilities(self, ability: ArrayLike) -> FloatArray:
        """Abilities of the new scale on the old one; standard errors stretch by `slope`."""
        return self.slope * np.asarray(ability, np.float64) + self.intercept

    def inverse(self) -> Link:
        """The way back, from the old scale to the new one."""
        return Link(
            1 / self.slope,
            -self.intercept / self.slope,
            self.method,
            self.items,
            self.criterion,
        )


def link(
    new: Items,
    old: Items,
    *,
    method: LinkMethod = "stocking-lord",
    common: ArrayLike | None = None,
    new_persons: Grid | Normal | Population | None = None,
    old_persons: Grid | Normal | Population | None = None,
) -> Link:
    """What puts new items and their persons on the scale of old ones.

    Args:
        new: Items, some of which are also among the old.
        old: Items on the scale to reach.
        method: "stocking-lord" brings the expected scores on the common items together,
            "haebara" each item's curve; both compare on either scale, where its persons are.
            "mean-sigma" and "mean-mean" match the means of difficulties, and their deviations
            or the mean discriminations: quick, and at the mercy of a single extreme item.
        common: The labels to go by; all items that both have without it.
        new_persons: The persons of the new scale: Normal(mean, deviation), one of
            calibration.populations, or abilities and how many persons are at each. Standard
            normal without it.
        old_persons: The same on the old scale.

    Raises:
        ValueError: There are not two common items whose discriminations are positive in both,
            a label is not in both, or the items do not tell the scale.

    Example:
        >>> from etl_jobs.irt import ItemBank, link
        >>> old = ItemBank.of(["q1", "q2", "q3"], [1.0, 1.5, 0.8], [0.5, 0.0, -1.0])
        >>> new = ItemBank.of(["q1", "q2", "q3"], [2.0, 3.0, 1.6], [1.5, 1.5, -0.2])
        >>> found = link(new, old)
        >>> round(found.slope, 6), round(found.intercept, 6)
        (2.0, 1.0)
        >>> found.apply(new).discrimination.round(6).tolist()
        [1.0, 1.5, 0.8]
    """
    if method not in get_args(LinkMethod):
        raise ValueError(f"method is {method!r}; expected one of {', '.join(get_args(LinkMethod))}")
    labels, here, there = _common(new, old, common)
    start = _by_moments(
        new, old, here, there, "mean-sigma" if method == "mean-sigma" else "mean-mean"
    )
    distances = _distances(
        new,
        old,
        here,
        there,
        _grid_of(new, new_persons),
        _grid_of(old, old_persons),
        "stocking-lord" if method == "stocking-lord" else "haebara",
    )
    end = start
    if method in ("stocking-lord", "haebara"):
        # Optimisers take a while to import, and linking alone needs one.
        from scipy.optimize import least_squares

        # The slope by its logarithm: a scale cannot be turned round.
        search = least_squares(
            distances, start, xtol=1e-12, ftol=1e-12, gtol=1e-12, x_scale=(0.1, 0.1)
        )
        if not search.success:
            raise ValueError(f"the common items do not tell the scale: {search.message}")
        end = search.x
    left = distances(end)
    return Link(float(np.exp(end[0])), float(end[1]), method, labels, float(left @ left))


def _grid_of(items: Items, persons: Grid | Normal | Population | None) -> Grid:
    if persons is None:
        return Grid.standard_normal(_NODES, _SPAN)
    if isinstance(persons, Grid):
        return persons
    return spread_grid(persons_of(items, persons), _NODES)


def _common(
    new: Items, old: Items, wanted: ArrayLike | None
) -> tuple[Labels, NDArray[np.int64], NDArray[np.int64]]:
    """The common items' labels, and their places among the new and among the old."""
    check_items(new)
    check_items(old)
    places = {label: place for place, label in enumerate(old.items.tolist())}
    here = {label: place for place, label in enumerate(new.items.tolist())}
    if wanted is None:
        labels = [label for label in here if label in places]
    else:
        labels = np.atleast_1d(np.asarray(wanted)).tolist()
        strange = [label for label in labels if label not in here or label not in places]
        if strange:
            raise ValueError(f"item {strange[0]!s} is not in both ({len(strange)} such)")
    left = np.array([here[label] for label in labels], np.int64)
    right = np.array([places[label] for label in labels], np.int64)
    useful = (new.discrimination[left] > 0) & (old.discrimination[right] > 0)
    if np.count_nonzero(useful) < 2:
        raise ValueError(
            f"{np.count_nonzero(useful)} items with positive discriminations are in both; a "
            "link takes 2, and 20 or a fifth of the test to be trusted"
        )
    return new.items[left[useful]], left[useful], right[useful]


def _by_moments(
    new: Items,
    old: Items,
    here: NDArray[np.int64],
    there: NDArray[np.int64],
    method: Literal["mean-sigma", "mean-mean"],
) -> FloatArray:
    """log(A) and B from means and deviations."""
    slope, target_slope = new.discrimination[here], old.discrimination[there]
    location, target = -new.intercept[here] / slope, -old.intercept[there] / target_slope
    if method == "mean-mean":
        scale = slope.mean() / target_slope.mean()
    elif min(np.std(location), np.std(target)) > 0:
        scale = np.std(target) / np.std(location)
    else:
        raise ValueError("the common items are all of one difficulty; link by mean-mean")
    return np.array([np.log(scale), target.mean() - scale * location.mean()])


def _distances(
    new: Items,
    old: Items,
    here: NDArray[np.int64],
    there: NDArray[np.int64],
    new_persons: Grid,
    old_persons: Grid,
    method: Literal["stocking-lord", "haebara"],
) -> Callable[[FloatArray], FloatArray]:
    """How far the curves are apart at log(A) and B, weighed by persons of both scales."""
    on_new = tables_of(new, new_persons.nodes, here).probability
    on_old = tables_of(old, old_persons.nodes, there).probability
    # Both scales count alike: the criterion is the mean of the two.
    new_weight, old_weight = (
        np.exp(grid.log_weights / 2) / np.sqrt(2) for grid in (new_persons, old_persons)
    )

    def distances(point: FloatArray) -> FloatArray:
        scale, shift = np.exp(point[0]), point[1]
        moved = tables_of(new, (old_persons.nodes - shift) / scale, here).probability
        back = tables_of(old, scale * new_persons.nodes + shift, there).probability
        apart = [(on_old - moved) * old_weight, (on_new - back) * new_weight]
        if method == "stocking-lord":
            return np.concatenate([part.sum(axis=0) for part in apart])
        return np.concatenate([part.ravel() for part in apart])

    return distances
