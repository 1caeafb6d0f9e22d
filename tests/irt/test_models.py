"""Every model: published values, an independent search, symmetries and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from etl_jobs import irt
from tests.irt.simulation import ROOT, log_likelihood, lsat, simulate

if TYPE_CHECKING:
    from etl_jobs.irt import Model

REAL_DATA = ROOT / "../shared/data/irt"

# R mirt 1.47, TOL 1e-8: the common discrimination, difficulties, and the log-likelihood. LSAT7's
# are also in R mirt's own tests: a 1.011, d 1.868 .791 1.461 .521 1.993.
REFERENCE_1PL = {
    6: (
        0.755134645,
        [-3.615266868, -1.322420896, -0.317630625, -1.730090356, -2.780172231],
        -2466.937600,
    ),
    7: (
        1.011267497,
        [-1.847448604, -0.782192860, -1.444701391, -0.515695431, -1.970769263],
        -2664.900891,
    ),
}


# --- published values ---------------------------------------------------------------------


@pytest.mark.parametrize("section", [6, 7])
def test_lsat_1pl_gives_the_published_parameters(section: int) -> None:
    slope, difficulty, height = REFERENCE_1PL[section]

    calibration = irt.calibrate(lsat(section), model="1PL", priors=None)

    assert calibration.converged
    assert calibration.discrimination == pytest.approx(slope, abs=1e-4)
    assert calibration.difficulty == pytest.approx(difficulty, abs=1e-4)
    assert calibration.log_likelihood == pytest.approx(height, abs=1e-4)


@pytest.mark.parametrize("section", [6, 7])
def test_lsat_1pl_matches_the_tight_reference_tables(section: int) -> None:
    table = REAL_DATA / f"ref_Rmirt147_LSAT{section}_1PL.csv"
    if not table.exists():
        pytest.skip(f"{table.name} is not here; put it into shared/data/irt beside the checkout")
    reference = np.loadtxt(table, delimiter=",", skiprows=1, usecols=(1, 2))

    calibration = irt.calibrate(lsat(section), model="1PL", priors=None, tolerance=1e-8)

    assert calibration.discrimination == pytest.approx(reference[:, 0], abs=1e-5)
    assert calibration.difficulty == pytest.approx(reference[:, 1], abs=1e-5)


@pytest.mark.parametrize("section", [6, 7])
def test_the_rasch_model_is_the_1pl_with_abilities_that_spread_instead(section: int) -> None:
    slope, difficulty, height = REFERENCE_1PL[section]

    rasch = irt.calibrate(lsat(section), model="Rasch", priors=None, tolerance=1e-8)

    one = irt.calibrate(lsat(section), model="1PL", priors=None, tolerance=1e-8)
    (persons,) = rasch.populations
    assert np.all(rasch.discrimination == 1)
    assert (persons.mean, persons.deviation) == (0, pytest.approx(slope, abs=1e-5))
    assert rasch.difficulty == pytest.approx(np.multiply(difficulty, slope), abs=1e-4)
    assert rasch.log_likelihood == pytest.approx(height, abs=1e-4)
    assert persons.deviation_error == pytest.approx(one.discrimination_error[0], rel=1e-4)
    assert rasch.intercept_error == pytest.approx(one.intercept_error, rel=1e-4)
    assert np.all(rasch.discrimination_error == 0)


# --- boundaries ---------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "two_parameters"), [(6, -2466.653377), (7, -2658.805114)])
def test_guessing_that_sits_at_its_bound_is_a_maximum_like_any_other(
    section: int, two_parameters: float
) -> None:
    # Without priors most of these items do best without guessing: c = 0 is a bound.
    responses = lsat(section)

    calibration = irt.calibrate(responses, model="3PL", priors=None)

    at_bound = calibration.lower == 0
    assert calibration.converged
    assert at_bound.sum() == 4
    assert calibration.log_likelihood > two_parameters
    assert np.all(calibration.lower_error[at_bound] > 0)
    assert np.all(np.isfinite(calibration.discrimination_error))
    # No item gains by guessing a little.
    for item in np.flatnonzero(at_bound):
        bank = irt.ItemBank.copy_of(calibration)
        bank.lower[item] = 1e-3
        assert irt.log_likelihood(bank, responses) < calibration.log_likelihood


def test_a_4pl_without_priors_and_without_a_maximum_says_so() -> None:
    with pytest.raises(irt.NotConverged, match=r"runs away|not converged"):
        irt.calibrate(lsat(7), model="4PL", priors=None)


# --- an independent search ----------------------------------------------------------------


@pytest.mark.parametrize("model", ["1PL", "Rasch", "3PL", "4PL"])
def test_the_maximum_is_that_of_a_direct_search(model: Model) -> None:
    answers = simulate(300, 5, model=model, answered=0.9, seed=2).answers
    priors = irt.Priors()
    columns = {"3PL": 3, "4PL": 4}.get(model, 2)

    def loss(point: np.ndarray) -> float:
        """Of discriminations (or one number), intercepts, lower asymptotes and slips."""
        table = np.concatenate((point[1:], np.zeros(20)))
        level, lower, slip = (table[5 * part : 5 * part + 5] for part in (0, 1, 2))
        slope, deviation, total = np.full(5, point[0]), 1.0, 0.0
        if model == "Rasch":
            slope, deviation = np.ones(5), point[0]
        if columns > 2:
            slope, level = point[:5], point[5:10]
            lower, slip = point[10:15], point[15:20] if columns > 3 else np.zeros(5)
            total += (4 * np.log(lower) + 16 * np.log(1 - lower)).sum()
            if columns > 3:
                total += (4 * np.log(slip) + 16 * np.log(1 - slip)).sum()
        if model != "Rasch":
            believed = slope[:1] if model == "1PL" else slope
            total -= (((believed - 1) / 0.5) ** 2).sum() / 2
        total -= ((level / 2) ** 2).sum() / 2
        bank = irt.ItemBank.of(range(5), slope, level, lower, 1 - slip)
        return -log_likelihood(answers, bank, deviation=deviation, nodes=81) - total

    found = irt.calibrate(
        irt.Responses.from_dense(answers), model=model, priors=priors, tolerance=1e-7
    )

    parts = [found.discrimination, found.intercept, found.lower, 1 - found.upper][:columns]
    if columns == 2:
        first = found.populations[0].deviation if model == "Rasch" else found.discrimination[0]
        parts = [np.array([first]), found.intercept]
    top = np.concatenate(parts)
    assert -loss(top) == pytest.approx(found.log_posterior, abs=1e-6)
    direct = optimize.minimize(
        loss,
        top + 0.02,
        method="L-BFGS-B",
        bounds=[(0.01, 3) if i < len(top) - 5 * (columns - 1) else (-9, 9) for i in range(len(top))]
        if columns == 2
        else [(0.01, 9)] * 5 + [(-9, 9)] * 5 + [(0.01, 0.45)] * (5 * (columns - 2)),
        options={"ftol": 1e-13, "gtol": 1e-6, "maxfun": 100_000},
    )
    assert direct.fun >= loss(top) - 1e-6
    assert direct.x == pytest.approx(top, abs=3e-3)


# --- the climb ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", irt.MODELS)
def test_more_passes_never_lead_lower(model: Model) -> None:
    responses = irt.Responses.from_dense(simulate(400, 12, model=model, answered=0.8).answers)

    heights = []
    for passes in range(1, 60):
        found = irt.calibrate(
            responses,
            model=model,
            max_iterations=passes,
            on_failure="return",
            standard_errors="none",
        )
        heights.append(found.log_posterior)
        if found.converged:
            break

    assert found.converged
    assert np.diff(heights).min() >= -1e-12 * abs(heights[0])
    assert heights[-1] - heights[0] > 0.1


# --- recovery -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["1PL", "Rasch", "3PL", "4PL"])
def test_curves_are_recovered(model: Model) -> None:
    truth = simulate(4000, 30, model=model, seed=4)

    calibration = irt.calibrate(irt.Responses.from_dense(truth.answers), model=model)

    ability = np.linspace(-2, 2, 9)
    curves = irt.characteristic_curves(calibration, ability)
    assert calibration.converged
    assert np.abs(curves - irt.probability(ability, *truth[1:])).mean() < 0.015
    assert np.abs(curves - irt.probability(ability, *truth[1:])).max() < 0.08


@pytest.mark.parametrize("model", ["1PL", "Rasch", "3PL"])
def test_most_true_parameters_are_within_two_standard_errors(model: Model) -> None:
    truth = simulate(3000, 40, model=model, seed=6)

    found = irt.calibrate(irt.Responses.from_dense(truth.answers), model=model)

    surprise = [(found.intercept - truth.intercept) / found.intercept_error]
    if model == "3PL":
        surprise.append((found.lower - truth.lower) / found.lower_error)
        surprise.append((found.discrimination - truth.discrimination) / found.discrimination_error)
    for each in surprise:
        assert 0.85 <= np.mean(np.abs(each) < 2) <= 1
        assert np.abs(each).max() < 4.5


def test_what_all_items_share_is_believed_once() -> None:
    responses = irt.Responses.from_dense(simulate(200, 9, model="1PL").answers)

    found = irt.calibrate(
        responses, model="1PL", priors=irt.Priors(irt.Normal(1.0, 0.001), irt.Normal(0.0, 2.0))
    )

    # The answers say next to nothing beside so strong a belief; nine of them would say 0.00033.
    assert found.discrimination_error == pytest.approx(0.001, rel=1e-3)


# --- symmetries ---------------------------------------------------------------------------


@given(model=st.sampled_from(["1PL", "Rasch", "2PL", "4PL"]), seed=st.integers(0, 1000))
@settings(max_examples=12, deadline=None)
def test_mirrored_answers_have_mirrored_parameters(model: Model, seed: int) -> None:
    answers = simulate(300, 8, model=model, answered=0.8, seed=seed).answers

    upright = irt.calibrate(irt.Responses.from_dense(answers), model=model, tolerance=1e-7)
    mirrored = irt.calibrate(irt.Responses.from_dense(1 - answers), model=model, tolerance=1e-7)

    # The 4PL may have several maxima; that both searches end equally high comes first.
    assert mirrored.log_posterior == pytest.approx(upright.log_posterior, abs=1e-5)
    assert mirrored.discrimination == pytest.approx(upright.discrimination, abs=1e-3)
    assert mirrored.intercept == pytest.approx(-upright.intercept, abs=1e-3)
    assert mirrored.lower == pytest.approx(1 - upright.upper, abs=1e-4)
    assert mirrored.upper == pytest.approx(1 - upright.lower, abs=1e-4)


@given(
    model=st.sampled_from(["1PL", "Rasch", "2PL", "3PL"]),
    answered=st.sampled_from([1.0, 0.6, 0.25]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None)
def test_the_order_and_names_of_rows_and_items_change_nothing(
    model: Model, answered: float, seed: int
) -> None:
    answers = simulate(200, 8, model=model, answered=answered, seed=seed).answers
    draw = np.random.default_rng(seed)
    persons, items = draw.permutation(200), draw.permutation(8)

    straight = irt.calibrate(irt.Responses.from_dense(answers), model=model, tolerance=1e-9)
    shuffled = irt.calibrate(
        irt.Responses.from_dense(answers[persons][:, items], items=[f"q{i}" for i in items]),
        model=model,
        tolerance=1e-9,
    )

    assert shuffled.discrimination == pytest.approx(straight.discrimination[items], abs=1e-7)
    assert shuffled.intercept == pytest.approx(straight.intercept[items], abs=1e-7)
    assert shuffled.lower == pytest.approx(straight.lower[items], abs=1e-7)


def test_equal_slopes_give_the_1pl_answer() -> None:
    # With a prior this narrow each item's slope is the one that the 1PL shares.
    answers = simulate(500, 10, model="1PL", seed=3).answers
    responses = irt.Responses.from_dense(answers)

    one = irt.calibrate(responses, model="1PL", priors=None)
    two = irt.calibrate(
        responses,
        priors=irt.Priors(irt.Normal(float(one.discrimination[0]), 1e-4), None),
    )

    assert two.discrimination == pytest.approx(one.discrimination, abs=1e-4)
    assert two.intercept == pytest.approx(one.intercept, abs=1e-3)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-2)


@pytest.mark.parametrize("model", ["1PL", "Rasch", "3PL", "4PL"])
def test_an_item_nobody_answered_changes_no_other(model: Model) -> None:
    answers = simulate(300, 8, model=model).answers
    wider = np.column_stack((answers, np.full(300, np.nan)))

    before = irt.calibrate(irt.Responses.from_dense(answers), model=model, tolerance=1e-7)
    after = irt.calibrate(irt.Responses.from_dense(wider), model=model, tolerance=1e-7)

    for name in ("discrimination", "intercept", "lower", "upper"):
        assert getattr(after, name)[:8] == pytest.approx(getattr(before, name), abs=2e-5)
    # What was believed of it is all that is known of it.
    believed = {"1PL": before.discrimination[0]}.get(model, 1.0)
    assert (after.discrimination[8], after.intercept[8]) == pytest.approx((believed, 0.0), abs=1e-4)
    assert after.lower[8] == pytest.approx(0.2 if model in ("3PL", "4PL") else 0.0, abs=1e-4)
    assert after.upper[8] == pytest.approx(0.8 if model == "4PL" else 1.0, abs=1e-4)
    assert after.flags[8] == ("no_answers",)


@pytest.mark.parametrize("model", ["1PL", "Rasch", "3PL"])
def test_without_priors_every_person_twice_is_the_same_maximum(model: Model) -> None:
    answers = simulate(2000, 8, model=model, seed=12).answers
    once, twice = (
        irt.calibrate(
            irt.Responses.from_dense(np.tile(answers, (times, 1))),
            model=model,
            priors=None,
            tolerance=1e-6,
        )
        for times in (1, 2)
    )

    assert twice.log_likelihood == pytest.approx(2 * once.log_likelihood, rel=1e-9)
    assert twice.discrimination == pytest.approx(once.discrimination, abs=5e-4)
    assert twice.intercept == pytest.approx(once.intercept, abs=5e-4)
    assert twice.lower == pytest.approx(once.lower, abs=2e-4)


@pytest.mark.parametrize("model", ["Rasch", "3PL", "4PL"])
def test_twice_the_nodes_move_no_parameter(model: Model) -> None:
    responses = irt.Responses.from_dense(simulate(600, 20, model=model).answers)

    usual = irt.calibrate(responses, model=model)
    twice = irt.calibrate(responses, model=model, nodes=2 * len(usual.nodes) - 1)

    for name in ("discrimination", "intercept", "lower", "upper"):
        assert getattr(twice, name) == pytest.approx(getattr(usual, name), abs=1e-4)


# --- degenerate items ---------------------------------------------------------------------


@pytest.mark.parametrize("model", irt.MODELS)
def test_priors_keep_items_that_all_got_right_or_wrong_finite(model: Model) -> None:
    answers = simulate(200, 10).answers
    answers[:, 0], answers[:, 1] = 1, 0
    answers[5:, 2] = np.nan

    calibration = irt.calibrate(irt.Responses.from_dense(answers), model=model)

    assert "all_right" in calibration.flags[0]
    assert "all_wrong" in calibration.flags[1]
    assert "too_few_answers" in calibration.flags[2]
    assert calibration.difficulty[0] < calibration.difficulty[1]
    assert np.all(np.isfinite(calibration.covariance))
    assert np.all(np.isfinite(calibration.difficulty_error))


@pytest.mark.parametrize(
    "answers", [[[1, 0, 1]], [[1], [0], [1]], np.ones((4, 4)), np.zeros((4, 4))]
)
@pytest.mark.parametrize("model", ["Rasch", "3PL"])
def test_one_row_one_column_or_no_variance_is_refused(model: Model, answers: object) -> None:
    with pytest.raises(irt.TooFewResponses):
        irt.calibrate(irt.Responses.from_dense(answers), model=model)


# --- priors -------------------------------------------------------------------------------


@given(alpha=st.floats(1, 30), beta=st.floats(1, 30), value=st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_a_beta_prior_knows_its_slope_and_curvature(
    alpha: float, beta: float, value: float
) -> None:
    prior = irt.Beta(alpha, beta)
    point, step = np.array([value]), 1e-6

    ahead, behind = point + step, point - step
    slope = (prior.log_density(ahead) - prior.log_density(behind)) / (2 * step)
    curvature = -(prior.slope(ahead) - prior.slope(behind)) / (2 * step)
    assert prior.slope(point) == pytest.approx(slope, rel=1e-4, abs=1e-4)
    assert prior.curvature(point) == pytest.approx(curvature, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("shape", [(0.5, 2.0), (2.0, 0.0), (float("nan"), 2.0), (np.inf, 2.0)])
def test_a_beta_prior_without_a_most_likely_value_is_refused(shape: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="beta prior"):
        irt.Beta(*shape)


def test_a_flat_beta_prior_is_none() -> None:
    responses = irt.Responses.from_dense(simulate(1500, 8, model="3PL", seed=12).answers)

    flat = irt.calibrate(
        responses, model="3PL", priors=irt.Priors(None, None, irt.Beta(1, 1), None), tolerance=1e-6
    )
    none = irt.calibrate(responses, model="3PL", priors=None, tolerance=1e-6)

    assert flat.log_likelihood == pytest.approx(none.log_likelihood, abs=1e-5)
    assert flat.lower == pytest.approx(none.lower, abs=1e-3)


# --- information --------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["3PL", "4PL"])
def test_information_with_asymptotes_is_the_squared_slope_over_the_variance(model: Model) -> None:
    calibration = irt.calibrate(
        irt.Responses.from_dense(simulate(500, 8, model=model).answers), model=model
    )
    ability = np.linspace(-4, 4, 17)

    information = irt.item_information(calibration, ability)

    right = irt.characteristic_curves(calibration, ability)
    slope = (
        irt.characteristic_curves(calibration, ability + 1e-5)
        - irt.characteristic_curves(calibration, ability - 1e-5)
    ) / 2e-5
    assert information == pytest.approx(slope**2 / (right * (1 - right)), rel=1e-5, abs=1e-9)
    if model == "3PL":
        # Lord (1980), equation 5-5.
        lower = calibration.lower[:, np.newaxis]
        steep = calibration.discrimination[:, np.newaxis]
        lord = steep**2 * (1 - right) / right * ((right - lower) / (1 - lower)) ** 2
        assert information == pytest.approx(lord, rel=1e-9)


@given(
    ability=st.floats(-1e3, 1e3),
    discrimination=st.floats(-1e3, 1e3),
    intercept=st.floats(-1e3, 1e3),
    asymptotes=st.tuples(
        st.one_of(st.just(0.0), st.floats(1e-12, 0.45)),
        st.one_of(st.just(1.0), st.floats(0.55, 1 - 1e-12)),
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_curve_overflows(
    ability: float, discrimination: float, intercept: float, asymptotes: tuple[float, float]
) -> None:
    from etl_jobs.irt.model.curves import ItemParameters, outcome_scores
    from etl_jobs.irt.model.models import item_tables

    parameters = ItemParameters(
        *(np.array([value]) for value in (discrimination, intercept, *asymptotes))
    )
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        scores = outcome_scores(np.array([ability]), parameters, 4)
    tables = item_tables([ability], *parameters)

    assert np.all(np.isfinite(scores))
    rounding = 1e-15
    assert asymptotes[0] - rounding <= tables.probability[0, 0] <= asymptotes[1] + rounding
    assert np.exp(tables.log_outcome[0, 1, 0]) == pytest.approx(tables.probability[0, 0], abs=1e-12)
    assert np.exp(tables.log_outcome[0, :, 0]).sum() == pytest.approx(1, abs=1e-12)
    assert np.all(np.isfinite(tables.log_outcome) | (np.abs(discrimination * ability) > 500))
