"""How likely a person's answers are, given the ability they show: lz and lz*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.ability.abilities import Abilities, estimate_abilities
from etl_jobs.irt.ability.slopes import ability_slopes
from etl_jobs.irt.bank.item_bank import places_of
from etl_jobs.irt.bank.scale import persons_of
from etl_jobs.irt.fit.infit_outfit import answers_of, chances

if TYPE_CHECKING:
    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Normal


@dataclass(frozen=True, slots=True, eq=False)
class PersonFit:
    """Person fit; far below 0 (say -2) answers do not hang together. NaN without answers.

    Attributes:
        persons: One label for each person, shape (persons,).
        ability: The estimate that the fit is judged at.
        lz: The standardised log-likelihood (Drasgow, Levine & Williams 1985). At an estimated
            ability its deviation is less than 1, so that it raises too few alarms.
        lz_star: The same, corrected for the estimation (Snijders 2001): standard normal under
            the model, for tests long enough. NaN where the estimate is a bound.
    """

    persons: Labels
    ability: FloatArray
    lz: FloatArray
    lz_star: FloatArray


def person_fit(
    items: Items,
    responses: Responses,
    *,
    abilities: Abilities | None = None,
    persons: Normal | Population | None = None,
) -> PersonFit:
    """Each person's lz and lz*, from any answers, with gaps or without.

    Args:
        items: A `Calibration`, or any items with known parameters.
        responses: The answers to judge.
        abilities: Estimates by "WLE", the default, by "ML" or by "MAP". The correction knows
            how each of those was found; an "EAP" it cannot correct.
        persons: The distribution of abilities that MAP went by; by default as the calibration
            found, or standard normal.

    Raises:
        ValueError: The abilities are EAP, or those of other persons.
    """
    if abilities is None:
        abilities = estimate_abilities(items, responses, method="WLE")
    if abilities.method == "EAP":
        raise ValueError("lz* is not defined at EAP abilities; estimate them by WLE, MAP or ML")
    if not np.array_equal(abilities.persons, responses.persons):
        raise ValueError("the abilities are those of other persons, or in another order")
    ability = abilities.ability
    place = places_of(items, responses)
    sums = np.zeros((5, len(ability)))
    for part in answers_of(responses, np.isfinite(ability)):
        at, chosen = ability[part.person], place[part.item]
        right, wrong = chances(items, chosen, at)
        each = ability_slopes(items, chosen, at)
        log_odds, variance = np.log(right) - np.log(wrong), right * wrong
        # P' / (P Q), the weight of an answer in the estimating equation.
        weight = each.right - each.wrong
        terms = (
            (part.correct - right) * log_odds,
            variance * log_odds**2,
            variance * log_odds * weight,
            variance * weight**2,
            each.bias,
        )
        for row, term in enumerate(terms):
            sums[row] += np.bincount(part.person, term, len(ability))
    surprise, spread, shared, information, bias = sums
    answered = np.isfinite(ability) & (responses.answers_per_person() > 0)
    # At a bound the estimating equation, which the correction starts from, does not hold.
    solved = answered & np.isfinite(abilities.standard_error)
    with np.errstate(divide="ignore", invalid="ignore"):
        # What the estimate's equation adds to the slope of the log-likelihood.
        pull = np.zeros(len(ability))
        if abilities.method == "MAP":
            pull = persons_of(items, persons).slope(ability)
        elif abilities.method == "WLE":
            pull = bias / (2 * information)
        slant = shared / information
        lz = surprise / np.sqrt(spread)
        corrected = (surprise + slant * pull) / np.sqrt(spread - slant * shared)
    return PersonFit(
        responses.persons,
        ability,
        np.where(answered, lz, np.nan),
        np.where(solved, corrected, np.nan),
    )
