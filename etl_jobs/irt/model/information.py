"""What items and the whole test tell about persons of each ability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.model.models import FloatArray, probability

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.estimation.calibration import Calibration


def characteristic_curves(calibration: Items, ability: ArrayLike) -> FloatArray:
    """The probability of a right answer to each item, shape (items, abilities)."""
    return probability(
        ability,
        calibration.discrimination,
        calibration.intercept,
        calibration.lower,
        calibration.upper,
    )


def observed_curves(calibration: Calibration) -> FloatArray:
    """The proportion right at each of the calibration's nodes, shape (items, nodes).

    Beside the characteristic curve it shows how well the model fits. NaN where less than
    half a person is expected.
    """
    persons = calibration.expected_answers
    proportion = np.full_like(persons, np.nan)
    np.divide(calibration.expected_right, persons, out=proportion, where=persons >= 0.5)
    return proportion


def item_information(calibration: Items, ability: ArrayLike) -> FloatArray:
    """Fisher's information about ability in each item, P'^2 / (P (1 - P)), (items, abilities).

    With asymptotes it is Lord's (1980); without, a^2 P (1 - P).
    """
    slope = calibration.discrimination[:, np.newaxis]
    lower, upper = calibration.lower[:, np.newaxis], calibration.upper[:, np.newaxis]
    curve = probability(ability, calibration.discrimination, calibration.intercept)
    # Of the curve between the asymptotes; what they take off it is a share, at most 1.
    full: FloatArray = slope**2 * curve * (1 - curve)
    right = lower + (upper - lower) * curve
    wrong = (1 - upper) + (upper - lower) * (1 - curve)
    with np.errstate(invalid="ignore"):
        share = (upper - lower) ** 2 * (curve / right) * ((1 - curve) / wrong)
    # Where a curve has run into an asymptote of 0 or 1 nothing is taken off.
    return full * np.where(np.isnan(share), 1.0, share)


def information_curve(
    calibration: Items, ability: ArrayLike, *, items: NDArray[np.bool_] | None = None
) -> FloatArray:
    """The information of a test of these items, shape (abilities,).

    Args:
        calibration: The items; an `ItemBank` does as well.
        ability: Shape (abilities,).
        items: Which items the test has; all without it.
    """
    information = item_information(calibration, ability)
    chosen = information if items is None else information[items]
    total: FloatArray = chosen.sum(axis=0)
    return total


def measurement_error(
    calibration: Items, ability: ArrayLike, *, items: NDArray[np.bool_] | None = None
) -> FloatArray:
    """The standard error of measurement, 1 / sqrt(information); infinite without any.

    It is that of an ability judged by the test alone. `estimate_abilities` also knows how
    abilities are distributed, and errs less.
    """
    with np.errstate(divide="ignore"):
        error: FloatArray = 1 / np.sqrt(information_curve(calibration, ability, items=items))
    return error
