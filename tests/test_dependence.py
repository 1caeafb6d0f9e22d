"""Pairs of items that hang together by more than ability: found, named, and not invented."""

from __future__ import annotations

import numpy as np
import pytest

from etl_jobs import irt
from etl_jobs.calibrate.dependence import FEWEST, dependent_pairs


def answers(persons: int, items: int, seed: int, *, share: float = 1.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    log_odds = draw.standard_normal((persons, 1)) - np.linspace(-1.5, 1.5, items)
    right = (draw.random((persons, items)) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return np.where(draw.random((persons, items)) < share, right, np.nan)


def with_a_giveaway(matrix: np.ndarray, seed: int = 1) -> np.ndarray:
    """Half of the persons answer the last item but one as they answered the third."""
    copied = np.random.default_rng(seed).random(len(matrix)) < 0.5
    matrix[copied, -2] = matrix[copied, 2]
    return matrix


def calibrated(matrix: np.ndarray) -> tuple[irt.Calibration, irt.Responses]:
    labels = [f"q{item:02}" for item in range(matrix.shape[1])]
    responses = irt.Responses.from_dense(matrix, items=labels)
    return irt.calibrate(responses, standard_errors="none"), responses


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_pair_that_shares_more_than_ability_is_named(share: float) -> None:
    matrix = with_a_giveaway(answers(2000, 16, 3, share=share))

    found = dependent_pairs(*calibrated(matrix))

    assert [(pair.first, pair.second) for pair in found.pairs] == [("q02", "q14")]
    assert found.pairs[0].q3 > 0.2
    assert found.pairs[0].students == np.isfinite(matrix[:, 2] + matrix[:, 14]).sum()
    assert found.items() == {"q02", "q14"}
    assert (found.compared, found.students) == (120, 2000)


def test_tests_that_follow_the_model_hardly_ever_have_a_pair() -> None:
    runs = [
        dependent_pairs(*calibrated(answers(persons, items, seed)))
        for persons in (60, 300, 3000)
        for items in (5, 30)
        for seed in range(10)
    ]

    # Chance names one in one of fifty.
    assert sum(bool(run.pairs) for run in runs) <= 3


def test_of_many_students_some_are_looked_at_and_the_pair_is_found() -> None:
    fitted, responses = calibrated(with_a_giveaway(answers(4000, 16, 3)))

    found = dependent_pairs(fitted, responses, most_pairs=4000 * 16**2 // 3 + 1)

    assert found.students == 1334
    assert [(pair.first, pair.second) for pair in found.pairs] == [("q02", "q14")]


def test_too_many_items_are_not_compared() -> None:
    fitted, responses = calibrated(answers(100, 30, 3))

    found = dependent_pairs(fitted, responses, most_pairs=800)

    assert (found.pairs, found.compared, found.students) == ((), 0, 0)


def test_items_with_few_answers_are_not_judged() -> None:
    matrix = with_a_giveaway(answers(500, 8, 3))
    matrix[FEWEST - 1 :, 2] = np.nan

    found = dependent_pairs(*calibrated(matrix))

    assert found.pairs == ()
    assert found.compared == 21


def test_items_that_nearly_everybody_got_right_do_not_hang_together() -> None:
    # Four of 200 got both wrong; of those who answered both of the others, nobody did.
    matrix = answers(200, 10, 3)
    matrix[:, 1] = matrix[:, 2] = 1.0
    matrix[:4, 1] = matrix[:4, 2] = 0.0
    matrix[:, 4] = matrix[:, 5] = 1.0
    matrix[:50, 4], matrix[50:100, 5] = np.nan, np.nan
    matrix[50:60, 4] = matrix[:10, 5] = 0.0

    found = dependent_pairs(*calibrated(matrix))

    assert found.pairs == ()


def test_answers_that_leave_no_pair_are_no_error() -> None:
    found = dependent_pairs(*calibrated(answers(FEWEST - 1, 4, 3)))

    assert (found.pairs, found.compared) == ((), 0)


def test_the_order_of_persons_changes_nothing() -> None:
    matrix = with_a_giveaway(answers(1000, 10, 3))

    found, turned = (dependent_pairs(*calibrated(each)) for each in (matrix, matrix[::-1]))

    assert found == turned
