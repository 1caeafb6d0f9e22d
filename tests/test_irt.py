"""Item response theory: published values, an independent fit, symmetries and limits."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import optimize, special

from etl_jobs import irt
from etl_jobs.irt.estimation.ascent import Slope, climb

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT / "../shared/data/irt"

# R mirt 1.47, TOL 1e-8: (discrimination, difficulty), and the log-likelihood.
REFERENCE_2PL = {
    6: (
        [0.825659, 0.722744, 0.890875, 0.688368, 0.656856],
        [-3.358811, -1.370058, -0.279666, -1.866381, -3.125907],
        -2466.653377,
    ),
    7: (
        [0.987546, 1.080837, 1.707478, 0.764990, 0.735673],
        [-1.879260, -0.747541, -1.057236, -0.635302, -2.520764],
        -2658.805114,
    ),
}


def lsat(section: int) -> irt.Responses:
    """1,000 persons x 5 items (Bock & Lieberman 1970), from the table of pattern counts."""
    table = np.loadtxt(
        ROOT / f"examples/lsat{section}_patterns.csv", delimiter=",", skiprows=1, dtype=int
    )
    return irt.Responses.from_dense(np.repeat(table[:, :5], table[:, 5], axis=0))


def simulate(
    persons: int, items: int, *, answered: float = 1.0, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers (persons, items) with NaN where there is none, discrimination, intercept."""
    draw = np.random.default_rng(seed)
    discrimination = draw.lognormal(0.0, 0.3, items)
    intercept = draw.normal(0.0, 1.0, items)
    log_odds = draw.standard_normal((persons, 1)) * discrimination + intercept
    answers = (draw.random((persons, items)) < special.expit(log_odds)).astype(float)
    answers[draw.random((persons, items)) >= answered] = np.nan
    return answers, discrimination, intercept


def marginal_log_likelihood(
    answers: np.ndarray, discrimination: np.ndarray, intercept: np.ndarray, nodes: int = 201
) -> float:
    """The same quantity written down as plainly as possible, on a grid of its own."""
    ability = np.linspace(-8, 8, nodes)
    weight = np.exp(-(ability**2) / 2)
    weight /= weight.sum()
    log_odds = ability[:, np.newaxis, np.newaxis] * discrimination + intercept
    signed = np.where(answers == 1, log_odds, -log_odds)
    each = np.where(np.isnan(answers), 0.0, special.log_expit(signed))
    joint = each.sum(axis=2) + np.log(weight)[:, np.newaxis]
    return float(special.logsumexp(joint, axis=0).sum())


def log_prior(priors: irt.Priors, discrimination: np.ndarray, intercept: np.ndarray) -> float:
    total = 0.0
    slope = priors.discrimination
    if isinstance(slope, irt.Normal):
        total -= (((discrimination - slope.mean) / slope.deviation) ** 2).sum() / 2
    if isinstance(slope, irt.LogNormal):
        log = np.log(discrimination)
        total -= (log + ((log - slope.mean) / slope.deviation) ** 2 / 2).sum()
    if priors.intercept is not None:
        total -= (((intercept - priors.intercept.mean) / priors.intercept.deviation) ** 2).sum() / 2
    return total


# --- published values ---------------------------------------------------------------------


@pytest.mark.parametrize("section", [6, 7])
def test_lsat_without_priors_gives_the_published_parameters(section: int) -> None:
    discrimination, difficulty, log_likelihood = REFERENCE_2PL[section]

    calibration = irt.calibrate(lsat(section), priors=None)

    assert calibration.converged
    assert calibration.discrimination == pytest.approx(discrimination, abs=1e-4)
    assert calibration.difficulty == pytest.approx(difficulty, abs=1e-4)
    assert calibration.log_likelihood == pytest.approx(log_likelihood, abs=1e-4)
    assert calibration.log_posterior == calibration.log_likelihood


@pytest.mark.parametrize("section", [6, 7])
def test_lsat_matches_the_tight_reference_tables(section: int) -> None:
    table = REAL_DATA / f"ref_Rmirt147_LSAT{section}_2PL.csv"
    if not table.exists():
        pytest.skip(f"{table.name} is not here; put it into shared/data/irt beside the checkout")
    reference = np.loadtxt(table, delimiter=",", skiprows=1, usecols=(1, 2))

    calibration = irt.calibrate(lsat(section), priors=None, tolerance=1e-8)

    assert calibration.discrimination == pytest.approx(reference[:, 0], abs=1e-5)
    assert calibration.difficulty == pytest.approx(reference[:, 1], abs=1e-5)


def test_lsat_standard_errors_are_the_published_ones() -> None:
    # Rizopoulos (2006), Journal of Statistical Software 17(5): R's ltm on LSAT6.
    difficulty_errors = [0.8669, 0.3073, 0.0997, 0.4341, 0.8700]
    discrimination_errors = [0.2581, 0.1867, 0.2326, 0.1852, 0.2100]

    calibration = irt.calibrate(lsat(6), priors=None)

    assert calibration.information == "joint"
    assert calibration.difficulty_error == pytest.approx(difficulty_errors, rel=2e-3)
    assert calibration.discrimination_error == pytest.approx(discrimination_errors, rel=2e-3)


# --- an independent fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    "priors",
    [
        irt.DEFAULT_PRIORS,
        irt.Priors(irt.LogNormal(0.0, 0.4), irt.Normal(0.5, 1.5)),
        irt.Priors(irt.Normal(1.0, 0.3), None),
    ],
    ids=["normal", "log-normal", "discrimination only"],
)
def test_the_maximum_and_its_curvature_are_those_of_a_direct_search(priors: irt.Priors) -> None:
    answers, _, _ = simulate(150, 6, answered=0.8)

    def loss(point: np.ndarray) -> float:
        slope, intercept = point[:6], point[6:]
        if isinstance(priors.discrimination, irt.LogNormal) and slope.min() <= 0:
            return np.inf
        fit = marginal_log_likelihood(answers, slope, intercept)
        return -fit - log_prior(priors, slope, intercept)

    start = np.concatenate((np.ones(6), np.zeros(6)))
    direct = optimize.minimize(loss, start, method="L-BFGS-B", options={"ftol": 1e-14}).x

    found = irt.calibrate(irt.Responses.from_dense(answers), priors=priors, tolerance=1e-8)

    top = np.concatenate((found.discrimination, found.intercept))
    assert top == pytest.approx(direct, abs=2e-4)
    assert -loss(top) == pytest.approx(found.log_posterior, abs=1e-8)
    covariance = np.linalg.inv(second_differences(loss, top))
    assert found.discrimination_error**2 == pytest.approx(np.diag(covariance)[:6], rel=1e-3)
    assert found.intercept_error**2 == pytest.approx(np.diag(covariance)[6:], rel=1e-3)


def second_differences(function: Callable[[np.ndarray], float], point: np.ndarray) -> np.ndarray:
    size, step = len(point), 1e-3
    moves = step * np.eye(size)
    hessian = np.empty((size, size))
    for row in range(size):
        for column in range(row + 1):
            corners = [
                function(point + left * moves[row] + right * moves[column]) * left * right
                for left in (1, -1)
                for right in (1, -1)
            ]
            hessian[row, column] = hessian[column, row] = sum(corners) / (4 * step**2)
    return hessian


@pytest.mark.parametrize("answered", [1.0, 0.2])
def test_standard_errors_of_large_banks_are_near_the_joint_ones(answered: float) -> None:
    answers, _, _ = simulate(1500, 40, answered=answered)
    responses = irt.Responses.from_dense(answers)

    near = irt.calibrate(responses, standard_errors="near")
    joint = irt.calibrate(responses, standard_errors="joint")

    assert (near.information, joint.information) == ("near", "joint")
    assert near.discrimination_error == pytest.approx(joint.discrimination_error, rel=0.03)
    assert near.intercept_error == pytest.approx(joint.intercept_error, rel=0.03)
    assert near.difficulty_error == pytest.approx(joint.difficulty_error, rel=0.04)


def test_a_test_of_400_items_is_integrated_finely_enough() -> None:
    # A fixed grid of 21 or 61 nodes is off by whole units here, and says nothing.
    answers, _, _ = simulate(120, 400)

    calibration = irt.calibrate(irt.Responses.from_dense(answers))

    exact = marginal_log_likelihood(
        answers, calibration.discrimination, calibration.intercept, nodes=801
    )
    assert calibration.log_likelihood == pytest.approx(exact, abs=1e-5)


def test_twice_the_nodes_move_no_parameter() -> None:
    responses = irt.Responses.from_dense(simulate(600, 60)[0])

    usual = irt.calibrate(responses)
    twice = irt.calibrate(responses, nodes=2 * len(usual.nodes) - 1)

    assert len(twice.nodes) == 2 * len(usual.nodes) - 1
    assert twice.discrimination == pytest.approx(usual.discrimination, abs=1e-4)
    assert twice.intercept == pytest.approx(usual.intercept, abs=1e-4)


def test_a_grid_that_is_too_coarse_is_refined_until_it_is_not() -> None:
    responses = irt.Responses.from_dense(simulate(200, 60)[0])

    calibration = irt.calibrate(responses, nodes=9)

    assert len(calibration.nodes) > 9
    usual = irt.calibrate(responses)
    assert calibration.discrimination == pytest.approx(usual.discrimination, abs=2e-4)


# --- recovery -----------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [1.0, 0.15], ids=["whole test", "sparse"])
def test_simulated_parameters_are_recovered_within_their_standard_errors(answered: float) -> None:
    answers, discrimination, intercept = simulate(4000, 60, answered=answered, seed=3)

    calibration = irt.calibrate(irt.Responses.from_dense(answers), priors=None)

    slope_surprise = (
        calibration.discrimination - discrimination
    ) / calibration.discrimination_error
    level_surprise = (calibration.intercept - intercept) / calibration.intercept_error
    for surprise in (slope_surprise, level_surprise):
        assert np.abs(surprise).max() < 4.5
        assert 0.7 < np.sqrt(np.mean(surprise**2)) < 1.4


# --- symmetries ---------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [1.0, 0.6, 0.1], ids=["dense", "gaps", "sparse"])
def test_the_order_of_rows_changes_no_bit(answered: float) -> None:
    answers, _, _ = simulate(300, 30, answered=answered)
    person, item = np.nonzero(~np.isnan(answers))
    correct = answers[person, item]
    shuffle = np.random.default_rng(5).permutation(len(person))

    sorted_ = irt.calibrate(irt.Responses.from_long(person, item, correct))
    shuffled = irt.calibrate(
        irt.Responses.from_long(person[shuffle], item[shuffle], correct[shuffle])
    )

    assert np.array_equal(sorted_.discrimination, shuffled.discrimination)
    assert np.array_equal(sorted_.intercept, shuffled.intercept)
    assert np.array_equal(sorted_.covariance, shuffled.covariance)
    assert sorted_.log_likelihood == shuffled.log_likelihood


def test_other_names_for_persons_change_no_bit() -> None:
    answers, _, _ = simulate(300, 20, answered=0.3)
    person, item = np.nonzero(~np.isnan(answers))
    correct = answers[person, item]
    names = np.random.default_rng(5).permutation([f"person {row}" for row in range(300)])

    numbered = irt.calibrate(irt.Responses.from_long(person, item, correct))
    named = irt.calibrate(irt.Responses.from_long(names[person], item, correct))

    assert np.array_equal(numbered.discrimination, named.discrimination)
    assert np.array_equal(numbered.intercept, named.intercept)


def test_patterns_that_share_a_hash_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, _, _ = simulate(200, 8, answered=0.5)
    responses = irt.Responses.from_dense(answers)
    distinct = irt.calibrate(responses)

    # No two patterns are known to share one, so here all do.
    monkeypatch.setattr(
        "etl_jobs.irt.answers.patterns._digests",
        lambda responses: np.zeros(len(responses.persons), np.uint64),
    )
    colliding = irt.calibrate(responses)

    assert colliding.log_likelihood == pytest.approx(distinct.log_likelihood, abs=1e-6)
    assert colliding.intercept == pytest.approx(distinct.intercept, abs=2e-5)


def test_items_are_labelled_whatever_their_order() -> None:
    answers, _, _ = simulate(400, 8)
    order = np.random.default_rng(2).permutation(8)
    names = np.array([f"q{column}" for column in range(8)])

    straight = irt.calibrate(irt.Responses.from_dense(answers, items=names))
    permuted = irt.calibrate(irt.Responses.from_dense(answers[:, order], items=names[order]))

    assert list(permuted.items) == list(names[order])
    assert permuted.discrimination == pytest.approx(straight.discrimination[order], abs=2e-5)
    assert permuted.intercept == pytest.approx(straight.intercept[order], abs=2e-5)


def test_swapping_right_and_wrong_mirrors_difficulty() -> None:
    answers, _, _ = simulate(500, 12, answered=0.7)

    upright = irt.calibrate(irt.Responses.from_dense(answers))
    mirrored = irt.calibrate(irt.Responses.from_dense(1 - answers))

    assert mirrored.discrimination == pytest.approx(upright.discrimination, abs=2e-5)
    assert mirrored.difficulty == pytest.approx(-upright.difficulty, abs=1e-4)
    assert mirrored.difficulty_error == pytest.approx(upright.difficulty_error, rel=1e-3)


def test_an_item_nobody_answered_changes_no_other() -> None:
    answers, _, _ = simulate(300, 10)
    wider = np.column_stack((answers, np.full(300, np.nan)))

    before = irt.calibrate(irt.Responses.from_dense(answers))
    after = irt.calibrate(irt.Responses.from_dense(wider))

    assert after.discrimination[:10] == pytest.approx(before.discrimination, abs=2e-5)
    assert after.intercept[:10] == pytest.approx(before.intercept, abs=2e-5)
    # What was believed of it is all that is known of it.
    assert (after.discrimination[10], after.intercept[10]) == pytest.approx((1.0, 0.0), abs=1e-5)
    assert np.sqrt(np.diag(after.covariance[10])) == pytest.approx([0.5, 2.0], rel=1e-4)
    assert after.flags[10] == ("no_answers",)


def test_persons_without_answers_change_nothing() -> None:
    answers, _, _ = simulate(200, 10)
    longer = np.vstack((answers, np.full((40, 10), np.nan)))

    before = irt.calibrate(irt.Responses.from_dense(answers))
    after = irt.calibrate(irt.Responses.from_dense(longer))

    assert after.persons == before.persons == 200
    assert after.log_likelihood == pytest.approx(before.log_likelihood, abs=1e-6)
    assert after.discrimination == pytest.approx(before.discrimination, abs=2e-5)


def test_every_person_twice_is_the_same_maximum_with_smaller_errors() -> None:
    answers, _, _ = simulate(400, 8)

    once = irt.calibrate(irt.Responses.from_dense(answers), priors=None)
    twice = irt.calibrate(irt.Responses.from_dense(np.vstack((answers, answers))), priors=None)

    assert twice.discrimination == pytest.approx(once.discrimination, abs=1e-4)
    assert twice.intercept == pytest.approx(once.intercept, abs=1e-4)
    assert twice.log_likelihood == pytest.approx(2 * once.log_likelihood, rel=1e-9)
    assert twice.discrimination_error * np.sqrt(2) == pytest.approx(
        once.discrimination_error, rel=1e-3
    )


def test_expected_counts_at_the_nodes_add_up_to_the_answers() -> None:
    responses = irt.Responses.from_dense(simulate(250, 12, answered=0.5)[0])

    calibration = irt.calibrate(responses)

    assert calibration.expected_answers.sum(axis=1) == pytest.approx(responses.answers_per_item())
    assert calibration.expected_right.sum(axis=1) == pytest.approx(responses.right_per_item())
    assert np.array_equal(calibration.answers, responses.answers_per_item())
    assert np.array_equal(calibration.right, responses.right_per_item())


# --- limits -------------------------------------------------------------------------------


def test_priors_keep_items_that_all_got_right_or_wrong_finite_and_flag_them() -> None:
    answers, _, _ = simulate(200, 10)
    answers[:, 0], answers[:, 1] = 1, 0
    answers[5:, 2] = np.nan

    calibration = irt.calibrate(irt.Responses.from_dense(answers))

    assert "all_right" in calibration.flags[0]
    assert "all_wrong" in calibration.flags[1]
    assert "too_few_answers" in calibration.flags[2]
    assert calibration.difficulty[0] < -2 < 2 < calibration.difficulty[1]
    assert np.all(np.isfinite(calibration.covariance))
    assert np.all(np.isfinite(calibration.difficulty_error))


def test_an_item_that_the_able_get_wrong_is_flagged() -> None:
    answers, _, _ = simulate(500, 12)
    answers[:, 3] = 1 - answers[:, 3]
    answers[:, 4] = np.random.default_rng(4).integers(0, 2, 500)

    calibration = irt.calibrate(irt.Responses.from_dense(answers))

    assert calibration.flags[3] == ("negative_discrimination",)
    assert set(calibration.flags[4]) & {"low_discrimination", "negative_discrimination"}
    assert calibration.flags[0] == ()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (np.full((3, 3), np.nan), "no answer"),
        ([[1, 0, 1]], "only 1 person"),
        ([[1], [0], [1]], "only 1 item"),
        (np.ones((4, 4)), "all 16 answers are right"),
        (np.zeros((4, 4)), "all 16 answers are wrong"),
    ],
)
def test_answers_that_determine_nothing_are_refused(answers: object, sentence: str) -> None:
    responses = irt.Responses.from_dense(answers)

    with pytest.raises(irt.TooFewResponses, match=sentence):
        irt.calibrate(responses)


def test_without_priors_items_answered_all_alike_are_named() -> None:
    answers, _, _ = simulate(100, 8)
    answers[:, 2], answers[:, 5], answers[:, 6] = 1, 0, np.nan
    responses = irt.Responses.from_dense(answers, items=list("abcdefgh"))

    with pytest.raises(irt.TooFewResponses, match="c, f, g"):
        irt.calibrate(responses, priors=None)


def test_two_items_need_a_prior_for_their_discriminations() -> None:
    responses = irt.Responses.from_dense([[1, 0], [0, 1], [1, 1], [0, 0], [1, 1]])

    with pytest.raises(irt.TooFewResponses, match="it takes 3"):
        irt.calibrate(responses, priors=None)
    assert irt.calibrate(responses).converged


def test_a_search_that_is_cut_short_says_so() -> None:
    responses = irt.Responses.from_dense(simulate(300, 10)[0])

    with pytest.raises(irt.NotConverged, match="not converged after"):
        irt.calibrate(responses, max_iterations=3)
    reached = irt.calibrate(responses, max_iterations=3, on_failure="return")

    assert not reached.converged
    assert reached.iterations <= 3
    assert reached.score > 0.01
    assert reached.log_posterior < irt.calibrate(responses).log_posterior


def test_an_item_without_a_maximum_is_named_rather_than_reported() -> None:
    # Items 0 and 1 always agree: the likelihood rises with their discrimination for ever.
    answers, _, _ = simulate(400, 4)
    answers[:, 1] = answers[:, 0]
    responses = irt.Responses.from_dense(answers, items=["twin", "twin too", "x", "y"])

    with pytest.raises(irt.NotConverged, match="twin"):
        irt.calibrate(responses, priors=None)
    assert irt.calibrate(responses).converged


def test_an_unknown_model_is_refused() -> None:
    responses = irt.Responses.from_dense([[1, 0], [0, 1]])

    with pytest.raises(ValueError, match="'5PL'"):
        irt.calibrate(responses, model="5PL")  # type: ignore[arg-type]


@pytest.mark.parametrize("grid", [{"nodes": 2}, {"nodes": 0}, {"span": 0.0}])
def test_a_grid_without_room_for_a_posterior_is_refused(grid: dict[str, float]) -> None:
    responses = irt.Responses.from_dense([[1, 0], [0, 1]])

    with pytest.raises(ValueError, match=r"nodes|span"):
        irt.calibrate(responses, **grid)  # type: ignore[arg-type]


@pytest.mark.parametrize("prior", [irt.Normal, irt.LogNormal])
@pytest.mark.parametrize("deviation", [0.0, -1.0, float("nan")])
def test_a_prior_needs_a_positive_deviation(prior: type, deviation: float) -> None:
    with pytest.raises(ValueError, match="deviation"):
        prior(0.0, deviation)


def test_a_calibration_and_its_errors_survive_pickling() -> None:
    calibration = irt.calibrate(lsat(6))

    copy = pickle.loads(pickle.dumps(calibration))
    error = pickle.loads(pickle.dumps(irt.NotConverged("why")))

    assert np.array_equal(copy.discrimination, calibration.discrimination)
    assert (type(error), str(error)) == (irt.NotConverged, "why")


# --- the search ---------------------------------------------------------------------------


@given(
    start=npst.arrays(float, (3, 2), elements=st.floats(-8, 8)),
    stiffness=st.floats(0.01, 100),
    guess=st.floats(0.1, 10),
)
@settings(max_examples=60, deadline=None)
def test_a_climb_never_ends_lower_and_finds_the_top(
    start: np.ndarray, stiffness: float, guess: float
) -> None:
    # A hill with long flat flanks, and a wrong idea of its curvature.
    heights = []

    def evaluate(point: np.ndarray) -> Slope:
        radius = np.sqrt(1 + stiffness * point**2)
        heights.append(-float(radius.sum()))
        information = np.tile(guess * stiffness * np.eye(2), (3, 1, 1))
        return Slope(heights[-1], -stiffness * point / radius, information, np.empty((0, 3, 2)))

    end = climb(evaluate, start, tolerance=1e-7, max_evaluations=2000)

    rounding = 1e-12 * abs(heights[0])
    assert end.slope.height >= heights[0] - rounding
    assert end.slope.height >= max(heights) - 1e-9
    assert np.abs(end.point).max() < 1e-4


# --- responses ----------------------------------------------------------------------------


@given(
    matrix=npst.arrays(
        float,
        npst.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.sampled_from([0.0, 1.0, np.nan]),
    ),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_long_rows_in_any_order_and_a_matrix_hold_the_same_answers(
    matrix: np.ndarray, seed: int
) -> None:
    rows, columns = matrix.shape
    cells = np.random.default_rng(seed).permutation(rows * columns)
    person, item = np.divmod(cells, columns)

    dense = irt.Responses.from_dense(matrix)
    long = irt.Responses.from_long(person, item, matrix[person, item])

    assert np.array_equal(long.persons, np.arange(rows))
    assert np.array_equal(long.start, dense.start)
    assert np.array_equal(long.item, dense.item)
    assert np.array_equal(long.correct, dense.correct)
    back = np.full(matrix.shape, np.nan)
    back[dense.person_of_answer(), dense.item] = dense.correct
    assert np.array_equal(back, matrix, equal_nan=True)


def test_labels_of_any_kind_are_sorted_and_kept() -> None:
    responses = irt.Responses.from_long(
        ["eve", "bo", "eve", "bo"], [70_000_000, 3, 3, -1], [True, None, False, True]
    )

    assert list(responses.persons) == ["bo", "eve"]
    assert list(responses.items) == [-1, 3, 70_000_000]
    assert responses.answers == 3
    assert list(responses.answers_per_person()) == [1, 2]
    assert list(responses.right_per_item()) == [1, 0, 1]


def test_codes_beside_labels_keep_persons_and_items_without_a_row() -> None:
    responses = irt.Responses.from_long(
        [2, 0], [1, 1], [1, 0], persons=["a", "b", "c"], items=["x", "y"]
    )

    assert list(responses.answers_per_person()) == [1, 0, 1]
    assert list(responses.answers_per_item()) == [0, 2]


@pytest.mark.parametrize("correct", [[1, 2], [1, -1], [1, 0.5], [1, "yes"], [1, np.inf]])
def test_anything_but_right_wrong_or_missing_is_refused(correct: list[object]) -> None:
    with pytest.raises(ValueError, match="1, 0 or missing"):
        irt.Responses.from_long([0, 1], [0, 0], np.array(correct, dtype=object))


@pytest.mark.parametrize("correct", [[1, 2], [1, -1], [1.0, 0.5]])
def test_a_number_that_is_neither_is_refused_with_its_row(correct: list[float]) -> None:
    with pytest.raises(ValueError, match="in row 1"):
        irt.Responses.from_long([0, 1], [0, 0], correct)


def test_a_second_answer_to_an_item_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="person ana answers item q1 more than once"):
        irt.Responses.from_long(["ana", "ben", "ana"], ["q1", "q1", "q1"], [1, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([0, 1], [0], [1, 1]), "differ in length"),
        (([0, None], [0, 0], [1, 1]), "person is missing"),
        (([0, 1], [0.0, np.nan], [1, 1]), "item is missing"),
        (([[0, 1]], [0, 1], [1, 1]), "shape"),
        (([0, 1], [0, 1], [[1, 1]]), "shape"),
    ],
)
def test_columns_that_make_no_sense_are_refused(
    arguments: tuple[object, object, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        irt.Responses.from_long(*arguments)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"persons": ["a"]}, "runs from 0 to 1, with 1 labels"),
        ({"persons": ["a", "a"]}, "not distinct"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        irt.Responses.from_long([0, 1], [0, 0], [1, 1], **labels)


# --- models and information ---------------------------------------------------------------


@given(
    ability=st.floats(-1e3, 1e3),
    discrimination=st.floats(-1e3, 1e3),
    intercept=st.floats(-1e3, 1e3),
)
@settings(max_examples=100, deadline=None)
def test_probabilities_never_overflow(
    ability: float, discrimination: float, intercept: float
) -> None:
    from etl_jobs.irt.model.models import item_tables

    with np.errstate(over="raise", invalid="raise", divide="raise"):
        tables = item_tables([ability], [discrimination], [intercept])

    log_odds = discrimination * ability + intercept
    assert tables.probability[0, 0] == pytest.approx(special.expit(log_odds), rel=1e-12)
    expected = [special.log_expit(-log_odds), special.log_expit(log_odds)]
    assert tables.log_outcome[0, :, 0] == pytest.approx(expected, rel=1e-12, abs=0)


def test_information_is_the_squared_slope_over_the_variance() -> None:
    calibration = irt.calibrate(lsat(7))
    ability = np.linspace(-4, 4, 17)

    information = irt.item_information(calibration, ability)

    right = irt.characteristic_curves(calibration, ability)
    ahead = irt.characteristic_curves(calibration, ability + 1e-5)
    behind = irt.characteristic_curves(calibration, ability - 1e-5)
    slope = (ahead - behind) / 2e-5
    assert information == pytest.approx(slope**2 / (right * (1 - right)), rel=1e-6)
    whole = irt.information_curve(calibration, ability)
    assert whole == pytest.approx(information.sum(axis=0))
    assert irt.measurement_error(calibration, ability) == pytest.approx(whole**-0.5)
    easy = np.array([True, True, False, False, False])
    assert irt.information_curve(calibration, ability, items=easy) == pytest.approx(
        information[:2].sum(axis=0)
    )


def test_half_the_answers_are_right_at_the_difficulty() -> None:
    calibration = irt.calibrate(lsat(7))

    at_difficulty = irt.characteristic_curves(calibration, calibration.difficulty)

    assert np.diag(at_difficulty) == pytest.approx(0.5)


def test_observed_proportions_follow_the_curves_where_persons_are() -> None:
    answers, _, _ = simulate(5000, 20)

    calibration = irt.calibrate(irt.Responses.from_dense(answers))

    observed = irt.observed_curves(calibration)
    modelled = irt.characteristic_curves(calibration, calibration.nodes)
    crowded = calibration.expected_answers > 200
    assert np.isnan(observed[:, 0]).all()
    assert np.abs(observed - modelled)[crowded].max() < 0.05


# --- persons ------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [1.0, 0.6, 0.1], ids=["dense", "gaps", "sparse"])
def test_abilities_and_likelihood_are_the_plain_integrals(answered: float) -> None:
    answers, _, _ = simulate(80, 25, answered=answered)
    responses = irt.Responses.from_dense(answers)
    calibration = irt.calibrate(responses)

    abilities = irt.estimate_abilities(calibration, responses)

    ability = np.linspace(-8, 8, 1001)
    log_odds = ability[:, np.newaxis, np.newaxis] * calibration.discrimination
    log_odds += calibration.intercept
    each = special.log_expit(np.where(answers == 1, log_odds, -log_odds))
    joint = np.where(np.isnan(answers), 0, each).sum(axis=2) - ability[:, np.newaxis] ** 2 / 2
    weight = special.softmax(joint, axis=0)
    mean = ability @ weight
    assert abilities.ability == pytest.approx(mean, abs=1e-8)
    assert abilities.standard_error == pytest.approx(
        np.sqrt(ability**2 @ weight - mean**2), abs=1e-8
    )
    assert irt.log_likelihood(calibration, responses) == pytest.approx(
        marginal_log_likelihood(answers, calibration.discrimination, calibration.intercept),
        abs=1e-8,
    )


def test_new_persons_are_placed_on_the_scale_of_known_items() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(simulate(500, 6)[0], items=list("abcdef")))
    person = ["all right"] * 6 + ["all wrong"] * 6 + ["one"]
    item = [*"fedcba", *"abcdef", "c"]
    new = irt.Responses.from_long(
        [["all right", "all wrong", "one", "none"].index(name) for name in person],
        ["zabcdef".index(name) for name in item],
        [1] * 6 + [0] * 6 + [1],
        persons=["all right", "all wrong", "one", "none"],
        items=list("zabcdef"),
    )

    abilities = irt.estimate_abilities(calibration, new)

    best, worst, one, none = abilities.ability
    assert worst < none < one < best
    assert np.all(np.isfinite(abilities.ability))
    assert (none, abilities.standard_error[3]) == (pytest.approx(0), pytest.approx(1))
    assert abilities.standard_error[2] < 1


def test_nobody_has_no_abilities() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(simulate(100, 4)[0]))

    abilities = irt.estimate_abilities(calibration, irt.Responses.from_long([], [], []))

    assert abilities.ability.shape == abilities.standard_error.shape == (0,)


def test_an_answer_to_an_unknown_item_is_refused_by_name() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(simulate(100, 4)[0], items=list("abcd")))
    strange = irt.Responses.from_long(["p", "p"], ["a", "new"], [1, 1])

    with pytest.raises(ValueError, match="item new is not calibrated"):
        irt.estimate_abilities(calibration, strange)


def test_predictions_average_over_what_is_open_about_a_person() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(simulate(500, 5)[0]))
    known = irt.Responses.from_dense([[1, 1, np.nan, 1, 1], [np.nan] * 5, [0, 0, np.nan, 0, 0]])
    wanted = irt.Responses.from_dense([[np.nan] * 2 + [1] + [np.nan] * 2] * 3)

    able, unknown, weak = irt.predict(calibration, known, wanted)

    ability = np.linspace(-8, 8, 1001)
    density = np.exp(-(ability**2) / 2)
    right = irt.characteristic_curves(calibration, ability)[2]
    assert unknown == pytest.approx((density @ right) / density.sum(), abs=1e-9)
    assert weak < unknown < able
    assert irt.held_out_log_loss(calibration, known, wanted) == pytest.approx(
        -np.log([able, unknown, weak]).mean()
    )


def test_predictions_refuse_other_persons() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(simulate(100, 3)[0]))
    some = irt.Responses.from_dense([[1, 0, 1]], persons=["a"])
    others = irt.Responses.from_dense([[1, 0, 1]], persons=["b"])

    with pytest.raises(ValueError, match="different persons"):
        irt.predict(calibration, some, others)
    with pytest.raises(ValueError, match="no held-out answers"):
        irt.held_out_log_loss(calibration, some, irt.Responses.from_dense([[np.nan] * 3]))


# --- real logs ----------------------------------------------------------------------------


def first_attempts(file: str, item_column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each person's first answer to each item of a log, in order: person, item, correct."""
    path = REAL_DATA / file
    if not path.exists():
        pytest.skip(
            f"the real log {file} is not here; put it into shared/data/irt beside the checkout"
        )
    person, order, item, correct = np.loadtxt(
        path, delimiter=",", skiprows=1, usecols=(0, 1, item_column, 4), dtype=np.int64
    ).T
    by_time = np.lexsort((order, person))
    pair = (person * (item.max() + 1) + item)[by_time]
    first = by_time[np.sort(np.unique(pair, return_index=True)[1])]
    return person[first], item[first], correct[first]


@pytest.mark.parametrize(
    ("file", "item_column", "answers", "best_known"),
    [("assist2009_pid.csv.gz", 2, 270_449, 0.532), ("assist2015.csv.gz", 3, 124_449, 0.568)],
)
def test_held_out_answers_of_a_real_log_are_predicted(
    file: str, item_column: int, answers: int, best_known: float
) -> None:
    person, item, correct = first_attempts(file, item_column)
    assert len(person) == answers
    persons, person = np.unique(person, return_inverse=True)
    items, item = np.unique(item, return_inverse=True)
    held_out = np.random.default_rng(0).random(answers) < 0.2

    def part(rows: np.ndarray) -> irt.Responses:
        return irt.Responses.from_long(
            person[rows], item[rows], correct[rows], persons=persons, items=items
        )

    calibration = irt.calibrate(part(~held_out))

    assert calibration.converged
    assert calibration.score <= 0.01
    assert np.all(np.isfinite(calibration.difficulty_error))
    loss = irt.held_out_log_loss(calibration, part(~held_out), part(held_out))
    assert loss <= best_known
