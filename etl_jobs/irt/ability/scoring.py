"""How well calibrated items explain answers, and what they expect of further ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.answers.blocks import mean_at_answers
from etl_jobs.irt.answers.products import dot, product
from etl_jobs.irt.bank.item_bank import places_of, tables_of
from etl_jobs.irt.bank.scale import Scale, persons_of
from etl_jobs.irt.memory import require_memory

if TYPE_CHECKING:
    from etl_jobs.irt.answers.responses import Responses
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Normal


def log_likelihood(
    items: Items, responses: Responses, *, persons: Normal | Population | None = None
) -> float:
    """The marginal log-likelihood of answers to calibrated items, ability integrated out.

    Args:
        items: A `Calibration`, or any items with known parameters.
        responses: Any persons; each item that was answered is one of the items.
        persons: How their abilities are distributed; by default as the calibration found, or
            standard normal.

    Raises:
        ValueError: An answered item is not calibrated.
    """
    scale = Scale(items, responses, persons_of(items, persons))
    count = scale.patterns.count
    return sum(dot(count[rows], marginal) for rows, _, marginal in scale.posteriors())


def predict(
    items: Items, known: Responses, wanted: Responses, *, persons: Normal | Population | None = None
) -> FloatArray:
    """How likely each wanted answer is right, given what the same persons answered before.

    The posterior predictive probability: averaged over what is still open about ability.

    Args:
        items: A `Calibration`, or any items with known parameters.
        known: The answers to learn the persons from.
        wanted: Whom and what to predict; whether those answers are right is not looked at.
        persons: How abilities are distributed beforehand; by default as the calibration found,
            or standard normal.

    Returns:
        A probability for each answer in `wanted`, in its order, shape (answers,).

    Raises:
        ValueError: `wanted` lists other persons than `known`, or an item is not calibrated.
    """
    if not np.array_equal(known.persons, wanted.persons):
        raise ValueError("known and wanted responses list different persons, or in another order")
    scale = Scale(items, known, persons_of(items, persons))
    table = tables_of(items, scale.grid.nodes, places_of(items, wanted))
    item = wanted.item.astype(np.int64)
    pattern = scale.patterns.of_person[wanted.person_of_answer()]
    by_pattern = np.argsort(pattern, kind="stable")
    ones = np.ones((len(scale.grid.nodes), 1))
    chance = np.empty(wanted.answers)
    for part, weight, _ in scale.posteriors():
        first, last = np.searchsorted(pattern, (part.start, part.stop), sorter=by_pattern)
        rows = by_pattern[first:last]
        chance[rows] = mean_at_answers(
            weight, pattern[rows] - part.start, table.probability, item[rows], ones
        )[:, 0]
    return chance


def predict_all(
    items: Items, known: Responses, *, persons: Normal | Population | None = None
) -> FloatArray:
    """How likely each person is right on each of the items, shape (persons, items).

    Given what the person answered, and averaged over what is still open about ability.

    Args:
        items: A `Calibration`, or any items with known parameters.
        known: The answers to learn the persons from.
        persons: How abilities are distributed beforehand; by default as the calibration found,
            or standard normal.

    Raises:
        ValueError: An answered item is not calibrated.
        MemoryError: The matrix would not fit; the message says how much it takes.
    """
    size = 8.0 * len(known.persons) * len(items.items)
    require_memory(size, "a matrix of persons by items", "predict some persons at a time")
    scale = Scale(items, known, persons_of(items, persons))
    table = tables_of(items, scale.grid.nodes, np.arange(len(items.items))).probability
    by_pattern = np.argsort(scale.patterns.of_person, kind="stable")
    pattern = scale.patterns.of_person[by_pattern]
    chance = np.empty((len(known.persons), len(items.items)))
    for part, weight, _ in scale.posteriors():
        first, last = np.searchsorted(pattern, (part.start, part.stop))
        expected = product(weight, np.ascontiguousarray(table.T))
        chance[by_pattern[first:last]] = expected[pattern[first:last] - part.start]
    return chance


def held_out_log_loss(
    items: Items,
    known: Responses,
    held_out: Responses,
    *,
    persons: Normal | Population | None = None,
) -> float:
    """The mean surprise, in nats, at answers the fit has not seen; 0.693 is a coin's.

    Args:
        items: Items calibrated without the held-out answers.
        known: The answers to learn the persons from.
        held_out: Other answers of the same persons.
        persons: How abilities are distributed beforehand; by default as the calibration found,
            or standard normal.

    Raises:
        ValueError: There is nothing held out, or `predict` refuses.
    """
    if held_out.answers == 0:
        raise ValueError("there are no held-out answers")
    right = predict(items, known, held_out, persons=persons)
    return -float(np.log(np.where(held_out.correct == 1, right, 1 - right)).mean())
