"""What a report is made of: arrays and a few facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

Floats = NDArray[np.float64]

# What students who are of none of the groups are called.
NO_GROUP = "no group"

# Columns that only some calibrations have.
_OPTIONAL = ("lower", "lower_se", "upper", "upper_se", "infit", "outfit", "fit_p")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Students who are told apart.

    Attributes:
        mean, deviation: Of their abilities; NaN where they are no population of their own.
    """

    name: str
    students: int
    mean: float
    deviation: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Differences:
    """How each item treats groups of equally able students, shape (items,) each.

    Attributes:
        reference: The group that others are compared with.
        group: The one that an item is most unequal for; "" where nothing can be compared.
        delta: How much easier the item is for it, on ETS's scale; below 0 it is harder.
        delta_se: Its standard error.
    """

    reference: str
    group: Sequence[str]
    delta: Floats
    delta_se: Floats


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two items, by their places, that hang together by more than ability.

    Attributes:
        q3: The correlation of what ability leaves open in their answers.
        students: How many answered both.
    """

    first: int
    second: int
    q3: float
    students: int


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportData:
    """One calibration, ready to be drawn. NaN is "not estimated" and is shown as a dash.

    Per-item arrays have shape (items,), all in the same order. Those that default to None
    are left out of the page where they are None. Ability is on the scale the items were
    calibrated on: the students' mean is 0 and their standard deviation 1, unless
    `ability_mean` and `ability_deviation` say otherwise.

    Attributes:
        title: The page's heading, such as the name of the test.
        as_of: The UTC day whose answers were calibrated.
        model: The model's short name, "2PL".
        converged: False puts a warning above everything else.
        students: How many persons the calibration is based on.
        facts: Name and value of whatever else the reader should know about the run, in
            the order to show: log-likelihood, iterations, priors, which attempt counts.
        left_out: Rows that cleaning removed, reason -> rows, in the order to show.
        ability_mean, ability_deviation: Of the students, where anchors or another group set
            the scale.
        groups: The groups of students, where they are told apart.
        differences: How items treat these groups, where that was looked at.
        pairs: Items that hang together, the closest first.
        item_id: Unique names of the items.
        item_name: What a person calls them; None where the id is all there is.
        subject: The items' subjects; None where an item has none.
        answers: How many answers each item was calibrated on.
        share_correct: Right answers / answers.
        discrimination, difficulty: a and b of P = c + (u - c) / (1 + exp(-a (theta - b))).
        discrimination_se, difficulty_se: Their standard errors.
        lower, upper: c and u, where the model has them; otherwise 0 and 1.
        lower_se, upper_se: Their standard errors.
        infit, outfit: Mean squares, weighted by information and not; 1 is as expected.
        fit_p: The p-value of S-X2.
        anchored: True for an item that kept the parameters of an earlier run.
        flags: Words such as "low_discrimination"; `flags.py` explains the known ones.
        theta: Abilities, increasing, at which the curves below are given, shape (nodes,).
        answers_at, right_at: Expected answers and right answers by persons at each
            ability, shape (items, nodes).
        ability_edges: Edges of the histogram of estimated abilities, shape (bins + 1,).
        ability_counts: Students in each bin, shape (bins,).
        information: Test information for someone who answers every item, shape (nodes,).
        standard_error: Standard error of measurement for the same, shape (nodes,).

    Raises:
        ValueError: Arrays disagree in shape, an item id comes twice, theta does not grow, a
            pair is of no items.
    """

    title: str
    as_of: date
    model: str
    converged: bool
    students: int
    item_id: Sequence[str]
    item_name: Sequence[str | None]
    subject: Sequence[str | None]
    answers: NDArray[np.integer] | Floats
    share_correct: Floats
    discrimination: Floats
    discrimination_se: Floats
    difficulty: Floats
    difficulty_se: Floats
    flags: Sequence[tuple[str, ...]]
    theta: Floats
    answers_at: Floats
    right_at: Floats
    ability_edges: Floats
    ability_counts: NDArray[np.integer] | Floats
    information: Floats
    standard_error: Floats
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    lower: Floats | None = None
    lower_se: Floats | None = None
    upper: Floats | None = None
    upper_se: Floats | None = None
    infit: Floats | None = None
    outfit: Floats | None = None
    fit_p: Floats | None = None
    anchored: NDArray[np.bool_] | Sequence[bool] | None = None
    ability_mean: float = 0.0
    ability_deviation: float = 1.0
    groups: Sequence[Group] = ()
    differences: Differences | None = None
    pairs: Sequence[Pair] = ()

    def __post_init__(self) -> None:
        items, nodes = len(self.item_id), len(self.theta)
        if not items:
            raise ValueError("a report needs at least one item")
        for name in ("item_name", "subject", "flags"):
            self._expect(name, (len(getattr(self, name)),), (items,))
        shapes = {
            (items,): (
                *("answers", "share_correct", "discrimination", "discrimination_se"),
                *("difficulty", "difficulty_se"),
            ),
            (items, nodes): ("answers_at", "right_at"),
            (nodes,): ("information", "standard_error"),
            (len(self.ability_counts) + 1,): ("ability_edges",),
        }
        for name in (*_OPTIONAL, "anchored"):
            if getattr(self, name) is not None:
                self._expect(name, np.shape(getattr(self, name)), (items,))
        for shape, names in shapes.items():
            for name in names:
                self._expect(name, np.shape(getattr(self, name)), shape)
        if self.differences is not None:
            for name in ("group", "delta", "delta_se"):
                found = np.shape(getattr(self.differences, name))
                self._expect(f"differences.{name}", found, (items,))
        for pair in self.pairs:
            if not (0 <= pair.first < items and 0 <= pair.second < items):
                raise ValueError(
                    f"a pair is of the items {pair.first} and {pair.second}; there are {items}"
                )
        if nodes < 2 or not bool(np.all(np.diff(self.theta) > 0)):
            raise ValueError("theta needs at least two abilities, each greater than the last")
        name, times = Counter(self.item_id).most_common(1)[0]
        if times > 1:
            raise ValueError(f"the item id {name[:80]!r} comes {times} times; ids must be unique")

    @property
    def has_asymptotes(self) -> bool:
        """Whether a weak student may guess, or a strong one slip."""
        return self.lower is not None or self.upper is not None

    @property
    def dif(self) -> Floats | None:
        """How much easier each item is for a group than for equally able others."""
        return None if self.differences is None else self.differences.delta

    @property
    def dif_se(self) -> Floats | None:
        """Standard errors of the same."""
        return None if self.differences is None else self.differences.delta_se

    @property
    def scale_group(self) -> str | None:
        """The group whose mean is 0 and whose deviation is 1, where one sets the scale."""
        own = [group.name for group in self.groups if (group.mean, group.deviation) == (0, 1)]
        return own[0] if own and self.anchored is None else None

    @property
    def own_scale(self) -> bool:
        """Whether these students set the scale: their mean is 0, their deviation 1."""
        return (self.ability_mean, self.ability_deviation) == (0.0, 1.0)

    @property
    def asymptotes(self) -> tuple[Floats, Floats]:
        """The least and the greatest chance of a right answer, 0 and 1 unless told."""
        items = len(self.item_id)
        return (
            np.zeros(items) if self.lower is None else np.nan_to_num(self.lower),
            np.ones(items) if self.upper is None else np.nan_to_num(self.upper, nan=1.0),
        )

    @staticmethod
    def _expect(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if found != expected:
            raise ValueError(f"{name} has the shape {found}; the report expected {expected}")
