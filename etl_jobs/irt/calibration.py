"""Item parameters from answers: marginal maximum a posteriori, or maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from etl_jobs.irt.blocks import blocks_of
from etl_jobs.irt.errors import NotConverged, TooFewResponses
from etl_jobs.irt.expectation import InMemory
from etl_jobs.irt.flags import Flag, flag_items
from etl_jobs.irt.models import FloatArray, difficulty
from etl_jobs.irt.objective import STEEPEST_CURVE
from etl_jobs.irt.patterns import Patterns
from etl_jobs.irt.priors import DEFAULT_PRIORS, NO_PRIORS, LogNormal, Priors
from etl_jobs.irt.quadrature import Grid
from etl_jobs.irt.search import STEEPEST_TOP, Maximum, enough_nodes, search
from etl_jobs.irt.standard_errors import InformationKind, item_covariance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.responses import Labels, Responses

# A search that ends without a maximum, beyond this discrimination, was running away.
_RUNAWAY = STEEPEST_CURVE / 3


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Items on the ability scale on which persons are standard normal.

    Attributes:
        items: One label for each item, shape (items,), the order of all that follows.
        model: The item response model.
        priors: What was believed of the items beforehand.
        discrimination: a of P = c + (u - c) / (1 + exp(-(a * theta + d))), shape (items,).
        intercept: d of the same.
        lower: The lower asymptote c: 0, but in the 3PL and 4PL.
        upper: The upper asymptote u: 1, but in the 4PL.
        covariance: Of (discrimination, intercept), shape (items, 2, 2); NaN where the
            observed information is not positive definite, or nobody asked for it.
        information: Where the covariance comes from: "joint" is the inverse of the observed
            information of all items together. "near" inverts each item's own and adds what
            all share through the origin and unit of the scale: with 20 items and more the
            standard errors are within a few per cent.
        answers: Answers to each item.
        right: Right answers to each item.
        flags: What to look at in each item; mostly empty.
        log_likelihood: Marginal, without the priors.
        log_posterior: The same plus the log prior, up to its constant: what was maximised.
        persons: How many persons gave at least one answer.
        iterations: Passes over the answers.
        converged: Whether the score vanished, on a grid twice as fine as `nodes`.
        score: The largest |score| / sqrt(information) there.
        nodes: The abilities on which integrals were summed, shape (nodes,).
        expected_answers: Persons expected at each node who answered the item, shape
            (items, nodes). With the next: observed proportions of right answers.
        expected_right: Those of them who were right, shape (items, nodes).
    """

    items: Labels
    model: Literal["2PL"]
    priors: Priors
    discrimination: FloatArray
    intercept: FloatArray
    lower: FloatArray
    upper: FloatArray
    covariance: FloatArray
    information: InformationKind
    answers: NDArray[np.int64]
    right: NDArray[np.int64]
    flags: tuple[tuple[Flag, ...], ...]
    log_likelihood: float
    log_posterior: float
    persons: int
    iterations: int
    converged: bool
    score: float
    nodes: FloatArray
    expected_answers: FloatArray
    expected_right: FloatArray

    @property
    def difficulty(self) -> FloatArray:
        """The ability at which half the answers are right, b = -d / a, shape (items,)."""
        return difficulty(self.discrimination, self.intercept)

    @property
    def discrimination_error(self) -> FloatArray:
        """Standard errors of the discriminations, shape (items,)."""
        return np.sqrt(self.covariance[:, 0, 0])

    @property
    def intercept_error(self) -> FloatArray:
        """Standard errors of the intercepts, shape (items,)."""
        return np.sqrt(self.covariance[:, 1, 1])

    @property
    def difficulty_error(self) -> FloatArray:
        """Standard errors of the difficulties by the delta method, shape (items,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gradient = np.stack(
                (self.intercept / self.discrimination**2, -1 / self.discrimination), axis=1
            )
        variance = np.einsum("im,imn,in->i", gradient, self.covariance, gradient)
        error: FloatArray = np.sqrt(variance)
        return error


def calibrate(
    responses: Responses,
    *,
    model: Literal["2PL"] = "2PL",
    priors: Priors | None = DEFAULT_PRIORS,
    nodes: int | None = None,
    span: float = 8.0,
    max_iterations: int = 500,
    tolerance: float = 1e-5,
    standard_errors: Literal["auto", "joint", "near", "none"] = "auto",
    on_failure: Literal["raise", "return"] = "raise",
) -> Calibration:
    """The items' parameters, with standard errors and flags.

    Persons are standard normal and integrated out. The result does not depend on the order
    of the rows, to the last bit. It counts as converged only if the scaled score is at most
    0.01 on a grid twice as fine, where a further step moves no parameter by more than 5e-5;
    where one does, the finer grid takes over.

    Args:
        responses: At least two persons and two items with answers, not all alike.
        model: The two-parameter logistic model.
        priors: None is maximum likelihood. Then every item needs right and wrong answers.
        nodes: Grid points to begin with, spaced equally over [-span, span]; by default as many
            as the person with the most answers calls for.
        span: The largest ability on the grid.
        max_iterations: Passes over the answers, all grids together.
        tolerance: The search ends when a step changes no parameter by more.
        standard_errors: "joint" takes time and memory that grow with items squared, "near"
            does not (see `Calibration.information`); "auto" is "joint" while that is cheap.
            With "none" they are NaN.
        on_failure: "return" gives what was reached, with `converged` False.

    Raises:
        TooFewResponses: The answers cannot determine what was asked; the message names items.
        NotConverged: No maximum was reached; the message says where the search stood.
    """
    if model != "2PL":
        raise ValueError(f"model is {model!r}; expected '2PL'")
    believed = NO_PRIORS if priors is None else priors
    answers, right = responses.answers_per_item(), responses.right_per_item()
    _require_enough(responses, answers, right, believed)

    patterns = Patterns.of(responses)
    blocks = blocks_of(patterns)
    most = int(responses.answers_per_person().max())
    maximum = search(
        InMemory(blocks),
        believed,
        Grid.standard_normal(enough_nodes(most, span) if nodes is None else nodes, span),
        *_first_guess(answers, right, believed),
        tolerance=tolerance,
        max_passes=max_iterations,
    )
    if not maximum.converged and on_failure == "raise":
        raise NotConverged(_why(responses, maximum))

    discrimination, intercept = maximum.parameters
    sums = maximum.found.slope.sums
    covariance, information = item_covariance(
        patterns,
        blocks,
        maximum.objective.grid,
        believed,
        discrimination,
        intercept,
        sums,
        kind=standard_errors,
    )
    return Calibration(
        items=responses.items,
        model=model,
        priors=believed,
        discrimination=discrimination,
        intercept=intercept,
        lower=np.zeros(len(intercept)),
        upper=np.ones(len(intercept)),
        covariance=covariance,
        information=information,
        answers=answers,
        right=right,
        flags=flag_items(answers, right, discrimination, intercept),
        log_likelihood=maximum.finer.sums.log_likelihood,
        log_posterior=maximum.finer.height,
        persons=int(np.count_nonzero(responses.answers_per_person())),
        iterations=maximum.passes,
        converged=maximum.converged,
        score=maximum.finer.steepness,
        nodes=maximum.objective.grid.nodes,
        expected_answers=sums.right + sums.wrong,
        expected_right=sums.right.copy(),
    )


def _require_enough(
    responses: Responses, answers: NDArray[np.int64], right: NDArray[np.int64], priors: Priors
) -> None:
    persons = int(np.count_nonzero(responses.answers_per_person()))
    items = int(np.count_nonzero(answers))
    if responses.answers == 0:
        raise TooFewResponses("there is no answer to calibrate from")
    if persons < 2:
        raise TooFewResponses(f"only {persons} person gave answers; calibration needs at least 2")
    if items < 2:
        raise TooFewResponses(f"only {items} item has answers; calibration needs at least 2")
    if right.sum() in (0, responses.answers):
        which = "right" if right.any() else "wrong"
        raise TooFewResponses(
            f"all {responses.answers} answers are {which}: nothing tells the items apart"
        )
    if priors.intercept is None:
        stuck = np.flatnonzero((right == 0) | (right == answers))
        if stuck.size:
            shown = ", ".join(str(responses.items[item]) for item in stuck[:5])
            more = f" and {stuck.size - 5} more" if stuck.size > 5 else ""
            raise TooFewResponses(
                f"without a prior for the intercept, items need right and wrong answers; "
                f"all answers are alike, or there are none, for {shown}{more}"
            )
    if priors.discrimination is None and items < 3:
        raise TooFewResponses(
            f"{items} items cannot tell their discriminations without a prior; it takes 3"
        )


def _first_guess(
    answers: NDArray[np.int64], right: NDArray[np.int64], priors: Priors
) -> tuple[FloatArray, FloatArray]:
    """Equal discriminations, and the intercepts that the proportions right then call for."""
    believed = priors.discrimination
    typical = 1.0
    if isinstance(believed, LogNormal):
        typical = float(np.exp(believed.mean))
    elif believed is not None:
        typical = believed.mean
    share = (right + 0.5) / (answers + 1)
    # Ability spreads the log-odds, which flattens the proportions by about this much.
    flattening = np.sqrt(1 + typical**2 / 2.89)
    return np.full(len(answers), typical), flattening * np.log(share / (1 - share))


def _why(responses: Responses, maximum: Maximum) -> str:
    discrimination, _ = maximum.parameters
    steepest = int(np.abs(discrimination).argmax())
    if abs(discrimination[steepest]) > _RUNAWAY:
        return (
            f"the discrimination of item {responses.items[steepest]!s} runs away "
            f"({discrimination[steepest]:.0f} after {maximum.passes} iterations): its answers "
            "have no maximum of the likelihood; calibrate with priors"
        )
    return (
        f"not converged after {maximum.passes} iterations: the largest scaled score is "
        f"{maximum.finer.steepness:.3g}, of at most {STEEPEST_TOP}, and the next step would move "
        f"a parameter by {maximum.found.next_step:.2g}; allow more iterations, or calibrate "
        "with priors"
    )
