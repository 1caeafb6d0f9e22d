"""Where persons stand on the scale of calibrated items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from etl_jobs.irt.ability.point_estimates import PointEstimates, point_estimates
from etl_jobs.irt.answers.products import product
from etl_jobs.irt.bank.scale import SPAN, STANDARD_NORMAL, Scale, persons_of
from etl_jobs.irt.estimation.expectation import posterior
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Normal

AbilityMethod = Literal["EAP", "MAP", "ML", "WLE"]


@dataclass(frozen=True, slots=True, eq=False)
class Abilities:
    """What the answers say of each person.

    Attributes:
        persons: One label for each person, shape (persons,).
        ability: The estimates, shape (persons,). Without answers that tell anything: the mean
            of what is believed of persons (EAP, MAP), or NaN (ML, WLE).
        standard_error: The posterior deviation (EAP), or 1 / sqrt(information), shape
            (persons,). NaN beside a bound, and where there is no estimate.
        answers: How many answers each estimate rests on, shape (persons,).
        method: What they are.
    """

    persons: Labels
    ability: FloatArray
    standard_error: FloatArray
    answers: NDArray[np.int64]
    method: AbilityMethod

    @property
    def reliability(self) -> float:
        """The share of the estimates' variance that is true differences between persons.

        Empirical, over the persons with answers and a standard error: var / (var + mean of
        squared errors) of estimates that a prior shrinks, 1 - mean of squared errors / var of
        those that none does. NaN for fewer than two persons.
        """
        sure = (self.answers > 0) & np.isfinite(self.standard_error)
        if np.count_nonzero(sure) < 2:
            return float("nan")
        spread = float(np.var(self.ability[sure]))
        noise = float(np.mean(self.standard_error[sure] ** 2))
        if self.method in ("EAP", "MAP"):
            return spread / (spread + noise)
        return 1 - noise / spread if spread else float("nan")

    def __repr__(self) -> str:
        return (
            f"<Abilities: {self.method}, persons: {len(self.persons):,}, "
            f"reliability: {self.reliability:.3f}>"
        )


def estimate_abilities(
    items: Items,
    responses: Responses,
    *,
    method: AbilityMethod = "EAP",
    persons: Normal | Population | None = None,
    bound: float = SPAN,
) -> Abilities:
    """The persons' abilities, from answers to calibrated items, new persons' included.

    Equal answers are worked out once. Memory beside the result grows with the answers only.

    Args:
        items: A `Calibration`, or any items with known parameters.
        responses: Any persons; each item that was answered is one of the items.
        method: "EAP", the posterior mean, has the smallest mean squared error. "MAP" is the
            posterior's peak. "ML" is the likelihood's: unbiased for long tests only, and
            infinite when all answers are right, or all wrong. "WLE" (Warm 1989) takes ML's
            bias away and is finite.
        persons: How abilities are distributed, for EAP and MAP; by default as the calibration
            found, or standard normal.
        bound: How far out MAP, ML and WLE look. An estimate beyond it, an infinite one
            included, is the bound itself, with NaN as its standard error.

    Raises:
        ValueError: An answered item is not calibrated (the message names it), the method is
            unknown, the bound is not positive, or the calibration has several groups and
            `persons` does not say which.

    Example:
        >>> from etl_jobs.irt import ItemBank, Responses, estimate_abilities
        >>> bank = ItemBank.of(["easy", "hard"], 1.0, [1.0, -1.0])
        >>> answers = Responses.from_dense([[0, 0], [1, 1]], items=["easy", "hard"])
        >>> estimate_abilities(bank, answers).ability.round(3).tolist()
        [-0.736, 0.736]
        >>> estimate_abilities(bank, answers, method="ML").ability.tolist()
        [-8.0, 8.0]
    """
    if method not in get_args(AbilityMethod):
        raise ValueError(
            f"method is {method!r}; expected one of {', '.join(get_args(AbilityMethod))}"
        )
    if not isinstance(bound, (int, float, np.number)) or not 0 < bound < np.inf:
        raise ValueError(f"bound is {bound!r}; expected a positive number")
    # ML and WLE go by the answers alone, whoever the persons are.
    believed = persons_of(items, persons) if method in ("EAP", "MAP") else STANDARD_NORMAL
    scale = Scale(items, responses, believed)
    found = (
        _expected(scale)
        if method == "EAP"
        else point_estimates(items, scale, method, believed, bound)
    )
    pattern = scale.patterns.of_person
    return Abilities(
        responses.persons,
        found.ability[pattern],
        found.standard_error[pattern],
        responses.answers_per_person(),
        method,
    )


def _expected(scale: Scale) -> PointEstimates:
    """Mean and deviation of each pattern's posterior."""
    mean, deviation = np.empty((2, len(scale.patterns)))
    # About the middle of the grid, where the squares lose no digits to a distant origin.
    middle = scale.grid.nodes[len(scale.grid.nodes) // 2]
    powers = np.vander(scale.grid.nodes - middle, 3)

    def work(part: tuple[slice, Block]) -> None:
        rows, block = part
        weight, _ = posterior(block, scale.tables, scale.grid)
        second, first, _ = product(weight, powers).T
        mean[rows] = middle + first
        deviation[rows] = np.sqrt(second - first**2)

    in_strands(work, scale.parts)
    return PointEstimates(mean, deviation)
