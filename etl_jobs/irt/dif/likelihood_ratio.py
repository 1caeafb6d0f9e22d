"""Differential item functioning by likelihood ratio (Thissen, Steinberg & Wainer 1993)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from etl_jobs.irt.answers.responses import Responses, check_responses
from etl_jobs.irt.estimation.calibrate import calibrate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from etl_jobs.irt.answers.responses import Labels
    from etl_jobs.irt.estimation.calibration import Model
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.priors import Priors

# What an item of its own for a group frees, beside those of the other groups.
_FREED = {"Rasch": 1, "1PL": 1, "2PL": 2, "3PL": 3, "4PL": 4}


@dataclass(frozen=True, slots=True, eq=False)
class LikelihoodRatio:
    """How much better each item fits with parameters of its own in each group.

    Attributes:
        items: The labels of the items that were tried, shape (items,).
        groups: The groups' labels, the reference first, shape (groups,).
        statistic: Twice the gain in log-likelihood, shape (items,); NaN for an item that some
            group answered all alike, or not at all.
        degrees_of_freedom: The parameters set free.
        p_value: How often equal items bring so much or more, shape (items,).
        discrimination: Of each item in each group, shape (items, groups).
        intercept: In the same way.
    """

    items: Labels
    groups: Labels
    statistic: FloatArray
    degrees_of_freedom: int
    p_value: FloatArray
    discrimination: FloatArray
    intercept: FloatArray


def likelihood_ratio(
    responses: Responses,
    groups: ArrayLike,
    *,
    items: ArrayLike | None = None,
    model: Model = "2PL",
    priors: Priors | None = None,
) -> LikelihoodRatio:
    """Each item's likelihood ratio against a fit in which all groups share it.

    All other items are taken to be the same for everybody and carry the scale, on which the
    groups' abilities may differ in mean and deviation. One calibration for each item tried, and
    one more.

    Args:
        responses: Answers of all groups' persons; gaps are no matter.
        groups: A label for each person, shape (persons,). The first in sorted order is the
            reference.
        items: The labels of the items to try; all without it.
        model: The item response model.
        priors: By default none: the ratio is one of maximum likelihoods. With priors, which the
            3PL and 4PL need, it is that of the likelihoods at the most probable parameters, and
            near to chi-squared when there are many answers.

    Raises:
        TypeError: `responses` are no `Responses`.
        ValueError: There are not two groups, or an item to try is none of the responses'.
        CalibrationError: A calibration failed.
    """
    check_responses(responses)
    labels, group = np.unique(np.asarray(groups), return_inverse=True)
    if len(labels) < 2:
        raise ValueError(f"there is {len(labels)} group; differential functioning takes two")
    chosen = _places(responses, items)
    together = calibrate(
        responses, groups=groups, model=model, priors=priors, standard_errors="none"
    )
    statistic = np.full(len(chosen), np.nan)
    slope, level = np.full((2, len(chosen), len(labels)), np.nan)
    for row, item in enumerate(chosen):
        if not _answered_both_ways(responses, group, item, len(labels)):
            continue
        apart = calibrate(
            _with_item_apart(responses, group, item, len(labels)),
            groups=groups,
            model=model,
            priors=priors,
            standard_errors="none",
        )
        statistic[row] = max(2 * (apart.log_likelihood - together.log_likelihood), 0.0)
        own = np.concatenate(([item], np.arange(len(labels) - 1) + len(responses.items)))
        slope[row], level[row] = apart.discrimination[own], apart.intercept[own]
    freedom = _FREED[model] * (len(labels) - 1)
    return LikelihoodRatio(
        responses.items[chosen],
        labels,
        statistic,
        freedom,
        chdtrc(freedom, statistic),
        slope,
        level,
    )


def _places(responses: Responses, items: ArrayLike | None) -> NDArray[np.int64]:
    if items is None:
        return np.arange(len(responses.items))
    index = {label: place for place, label in enumerate(responses.items.tolist())}
    wanted = np.atleast_1d(np.asarray(items)).tolist()
    strange = [label for label in wanted if label not in index]
    if strange:
        raise ValueError(f"item {strange[0]!s} is none of the responses' ({len(strange)} such)")
    return np.array([index[label] for label in wanted], np.int64)


def _answered_both_ways(
    responses: Responses, group: NDArray[np.int64], item: int, groups: int
) -> bool:
    here = responses.item == item
    cell = 2 * group[responses.person_of_answer()[here]] + responses.correct[here]
    return bool(np.all(np.bincount(cell, minlength=2 * groups) > 0))


def _with_item_apart(
    responses: Responses, group: NDArray[np.int64], item: int, groups: int
) -> Responses:
    """The same answers, with the item a different one in every group.

    Its answers in the reference group stay; those in each other become an item at the end.
    """
    person = responses.person_of_answer()
    count = len(responses.items)
    own = np.where(group == 0, item, count - 1 + group)
    place = np.where(responses.item == item, own[person], responses.item)
    return Responses.from_long(
        person,
        place,
        responses.correct,
        persons=responses.persons,
        items=np.arange(count + groups - 1),
    )
