"""Differential item functioning: a published table, planted differences, and none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etl_jobs import irt

# R's UCBAdmissions (Bickel, Hammel & O'Connell 1975): for departments A to F, men admitted and
# rejected, women admitted and rejected.
ADMISSIONS = [
    (512, 313, 89, 19),
    (353, 207, 17, 8),
    (120, 205, 202, 391),
    (138, 279, 131, 244),
    (53, 138, 94, 299),
    (22, 351, 24, 317),
]


def two_groups(
    persons: int, items: int, *, harder: float = 0.0, impact: float = 0.8, seed: int = 2
) -> tuple[irt.Responses, np.ndarray]:
    """Answers of two groups that differ in ability; item 0 is harder for the second."""
    draw = np.random.default_rng(seed)
    focal = np.arange(persons) % 2 == 1
    ability = draw.standard_normal(persons) - impact * focal
    level = draw.normal(0, 1, items)
    level[0] = 0.0
    log_odds = np.add.outer(ability, level)
    log_odds[focal, 0] -= harder
    answers = draw.random((persons, items)) < 1 / (1 + np.exp(-log_odds))
    return irt.Responses.from_dense(answers), focal


def test_a_published_table_gives_the_published_odds_ratio() -> None:
    # R's mantelhaen.test(UCBAdmissions): 0.9046968 (0.7719074, 1.0603298), chi-squared 1.4269.
    person = [
        (admitted, woman, department)
        for department, row in enumerate(ADMISSIONS)
        for count, admitted, woman in zip(row, (1, 0, 1, 0), (0, 0, 1, 1), strict=True)
        for _ in range(count)
    ]
    admitted, woman, department = np.array(person).T
    responses = irt.Responses.from_dense(admitted[:, np.newaxis])

    found = irt.mantel_haenszel(responses, woman == 1, matching=department)

    assert found.odds_ratio[0] == pytest.approx(0.9046968, abs=1e-6)
    assert found.chi_squared[0] == pytest.approx(1.4269, abs=1e-4)
    assert found.p_value[0] == pytest.approx(0.2323, abs=1e-4)
    half = np.log(1.0603298 / 0.7719074) / (2 * stats.norm.ppf(0.975))
    assert found.delta_error[0] == pytest.approx(2.35 * half, abs=1e-5)
    assert found.delta[0] == pytest.approx(-2.35 * np.log(0.9046968), abs=1e-5)
    assert found.ets_class[0] == "A"


def test_an_item_harder_for_one_group_is_found_by_both_tests_and_no_other_is() -> None:
    responses, focal = two_groups(4000, 12, harder=0.9)

    by_odds = irt.mantel_haenszel(responses, focal)
    by_model = irt.likelihood_ratio(responses, focal)

    assert by_odds.ets_class[0] == "C"
    assert by_odds.delta[0] == pytest.approx(-2.35 * 0.9, abs=0.5)
    assert "C" not in by_odds.ets_class[1:]
    assert by_model.p_value[0] < 1e-8
    assert by_model.p_value[1:].min() > 1e-3
    reference, other = by_model.intercept[0]
    assert reference - other == pytest.approx(0.9, abs=0.25)
    assert by_model.degrees_of_freedom == 2
    assert list(by_model.groups) == [False, True]


def test_groups_that_differ_in_ability_alone_show_no_difference() -> None:
    found = []
    without_itself = []
    for seed in range(20):
        responses, focal = two_groups(800, 20, seed=seed)
        found.extend(irt.mantel_haenszel(responses, focal).p_value)
        rest = irt.mantel_haenszel(responses, focal, matching="rest score")
        without_itself.extend(rest.p_value)

    # Yates' correction errs towards no difference.
    assert 0.01 < np.mean(np.array(found) < 0.05) < 0.07
    assert np.mean(np.array(without_itself) < 0.05) > np.mean(np.array(found) < 0.05)


def test_the_likelihood_ratio_is_chi_squared_under_equality() -> None:
    p_values = []
    for seed in range(30):
        responses, focal = two_groups(600, 8, seed=seed)
        found = irt.likelihood_ratio(responses, focal, items=[0], model="1PL")
        p_values.append(found.p_value[0])

    assert found.degrees_of_freedom == 1
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_the_statistic_is_twice_the_gain_of_the_item_on_its_own_in_each_group() -> None:
    responses, focal = two_groups(900, 6, harder=0.6)
    matrix = responses.correct.reshape(-1, 6).astype(float)
    apart = np.column_stack((matrix, np.where(focal, matrix[:, 0], np.nan)))
    apart[focal, 0] = np.nan

    found = irt.likelihood_ratio(responses, focal, items=[0])

    free = irt.calibrate(irt.Responses.from_dense(apart), groups=focal, priors=None)
    equal = irt.calibrate(responses, groups=focal, priors=None)
    gain = free.log_likelihood - equal.log_likelihood
    assert found.statistic[0] == pytest.approx(2 * gain, abs=1e-4)
    assert found.intercept[0] == pytest.approx(free.intercept[[0, 6]], abs=1e-4)
    assert found.p_value[0] == pytest.approx(stats.chi2.sf(2 * gain, 2), rel=1e-3)


@pytest.mark.parametrize(
    ("times", "ets_class"),
    # Odds of 2.25 to 1, a delta of -1.9: large, if there are enough persons to be sure.
    [(1, "A"), (4, "B"), (40, "C")],
)
def test_a_large_difference_counts_as_such_once_it_is_sure(times: int, ets_class: str) -> None:
    reference = np.repeat([1, 0], [12 * times, 8 * times])
    answers = np.concatenate((reference, 1 - reference))
    responses = irt.Responses.from_dense(answers[:, np.newaxis])
    is_focal = np.repeat([False, True], 20 * times)

    found = irt.mantel_haenszel(responses, is_focal, matching=np.zeros(40 * times))

    assert found.odds_ratio[0] == pytest.approx(2.25)
    assert found.ets_class[0] == ets_class


def test_who_is_called_focal_changes_the_sign_alone() -> None:
    responses, focal = two_groups(600, 8, harder=0.7)

    one = irt.mantel_haenszel(responses, focal)
    other = irt.mantel_haenszel(responses, ~focal)

    assert other.delta == pytest.approx(-one.delta)
    assert other.delta_error == pytest.approx(one.delta_error)
    assert other.chi_squared == pytest.approx(one.chi_squared)
    assert np.array_equal(other.ets_class, one.ets_class)


def test_an_item_one_group_never_answered_cannot_be_compared() -> None:
    responses, focal = two_groups(500, 6)
    matrix = responses.correct.reshape(-1, 6).astype(float)
    matrix[focal, 3] = np.nan
    gaps = irt.Responses.from_dense(matrix)

    by_odds = irt.mantel_haenszel(gaps, focal, matching=np.nansum(matrix[:, :3], axis=1))
    by_model = irt.likelihood_ratio(gaps, focal, items=[3])

    assert by_odds.ets_class[3] == ""
    assert np.isnan(by_odds.delta[3])
    assert np.isfinite(by_odds.delta[:3]).all()
    assert np.isnan(by_model.statistic[0])
    assert np.isnan(by_model.p_value[0])


def test_scores_of_as_many_answers_are_compared() -> None:
    responses, focal = two_groups(600, 6, harder=0.5)
    matrix = responses.correct.reshape(-1, 6).astype(float)
    matrix[::3, 5] = np.nan
    answered, right = (~np.isnan(matrix)).sum(axis=1), np.nansum(matrix, axis=1)

    found = irt.mantel_haenszel(irt.Responses.from_dense(matrix), focal)

    levels = irt.mantel_haenszel(
        irt.Responses.from_dense(matrix), focal, matching=10 * answered + right
    )
    assert np.array_equal(found.delta, levels.delta)
    assert np.array_equal(found.chi_squared, levels.chi_squared)


def test_columns_of_another_length_or_kind_are_refused() -> None:
    responses, focal = two_groups(50, 4)

    with pytest.raises(ValueError, match="True or False for each of the 50"):
        irt.mantel_haenszel(responses, focal.astype(int))
    with pytest.raises(ValueError, match="a level for each of the 50"):
        irt.mantel_haenszel(responses, focal, matching=[1, 2])
    with pytest.raises(ValueError, match="'total'"):
        irt.mantel_haenszel(responses, focal, matching="total")
    with pytest.raises(ValueError, match="matching of person 3 is nan"):
        irt.mantel_haenszel(responses, focal, matching=np.where(np.arange(50) == 3, np.nan, 1.0))
    for everybody in (focal | True, focal & False):
        with pytest.raises(ValueError, match="takes two"):
            irt.mantel_haenszel(responses, everybody)
    with pytest.raises(ValueError, match="takes two"):
        irt.likelihood_ratio(responses, np.zeros(50))
    with pytest.raises(ValueError, match="item q9 is none"):
        irt.likelihood_ratio(responses, focal, items=["q9"])
