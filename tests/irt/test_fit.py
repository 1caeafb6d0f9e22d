"""Fit of items, persons, pairs and the whole model: published values and null distributions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from etl_jobs import irt

ROOT = Path(__file__).resolve().parents[2]

# R mirt 1.47, TOL 1e-8: discriminations and difficulties of the 2PL.
TWO_PARAMETERS = {
    6: (
        [0.825659, 0.722744, 0.890875, 0.688368, 0.656856],
        [-3.358811, -1.370058, -0.279666, -1.866381, -3.125907],
    ),
    7: (
        [0.987546, 1.080837, 1.707478, 0.764990, 0.735673],
        [-1.879260, -0.747541, -1.057236, -0.635302, -2.520764],
    ),
}


def lsat(section: int) -> tuple[irt.ItemBank, irt.Responses]:
    """The published 2PL, and the 1,000 persons it was fitted to."""
    table = np.loadtxt(
        ROOT / f"examples/lsat{section}_patterns.csv", delimiter=",", skiprows=1, dtype=int
    )
    slope, difficulty = np.array(TWO_PARAMETERS[section])
    bank = irt.ItemBank.of(range(5), slope, -slope * difficulty)
    return bank, irt.Responses.from_dense(np.repeat(table[:, :5], table[:, 5], axis=0))


def bank(items: int, model: str = "2PL", seed: int = 4) -> irt.ItemBank:
    draw = np.random.default_rng(seed)
    slope = draw.lognormal(0, 0.3, items)
    lower = draw.uniform(0.1, 0.25, items) if model == "3PL" else 0.0
    return irt.ItemBank.of(np.arange(items), slope, draw.normal(0, 1, items), lower)


def simulate(
    items: irt.ItemBank, ability: np.ndarray, *, answered: float = 1.0, seed: int = 6
) -> np.ndarray:
    draw = np.random.default_rng(seed)
    right = irt.probability(
        ability, items.discrimination, items.intercept, items.lower, items.upper
    ).T
    answers = (draw.random(right.shape) < right).astype(float)
    answers[draw.random(right.shape) >= answered] = np.nan
    return answers


def abilities(persons: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(persons)


# --- S-X2 ---------------------------------------------------------------------------------


def test_lsat7_summed_score_fit_is_the_published_one() -> None:
    # R mirt's tests, test-01-mirtOne.R: itemfit(modm1, 'S_X2') on LSAT7.
    fit = irt.summed_score_fit(*lsat(7))

    assert fit.statistic == pytest.approx(
        [4.749440, 14.451071, 1.270381, 5.237400, 0.941125], abs=5e-3
    )
    assert list(fit.degrees_of_freedom) == [2] * 5
    assert fit.p_value == pytest.approx(stats.chi2.sf(fit.statistic, 2))


@pytest.mark.parametrize(
    ("model", "parameters"), [("Rasch", 1), ("1PL", 1), ("2PL", 2), ("3PL", 3), ("4PL", 4)]
)
def test_as_many_degrees_of_freedom_go_as_an_item_has_parameters(
    model: irt.Model, parameters: int
) -> None:
    responses = irt.Responses.from_dense(simulate(bank(20), abilities(600)))
    fitted = irt.calibrate(responses, model=model, standard_errors="none")

    usual = irt.summed_score_fit(fitted, responses)

    none = irt.summed_score_fit(fitted, responses, parameters=0)
    assert np.array_equal(usual.statistic, none.statistic)
    assert np.all(none.degrees_of_freedom - usual.degrees_of_freedom == parameters)


def test_lsat6_first_item_has_the_published_p_value() -> None:
    # The same file: ifit$p.S_X2[1] of LSAT6's 2PL, with a tolerance of one per cent.
    fit = irt.summed_score_fit(*lsat(6))

    assert fit.p_value[0] == pytest.approx(0.7984, rel=1e-2)


def test_summed_score_fit_is_chi_squared_under_the_model_and_sees_another_curve() -> None:
    items = bank(25, "3PL")
    answers = simulate(items, abilities(3000))
    # Guessing ignored where there is some: a curve of another shape.
    blind = irt.ItemBank.of(items.items, items.discrimination, items.intercept, 0.0)

    known = irt.summed_score_fit(items, irt.Responses.from_dense(answers), parameters=0)
    wrong = irt.summed_score_fit(blind, irt.Responses.from_dense(answers), parameters=0)

    assert stats.kstest(known.p_value, "uniform").pvalue > 0.01
    assert known.degrees_of_freedom.min() > 10
    assert np.median(wrong.p_value) < 1e-3
    assert (wrong.statistic > known.statistic).mean() > 0.9


def test_summed_scores_without_an_item_are_those_of_all_patterns() -> None:
    items = bank(4)
    answers = simulate(items, abilities(400))
    grid = np.linspace(-8, 8, 2001)
    weight = np.exp(-(grid**2) / 2) / np.exp(-(grid**2) / 2).sum()
    right = irt.probability(grid, items.discrimination, items.intercept)
    patterns = (np.arange(16)[:, np.newaxis] >> np.arange(4)) & 1
    likely = np.array(
        [
            (np.where(row[:, np.newaxis] == 1, right, 1 - right).prod(axis=0) * weight).sum()
            for row in patterns
        ]
    )
    score, observed = patterns.sum(axis=1), answers.sum(axis=1)

    fit = irt.summed_score_fit(items, irt.Responses.from_dense(answers), parameters=0)

    for item in range(4):
        total = 0.0
        for k in (1, 2, 3):
            expected = (
                likely[(score == k) & (patterns[:, item] == 1)].sum() / likely[score == k].sum()
            )
            count = (observed == k).sum()
            seen = answers[observed == k, item].mean()
            total += count * (seen - expected) ** 2 / (expected * (1 - expected))
        assert fit.statistic[item] == pytest.approx(total, rel=1e-9)


def test_rare_scores_are_compared_together() -> None:
    items = irt.ItemBank.of(range(12), 1.0, 3.0)
    answers = simulate(items, abilities(300))

    fit = irt.summed_score_fit(items, irt.Responses.from_dense(answers))

    assert fit.degrees_of_freedom.max() < 8
    assert np.isfinite(fit.statistic).all()


# --- M2 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "published", "tolerance"), [(6, 4.737141, 2e-3), (7, 11.93841, 1e-2)]
)
def test_m2_of_the_2pl_is_the_published_one(
    section: int, published: float, tolerance: float
) -> None:
    # R mirt's tests, test-01-mirtOne.R: M2(mod) of LSAT6 and LSAT7.
    fit = irt.model_fit(*lsat(section))

    assert fit.m2 == pytest.approx(published, abs=tolerance)
    assert fit.degrees_of_freedom == 5
    assert fit.p_value == pytest.approx(stats.chi2.sf(published, 5), abs=1e-3)
    assert fit.rmsea == pytest.approx(np.sqrt(max(published - 5, 0) / 5000), abs=1e-4)


@pytest.mark.parametrize("model", ["1PL", "Rasch"])
def test_m2_with_a_common_slope_is_the_published_one(model: irt.Model) -> None:
    # The same file: LSAT6 with CONSTRAIN = (1-5, a1), M2 5.292566 with 9 degrees of freedom.
    # The Rasch model says the same with the persons' deviation in the slope's place.
    _, responses = lsat(6)
    fitted = irt.calibrate(responses, model=model, priors=None)

    fit = irt.model_fit(fitted, responses)

    assert fit.m2 == pytest.approx(5.292566, abs=2e-3)
    assert fit.degrees_of_freedom == 9


def test_m2_does_not_mind_that_priors_pulled_the_parameters() -> None:
    # What parameters can fit is taken off, whether they were fitted to the last or not: without
    # that the pulled ones would stand at 36.
    responses = irt.Responses.from_dense(simulate(bank(8), abilities(2000)))
    fitted = irt.calibrate(responses, priors=None)
    pulled = irt.calibrate(responses, priors=irt.Priors(irt.Normal(1, 0.1), irt.Normal(0, 0.5)))

    at_top, beside = irt.model_fit(fitted, responses), irt.model_fit(pulled, responses)

    assert np.abs(pulled.intercept - fitted.intercept).max() > 0.02
    assert beside.degrees_of_freedom == at_top.degrees_of_freedom == 20
    assert beside.m2 == pytest.approx(at_top.m2, rel=0.05)


def test_m2_is_chi_squared_under_the_model() -> None:
    items = bank(7)
    draws = []
    for seed in range(40):
        responses = irt.Responses.from_dense(simulate(items, abilities(800, seed), seed=seed))
        fitted = irt.calibrate(responses, priors=None, standard_errors="none")
        draws.append(irt.model_fit(fitted, responses).p_value)

    assert stats.kstest(draws, "uniform").pvalue > 0.01


def test_m2_sees_a_second_trait() -> None:
    items = bank(10)
    one, other = abilities(2000), abilities(2000, 8)
    answers = np.concatenate((simulate(items, one)[:, :5], simulate(items, other)[:, 5:]), axis=1)
    responses = irt.Responses.from_dense(answers)

    fit = irt.model_fit(irt.calibrate(responses), responses)

    assert fit.p_value < 1e-6
    assert fit.rmsea > 0.05
    assert fit.srmsr > 0.03


def test_statistics_of_complete_data_refuse_gaps_and_say_where() -> None:
    items = bank(5)
    answers = simulate(items, abilities(50))
    answers[3, 2] = np.nan
    answers[4] = np.nan
    responses = irt.Responses.from_dense(answers)

    for statistic in (irt.summed_score_fit, irt.model_fit):
        with pytest.raises(ValueError, match="person 3 answered 4 of 5 items"):
            statistic(items, responses)
    # A person who was absent is no gap.
    present = irt.Responses.from_dense(np.delete(answers, 3, axis=0))
    without = irt.Responses.from_dense(np.delete(answers, [3, 4], axis=0))
    assert irt.model_fit(items, present).m2 == pytest.approx(irt.model_fit(items, without).m2)


def test_too_few_and_too_many_items_for_a_test_are_refused() -> None:
    few = irt.Responses.from_dense(simulate(bank(2), abilities(50)))
    three = irt.Responses.from_dense(simulate(bank(3), abilities(50)))
    many = irt.Responses.from_dense(simulate(bank(400), abilities(2)))

    with pytest.raises(ValueError, match="three items"):
        irt.summed_score_fit(bank(2), few)
    with pytest.raises(ValueError, match="M2 needs more items"):
        irt.model_fit(bank(3), three)
    with pytest.raises(MemoryError, match=r"M2 of 400 items takes about 154\.\d GB"):
        irt.model_fit(bank(400), many)


# --- infit, outfit, lz --------------------------------------------------------------------


def at_truth(responses: irt.Responses, ability: np.ndarray) -> irt.Abilities:
    """The true abilities, as an estimate without any error."""
    return irt.Abilities(
        responses.persons,
        ability,
        np.zeros(len(ability)),
        responses.answers_per_person(),
        "ML",
    )


@pytest.mark.parametrize("answered", [1.0, 0.3], ids=["dense", "sparse"])
def test_mean_squares_at_the_true_abilities_are_standard_normal(answered: float) -> None:
    items = bank(60, "3PL")
    truth = abilities(1500)
    responses = irt.Responses.from_dense(simulate(items, truth, answered=answered))

    by_item, by_person = irt.mean_squares(items, responses, abilities=at_truth(responses, truth))

    assert np.array_equal(by_item.answers, responses.answers_per_item())
    assert np.array_equal(by_person.answers, responses.answers_per_person())
    for fit in (by_item, by_person):
        assert np.mean(fit.infit) == pytest.approx(1, abs=0.02)
        assert np.mean(fit.outfit) == pytest.approx(1, abs=0.05)
        assert np.mean(fit.infit_z) == pytest.approx(0, abs=0.3)
        assert np.std(fit.infit_z) == pytest.approx(1, abs=0.25)


def test_mean_squares_are_the_plain_sums() -> None:
    items = bank(6)
    truth = abilities(40)
    answers = simulate(items, truth, answered=0.7)
    responses = irt.Responses.from_dense(answers)
    right = irt.probability(truth, items.discrimination, items.intercept).T
    seen, spread = ~np.isnan(answers), right * (1 - right)
    residual = np.where(seen, answers - right, 0.0)

    by_item, by_person = irt.mean_squares(items, responses, abilities=at_truth(responses, truth))

    for axis, fit in ((0, by_item), (1, by_person)):
        outfit = (residual**2 / spread).sum(axis=axis) / seen.sum(axis=axis)
        infit = (residual**2).sum(axis=axis) / np.where(seen, spread, 0).sum(axis=axis)
        assert fit.outfit == pytest.approx(outfit, nan_ok=True)
        assert fit.infit == pytest.approx(infit, nan_ok=True)


def test_deviates_allow_for_abilities_that_were_fitted_to_the_answers() -> None:
    items = bank(20)
    responses = irt.Responses.from_dense(simulate(items, abilities(1500)))

    by_item, by_person = irt.mean_squares(items, responses)

    # The residuals shrink; about 1 that would be a deviate of -1.5.
    assert 0.9 < np.mean(by_item.infit) < 0.98
    for fit in (by_item, by_person):
        assert abs(np.mean(fit.infit_z)) < 1
        assert abs(np.mean(fit.outfit_z)) < 1


def test_persons_at_a_bound_are_not_judged() -> None:
    items = bank(8)
    answers = np.vstack((simulate(items, abilities(30)), np.ones(8)))
    responses = irt.Responses.from_dense(answers)
    estimates = irt.estimate_abilities(items, responses, method="ML")

    _, by_person = irt.mean_squares(items, responses, abilities=estimates)

    assert np.isnan(by_person.outfit[-1])
    assert np.array_equal(np.isnan(by_person.infit), np.isnan(estimates.standard_error))


def test_a_noisy_item_and_a_careless_person_stand_out() -> None:
    items = bank(40)
    truth = abilities(800)
    answers = simulate(items, truth)
    draw = np.random.default_rng(0)
    answers[:, 7] = draw.integers(0, 2, 800)
    able = int(np.argmax(truth))
    answers[able] = 1 - answers[able]
    responses = irt.Responses.from_dense(answers)

    by_item, by_person = irt.mean_squares(items, responses)
    persons = irt.person_fit(items, responses)

    assert by_item.infit.argmax() == 7
    assert by_item.infit_z[7] > 4
    assert by_person.outfit_z[able] > 2
    assert persons.lz_star[able] < -4


def test_lz_star_is_standard_normal_at_estimated_abilities_where_lz_is_not() -> None:
    items = bank(80)
    responses = irt.Responses.from_dense(simulate(items, 0.7 * abilities(3000)))

    for method in ("WLE", "ML", "MAP"):
        estimate = irt.estimate_abilities(items, responses, method=method)
        fit = irt.person_fit(items, responses, abilities=estimate)

        assert np.nanmean(fit.lz_star) == pytest.approx(0, abs=0.06)
        assert np.nanstd(fit.lz_star) == pytest.approx(1, abs=0.04)
        assert np.nanstd(fit.lz) < np.nanstd(fit.lz_star)


def test_lz_is_the_standardised_log_likelihood() -> None:
    items = bank(9, "3PL")
    truth = abilities(20)
    answers = simulate(items, truth, answered=0.8)
    answers[5] = np.nan
    responses = irt.Responses.from_dense(answers)
    right = irt.probability(truth, items.discrimination, items.intercept, items.lower).T
    seen = ~np.isnan(answers)

    fit = irt.person_fit(items, responses, abilities=at_truth(responses, truth))

    log_odds = np.log(right / (1 - right))
    each = np.where(answers == 1, np.log(right), np.log(1 - right))
    mean = right * np.log(right) + (1 - right) * np.log(1 - right)
    spread = right * (1 - right) * log_odds**2
    expected = np.where(seen, each - mean, 0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        expected /= np.sqrt(np.where(seen, spread, 0).sum(axis=1))
    assert fit.lz == pytest.approx(expected, nan_ok=True)
    assert np.isnan(fit.lz[5])


def test_person_fit_needs_an_estimate_it_can_correct() -> None:
    items = bank(5)
    responses = irt.Responses.from_dense(simulate(items, abilities(10)))
    others = irt.Responses.from_dense(simulate(items, abilities(9)))

    with pytest.raises(ValueError, match="EAP"):
        irt.person_fit(items, responses, abilities=irt.estimate_abilities(items, responses))
    with pytest.raises(ValueError, match="other persons"):
        irt.mean_squares(items, responses, abilities=irt.estimate_abilities(items, others))


# --- Q3 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [1.0, 0.15], ids=["dense", "sparse"])
def test_q3_is_the_correlation_of_residuals_over_common_persons(
    answered: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = bank(12)
    truth = abilities(600)
    answers = simulate(items, truth, answered=answered)
    responses = irt.Responses.from_dense(answers)
    right = irt.probability(truth, items.discrimination, items.intercept).T
    residual = answers - right
    # A few items at a time, as for a bank of thousands.
    monkeypatch.setattr("etl_jobs.irt.fit.residual_correlations._PAIRS", 60)

    found = irt.local_dependence(
        items,
        responses,
        abilities=at_truth(responses, truth),
        bound=0.0,
        fewest=5,
        fewest_of_each=0,
    )

    assert found.compared == 66
    everything = []
    for first, second, q3, common in zip(
        found.first, found.second, found.q3, found.common, strict=True
    ):
        both = ~np.isnan(residual[:, first] + residual[:, second])
        plain = np.corrcoef(residual[both][:, [first, second]].T)[0, 1]
        assert (q3, common) == (pytest.approx(plain), both.sum())
        everything.append(plain)
    assert found.mean == pytest.approx(np.mean(everything))
    assert np.all(np.diff(np.abs(found.q3)) <= 0)


def test_a_pair_that_hardly_anybody_got_wrong_is_not_compared() -> None:
    items = bank(6)
    answers = simulate(items, abilities(300))
    # Whoever answered both got the first right; four of them got the second wrong.
    answers[:, 2] = answers[:, 3] = 1.0
    answers[:4, 3] = 0.0

    found, all_of_them = (
        irt.local_dependence(
            items, irt.Responses.from_dense(answers), bound=0.0, fewest_of_each=fewest
        )
        for fewest in (5, 0)
    )

    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert not {item for pair in pairs for item in pair} & {2, 3}
    assert (found.compared, all_of_them.compared) == (6, 15)


def test_a_repeated_question_is_the_pair_that_stands_out() -> None:
    items = bank(20)
    answers = simulate(items, abilities(1500))
    echo = np.random.default_rng(1).random(1500) < 0.6
    answers[echo, 11] = answers[echo, 4]

    found = irt.local_dependence(items, irt.Responses.from_dense(answers), bound=0.3)

    assert (found.first[0], found.second[0]) == (4, 11)
    assert len(found.q3) == 1
    assert found.mean == pytest.approx(-1 / 19, abs=0.02)


def test_only_so_many_pairs_are_returned_and_strangers_are_not_compared() -> None:
    items = bank(10)
    answers = simulate(items, abilities(400))
    answers[:200, 0] = np.nan
    answers[200:, 1] = np.nan
    responses = irt.Responses.from_dense(answers)

    found = irt.local_dependence(items, responses, bound=0.0, most=7)

    assert len(found.q3) == 7
    assert found.compared == 44
    with pytest.raises(ValueError, match="3 persons"):
        irt.local_dependence(items, responses, fewest=2)
