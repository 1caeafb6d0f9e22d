"""Pairs of items that share more than ability explains: Q3 (Yen 1984)."""

from __future__ import annotations

from dataclasses import dataclass
from operator import matmul
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from etl_jobs.irt.answers.spans import spans
from etl_jobs.irt.bank.item_bank import places_of
from etl_jobs.irt.estimation.strands import in_strands
from etl_jobs.irt.fit.infit_outfit import abilities_of, chances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.ability.abilities import Abilities
    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray

# Above this share of answered cells a dense product beats a sparse one.
_DENSE_SHARE = 0.25
# Pairs of some items with all others that are worked on at once, some ten numbers each.
_PAIRS = 2_000_000
# Cells that are worked on at once where they are dense.
_CELLS = 1_000_000


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
    fewest_of_each: int = 5,
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
        fewest_of_each: Nor is it where these gave one of the items fewer right, or fewer wrong,
            answers: then its residuals are those of ability alone, or of single persons.

    Raises:
        ValueError: An answered item is not calibrated, the abilities are other persons', or
            fewer than three persons in common are asked for.
    """
    if fewest < 3:
        raise ValueError(f"fewest is {fewest}; a correlation takes 3 persons or more")
    ability = abilities_of(items, responses, abilities).ability
    residuals = _residuals(items, responses, ability)
    found: list[NDArray[np.float64]] = []
    total, compared = 0.0, 0
    length = len(responses.items)
    for part in spans(length, max(1, _PAIRS // max(length, 1))):
        count, q3 = _correlations(_crossed(residuals, part), fewest_of_each)
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


class _Residuals(NamedTuple):
    """Answered and right cells, residuals, their squares: (persons, items), of one pattern."""

    answered: sparse.csr_array
    right: sparse.csr_array
    residual: sparse.csr_array
    squared: sparse.csr_array


def _residuals(items: Items, responses: Responses, ability: FloatArray) -> _Residuals:
    place = places_of(items, responses)
    answered, correct, residual = np.zeros((3, responses.answers))
    person = responses.person_of_answer()
    for part in spans(responses.answers, _CELLS):
        at = ability[person[part]]
        known = np.isfinite(at)
        right, _ = chances(items, place[responses.item[part]], np.where(known, at, 0.0))
        answered[part] = known
        correct[part] = known & (responses.correct[part] > 0)
        residual[part] = np.where(known, responses.correct[part] - right, 0.0)
    shape = (len(responses.persons), len(responses.items))
    # One pattern of cells for all three, not a copy for each.
    cells = responses.item, responses.start.astype(np.int64)
    return _Residuals(
        *(
            sparse.csr_array((value, *cells), shape=shape)
            for value in (answered, correct, residual, residual**2)
        )
    )


class _Crossed(NamedTuple):
    """Sums over the persons who answered both, of some items with all, (some, items)."""

    persons: FloatArray
    right_here: FloatArray
    right_there: FloatArray
    here: FloatArray
    there: FloatArray
    here_squared: FloatArray
    there_squared: FloatArray
    product: FloatArray


def _crossed(residuals: _Residuals, part: slice) -> _Crossed:
    persons, items = residuals.answered.shape
    if residuals.answered.nnz <= _DENSE_SHARE * persons * items:
        return _Crossed(*(each.toarray() for each in _products(residuals, part)))
    size = (len(range(*part.indices(items))), items)
    total = _Crossed(*np.zeros((len(_Crossed._fields), *size)))
    for rows in spans(persons, max(1, _CELLS // items)):
        dense = _Residuals(*(each[rows].toarray() for each in residuals))
        for field, more in zip(total, _products(dense, part), strict=True):
            field += more
    return total


def _products(residuals: Any, part: slice) -> list[Any]:
    """The fields of `_Crossed`, dense or sparse as the residuals are."""
    answered, right, residual, squared = residuals
    some_answered, some_residual = answered[:, part].T, residual[:, part].T
    return in_strands(
        lambda pair: matmul(*pair),
        [
            (some_answered, answered),
            (right[:, part].T, answered),
            (some_answered, right),
            (some_residual, answered),
            (some_answered, residual),
            (squared[:, part].T, answered),
            (some_answered, squared),
            (some_residual, residual),
        ],
    )


def _correlations(sums: _Crossed, fewest_of_each: int) -> tuple[FloatArray, FloatArray]:
    """Persons in common and correlations of residuals, (some, items); NaN of too few answers."""
    with np.errstate(divide="ignore", invalid="ignore"):
        here, there = sums.here / sums.persons, sums.there / sums.persons
        spread = sums.here_squared / sums.persons - here**2
        spread *= sums.there_squared / sums.persons - there**2
        q3: FloatArray = (sums.product / sums.persons - here * there) / np.sqrt(spread)
    rarest = np.minimum(sums.right_here, sums.persons - sums.right_here)
    rarest = np.minimum(rarest, np.minimum(sums.right_there, sums.persons - sums.right_there))
    return sums.persons, np.where(rarest >= fewest_of_each, q3, np.nan)
