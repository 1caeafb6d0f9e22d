"""What answers would tell of the items if abilities were known, and how that misleads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from etl_jobs.irt.answers.spans import cached_spans
from etl_jobs.irt.model.curves import outcome_scores

if TYPE_CHECKING:
    from etl_jobs.irt.estimation.expectation import Sums
    from etl_jobs.irt.model.curves import ItemParameters
    from etl_jobs.irt.model.models import FloatArray, ItemTables

# At an ability of fewer persons nobody is.
_NOBODY = 1e-30


class Persons(NamedTuple):
    """A group of persons, before they answer.

    Attributes:
        ability: The nodes, shape (nodes,).
        number: How many are expected at each, shape (nodes,).
        deviation: The standard deviation of their abilities.
    """

    ability: FloatArray
    number: FloatArray
    deviation: float


class Complete(NamedTuple):
    """What complete data would tell of the items, in their parameters.

    Attributes:
        score: By Fisher's identity it is also the marginal one, shape (items, columns).
        information: Shape (items, columns, columns).
        noise: About how much of that is lost in each item on its own because abilities are
            known no better than from the answers. A step that is told of it is the longer by
            what EM's are too short.
    """

    score: FloatArray
    information: FloatArray
    noise: FloatArray


def complete_data(
    sums: Sums, tables: ItemTables, persons: Persons, parameters: ItemParameters, columns: int
) -> Complete:
    """Score and information of the expected complete data.

    The noise of an item is the posterior variance of ability times the square of what a right
    answer's score gains on a wrong one's from one ability to the next (Louis 1982, to first
    order). What items lose together is left to others.
    """
    if columns == 2 and np.all(parameters.lower == 0) and np.all(parameters.upper == 1):
        return _logistic(sums, tables, persons, parameters)
    items, ability = len(tables.probability), persons.ability
    score, information = np.empty((items, columns)), np.empty((items, columns, columns))
    gain = np.empty((columns, items, len(ability)))
    uncertain, told = np.empty(tables.probability.shape), np.zeros(len(ability))
    for rows in cached_spans(items, 4 * columns * len(ability)):
        part = parameters.take(rows)
        slopes = outcome_scores(ability, part, columns)
        right = tables.probability[rows]
        outcome = np.stack((sums.wrong[rows], sums.right[rows]), axis=1)
        score[rows] = np.einsum("cion,ion->ic", slopes, outcome)
        answers = outcome.sum(axis=1)
        expected = np.stack((1 - right, right), axis=1) * answers[:, np.newaxis]
        for column in range(columns):
            weighted = slopes[column] * expected
            information[rows, column] = np.einsum("ion,cion->ic", weighted, slopes)
        # Ability does to an answer what the intercept does, times the discrimination.
        told += np.einsum("i,ion,ion->n", part.discrimination**2, slopes[1] ** 2, expected)
        uncertain[rows] = answers * right * (1 - right)
        gain[:, rows] = np.gradient(slopes[:, :, 1] - slopes[:, :, 0], ability, axis=2)
    uncertain *= _variance(persons, told)
    noise = np.einsum("cin,in,din->icd", gain, uncertain, gain)
    return Complete(score, information, noise)


def _logistic(
    sums: Sums, tables: ItemTables, persons: Persons, parameters: ItemParameters
) -> Complete:
    """The same for curves from 0 to 1, which need no more than three moments."""
    items = len(tables.probability)
    powers = np.vander(persons.ability, 3)
    steepness = parameters.discrimination**2
    score, moments = np.empty((items, 2)), np.empty((items, 3))
    told = np.zeros(len(powers))
    kept = np.empty_like(tables.probability)
    for rows in cached_spans(*tables.probability.shape):
        right, probability = sums.right[rows], tables.probability[rows]
        expected = np.add(right, sums.wrong[rows], out=kept[rows])
        expected *= probability
        score[rows] = (right - expected) @ powers[:, 1:]
        expected *= 1 - probability
        moments[rows] = expected @ powers
        told += steepness[rows] @ expected
    noise = np.zeros((items, 2, 2))
    noise[:, 0, 0] = kept @ _variance(persons, told)
    return Complete(score, moments[:, [[0, 1], [1, 2]]], noise)


def _variance(persons: Persons, told: FloatArray) -> FloatArray:
    """About the variance of a posterior at each node, shape (nodes,).

    Args:
        persons: Who answered.
        told: The information about ability in all their answers, shape (nodes,).
    """
    each = told / np.maximum(persons.number, _NOBODY)
    return 1 / (persons.deviation**-2 + np.maximum(each, 0.0))
