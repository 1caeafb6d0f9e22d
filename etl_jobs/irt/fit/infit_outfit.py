"""How far answers depart from what the model expects: infit and outfit (Wright & Masters 1982).

At the persons' estimated abilities each answer has an expectation P and a variance P Q. Outfit
is the mean of the squared residuals, each divided by its variance, and shows surprises far off
target; infit weighs them by their variance, and shows misfit where answers tell most. Both are
about 1 under the model; above it answers are noisier than modelled, below it too predictable.
Abilities that were estimated from the same answers are a little nearer to them than the true
ones: in a test of ten items 1 becomes 0.9. The deviates allow for that; below ten items they
still stray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.ability.abilities import Abilities, estimate_abilities
from etl_jobs.irt.ability.slopes import ability_slopes
from etl_jobs.irt.answers.spans import spans
from etl_jobs.irt.bank.item_bank import places_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Responses
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray

# Answers worked on at once.
_ANSWERS = 65_536
# A probability never counts as less.
_LEAST = 1e-150


@dataclass(frozen=True, slots=True, eq=False)
class MeanSquares:
    """Infit and outfit of items, or of persons; all of one shape, NaN without an answer.

    Attributes:
        answers: How many answers each rests on.
        infit: The information-weighted mean square.
        outfit: The unweighted mean square.
        infit_z: Infit as a standard normal deviate under the model (Wilson & Hilferty 1931),
            about what is expected at abilities estimated so well.
        outfit_z: Outfit in the same way.
    """

    answers: NDArray[np.int64]
    infit: FloatArray
    outfit: FloatArray
    infit_z: FloatArray
    outfit_z: FloatArray


def mean_squares(
    items: Items, responses: Responses, *, abilities: Abilities | None = None
) -> tuple[MeanSquares, MeanSquares]:
    """Infit and outfit of the responses' items, and of their persons.

    Any answers do, with gaps or without. Persons without an estimate, or with a bound in its
    place, count nowhere.

    Args:
        items: A `Calibration`, or any items with known parameters.
        responses: The answers to judge.
        abilities: The persons' estimates; by default Warm's (WLE), which no prior shrinks.

    Raises:
        ValueError: An answered item is not calibrated, or the abilities are other persons'.
    """
    estimates = abilities_of(items, responses, abilities)
    # A bound is no estimate: what is beyond it would be no surprise at all.
    known = np.isfinite(estimates.standard_error)
    place = places_of(items, responses)
    by_item = np.zeros((8, len(responses.items)))
    by_person = np.zeros((8, len(responses.persons)))
    for part in answers_of(responses, known):
        terms = _terms(items, place[part.item], part, estimates)
        for row, term in enumerate(terms):
            by_item[row] += np.bincount(part.item, term, by_item.shape[1])
            by_person[row] += np.bincount(part.person, term, by_person.shape[1])
    return _mean_squares(by_item), _mean_squares(by_person)


def abilities_of(items: Items, responses: Responses, abilities: Abilities | None) -> Abilities:
    """The abilities handed in, if they are these persons', or Warm's estimates."""
    if abilities is None:
        return estimate_abilities(items, responses, method="WLE")
    if not np.array_equal(abilities.persons, responses.persons):
        raise ValueError("the abilities are those of other persons, or in another order")
    return abilities


@dataclass(frozen=True, slots=True, eq=False)
class AnswerPart:
    """Some answers: who, what, and whether it was right."""

    person: NDArray[np.int64]
    item: NDArray[np.int32]
    correct: NDArray[np.uint8]


def answers_of(responses: Responses, chosen: NDArray[np.bool_]) -> Iterator[AnswerPart]:
    """The answers of the chosen persons, a piece at a time."""
    for part in spans(responses.answers, _ANSWERS):
        first, last = np.searchsorted(responses.start, (part.start, part.stop - 1), "right") - 1
        persons = np.arange(first, last + 1)
        begin = np.maximum(responses.start[persons], part.start)
        end = np.minimum(responses.start[persons + 1], part.stop)
        person = np.repeat(persons, end - begin)
        known = chosen[person]
        yield AnswerPart(person[known], responses.item[part][known], responses.correct[part][known])


def _terms(
    items: Items, place: NDArray[np.int64], part: AnswerPart, estimates: Abilities
) -> tuple[FloatArray, ...]:
    """Of each answer: 1, z^2, residual^2, variance, var(z^2), var(residual^2), and two more.

    The last two are what is left of 1 and of the variance at an ability fitted to the answer.
    """
    ability = estimates.ability[part.person]
    right, wrong = chances(items, place, ability)
    variance = right * wrong
    # z^2 is Q / P after a right answer and P / Q after a wrong one.
    ratio = np.where(part.correct == 1, wrong / right, right / wrong)
    fourth = variance * (1 - 3 * variance)
    # As in a regression: an answer takes a share in its own estimate, and that much is no residual.
    information = ability_slopes(items, place, ability).information
    leverage = information * estimates.standard_error[part.person] ** 2
    left = np.clip(1 - leverage, 0.0, 1.0)
    return (
        np.ones(len(ability)),
        ratio,
        (part.correct - right) ** 2,
        variance,
        fourth / variance**2 - 1,
        fourth - variance**2,
        left,
        variance * left,
    )


def chances(
    items: Items, place: NDArray[np.int64], ability: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The probabilities of a right and of a wrong answer, one item and ability each.

    Neither is ever 0: an impossible answer would be infinitely surprising.
    """
    log_odds = items.discrimination[place] * ability + items.intercept[place]
    small = np.exp(-np.abs(log_odds))
    curve = np.where(log_odds >= 0, 1.0, small) / (1 + small)
    rest = np.where(log_odds >= 0, small, 1.0) / (1 + small)
    lower, upper = items.lower[place], items.upper[place]
    right = lower + (upper - lower) * curve
    wrong = 1 - upper + (upper - lower) * rest
    return np.maximum(right, _LEAST), np.maximum(wrong, _LEAST)


def _mean_squares(sums: FloatArray) -> MeanSquares:
    count, outfit, squared, variance, outfit_noise, infit_noise, left, variance_left = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        outfit_error, infit_error = np.sqrt(outfit_noise) / count, np.sqrt(infit_noise) / variance
        return MeanSquares(
            answers=count.astype(np.int64),
            infit=squared / variance,
            outfit=outfit / count,
            infit_z=_deviate(squared / variance_left, infit_error),
            outfit_z=_deviate(outfit / left, outfit_error),
        )


def _deviate(mean_square: FloatArray, error: FloatArray) -> FloatArray:
    """The cube root of a mean square is nearly normal."""
    deviate: FloatArray = (np.cbrt(mean_square) - 1) * 3 / error + error / 3
    return deviate
