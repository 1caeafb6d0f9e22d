"""A small seeded recovery study; benchmarks/irt_recovery.py is the large one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.irt_recovery import Design, figures, ours, simulate
from etl_jobs import irt


def study(design: Design, seeds: int, priors: irt.Priors | None = None) -> dict[str, np.ndarray]:
    truths = (simulate(design, seed) for seed in range(seeds))
    found = [figures(ours(truth, priors, design.model), truth) for truth in truths]
    return {key: np.array([run[key] for run in found]) for key in found[0]}


@pytest.fixture(scope="module")
def runs() -> dict[str, np.ndarray]:
    return study(Design(600, 20, 1.0), 40)


@pytest.mark.parametrize("kind", ["joint", "near"])
def test_intervals_hold_the_truth_as_often_as_they_say(
    runs: dict[str, np.ndarray], kind: str
) -> None:
    for parameter in "ab":
        # 800 intervals: their share errs by 0.8 % at one standard error.
        assert 0.93 < runs[f"{kind} {parameter}"].mean() < 0.97


@pytest.mark.parametrize(
    ("model", "priors"),
    [("1PL", None), ("Rasch", None), ("3PL", irt.DEFAULT_PRIORS)],
    ids=["1PL", "Rasch", "3PL"],
)
@pytest.mark.parametrize("kind", ["joint", "near"])
def test_intervals_of_every_model_hold_the_truth(
    model: irt.Model, priors: irt.Priors | None, kind: str
) -> None:
    runs = study(Design(800, 15, 1.0, model), 30, priors)

    # Items of one seed err together, by the scale that they share. The 3PL's beliefs are wider
    # than the asymptotes are drawn, which keeps its intervals on the safe side.
    lowest, highest = (0.91, 0.98) if model != "3PL" else (0.93, 1.0)
    assert lowest < runs[f"{kind} b"].mean() < highest
    if model == "3PL":
        assert runs[f"{kind} a"].mean() > lowest
        assert runs[f"{kind} c"].mean() > lowest


def test_the_bias_is_small_beside_the_error(runs: dict[str, np.ndarray]) -> None:
    assert abs(runs["bias a"].mean()) < 0.2 * np.sqrt(runs["MSE a"].mean())
    assert abs(runs["bias b"].mean()) < 0.2 * np.sqrt(runs["MSE b"].mean())


def test_abilities_are_as_reliable_as_their_errors_promise(runs: dict[str, np.ndarray]) -> None:
    assert runs["promised"].mean() == pytest.approx(runs["shown"].mean(), abs=0.015)


def test_at_known_items_abilities_are_exactly_as_reliable_as_theory_says() -> None:
    # The variance of the posterior means and the mean of the posterior variances are together
    # that of the abilities, 1; the former's share is the squared correlation with the truth.
    truth = simulate(Design(40_000, 15, 1.0), 3)
    bank = irt.ItemBank.of(
        range(15), truth.discrimination, -truth.discrimination * truth.difficulty
    )

    found = irt.estimate_abilities(bank, irt.Responses.from_dense(truth.answers))

    unseen = float(np.mean(found.standard_error**2))
    # Of 40,000 persons a variance errs by 0.7 % at one standard error.
    assert found.ability.var() + unseen == pytest.approx(1.0, abs=0.02)
    shown = np.corrcoef(found.ability, truth.ability)[0, 1] ** 2
    assert found.reliability == pytest.approx(1 - unseen, abs=0.005)
    assert shown == pytest.approx(1 - unseen, abs=0.01)


def test_priors_lower_the_error_where_answers_are_few() -> None:
    design = Design(250, 20, 0.7)
    truths = [simulate(design, seed) for seed in range(10)]

    def error(priors: irt.Priors | None) -> float:
        return float(np.mean([figures(ours(truth, priors), truth)["MSE a"] for truth in truths]))

    assert error(irt.DEFAULT_PRIORS) < 0.8 * error(None)
