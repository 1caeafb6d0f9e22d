"""What counts as converged: the score on a finer grid, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from etl_jobs import irt
from tests.irt.simulation import log_likelihood, simulate

if TYPE_CHECKING:
    from etl_jobs.irt import Model


@pytest.mark.parametrize("model", ["1PL", "2PL", "3PL"])
def test_small_steps_are_not_taken_for_a_maximum(model: Model) -> None:
    # Whoever is content with any step stops where the hill is still steep.
    responses = irt.Responses.from_dense(simulate(3000, 15, model=model, seed=4).answers)

    content = irt.calibrate(responses, model=model, tolerance=1.0, on_failure="return")

    assert content.iterations < 100
    assert content.score > 0.01
    assert not content.converged
    with pytest.raises(irt.NotConverged, match=r"largest scaled score is .* of at most 0\.01"):
        irt.calibrate(responses, model=model, tolerance=1.0)


@pytest.mark.parametrize("tolerance", [1.0, 0.1, 1e-2, 1e-3, 1e-5])
def test_whatever_stops_a_search_a_steep_hill_is_no_top(tolerance: float) -> None:
    responses = irt.Responses.from_dense(simulate(1000, 10, answered=0.8, seed=5).answers)

    for passes in range(1, 12):
        found = irt.calibrate(
            responses, tolerance=tolerance, max_iterations=passes, on_failure="return"
        )
        assert found.score <= 0.01 or not found.converged


def test_the_score_at_a_maximum_is_small_on_a_grid_of_another_making() -> None:
    answers = simulate(800, 8, seed=6).answers
    found = irt.calibrate(irt.Responses.from_dense(answers), priors=None)
    top = np.concatenate((found.discrimination, found.intercept))

    def height(point: np.ndarray) -> float:
        return log_likelihood(answers, irt.ItemBank.of(range(8), point[:8], point[8:]), nodes=401)

    step = 1e-3
    for place in range(16):
        move = step * (np.arange(16) == place)
        ahead, here, behind = height(top + move), height(top), height(top - move)
        score = (ahead - behind) / (2 * step)
        information = (2 * here - ahead - behind) / step**2
        assert abs(score) / np.sqrt(information) <= 0.01
