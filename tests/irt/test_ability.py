"""Abilities: published values, plain searches, and the limits of each estimate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from etl_jobs import irt

# R mirt's tests (test-01-mirtOne.R): LSAT7's 2PL and the six lowest of its sorted patterns.
LSAT7_SLOPE = [0.987546, 1.080837, 1.707478, 0.764990, 0.735673]
LSAT7_INTERCEPT = [1.855857, 0.807972, 1.805207, 0.486002, 1.854456]
LOWEST = [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1], [0, 0, 1, 0, 0]]
LOWEST.append([0, 0, 1, 0, 1])


def bank(items: int, model: str, seed: int = 3) -> irt.ItemBank:
    draw = np.random.default_rng(seed)
    lower = draw.uniform(0.05, 0.3, items) if model in ("3PL", "4PL") else 0.0
    upper = draw.uniform(0.85, 0.99, items) if model == "4PL" else 1.0
    slope = 1.0 if model == "1PL" else draw.lognormal(0, 0.3, items)
    return irt.ItemBank.of(np.arange(items), slope, draw.normal(0, 1, items), lower, upper)


def simulate(
    items: irt.ItemBank, ability: np.ndarray, answered: float, seed: int = 5
) -> np.ndarray:
    draw = np.random.default_rng(seed)
    right = irt.probability(
        ability, items.discrimination, items.intercept, items.lower, items.upper
    ).T
    answers = (draw.random(right.shape) < right).astype(float)
    answers[draw.random(right.shape) >= answered] = np.nan
    return answers


def log_likelihood(items: irt.ItemBank, answers: np.ndarray, ability: np.ndarray) -> np.ndarray:
    """Of one person's answers, as plainly as possible, at each of some abilities."""
    curve = special.expit(np.multiply.outer(ability, items.discrimination) + items.intercept)
    right = items.lower + (items.upper - items.lower) * curve
    each = np.where(answers == 1, np.log(right), np.log1p(-right))
    return np.where(np.isnan(answers), 0.0, each).sum(axis=-1)


def test_lsat7_abilities_are_the_published_ones() -> None:
    items = irt.ItemBank.of(range(5), LSAT7_SLOPE, LSAT7_INTERCEPT)
    lowest = irt.Responses.from_dense(LOWEST)
    expected = [-1.8665957, -1.5266920, -1.5134024, -1.1852276, -1.0946830, -0.7666992]
    highest = [-1.8165552, -1.4946906, -1.4822982, -1.1789899, -1.0958928, -0.7951026]

    eap = irt.estimate_abilities(items, lowest)
    map_ = irt.estimate_abilities(items, lowest, method="MAP")

    # Their own tolerance; the all-wrong row is also the sum score 0 of their EAPsum.
    assert eap.ability == pytest.approx(expected, abs=1e-2)
    assert (eap.ability[0], eap.standard_error[0]) == pytest.approx((-1.86979, 0.692703), abs=1e-4)
    assert map_.ability == pytest.approx(highest, abs=1e-3)


def test_lsat7_maximum_likelihood_under_equal_slopes_is_the_published_one() -> None:
    # R mirt's tests: the 1PL's discrimination and intercepts, and fscores(method = 'ML').
    items = irt.ItemBank.of(range(5), 1.011, [1.868, 0.791, 1.461, 0.521, 1.993])
    rows = irt.Responses.from_dense([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 1, 0, 0]])

    found = irt.estimate_abilities(items, rows, method="ML")

    assert found.ability == pytest.approx([-2.783489, -1.750890, -2.783489], abs=1e-2)


@pytest.mark.parametrize("model", ["1PL", "2PL", "3PL", "4PL"])
@pytest.mark.parametrize("answered", [1.0, 0.3], ids=["dense", "sparse"])
def test_ml_and_map_are_the_highest_points_a_plain_search_finds(
    model: str, answered: float
) -> None:
    items = bank(20, model)
    ability = np.random.default_rng(1).standard_normal(60)
    answers = simulate(items, ability, answered)
    responses = irt.Responses.from_dense(answers)
    grid = np.linspace(-8, 8, 4001)

    ml = irt.estimate_abilities(items, responses, method="ML")
    map_ = irt.estimate_abilities(items, responses, method="MAP")

    for person, row in enumerate(answers):
        for found, prior in ((ml, 0.0), (map_, 1.0)):
            height = log_likelihood(items, row, grid) - prior * grid**2 / 2
            # As high as the best of a fine grid, whichever of two equal modes it is.
            here = found.ability[[person]]
            reached = log_likelihood(items, row, here) - prior * here**2 / 2
            assert reached[0] >= height.max() - 1e-9
            if np.isfinite(found.standard_error[person]):
                assert abs(here[0]) < 8
            else:
                assert abs(here[0]) == 8


def test_wle_solves_warms_equation() -> None:
    items = bank(15, "3PL")
    answers = simulate(items, np.linspace(-2, 2, 40), 0.8)

    found = irt.estimate_abilities(items, irt.Responses.from_dense(answers), method="WLE")

    for row, ability in zip(answers, found.ability, strict=True):
        step = 1e-5
        around = ability + step * np.array([-1, 0, 1])
        seen = ~np.isnan(row)
        low, here, high = irt.probability(
            around, items.discrimination, items.intercept, items.lower, items.upper
        ).T[:, seen]
        first, second = (high - low) / (2 * step), (high - 2 * here + low) / step**2
        spread = here * (1 - here)
        slope = ((row[seen] - here) * first / spread).sum()
        pull = (first * second / spread).sum() / (2 * (first**2 / spread).sum())
        assert slope + pull == pytest.approx(0, abs=1e-3)


def test_wle_takes_away_the_bias_of_maximum_likelihood() -> None:
    items = bank(15, "2PL")
    truth = np.repeat([-1.0, 1.0], 4000)
    responses = irt.Responses.from_dense(simulate(items, truth, 1.0))

    wle = irt.estimate_abilities(items, responses, method="WLE")
    ml = irt.estimate_abilities(items, responses, method="ML")

    sure = np.isfinite(ml.standard_error)
    outward = np.sign(truth)
    assert np.mean((ml.ability - truth)[sure] * outward[sure]) > 0.05
    assert abs(np.mean((wle.ability - truth) * outward)) < 0.04
    error = wle.ability - truth
    assert np.sqrt(np.mean(error**2)) == pytest.approx(np.mean(wle.standard_error), rel=0.1)


def test_an_infinite_estimate_is_the_bound_without_a_standard_error() -> None:
    items = bank(10, "2PL")
    extreme = irt.Responses.from_dense([np.ones(10), np.zeros(10), np.full(10, np.nan)])

    ml = irt.estimate_abilities(items, extreme, method="ML", bound=6.0)
    wle = irt.estimate_abilities(items, extreme, method="WLE")
    eap = irt.estimate_abilities(items, extreme)
    map_ = irt.estimate_abilities(items, extreme, method="MAP")

    assert list(ml.ability[:2]) == [6.0, -6.0]
    assert np.isnan(ml.standard_error).all()
    assert np.isnan(ml.ability[2])
    assert np.isnan(wle.ability[2])
    assert np.isfinite(wle.ability[:2]).all()
    assert np.isfinite(wle.standard_error[:2]).all()
    for found in (eap, map_):
        assert (found.ability[2], found.standard_error[2]) == (
            pytest.approx(0, abs=1e-9),
            pytest.approx(1),
        )
        assert np.isfinite(found.standard_error).all()


@pytest.mark.parametrize("method", ["EAP", "MAP", "ML", "WLE"])
def test_nobody_has_no_abilities(method: irt.AbilityMethod) -> None:
    nobody = irt.Responses.from_long([], [], [])

    found = irt.estimate_abilities(bank(3, "2PL"), nobody, method=method)

    assert found.ability.shape == found.standard_error.shape == (0,)
    assert irt.log_likelihood(bank(3, "2PL"), nobody) == 0
    assert irt.predict_all(bank(3, "2PL"), nobody).shape == (0, 3)


def test_answers_that_say_nothing_of_ability_are_like_none() -> None:
    items = irt.ItemBank.of(["flat", "slope"], [0.0, 1.0], [0.5, 0.0])
    responses = irt.Responses.from_dense([[1, np.nan], [0, np.nan]], items=["flat", "slope"])

    wle = irt.estimate_abilities(items, responses, method="WLE")
    map_ = irt.estimate_abilities(items, responses, method="MAP")

    assert np.isnan(wle.ability).all()
    assert np.isnan(wle.standard_error).all()
    assert map_.ability == pytest.approx([0, 0], abs=1e-9)
    assert map_.standard_error == pytest.approx([1, 1])


def test_what_is_believed_of_persons_moves_and_narrows_the_estimates() -> None:
    items = bank(12, "3PL")
    responses = irt.Responses.from_dense(simulate(items, np.linspace(-2, 2, 30), 0.7))
    nobody = irt.Responses.from_dense(np.full((1, 12), np.nan))
    able = irt.Normal(1.5, 0.5)

    grid = np.linspace(-4, 7, 3001)
    rows = simulate(items, np.linspace(-2, 2, 30), 0.7)
    joint = np.array([log_likelihood(items, row, grid) for row in rows])
    joint -= ((grid - 1.5) / 0.5) ** 2 / 2
    weight = special.softmax(joint, axis=1)

    eap = irt.estimate_abilities(items, responses, persons=able)
    map_ = irt.estimate_abilities(items, responses, method="MAP", persons=able)
    unknown = irt.estimate_abilities(items, nobody, persons=able)

    mean = weight @ grid
    assert eap.ability == pytest.approx(mean, abs=1e-8)
    assert eap.standard_error == pytest.approx(np.sqrt(weight @ grid**2 - mean**2), abs=1e-7)
    assert map_.ability == pytest.approx(grid[joint.argmax(axis=1)], abs=4e-3)
    assert (unknown.ability[0], unknown.standard_error[0]) == (
        pytest.approx(1.5),
        pytest.approx(0.5),
    )


def test_persons_of_several_groups_are_scored_as_their_own_group() -> None:
    items = bank(15, "2PL")
    truth = np.random.default_rng(6).standard_normal(1200)
    group = np.arange(1200) % 2
    truth = np.where(group == 1, 0.8 + 0.6 * truth, truth)
    answers = simulate(items, truth, 1.0)
    both = irt.Responses.from_dense(answers)
    others = irt.Responses.from_dense(answers[group == 1])
    calibration = irt.calibrate(both, groups=group)

    second = calibration.populations[1]
    abilities = irt.estimate_abilities(calibration, others, persons=second)

    assert np.mean(abilities.ability) == pytest.approx(second.mean, abs=0.01)
    for score in (irt.estimate_abilities, irt.log_likelihood):
        with pytest.raises(ValueError, match=r"several groups of persons \(0, 1\)"):
            score(calibration, others)
    assert irt.estimate_abilities(calibration, others, method="WLE").ability.shape == (600,)
    expected = irt.log_likelihood(calibration, others, persons=second)
    reference = irt.Responses.from_dense(answers[group == 0])
    expected += irt.log_likelihood(calibration, reference, persons=calibration.populations[0])
    assert expected == pytest.approx(calibration.log_likelihood, abs=1e-6)


def test_reliability_is_the_squared_correlation_with_the_truth() -> None:
    items = bank(25, "2PL")
    truth = np.random.default_rng(8).standard_normal(6000)
    responses = irt.Responses.from_dense(simulate(items, truth, 1.0))

    eap = irt.estimate_abilities(items, responses)
    wle = irt.estimate_abilities(items, responses, method="WLE")

    assert eap.reliability == pytest.approx(np.corrcoef(eap.ability, truth)[0, 1] ** 2, abs=0.01)
    assert wle.reliability == pytest.approx(np.corrcoef(wle.ability, truth)[0, 1] ** 2, abs=0.03)
    nobody = irt.Responses.from_dense(np.full((3, 25), np.nan))
    assert np.isnan(irt.estimate_abilities(items, nobody).reliability)


@given(seed=st.integers(0, 2**32 - 1), method=st.sampled_from(["EAP", "MAP", "ML", "WLE"]))
@settings(max_examples=30, deadline=None)
def test_mirrored_items_and_answers_mirror_the_ability(seed: int, method: str) -> None:
    items = bank(8, "4PL", seed % 1000)
    answers = simulate(items, np.linspace(-1, 1, 6), 0.8, seed)
    mirror = irt.ItemBank.of(
        items.items, items.discrimination, -items.intercept, 1 - items.upper, 1 - items.lower
    )

    upright = irt.estimate_abilities(items, irt.Responses.from_dense(answers), method=method)
    mirrored = irt.estimate_abilities(mirror, irt.Responses.from_dense(1 - answers), method=method)

    assert mirrored.ability == pytest.approx(-upright.ability, abs=1e-8, nan_ok=True)
    assert mirrored.standard_error == pytest.approx(upright.standard_error, abs=1e-8, nan_ok=True)


def test_a_steep_bank_is_integrated_finely_enough() -> None:
    items = irt.ItemBank.of(range(60), 4.0, np.linspace(-6, 6, 60))
    answers = simulate(items, np.linspace(-1.5, 1.5, 25), 1.0)
    grid = np.linspace(-4, 4, 20_001)

    found = irt.estimate_abilities(items, irt.Responses.from_dense(answers))

    for row, ability, error in zip(answers, found.ability, found.standard_error, strict=True):
        weight = special.softmax(log_likelihood(items, row, grid) - grid**2 / 2)
        mean = weight @ grid
        assert ability == pytest.approx(mean, abs=1e-9)
        assert error == pytest.approx(np.sqrt(weight @ (grid - mean) ** 2), abs=1e-9)


def test_a_method_or_bound_that_is_none_is_refused() -> None:
    items = bank(3, "2PL")
    responses = irt.Responses.from_dense([[1, 0, 1]])

    with pytest.raises(ValueError, match="EAP, MAP, ML, WLE"):
        irt.estimate_abilities(items, responses, method="MLE")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bound is 0"):
        irt.estimate_abilities(items, responses, method="ML", bound=0)


def test_ml_of_a_single_answer_pair_is_found_exactly() -> None:
    items = irt.ItemBank.of(["x", "y"], [1.3, 0.7], [0.4, -0.2])
    responses = irt.Responses.from_dense([[1, 0]], items=["x", "y"])

    found = irt.estimate_abilities(items, responses, method="ML").ability[0]

    plain = optimize.minimize_scalar(
        lambda ability: -log_likelihood(items, np.array([1.0, 0.0]), np.array([ability]))[0],
        bounds=(-8, 8),
        method="bounded",
        options={"xatol": 1e-9},
    ).x
    assert found == pytest.approx(plain, abs=1e-6)
