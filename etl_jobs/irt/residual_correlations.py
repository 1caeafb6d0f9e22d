"""Pairs of items that share more than ability explains: Q3 (Yen 1984)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from etl_jobs.irt.infit_outfit import abilities_of, chances
from etl_jobs.irt.item_bank import places_of
from etl_jobs.irt.spans import spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.abilities import Abilities
    from etl_jobs.irt.item_bank import Items
    from etl_jobs.irt.models import FloatArray
    from etl_jobs.irt.responses import Labels, Responses

# Above this share of answered cells a dense product beats a sparse one.
_DENSE_SHARE = 0.25
# Numbers held at once for the pairs of some items with all others.
_PAIRS = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class LocalDependence:
    """The pairs of items that stand out, the largest |Q3| first.

    Attributes:
        first: The label of one item of each pair, shape (pairs,).
        second: The label of the other.
        q3: The correlation of the two items' residuals.
        common: How many persons answered both.
        mean: The mean Q3 of all pairs compared: a little below 0 under the model, about
            -1 / (items - 1) of complete data. Q3 is read relative to it (Christensen, Makransky
            & Horton 2017).
        compared: How many pairs were compared.
    """

    first: Labels
    second: Labels
    q3: FloatArray
    common: NDArray[np.int64]
    mean: float
    compared: int


def local_dependence(
    items: Items,
    responses: Responses,
    *,
    abilities: Abilities | None = None,
    bound: float = 0.2,
    most: int = 1000,
    fewest: int = 30,
) -> LocalDependence:
    """The pairs of items whose residuals correlate by more than `bound`.

    Any answers do: a pair is judged by the persons who answered both. However many items there
    are, the pairs of a few with all others are in memory at once.

    Args:
        items: A `Calibration`, or any items with known parameters.
        responses: The answers to judge.
        abilities: The persons' estimates; by default Warm's (WLE).
        bound: The smallest |Q3| that is returned.
        most: How many pairs are returned at most.
        fewest: Persons in common below which a pair is not compared.

    Raises:
        ValueError: An answered item is not calibrated, the abilities are other persons', or
            fewer than three persons in common are asked for.
    """
    if fewest < 3:
        raise ValueError(f"fewest is {fewest}; a correlation takes 3 persons or more")
    ability = abilities_of(items, responses, abilities)
    residual, answered = _residuals(items, responses, ability)
    squared = residual * residual
    found: list[NDArray[np.float64]] = []
    total, compared = 0.0, 0
    length = len(responses.items)
    for part in spans(length, max(1, _PAIRS // max(length, 1))):
        count = _crossed(answered[:, part], answered)
        q3 = _correlations(residual, answered, squared, part, count)
        # Each pair once, the later item second.
        later = np.arange(length) > np.arange(part.start, part.stop)[:, np.newaxis]
        judged = later & (count >= fewest) & np.isfinite(q3)
        total += float(q3[judged].sum())
        compared += int(np.count_nonzero(judged))
        row, column = np.nonzero(judged & (np.abs(q3) > bound))
        pairs = np.stack((part.start + row, column, count[row, column], q3[row, column]), axis=1)
        found.append(pairs[np.argsort(-np.abs(pairs[:, 3]), kind="stable")[:most]])
    pairs = np.concatenate(found) if found else np.empty((0, 4))
    pairs = pairs[np.argsort(-np.abs(pairs[:, 3]), kind="stable")[:most]]
    first, second, common = pairs[:, :3].astype(np.int64).T
    return LocalDependence(
        responses.items[first],
        responses.items[second],
        pairs[:, 3],
        common,
        total / compared if compared else float("nan"),
        compared,
    )


def _residuals(items: Items, responses: Responses, ability: FloatArray) -> tuple[Any, Any]:
    """Residuals and answered cells, (persons, items), dense or sparse as suits the answers."""
    person = responses.person_of_answer()
    place = places_of(items, responses)
    known = np.isfinite(ability[person])
    person, item = person[known], responses.item[known]
    right, _ = chances(items, place[item], ability[person])
    shape = (len(responses.persons), len(responses.items))
    cells = (person, item)
    residual = sparse.csr_array((responses.correct[known] - right, cells), shape=shape)
    answered = sparse.csr_array((np.ones(len(person)), cells), shape=shape)
    if len(person) > _DENSE_SHARE * shape[0] * shape[1]:
        return residual.toarray(), answered.toarray()
    return residual, answered


def _crossed(left: Any, right: Any) -> FloatArray:
    """The columns of one, turned, times those of the other, as a dense matrix."""
    crossed = left.T @ right
    result: FloatArray = crossed.toarray() if sparse.issparse(crossed) else crossed
    return result


def _correlations(
    residual: Any, answered: Any, squared: Any, part: slice, count: FloatArray
) -> FloatArray:
    """Of the residuals of some items with all, over the persons who answered both."""
    with np.errstate(divide="ignore", invalid="ignore"):
        here = _crossed(residual[:, part], answered) / count
        there = _crossed(answered[:, part], residual) / count
        spread = _crossed(squared[:, part], answered) / count - here**2
        spread *= _crossed(answered[:, part], squared) / count - there**2
        q3: FloatArray = _crossed(residual[:, part], residual) / count - here * there
        q3 /= np.sqrt(spread)
    return q3
