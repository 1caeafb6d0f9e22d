"""Whether the model as a whole holds: M2 and RMSEA2 (Maydeu-Olivares & Joe 2006).

A table of all answer patterns is far too sparse to test a model by. M2 tests it by what single
items and pairs of items show, and is chi-squared all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import chdtrc

from etl_jobs.irt.bank.item_bank import places_of, tables_of
from etl_jobs.irt.bank.scale import normal_grid, persons_of
from etl_jobs.irt.estimation.calibration import Calibration
from etl_jobs.irt.fit.summed_scores import complete_answers
from etl_jobs.irt.memory import require_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Responses
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Normal


@dataclass(frozen=True, slots=True)
class ModelFit:
    """The fit of a whole model.

    Attributes:
        m2: N times the squared distance of observed from modelled margins.
        degrees_of_freedom: Margins, less what was fitted.
        p_value: How often the model, were it true, would bring so much or more.
        rmsea: The misfit for each degree of freedom, whatever the number of persons. Below
            0.05 counts as close (Maydeu-Olivares & Joe 2014 say 0.05 / (categories - 1)).
        srmsr: The root mean square of observed less modelled correlations of pairs of items.
    """

    m2: float
    degrees_of_freedom: int
    p_value: float
    rmsea: float
    srmsr: float


def model_fit(
    items: Items, responses: Responses, *, persons: Normal | Population | None = None
) -> ModelFit:
    """M2 with its RMSEA, for items fitted to these complete data.

    M2 is chi-squared for maximum likelihood. Priors pull the estimates off it: with few persons
    M2 then comes out somewhat larger.

    Args:
        items: The `Calibration` of these responses. Of other items, all parameters that their
            model has count as fitted: slopes, intercepts, and asymptotes that are not 0 or 1.
        responses: Everybody with an answer answered all items.
        persons: How their abilities are distributed; by default as the calibration found, or
            standard normal.

    Raises:
        ValueError: The data are not complete, there are too few items for a test, or several
            groups of persons.
        MemoryError: There are too many items; the message says how much they would take.
    """
    answers = complete_answers(responses).astype(np.float64)
    length = answers.shape[1]
    margins = length * (length + 1) // 2
    if isinstance(items, Calibration) and len(items.populations) > 1:
        raise ValueError("M2 is for one group of persons; calibrate each group to test its fit")
    if isinstance(items, Calibration) and items.populations[0].shape:
        raise ValueError("M2 is for persons whose distribution is normal; leave population out")
    # The margins' covariance, its root, and what becomes of the slopes.
    require_memory(24.0 * margins**2, f"M2 of {length} items", "choose fewer items")
    place = places_of(items, responses)
    believed = persons_of(items, persons)
    grid = normal_grid(believed, items.discrimination[place])
    weight = np.exp(grid.log_weights)
    right = tables_of(items, grid.nodes, place).probability
    pairs = np.triu_indices(length, 1)
    products = np.concatenate((right, right[pairs[0]] * right[pairs[1]]))
    modelled = products @ weight
    joint = answers.T @ answers / len(answers)
    observed = np.concatenate((np.diag(joint), joint[pairs]))

    spread = _covariance(right, products, weight, pairs)
    slopes = _slopes(items, place, believed, grid.nodes, right, weight, pairs)
    freedom = margins - slopes.shape[1]
    if freedom < 1:
        raise ValueError(
            f"{length} items give {margins} margins, which {slopes.shape[1]} parameters fit "
            "whatever the answers; M2 needs more items"
        )
    # The distance in units of the margins' covariance, off what the parameters can fit.
    root = cholesky(spread, lower=True)
    away = solve_triangular(root, observed - modelled, lower=True)
    reach = np.linalg.qr(solve_triangular(root, slopes, lower=True))[0]
    away -= reach @ (reach.T @ away)
    m2 = len(answers) * float(away @ away)
    return ModelFit(
        m2,
        freedom,
        float(chdtrc(freedom, m2)),
        float(np.sqrt(max(m2 - freedom, 0.0) / (len(answers) * freedom))),
        _srmsr(observed, modelled, pairs),
    )


def _covariance(
    right: FloatArray,
    products: FloatArray,
    weight: FloatArray,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> FloatArray:
    """N times the covariance of the observed margins under the model."""
    length = len(right)
    together = (products * weight) @ products.T
    # Where two margins share an item it counts once, not squared.
    for item in range(length):
        first, second = np.flatnonzero(pairs[0] == item), np.flatnonzero(pairs[1] == item)
        rows = np.concatenate(([item], length + first, length + second))
        others = np.concatenate(
            (np.ones((1, right.shape[1])), right[pairs[1][first]], right[pairs[0][second]])
        )
        together[np.ix_(rows, rows)] = (others * (weight * right[item])) @ others.T
    mean = products @ weight
    np.fill_diagonal(together, mean)
    together -= np.outer(mean, mean)
    return together


def _slopes(
    items: Items,
    place: NDArray[np.int64],
    believed: Normal,
    nodes: FloatArray,
    right: FloatArray,
    weight: FloatArray,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> FloatArray:
    """How the margins move with each fitted parameter, shape (margins, parameters)."""
    lower, upper = items.lower[place, np.newaxis], items.upper[place, np.newaxis]
    curve = (right - lower) / (upper - lower)
    steep = (upper - lower) * curve * (1 - curve)
    deviation = (nodes - believed.mean) / believed.deviation
    fitted = _Fitted.of(items, place)
    own = {
        "intercept": _margins(steep, right, weight, pairs),
        "discrimination": _margins(steep * nodes, right, weight, pairs),
        "lower": _margins(1 - curve, right, weight, pairs),
        "upper": _margins(curve, right, weight, pairs),
    }
    slope = items.discrimination[place]
    columns = [own[name][:, fitted.items] for name in fitted.parameters]
    if fitted.common_slope:
        columns.append(own["discrimination"].sum(axis=1, keepdims=True))
    if fitted.mean:
        columns.append(own["intercept"] @ slope[:, np.newaxis])
    if fitted.deviation:
        spread = _margins(steep * deviation, right, weight, pairs)
        columns.append(spread @ slope[:, np.newaxis])
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """Which parameters the answers have determined."""

    items: NDArray[np.bool_]
    parameters: tuple[str, ...]
    common_slope: bool
    mean: bool
    deviation: bool

    @classmethod
    def of(cls, items: Items, place: NDArray[np.int64]) -> Self:
        asymptotes = ("lower",) * bool(np.any(items.lower > 0))
        asymptotes += ("upper",) * bool(np.any(items.upper < 1))
        if not isinstance(items, Calibration):
            names = ("intercept", "discrimination", *asymptotes)
            return cls(np.ones(len(place), bool), names, False, False, False)
        own = {
            "Rasch": ("intercept",),
            "1PL": ("intercept",),
            "2PL": ("intercept", "discrimination"),
            "3PL": ("intercept", "discrimination", "lower"),
            "4PL": ("intercept", "discrimination", "lower", "upper"),
        }
        (group,) = items.populations
        return cls(
            items=~items.held[place],
            parameters=own[items.model],
            common_slope=items.model == "1PL",
            # An error of 0 is that of what defines the scale; NaN is one nobody asked for.
            mean=group.mean_error != 0,
            deviation=group.deviation_error != 0,
        )


def _margins(
    change: FloatArray,
    right: FloatArray,
    weight: FloatArray,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> FloatArray:
    """The margins' changes when each item's curve changes so, shape (margins, items)."""
    length = len(right)
    beside = (change * weight) @ right.T
    slopes = np.zeros((length + len(pairs[0]), length))
    slopes[np.arange(length), np.arange(length)] = change @ weight
    row = length + np.arange(len(pairs[0]))
    slopes[row, pairs[0]] = beside[pairs]
    slopes[row, pairs[1]] = beside[pairs[1], pairs[0]]
    return slopes


def _srmsr(
    observed: FloatArray,
    modelled: FloatArray,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> float:
    def correlations(margins: FloatArray) -> FloatArray:
        mean = margins[: pairs[1].max() + 1]
        deviation = np.sqrt(mean * (1 - mean))
        shared: FloatArray = margins[len(mean) :] - mean[pairs[0]] * mean[pairs[1]]
        with np.errstate(invalid="ignore"):
            shared /= deviation[pairs[0]] * deviation[pairs[1]]
        return shared

    return float(np.sqrt(np.nanmean((correlations(observed) - correlations(modelled)) ** 2)))
