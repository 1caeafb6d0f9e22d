"""Standard errors beside the curvature of a plainly written likelihood, and beside the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from etl_jobs import irt
from tests.irt.simulation import log_likelihood, lsat, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_jobs.irt import Model

ITEMS = 4
NORMAL_95 = 1.959963984540054


def curvature(function: Callable[[np.ndarray], float], point: np.ndarray) -> np.ndarray:
    """Second derivatives by differences, sign turned."""
    size, step = len(point), 2e-3
    moves = step * np.eye(size)
    hessian = np.empty((size, size))
    for row in range(size):
        for column in range(row + 1):
            corners = [
                function(point + left * moves[row] + right * moves[column]) * left * right
                for left in (1, -1)
                for right in (1, -1)
            ]
            hessian[row, column] = hessian[column, row] = -sum(corners) / (4 * step**2)
    return hessian


def log_posterior(
    answers: np.ndarray, model: Model, priors: irt.Priors, point: np.ndarray
) -> float:
    """At discriminations (one number in the 1PL, the deviation in Rasch), intercepts, and so on."""
    slopes = 1 if model in ("1PL", "Rasch") else ITEMS
    slope = np.ones(ITEMS) if model == "Rasch" else point[:slopes] * np.ones(ITEMS)
    level, lower, slip = np.concatenate((point[slopes:], np.zeros(2 * ITEMS)))[: 3 * ITEMS].reshape(
        3, ITEMS
    )
    bank = irt.ItemBank.of(range(ITEMS), slope, level, lower, 1 - slip)
    height = log_likelihood(
        answers, bank, deviation=float(point[0]) if model == "Rasch" else 1.0, nodes=61
    )
    height += priors.intercept.log_density(level).sum()
    if model != "Rasch":
        height += priors.discrimination.log_density(point[:slopes]).sum()
    if model in ("3PL", "4PL"):
        height += priors.lower.log_density(lower).sum()
    if model == "4PL":
        height += priors.slip.log_density(slip).sum()
    return float(height)


@pytest.mark.parametrize("answered", [1.0, 0.75], ids=["whole test", "gaps"])
@pytest.mark.parametrize("model", irt.MODELS)
def test_joint_errors_are_those_of_the_likelihoods_curvature(model: Model, answered: float) -> None:
    answers = simulate(250, ITEMS, model=model, answered=answered, seed=5).answers
    priors = irt.DEFAULT_PRIORS

    found = irt.calibrate(
        irt.Responses.from_dense(answers),
        model=model,
        priors=priors,
        standard_errors="joint",
        tolerance=1e-8,
    )

    slope, slope_error = found.discrimination, found.discrimination_error
    if model == "1PL":
        slope, slope_error = slope[:1], slope_error[:1]
    if model == "Rasch":
        (persons,) = found.populations
        slope = np.array([persons.deviation])
        slope_error = np.array([persons.deviation_error])
    asymptotes = {"3PL": 1, "4PL": 2}.get(model, 0)
    top = np.concatenate((slope, found.intercept, *(found.lower, 1 - found.upper)[:asymptotes]))
    errors = np.concatenate(
        (slope_error, found.intercept_error, *(found.lower_error, found.upper_error)[:asymptotes])
    )
    direct = curvature(lambda point: log_posterior(answers, model, priors, point), top)
    assert errors**2 == pytest.approx(np.diag(np.linalg.inv(direct)), rel=2e-3)


@pytest.mark.parametrize("model", irt.MODELS)
def test_one_skipped_question_among_thousands_changes_no_error_by_much(model: Model) -> None:
    whole = simulate(600, 12, model=model, seed=3).answers
    skipped = whole.copy()
    skipped[17, 4] = np.nan

    errors = [
        irt.calibrate(irt.Responses.from_dense(answers), model=model, standard_errors="joint")
        for answers in (whole, skipped)
    ]

    # Whole tests are added up in another way.
    for name in ("discrimination_error", "intercept_error", "lower_error", "upper_error"):
        before, after = (getattr(each, name) for each in errors)
        assert after == pytest.approx(before, rel=2e-2)
        assert np.median(np.abs(after - before)) < 1e-3


def test_more_nodes_change_no_error() -> None:
    for model in ("Rasch", "2PL", "3PL"):
        responses = irt.Responses.from_dense(simulate(800, 10, model=model).answers)

        usual = irt.calibrate(responses, model=model, tolerance=1e-7)
        finer = irt.calibrate(responses, model=model, tolerance=1e-7, nodes=301)

        assert usual.covariance == pytest.approx(finer.covariance, rel=1e-3, abs=1e-6)
        assert usual.populations[0].deviation_error == pytest.approx(
            finer.populations[0].deviation_error, rel=1e-4
        )


@pytest.mark.parametrize("kind", ["joint", "near"])
def test_errors_allow_for_guessing_that_only_seems_to_be_absent(kind: str) -> None:
    # Everybody guesses, but without priors the estimate of some easy items says that nobody does.
    held: dict[str, list[bool]] = {"discrimination": [], "intercept": [], "lower": []}
    for seed in range(8):
        truth = simulate(4000, 25, model="3PL", seed=seed)
        found = irt.calibrate(
            irt.Responses.from_dense(truth.answers),
            model="3PL",
            priors=None,
            standard_errors=kind,  # type: ignore[arg-type]
        )
        absent = found.lower == 0
        for name, those in held.items():
            distance = np.abs(getattr(found, name) - getattr(truth, name))[absent]
            those.extend(distance <= NORMAL_95 * getattr(found, f"{name}_error")[absent])

    for those in held.values():
        assert len(those) > 15
        assert np.mean(those) > 0.8


def test_what_answers_cannot_tell_of_guessing_is_between_nothing_and_everything() -> None:
    # LSAT6 is so easy that it says next to nothing of guessing.
    found = irt.calibrate(lsat(6), model="3PL", priors=None)

    at_bound = found.lower == 0
    assert np.all(np.isfinite(found.covariance))
    assert np.all(found.lower_error[at_bound] > 0.4)
    assert np.all(found.lower_error[at_bound] < 0.7)
