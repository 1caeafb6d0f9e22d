"""Item parameters from answers: marginal maximum a posteriori, or maximum likelihood."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from etl_jobs.irt.answers.blocks import blocks_of
from etl_jobs.irt.answers.connections import item_blocks
from etl_jobs.irt.answers.patterns import Patterns
from etl_jobs.irt.answers.responses import check_responses
from etl_jobs.irt.answers.sufficiency import require_enough, require_groups
from etl_jobs.irt.arguments import check_search
from etl_jobs.irt.errors import NotConverged
from etl_jobs.irt.estimation.ascent import climb
from etl_jobs.irt.estimation.calibration import MODELS, Calibration, Model
from etl_jobs.irt.estimation.drafts import Draft, drafts_of, in_memory
from etl_jobs.irt.estimation.expectation import Sums, expect
from etl_jobs.irt.estimation.flags import flag_items
from etl_jobs.irt.estimation.moments import begin_near
from etl_jobs.irt.estimation.objective import STEEPEST_CURVE, MarginalPosterior
from etl_jobs.irt.estimation.search import STEEPEST_TOP, Maximum, enough_nodes, search
from etl_jobs.irt.estimation.shape_search import search_with_shape
from etl_jobs.irt.estimation.standard_errors import covariances
from etl_jobs.irt.estimation.strands import one_thread
from etl_jobs.irt.model.design import PopulationKind, design, settled
from etl_jobs.irt.model.population import Population, split
from etl_jobs.irt.model.priors import DEFAULT_PRIORS, NO_PRIORS, Priors
from etl_jobs.irt.model.quadrature import Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.model.anchors import Anchors
    from etl_jobs.irt.model.models import FloatArray

# A search that ends without a maximum, beyond this discrimination, was running away.
_RUNAWAY = STEEPEST_CURVE / 3
# How near to the maximum under common beliefs it pays to come.
_ROUGHLY = 0.5


def calibrate(
    responses: Responses,
    *,
    model: Model = "2PL",
    priors: Priors | None = DEFAULT_PRIORS,
    groups: ArrayLike | None = None,
    anchors: Anchors | Calibration | None = None,
    population: PopulationKind | None = None,
    nodes: int | None = None,
    span: float = 8.0,
    max_iterations: int = 500,
    tolerance: float = 1e-5,
    standard_errors: Literal["auto", "joint", "near", "none"] = "auto",
    on_failure: Literal["raise", "return"] = "raise",
) -> Calibration:
    """The items' parameters, with standard errors and flags.

    Persons are normal and integrated out. The result does not depend on the order of the
    rows, to the last bit. It counts as converged only if the scaled score is at most 0.01 on a
    grid twice as fine, where a further step moves no parameter by more than 5e-5; where one
    does, the finer grid takes over.

    Args:
        responses: At least two persons and two items with answers, not all alike.
        model: "Rasch" has discriminations of 1 and estimates how abilities spread, "1PL" has
            one discrimination for all items, "2PL" one for each. "3PL" adds a lower asymptote
            (guessing), "4PL" an upper one too (slips).
        priors: None is maximum likelihood. Then every item needs right and wrong answers.
        groups: A label for each of the responses' persons: the first in sorted order is
            standard normal, the mean and deviation of the others are estimated.
        anchors: Items that are held exactly as they are, and with them the scale: a mapping
            from their labels to discrimination, intercept and, if any, lower and upper
            asymptote; or a calibration, for all items that it has in common.
        population: "standard normal" fixes the persons' distribution, the first group's where
            there are several; "normal" estimates its mean and deviation. By default it is
            estimated as far as the scale is fixed otherwise: by anchors, or by the Rasch
            model's slopes, which leave the mean at 0. "any shape" keeps mean 0 and deviation
            1, and estimates a smooth density that may be skewed or have several humps; standard
            errors and `estimate_abilities` take it for known. It costs some ten searches.
        nodes: Grid points to begin with, spaced equally over `span` deviations to either side
            of the mean; by default as many as the person with the most answers calls for.
        span: The largest ability on the grid, in deviations.
        max_iterations: Passes over the answers, all grids together.
        tolerance: The search ends when a step changes no parameter by more.
        standard_errors: "joint" takes time and memory that grow with items squared, "near"
            does not (see `Calibration.information`); "auto" is "joint" while that is cheap.
            With "none" they are NaN.
        on_failure: "return" gives what was reached, with `converged` False.

    Raises:
        TooFewResponses: The answers cannot determine what was asked; the message names items.
        NotConverged: No maximum was reached; the message says where the search stood.
        TypeError: `responses` are no `Responses`, or an argument is of another type.
        ValueError: The arguments contradict each other, or an anchor is no item.
        MemoryError: The machine has no memory for what was asked; the message has the estimate.
    """
    if model not in MODELS:
        raise ValueError(f"model is {model!r}; expected one of {', '.join(map(repr, MODELS))}")
    check_responses(responses)
    check_search(
        responses,
        priors=priors,
        nodes=nodes,
        span=span,
        max_iterations=max_iterations,
        tolerance=tolerance,
        standard_errors=standard_errors,
        on_failure=on_failure,
        population=population,
    )
    believed = NO_PRIORS if priors is None else priors
    labels, parts = split(responses, groups)
    coordinates = design(
        model, believed, responses, anchors=anchors, groups=len(parts), population=population
    )
    require_enough(responses, coordinates, believed)
    if groups is not None:
        require_groups(labels, parts, coordinates)

    if nodes is None:
        nodes = enough_nodes(int(responses.answers_per_person().max()), span)
    with one_thread():
        blocks = [blocks_of(Patterns.of(_who_answered(part))) for part in parts]
        coordinates = begin_near(coordinates, blocks)
        memory = in_memory(blocks)
        objective = MarginalPosterior(
            memory, Grid.standard_normal(nodes, span), believed, coordinates
        )
        drafts = drafts_of(memory, coordinates.fixed, objective.grid, tolerance)
        start, passes = _start(objective, drafts, max_iterations)
        find = partial(search_with_shape, blocks=blocks[0]) if population == "any shape" else search
        maximum = find(
            objective, start, tolerance=tolerance, max_passes=max_iterations - passes, drafts=drafts
        )
    if not maximum.converged and on_failure == "raise":
        raise NotConverged(why(responses.items, replace(maximum, passes=passes + maximum.passes)))

    with one_thread():
        covariance = covariances(maximum, blocks, kind=standard_errors)
    parameters = settled(maximum.parameters, coordinates)
    means, deviations = coordinates.populations(maximum.found.point)
    populations = tuple(
        Population(
            label,
            int(np.count_nonzero(part.answers_per_person())),
            float(mean),
            float(deviation),
            float(mean_error),
            float(deviation_error),
            maximum.objective.grid.shape.coefficients,
        )
        for label, part, mean, deviation, mean_error, deviation_error in zip(
            labels.tolist(), parts, means, deviations, *covariance.population_errors, strict=True
        )
    )
    common, wrong, expected_right = _at_common_nodes(maximum, populations, blocks)
    answers, right = responses.answers_per_item(), responses.right_per_item()
    block = item_blocks(responses)
    return Calibration(
        items=responses.items,
        model=model,
        priors=believed,
        **parameters._asdict(),
        populations=populations,
        held=coordinates.held,
        covariance=covariance.items,
        information=covariance.information,
        block=block,
        answers=answers,
        right=right,
        flags=flag_items(answers, right, parameters, block),
        log_likelihood=maximum.finer.log_likelihood,
        log_posterior=maximum.finer.height,
        persons=sum(each.persons for each in populations),
        iterations=passes + maximum.passes,
        converged=maximum.converged,
        score=maximum.finer.steepness,
        nodes=common,
        expected_answers=wrong + expected_right,
        expected_right=expected_right,
    )


def why(items: Labels, maximum: Maximum) -> str:
    """Why a search counts as not converged, in one sentence that says what to do."""
    discrimination = maximum.parameters.discrimination
    steepest = int(np.abs(discrimination).argmax())
    if abs(discrimination[steepest]) > _RUNAWAY:
        return (
            f"the discrimination of item {items[steepest]!s} runs away "
            f"({discrimination[steepest]:.0f} after {maximum.passes} iterations): its answers "
            "have no maximum of the likelihood; calibrate with priors"
        )
    return (
        f"not converged after {maximum.passes} iterations: the largest scaled score is "
        f"{maximum.finer.steepness:.3g}, of at most {STEEPEST_TOP}, and the next step would move "
        f"a parameter by {maximum.found.next_step:.2g}; allow more iterations, or calibrate "
        "with priors"
    )


def _who_answered(responses: Responses) -> Responses:
    """The same answers, without the persons who gave none: these tell nothing of items."""
    has_answers = responses.answers_per_person() > 0
    if has_answers.all():
        return responses
    start = np.append(responses.start[:-1][has_answers], responses.start[-1])
    return replace(responses, persons=responses.persons[has_answers], start=start)


def _start(
    objective: MarginalPosterior, drafts: Sequence[Draft], max_passes: int
) -> tuple[FloatArray, int]:
    """Where a search begins, and how many passes it took to get there.

    Where nothing is believed of asymptotes they swing from bound to bound at first. So the
    search begins where they roughly are under the usual beliefs.
    """
    coordinates, priors = objective.coordinates, objective.priors
    point = coordinates.start()
    beliefs = (priors.lower, priors.slip)[: coordinates.columns - 2]
    if not drafts or all(belief is not None for belief in beliefs):
        return point, 0
    usual = replace(priors, lower=DEFAULT_PRIORS.lower, slip=DEFAULT_PRIORS.slip)
    first = climb(
        replace(
            objective,
            groups=drafts[0].groups,
            grid=drafts[0].grid,
            priors=usual,
        ),
        point,
        tolerance=_ROUGHLY,
        max_evaluations=max(max_passes // 2, 1),
    )
    return first.point, first.evaluations


def _at_common_nodes(
    maximum: Maximum, populations: Sequence[Population], blocks: Sequence[Sequence[Block]]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Abilities, and the wrong and the right answers expected at each, of all groups."""
    nodes = populations[0].grid(maximum.objective.grid).nodes
    sums: Sequence[Sums] = maximum.found.slope.sums
    if len(populations) > 1:
        tables = maximum.parameters.tables(nodes)
        sums = [
            expect(part, tables, each.weigh(nodes))
            for part, each in zip(blocks, populations, strict=True)
        ]
    wrong, right = sums[0].wrong.copy(), sums[0].right.copy()
    for each in sums[1:]:
        wrong += each.wrong
        right += each.right
    return nodes, wrong, right
