"""Groups of persons whose abilities are distributed differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import optimize

from etl_jobs import irt
from tests.irt.simulation import log_likelihood, simulate

if TYPE_CHECKING:
    from etl_jobs.irt import Model


def two_groups(
    persons: int, items: int, *, mean: float, deviation: float, model: str = "2PL", seed: int = 1
) -> tuple[np.ndarray, np.ndarray, irt.ItemBank]:
    """Answers, the group of each person, and the items."""
    first = simulate(persons, items, model=model, seed=seed)
    second = simulate(persons, items, mean=mean, deviation=deviation, seed=seed + 100, of=first)
    answers = np.vstack((first.answers, second.answers))
    return answers, np.repeat(["a", "b"], persons), irt.ItemBank.of(range(items), *first[1:])


@pytest.mark.parametrize("model", ["1PL", "2PL", "3PL"])
def test_the_distribution_of_another_group_is_recovered(model: Model) -> None:
    answers, groups, bank = two_groups(3000, 20, mean=0.8, deviation=1.4, model=model)

    found = irt.calibrate(irt.Responses.from_dense(answers), model=model, groups=groups)

    first, second = found.populations
    assert found.converged
    assert (first.label, first.persons, second.label, second.persons) == ("a", 3000, "b", 3000)
    assert (first.mean, first.deviation, first.mean_error, first.deviation_error) == (0, 1, 0, 0)
    assert abs(second.mean - 0.8) < 3 * second.mean_error
    assert abs(second.deviation - 1.4) < 3 * second.deviation_error
    assert np.abs(found.intercept - bank.intercept).mean() < (0.3 if model == "3PL" else 0.05)


def test_the_rasch_model_estimates_every_groups_spread() -> None:
    answers, groups, _ = two_groups(2000, 15, mean=-0.5, deviation=0.7, model="1PL")

    first, second = irt.calibrate(
        irt.Responses.from_dense(answers), model="Rasch", groups=groups
    ).populations

    assert first.mean == 0
    assert abs(first.deviation - 1) < 3 * first.deviation_error
    assert abs(second.mean + 0.5) < 3 * second.mean_error
    assert abs(second.deviation - 0.7) < 3 * second.deviation_error


def test_the_maximum_is_that_of_a_direct_search() -> None:
    answers, groups, _ = two_groups(150, 4, mean=0.5, deviation=1.2, seed=3)

    def loss(point: np.ndarray) -> float:
        bank = irt.ItemBank.of(range(4), point[:4], point[4:8])
        first, second = answers[groups == "a"], answers[groups == "b"]
        fit = log_likelihood(first, bank, nodes=81)
        fit += log_likelihood(second, bank, mean=point[8], deviation=point[9], nodes=81)
        belief = -(((point[:4] - 1) / 0.5) ** 2).sum() / 2 - ((point[4:8] / 2) ** 2).sum() / 2
        return -fit - float(belief)

    found = irt.calibrate(irt.Responses.from_dense(answers), groups=groups, tolerance=1e-7)

    second = found.populations[1]
    top = np.concatenate((found.discrimination, found.intercept, [second.mean, second.deviation]))
    direct = optimize.minimize(loss, top + 0.05, method="L-BFGS-B", options={"ftol": 1e-13})
    assert loss(top) == pytest.approx(-found.log_posterior, abs=1e-6)
    assert top == pytest.approx(direct.x, abs=2e-3)


def test_groups_that_are_alike_change_nothing() -> None:
    answers = simulate(3000, 12).answers
    responses = irt.Responses.from_dense(answers)
    groups = np.arange(3000) % 3

    one = irt.calibrate(responses)
    three = irt.calibrate(responses, groups=groups)

    assert three.log_likelihood == pytest.approx(one.log_likelihood, abs=6)
    assert three.log_likelihood >= one.log_likelihood - 1e-3
    assert three.discrimination == pytest.approx(one.discrimination, abs=0.1)
    for population in three.populations:
        assert abs(population.mean) <= 3.5 * population.mean_error
        assert abs(population.deviation - 1) <= 3.5 * population.deviation_error


def test_one_group_is_no_groups() -> None:
    responses = irt.Responses.from_dense(simulate(300, 8).answers)

    without = irt.calibrate(responses)
    one = irt.calibrate(responses, groups=np.full(300, "all"))

    assert np.array_equal(one.discrimination, without.discrimination)
    assert one.populations[0].label == "all"


def test_counts_of_groups_at_common_abilities_add_up() -> None:
    answers, groups, _ = two_groups(500, 10, mean=1.0, deviation=1.5)
    responses = irt.Responses.from_dense(answers)

    found = irt.calibrate(responses, groups=groups)

    assert found.expected_answers.sum(axis=1) == pytest.approx(responses.answers_per_item())
    assert found.expected_right.sum(axis=1) == pytest.approx(responses.right_per_item())
    observed = irt.observed_curves(found)
    modelled = irt.characteristic_curves(found, found.nodes)
    assert np.abs(observed - modelled)[found.expected_answers > 60].max() < 0.12


def test_near_standard_errors_are_near_the_joint_ones() -> None:
    answers, groups, _ = two_groups(1000, 25, mean=0.5, deviation=1.2)
    responses = irt.Responses.from_dense(answers)

    near = irt.calibrate(responses, groups=groups, standard_errors="near")
    joint = irt.calibrate(responses, groups=groups, standard_errors="joint")

    assert near.discrimination_error == pytest.approx(joint.discrimination_error, rel=0.03)
    assert near.intercept_error == pytest.approx(joint.intercept_error, rel=0.03)
    for left, right in zip(near.populations, joint.populations, strict=True):
        assert left.mean_error == pytest.approx(right.mean_error, rel=0.03)
        assert left.deviation_error == pytest.approx(right.deviation_error, rel=0.03)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        (["a", "b"], "label for each of the 200 persons"),
        ([None, *["a"] * 199], "person 0 has no group"),
        ([float("nan")] + [1.0] * 199, "person 0 has no group"),
    ],
)
def test_groups_without_a_label_for_each_person_are_refused(
    groups: list[object], sentence: str
) -> None:
    responses = irt.Responses.from_dense(simulate(200, 5).answers)

    with pytest.raises(ValueError, match=sentence):
        irt.calibrate(responses, groups=groups)


def test_a_group_that_nothing_places_is_refused_by_name() -> None:
    answers = simulate(200, 10).answers
    groups = np.repeat(["a", "b"], 100)

    alone, right, apart = groups.copy(), answers.copy(), answers.copy()
    alone[1:] = "b"
    right[100:] = 1
    apart[:100, 5:], apart[100:, :5] = np.nan, np.nan

    for given, labels, sentence in (
        (answers, alone, "group a has 1 persons"),
        (right, groups, "all 1000 answers of group b are right"),
        (apart, groups, "group b shares no item with group a"),
    ):
        with pytest.raises(irt.TooFewResponses, match=sentence):
            irt.calibrate(irt.Responses.from_dense(given), groups=labels)
