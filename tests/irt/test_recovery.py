"""A small seeded recovery study; benchmarks/irt_recovery.py is the large one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.irt_recovery import Design, figures, ours, simulate
from etl_jobs import irt


@pytest.fixture(scope="module")
def runs() -> dict[str, np.ndarray]:
    design = Design(600, 20, 1.0)
    found = [
        figures(ours(truth, None), truth) for truth in (simulate(design, s) for s in range(40))
    ]
    return {key: np.array([run[key] for run in found]) for key in found[0]}


def test_intervals_hold_the_truth_as_often_as_they_say(runs: dict[str, np.ndarray]) -> None:
    for parameter in ("cover a", "cover b"):
        # 800 intervals: their share errs by 0.8 % at one standard error.
        assert 0.93 < runs[parameter].mean() < 0.97


def test_the_bias_is_small_beside_the_error(runs: dict[str, np.ndarray]) -> None:
    assert abs(runs["bias a"].mean()) < 0.2 * np.sqrt(runs["MSE a"].mean())
    assert abs(runs["bias b"].mean()) < 0.2 * np.sqrt(runs["MSE b"].mean())


def test_abilities_are_as_reliable_as_their_errors_promise(runs: dict[str, np.ndarray]) -> None:
    assert runs["promised"].mean() == pytest.approx(runs["shown"].mean(), abs=0.015)


def test_priors_lower_the_error_where_answers_are_few() -> None:
    design = Design(250, 20, 0.7)
    truths = [simulate(design, seed) for seed in range(10)]

    def error(priors: irt.Priors | None) -> float:
        return float(np.mean([figures(ours(truth, priors), truth)["MSE a"] for truth in truths]))

    assert error(irt.DEFAULT_PRIORS) < 0.8 * error(None)
