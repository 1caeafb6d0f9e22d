"""Item fit by the number of right answers: S-X2 (Orlando & Thissen 2000)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from etl_jobs.irt.bank.item_bank import places_of, tables_of
from etl_jobs.irt.bank.scale import normal_grid, persons_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Responses
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Normal

# Scores are merged until right and wrong answers are both expected so often.
_LEAST_EXPECTED = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class SummedScoreFit:
    """S-X2 of each item, shape (items,) each.

    Attributes:
        statistic: Squared departures of the proportions right from the expected ones, by
            number-right score, summed.
        degrees_of_freedom: Scores compared, less the item's parameters.
        p_value: How often the model brings so much or more; NaN without degrees of freedom.
    """

    statistic: FloatArray
    degrees_of_freedom: NDArray[np.int64]
    p_value: FloatArray


def summed_score_fit(
    items: Items,
    responses: Responses,
    *,
    persons: Normal | Population | None = None,
    parameters: int | None = None,
) -> SummedScoreFit:
    """S-X2: whether the item's proportions right follow the number-right score as modelled.

    For complete data: everybody with an answer answered all items. Time grows with the
    square of the items, not with persons.

    Args:
        items: A `Calibration`, or any items with known parameters.
        responses: The answers the items were fitted to.
        persons: How their abilities are distributed; by default as the calibration found, or
            standard normal.
        parameters: How many of each item's parameters were fitted to these answers; by default
            all that its model has.

    Raises:
        ValueError: The data are not complete, or there are fewer than three items.
    """
    answers = complete_answers(responses)
    length = answers.shape[1]
    if length < 3:
        raise ValueError(f"S-X2 compares scores of three items or more; there are {length}")
    place = places_of(items, responses)
    grid = normal_grid(persons_of(items, persons), items.discrimination[place])
    right = tables_of(items, grid.nodes, place).probability
    score = answers.sum(axis=1, dtype=np.int64)
    persons_at = np.bincount(score, minlength=length + 1)[1:length].astype(np.float64)
    fitted = free_parameters(items) if parameters is None else parameters
    weight = np.exp(grid.log_weights)
    statistic, cells = np.zeros(length), np.zeros(length, np.int64)
    for item, rest in _scores_without_each(right):
        with_right = rest[:-1] @ (weight * right[item])
        with_wrong = rest[1:] @ (weight * (1 - right[item]))
        expected = persons_at * with_right / (with_right + with_wrong)
        observed = np.bincount(score, answers[:, item], length + 1)[1:length].astype(np.float64)
        statistic[item], cells[item] = _compare(observed, expected, persons_at)
    freedom = np.maximum(cells - fitted, 0)
    p_value = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), statistic), np.nan)
    return SummedScoreFit(statistic, freedom, p_value)


def complete_answers(responses: Responses) -> NDArray[np.uint8]:
    """The answers as a matrix (persons, items); persons without any answer are left out.

    Raises:
        ValueError: Somebody answered some items and not others; the message says how many.
    """
    length = responses.answers_per_person()
    gaps = np.flatnonzero((length > 0) & (length < len(responses.items)))
    if gaps.size:
        raise ValueError(
            f"this statistic is for complete data: person {responses.persons[gaps[0]]!s} answered "
            f"{length[gaps[0]]} of {len(responses.items)} items ({gaps.size} such persons); leave "
            "those persons or items out, or judge by infit and outfit, which allow gaps"
        )
    if not responses.answers:
        raise ValueError("there are no answers to judge the fit by")
    return responses.correct.reshape(-1, len(responses.items))


def free_parameters(items: Items) -> int:
    """How many parameters each item of its own has."""
    model = getattr(items, "model", None)
    if model in ("1PL", "Rasch"):
        return 1
    return 2 + int(np.any(items.lower > 0)) + int(np.any(items.upper < 1))


def _compare(observed: FloatArray, expected: FloatArray, persons: FloatArray) -> tuple[float, int]:
    """The statistic, and how many groups of scores it compares."""
    groups: list[list[float]] = []
    pending = np.zeros(3)
    for score in np.stack((observed, expected, persons), axis=1):
        pending = pending + score
        if min(pending[1], pending[2] - pending[1]) >= _LEAST_EXPECTED:
            groups.append(pending.tolist())
            pending = np.zeros(3)
    if groups and pending[2]:
        groups[-1] = (np.array(groups[-1]) + pending).tolist()
    if not groups:
        return 0.0, 0
    seen, modelled, count = np.array(groups).T
    return float(((seen - modelled) ** 2 * count / (modelled * (count - modelled))).sum()), len(
        groups
    )


def _scores_without_each(right: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """For each item the distribution of the score on all others, shape (items, nodes).

    Halving the test takes items * log2(items) steps of Lord and Wingersky's (1984) recursion;
    taking one item out of the whole test's distribution would be quicker, but not stable.
    """
    waiting = [(np.arange(len(right)), np.ones((1, right.shape[1])))]
    while waiting:
        inside, outside = waiting.pop()
        if len(inside) == 1:
            yield int(inside[0]), outside
            continue
        left, other = np.array_split(inside, 2)
        waiting.append((left, _with_items(outside, right[other])))
        waiting.append((other, _with_items(outside, right[left])))


def _with_items(scores: FloatArray, right: FloatArray) -> FloatArray:
    """The distribution of a score that further items are added to, at each node."""
    for chance in right:
        longer = np.zeros((len(scores) + 1, scores.shape[1]))
        longer[:-1] = scores * (1 - chance)
        longer[1:] += scores * chance
        scores = longer
    return scores
