"""Calibrated items as a thing of their own: what scoring, linking and exchange need of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from etl_jobs.irt.answers.responses import check_responses
from etl_jobs.irt.model.models import FloatArray, ItemTables, difficulty, item_tables

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.model.population import Population


_PARAMETERS = ("discrimination", "intercept", "lower", "upper")


class Items(Protocol):
    """Items with known parameters: a `Calibration`, or an `ItemBank` read from elsewhere.

    In slope-intercept form: P = lower + (upper - lower) / (1 + exp(-(a * theta + d))).
    """

    @property
    def items(self) -> Labels:
        """One label for each item, shape (items,)."""

    @property
    def discrimination(self) -> FloatArray:
        """a, shape (items,)."""

    @property
    def intercept(self) -> FloatArray:
        """d, shape (items,)."""

    @property
    def lower(self) -> FloatArray:
        """The lower asymptotes, shape (items,)."""

    @property
    def upper(self) -> FloatArray:
        """The upper asymptotes, shape (items,)."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemBank:
    """Items with known parameters, however they were come by.

    Attributes:
        items: One label for each item, shape (items,).
        discrimination: a of P = lower + (upper - lower) / (1 + exp(-(a * theta + d))).
        intercept: d of the same.
        lower: The lower asymptotes; all 0 in the 1PL and 2PL.
        upper: The upper asymptotes; all 1 but in the 4PL.
        covariance: Of the parameters, in this order, as far as they were estimated, shape
            (items, parameters, parameters); None where it is not known.
        populations: The persons they were calibrated with, who scoring goes by; without any,
            standard normal ones.

    Raises:
        ValueError: The lengths differ, labels repeat, or a parameter is not possible.

    Example:
        >>> bank = ItemBank.of(["q1", "q2"], [1.0, 1.5], [0.0, -3.0])
        >>> bank.difficulty.tolist()
        [-0.0, 2.0]
    """

    items: Labels
    discrimination: FloatArray
    intercept: FloatArray
    lower: FloatArray
    upper: FloatArray
    covariance: FloatArray | None = None
    populations: tuple[Population, ...] = ()

    def __post_init__(self) -> None:
        if self.items.ndim != 1 or len(set(self.items.tolist())) != len(self.items):
            raise ValueError("item labels are expected as one column of distinct values")
        for name in _PARAMETERS:
            column = getattr(self, name)
            if column.shape != self.items.shape:
                raise ValueError(
                    f"{name} has shape {column.shape} beside {len(self.items)} item labels"
                )
            odd = np.flatnonzero(~np.isfinite(column))
            if odd.size:
                raise ValueError(
                    f"the {name} of item {self.items[odd[0]]!s} is {column[odd[0]]}; expected a "
                    "finite number"
                )
        odd = np.flatnonzero(~((self.lower >= 0) & (self.lower < self.upper) & (self.upper <= 1)))
        if odd.size:
            raise ValueError(
                f"item {self.items[odd[0]]!s} runs from {self.lower[odd[0]]} to "
                f"{self.upper[odd[0]]}; expected 0 <= lower < upper <= 1"
            )
        if self.covariance is not None:
            shape, size = self.covariance.shape, len(self.items)
            if shape not in ((size, 2, 2), (size, 3, 3), (size, 4, 4)):
                raise ValueError(
                    f"covariance has shape {shape}; expected ({size}, parameters, parameters)"
                )

    @classmethod
    def of(
        cls,
        items: ArrayLike,
        discrimination: ArrayLike,
        intercept: ArrayLike,
        lower: ArrayLike = 0.0,
        upper: ArrayLike = 1.0,
        covariance: ArrayLike | None = None,
        populations: tuple[Population, ...] = (),
    ) -> Self:
        """A bank from columns, shape (items,) each; a single number is every item's."""
        labels = np.asarray(items)
        slope, level, floor, ceiling = (
            np.full(labels.shape, column, np.float64)
            if np.ndim(column) == 0
            else np.array(column, np.float64)
            for column in (discrimination, intercept, lower, upper)
        )
        spread = None if covariance is None else np.array(covariance, np.float64)
        return cls(labels, slope, level, floor, ceiling, spread, populations)

    @classmethod
    def copy_of(cls, items: Items) -> Self:
        """The bank of other items, a calibration's for instance, without what else it holds.

        Raises:
            TypeError: They are no items.
        """
        check_items(items)
        return cls.of(
            items.items,
            items.discrimination,
            items.intercept,
            items.lower,
            items.upper,
            getattr(items, "covariance", None),
            getattr(items, "populations", ()),
        )

    @property
    def difficulty(self) -> FloatArray:
        """The ability half-way between the asymptotes, b = -d / a, shape (items,)."""
        return difficulty(self.discrimination, self.intercept)

    def __repr__(self) -> str:
        known = "" if self.covariance is None else ", with covariances"
        return f"<ItemBank: items: {len(self.items):,}{known}>"


def check_items(items: object) -> None:
    """Refuse what has no item parameters, saying how to come by some.

    Raises:
        TypeError: It is something else, such as a table or an estimator.
    """
    if not all(hasattr(items, name) for name in ("items", *_PARAMETERS)):
        hint = "; an ItemResponseModel keeps its items as calibration_"
        raise TypeError(
            f"items are of type {type(items).__name__}; expected a Calibration, or an ItemBank "
            "made with ItemBank.of(labels, discrimination, intercept)"
            f"{hint if hasattr(items, 'get_params') else ''}"
        )


def tables_of(items: Items, ability: FloatArray, chosen: NDArray[np.int64]) -> ItemTables:
    """The chosen items, by index, at some abilities."""
    return item_tables(
        ability,
        items.discrimination[chosen],
        items.intercept[chosen],
        items.lower[chosen],
        items.upper[chosen],
    )


def places_of(items: Items, responses: Responses) -> NDArray[np.int64]:
    """The index among `items` of each of the responses' items; 0 for one nobody answered.

    Raises:
        ValueError: An answered item is not among them; the message names it.
        TypeError: `responses` are no `Responses`, or `items` no items.
    """
    check_items(items)
    check_responses(responses)
    if np.array_equal(items.items, responses.items):
        return np.arange(len(responses.items))
    index = {label: position for position, label in enumerate(items.items.tolist())}
    found = np.array([index.get(label, -1) for label in responses.items.tolist()], np.int64)
    strange = np.flatnonzero((found < 0) & (responses.answers_per_item() > 0))
    if strange.size:
        raise ValueError(
            f"item {responses.items[strange[0]]!s} is not calibrated "
            f"({strange.size} such items with answers)"
        )
    return np.maximum(found, 0)
