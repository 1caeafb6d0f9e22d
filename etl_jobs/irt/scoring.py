"""Persons on the scale of calibrated items: their abilities, and what they will answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.blocks import Block, blocks_of, mean_at_answers
from etl_jobs.irt.expectation import posterior
from etl_jobs.irt.models import FloatArray, ItemTables, item_tables
from etl_jobs.irt.patterns import Patterns
from etl_jobs.irt.products import dot, product
from etl_jobs.irt.quadrature import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.calibration import Calibration
    from etl_jobs.irt.responses import Labels, Responses


@dataclass(frozen=True, slots=True, eq=False)
class Abilities:
    """What the answers say of each person: expected a posteriori (EAP).

    Attributes:
        persons: One label for each person, shape (persons,).
        ability: The posterior mean; 0, the average, for a person without answers.
        standard_error: The posterior standard deviation; 1 for a person without answers.
    """

    persons: Labels
    ability: FloatArray
    standard_error: FloatArray


def estimate_abilities(calibration: Calibration, responses: Responses) -> Abilities:
    """The persons' abilities, from answers to calibrated items, new persons' included.

    EAP estimates stay finite when all answers are right, or all wrong.

    Args:
        calibration: The items.
        responses: Any persons; each item that was answered is one of the calibration's.

    Raises:
        ValueError: An answered item is not calibrated; the message names it.
    """
    scale = _Scale(calibration, responses)
    mean, deviation = np.empty((2, len(scale.patterns)))
    begin = 0
    for block in scale.blocks:
        weight, _ = posterior(block, scale.tables, scale.grid)
        end = begin + len(weight)
        second, first, _ = product(weight, np.vander(scale.grid.nodes, 3)).T
        mean[begin:end] = first
        deviation[begin:end] = np.sqrt(second - first**2)
        begin = end
    person = scale.patterns.of_person
    return Abilities(responses.persons, mean[person], deviation[person])


def log_likelihood(calibration: Calibration, responses: Responses) -> float:
    """The marginal log-likelihood of answers to calibrated items, ability integrated out.

    Raises:
        ValueError: An answered item is not calibrated.
    """
    scale = _Scale(calibration, responses)
    return sum(
        dot(block.count, posterior(block, scale.tables, scale.grid)[1]) for block in scale.blocks
    )


def predict(calibration: Calibration, known: Responses, wanted: Responses) -> FloatArray:
    """How likely each wanted answer is right, given what the same persons answered before.

    The posterior predictive probability: averaged over what is still open about ability.

    Args:
        calibration: The items.
        known: The answers to learn the persons from.
        wanted: Whom and what to predict; whether those answers are right is not looked at.

    Returns:
        A probability for each answer in `wanted`, in its order, shape (answers,).

    Raises:
        ValueError: `wanted` lists other persons than `known`, or an item is not calibrated.
    """
    if not np.array_equal(known.persons, wanted.persons):
        raise ValueError("known and wanted responses list different persons, or in another order")
    scale = _Scale(calibration, known)
    item = _calibrated_items(calibration, wanted)[wanted.item]
    table = item_tables(scale.grid.nodes, calibration.discrimination, calibration.intercept)
    pattern = scale.patterns.of_person[wanted.person_of_answer()]
    by_pattern = np.argsort(pattern, kind="stable")
    ones = np.ones((len(scale.grid.nodes), 1))
    chance = np.empty(wanted.answers)
    begin = 0
    for block in scale.blocks:
        weight, _ = posterior(block, scale.tables, scale.grid)
        first, last = np.searchsorted(pattern, (begin, begin + len(weight)), sorter=by_pattern)
        rows = by_pattern[first:last]
        chance[rows] = mean_at_answers(
            weight, pattern[rows] - begin, table.probability, item[rows], ones
        )[:, 0]
        begin += len(weight)
    return chance


def held_out_log_loss(calibration: Calibration, known: Responses, held_out: Responses) -> float:
    """The mean surprise, in nats, at answers the fit has not seen; 0.693 is a coin's.

    Args:
        calibration: Items calibrated without the held-out answers.
        known: The answers to learn the persons from.
        held_out: Other answers of the same persons.

    Raises:
        ValueError: There is nothing held out, or `predict` refuses.
    """
    if held_out.answers == 0:
        raise ValueError("there are no held-out answers")
    right = predict(calibration, known, held_out)
    return -float(np.log(np.where(held_out.correct == 1, right, 1 - right)).mean())


class _Scale:
    """Responses laid out against the calibration's items, on a grid fine enough for each."""

    patterns: Patterns
    blocks: list[Block]
    grid: Grid
    tables: ItemTables

    def __init__(self, calibration: Calibration, responses: Responses) -> None:
        item = _calibrated_items(calibration, responses)
        nodes = calibration.nodes
        self.grid = Grid.standard_normal(len(nodes), float(nodes[-1])).refined()
        # An item that nobody answered needs no parameters; any stand in for them.
        self.tables = item_tables(
            self.grid.nodes, calibration.discrimination[item], calibration.intercept[item]
        )
        self.patterns = Patterns.of(responses)
        self.blocks = blocks_of(self.patterns)


def _calibrated_items(calibration: Calibration, responses: Responses) -> NDArray[np.int64]:
    """The index among the calibration's items of each of the responses'; 0 if not answered."""
    if np.array_equal(calibration.items, responses.items):
        return np.arange(len(responses.items))
    index = {label: position for position, label in enumerate(calibration.items.tolist())}
    found = np.array([index.get(label, -1) for label in responses.items.tolist()], np.int64)
    strange = np.flatnonzero((found < 0) & (responses.answers_per_item() > 0))
    if strange.size:
        raise ValueError(
            f"item {responses.items[strange[0]]!s} is not calibrated "
            f"({strange.size} such items with answers)"
        )
    return np.maximum(found, 0)
