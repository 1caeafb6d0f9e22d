"""Items that treat two groups of equally able persons differently: Mantel & Haenszel (1959).

Differential item functioning (DIF) without a model: within each level of a matching score the
odds of a right answer are compared between the reference and the focal group (Holland & Thayer
1988).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import chdtrc

from etl_jobs.irt.answers.responses import check_responses

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.model.models import FloatArray

# The Educational Testing Service's scale of difficulty: 4 / 1.7 of the log-odds.
_DELTA = -2.35
# Its classes (Zieky 1993): A is negligible, C is large.
_NEGLIGIBLE, _LARGE = 1.0, 1.5
_SIGNIFICANT = 0.05
_CLEARLY_MORE = 1.645


@dataclass(frozen=True, slots=True, eq=False)
class MantelHaenszel:
    """How each item treats the groups, shape (items,) each; NaN where they cannot be compared.

    Attributes:
        items: One label for each item.
        odds_ratio: The reference group's odds of a right answer over the focal group's.
        delta: The same as ETS's MH D-DIF, -2.35 ln(odds ratio): below 0 the item is harder for
            the focal group than for equally able others.
        delta_error: Its standard error (Robins, Breslow & Greenland 1986).
        chi_squared: With Yates' continuity correction, of one degree of freedom.
        p_value: How often no difference brings so much or more.
        ets_class: "A" negligible, "B" moderate, "C" large; "" where nothing can be compared.
    """

    items: Labels
    odds_ratio: FloatArray
    delta: FloatArray
    delta_error: FloatArray
    chi_squared: FloatArray
    p_value: FloatArray
    ets_class: NDArray[np.str_]


def mantel_haenszel(
    responses: Responses,
    focal: ArrayLike,
    *,
    matching: Literal["score", "rest score"] | ArrayLike = "score",
) -> MantelHaenszel:
    """The Mantel-Haenszel statistics of every item.

    Args:
        responses: Persons of two groups.
        focal: Whether each person is of the focal group, shape (persons,).
        matching: Within what persons count as equally able. "score" is as many answers and as
            many right ones, the item itself included: without it, as in "rest score", items
            seem to favour the abler group (Holland & Thayer 1988, Zwick 1990). Where persons
            chose, or were given, items by their ability, scores do not compare; then give a
            level for each person, shape (persons,): a decile of ability, for instance.

    Raises:
        TypeError: `responses` are no `Responses`.
        ValueError: A column is not one value for each person, all persons are of one group, or
            the matching is unknown or missing for somebody.

    Example:
        >>> import numpy as np
        >>> from etl_jobs.irt import Responses, mantel_haenszel
        >>> right = np.random.default_rng(1).random((4000, 6)) < 0.6
        >>> country = np.repeat(["fi", "se"], 2000)
        >>> right[country == "se", 2] &= np.arange(2000) % 2 == 0
        >>> found = mantel_haenszel(Responses.from_dense(right), country == "se")
        >>> found.ets_class.tolist()
        ['A', 'A', 'C', 'A', 'A', 'A']
    """
    check_responses(responses)
    is_focal = np.asarray(focal)
    persons = len(responses.persons)
    if is_focal.shape != (persons,) or is_focal.dtype != np.bool_:
        raise ValueError(
            f"focal has shape {is_focal.shape} and holds {is_focal.dtype}; expected True or "
            f"False for each of the {persons} persons, as groups == 'focal' gives of labels"
        )
    if persons and is_focal.all() == is_focal.any():
        raise ValueError(
            f"all {persons} persons are of the {'focal' if is_focal[0] else 'reference'} group; "
            "differential functioning takes two"
        )
    person = responses.person_of_answer()
    level = _levels(responses, person, matching)
    stratum = responses.item * (int(level.max(initial=0)) + 1) + level
    found, row = np.unique(stratum, return_inverse=True)
    # Columns: reference wrong, reference right, focal wrong, focal right.
    cell = 2 * is_focal[person] + responses.correct
    counts = np.bincount(4 * row + cell, minlength=4 * len(found)).reshape(-1, 4)
    item = found // (int(level.max(initial=0)) + 1)
    return _statistics(responses.items, item, counts.astype(np.float64))


def _levels(
    responses: Responses,
    person: NDArray[np.int64],
    matching: Literal["score", "rest score"] | ArrayLike,
) -> NDArray[np.int64]:
    """The level of whoever gave each answer, shape (answers,)."""
    persons = len(responses.persons)
    if not isinstance(matching, str):
        levels = np.asarray(matching)
        if levels.shape != (persons,):
            raise ValueError(
                f"matching has shape {levels.shape}; expected a level for each of the {persons} "
                "persons"
            )
        unknown = np.flatnonzero(np.isnan(levels)) if levels.dtype.kind == "f" else levels[:0]
        if unknown.size:
            raise ValueError(
                f"matching of person {responses.persons[unknown[0]]!s} is {levels[unknown[0]]} "
                f"({unknown.size} such persons); leave them out"
            )
        return np.unique(levels, return_inverse=True)[1][person]
    if matching not in ("score", "rest score"):
        raise ValueError(f"matching is {matching!r}; expected 'score', 'rest score' or levels")
    score = np.bincount(person, responses.correct, persons).astype(np.int64)[person]
    if matching == "rest score":
        score -= responses.correct
    return responses.answers_per_person()[person] * (len(responses.items) + 1) + score


def _statistics(items: Labels, item: NDArray[np.int64], counts: FloatArray) -> MantelHaenszel:
    """From tables of (reference wrong, right, focal wrong, right), one for each stratum."""
    b, a, d, c = counts.T
    total = counts.sum(axis=1)

    def summed(value: FloatArray) -> FloatArray:
        sums: FloatArray = np.bincount(item, value, len(items)).astype(np.float64, copy=False)
        return sums

    with np.errstate(divide="ignore", invalid="ignore"):
        agree, differ = a * d / total, b * c / total
        ratio = summed(agree) / summed(differ)
        spread = (agree + ratio[item] * differ) * (a + d + ratio[item] * (b + c)) / total
        log_error = np.sqrt(summed(spread) / (2 * summed(agree) ** 2))
        reference, right = a + b, a + c
        expected = reference * right / total
        # A stratum of one person has nothing to vary.
        variance = np.where(
            total > 1,
            reference * (c + d) * right * (b + d) / (total**2 * np.maximum(total - 1, 1)),
            0.0,
        )
        away = np.maximum(np.abs(summed(a) - summed(expected)) - 0.5, 0.0)
        chi_squared = away**2 / summed(variance)
        delta = _DELTA * np.log(ratio)
    # Odds of 0 or of infinity are no measure of a difference.
    judged = np.isfinite(delta) & np.isfinite(log_error) & np.isfinite(chi_squared)
    ratio, delta, error, chi_squared = (
        np.where(judged, value, np.nan)
        for value in (ratio, delta, -_DELTA * log_error, chi_squared)
    )
    p_value = chdtrc(1, chi_squared)
    return MantelHaenszel(
        items, ratio, delta, error, chi_squared, p_value, _ets_class(delta, error, p_value)
    )


def _ets_class(delta: FloatArray, error: FloatArray, p_value: FloatArray) -> NDArray[np.str_]:
    size = np.abs(delta)
    with np.errstate(invalid="ignore"):
        negligible = (size < _NEGLIGIBLE) | (p_value >= _SIGNIFICANT)
        large = (size >= _LARGE) & (size - _NEGLIGIBLE > _CLEARLY_MORE * error)
    return np.select([np.isnan(delta), negligible, large], ["", "A", "C"], "B")
