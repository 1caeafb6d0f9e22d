"""Quicker ways to the sums of an E-step: on lines, at a few abilities, and by what is noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special
from threadpoolctl import threadpool_info

from etl_jobs import irt
from etl_jobs.irt.answers.blocks import blocks_of
from etl_jobs.irt.answers.connections import item_blocks
from etl_jobs.irt.answers.patterns import Patterns
from etl_jobs.irt.estimation.ascent import Slope, climb
from etl_jobs.irt.estimation.complete_data import Complete, Persons, complete_data
from etl_jobs.irt.estimation.expectation import InMemory, Sums
from etl_jobs.irt.estimation.few_nodes import FewNodes
from etl_jobs.irt.estimation.strands import one_thread
from etl_jobs.irt.model.curves import ItemParameters
from etl_jobs.irt.model.quadrature import Grid

SHAPES = pytest.mark.parametrize(
    "answered", [1.0, 0.7, 0.2], ids=["whole test", "with gaps", "sparse"]
)
ITEMS, GRID = 30, Grid.standard_normal(41, 6.0)


def a_bank(items: int = ITEMS, lower: float = 0.0) -> ItemParameters:
    draw = np.random.default_rng(5)
    slope, level = draw.lognormal(0.0, 0.3, items), draw.normal(0.0, 1.0, items)
    return ItemParameters(slope, level, np.full(items, lower), np.ones(items))


def simulate(persons: int, answered: float, items: int = ITEMS) -> np.ndarray:
    draw, bank = np.random.default_rng(1), a_bank(items)
    log_odds = draw.standard_normal((persons, 1)) * bank.discrimination + bank.intercept
    answers: np.ndarray = (draw.random(log_odds.shape) < special.expit(log_odds)).astype(float)
    answers[draw.random(answers.shape) >= answered] = np.nan
    return answers


def in_memory(answers: np.ndarray) -> InMemory:
    return InMemory(blocks_of(Patterns.of(irt.Responses.from_dense(answers))))


def sums_and_score(expectation: InMemory, bank: ItemParameters) -> tuple[Sums, Complete]:
    tables = bank.tables(GRID.nodes)
    sums = expectation(tables, GRID)
    persons = Persons(GRID.nodes, expectation.persons * np.exp(GRID.log_weights), 1.0)
    return sums, complete_data(sums, tables, persons, bank, 2)


@SHAPES
def test_brief_sums_say_all_that_a_step_asks(answered: float) -> None:
    full = in_memory(simulate(1200, answered))

    sums, known = sums_and_score(full, a_bank())
    brief, same = sums_and_score(replace(full, brief=True), a_bank())

    assert brief.log_likelihood == sums.log_likelihood
    assert same.score == pytest.approx(known.score, abs=1e-9)
    assert same.information == pytest.approx(known.information, rel=1e-10)
    assert brief.wrong + brief.right == pytest.approx(sums.wrong + sums.right, abs=1e-9)


@pytest.mark.parametrize("lower", [0.0, 0.2], ids=["lines", "bent by guessing"])
def test_curves_with_an_asymptote_are_not_taken_for_lines(lower: float) -> None:
    answers, bank = simulate(300, 1.0), a_bank(lower=lower)
    right = bank.lower[:, np.newaxis] + (1 - bank.lower[:, np.newaxis]) * special.expit(
        bank.discrimination[:, np.newaxis] * GRID.nodes + bank.intercept[:, np.newaxis]
    )
    joint = answers @ np.log(right) + (1 - answers) @ np.log1p(-right) + GRID.log_weights

    sums = replace(in_memory(answers), brief=True)(bank.tables(GRID.nodes), GRID)

    assert sums.log_likelihood == pytest.approx(special.logsumexp(joint, axis=1).sum(), rel=1e-12)


def test_a_few_abilities_stand_for_all() -> None:
    bank, exact = a_bank(), in_memory(simulate(3000, 0.2))
    few = FewNodes.of(bank.tables(GRID.nodes), GRID)

    sums, known = sums_and_score(exact, bank)
    near, score = sums_and_score(replace(exact, few=few), bank)

    assert 4 < len(few.chosen) < 0.8 * len(GRID.nodes)
    assert near.log_likelihood == pytest.approx(sums.log_likelihood, rel=1e-7)
    in_errors = (score.score - known.score) / np.sqrt(np.diagonal(known.information, 0, 1, 2))
    assert np.abs(in_errors).max() < 1e-3


def test_a_few_abilities_follow_straight_lines_exactly() -> None:
    few = FewNodes.of(a_bank().tables(GRID.nodes), GRID)

    line = 3.0 - 2.0 * GRID.nodes

    assert line[few.chosen] @ few.spread == pytest.approx(line, abs=1e-9)


@SHAPES
def test_a_tally_in_single_precision_leaves_the_likelihood_as_it_is(answered: float) -> None:
    double = in_memory(simulate(2000, answered))
    tables = a_bank().tables(GRID.nodes)

    sums, near = double(tables, GRID), replace(double, tallied=np.float32)(tables, GRID)

    assert near.log_likelihood == sums.log_likelihood
    assert near.right == pytest.approx(sums.right, rel=1e-5, abs=1e-5)
    assert near.wrong == pytest.approx(sums.wrong, rel=1e-5, abs=1e-4)


def test_noise_is_what_complete_data_tell_too_much() -> None:
    # Of one item's discrimination, alone: what is observed is less than complete data by it.
    bank, expectation = a_bank(), in_memory(simulate(20_000, 1.0))
    _, known = sums_and_score(expectation, bank)
    step = 1e-4
    observed = np.empty(ITEMS)
    for item in range(ITEMS):
        ahead, behind = (
            sums_and_score(expectation, bank._replace(discrimination=moved))[1].score[item, 0]
            for sign in (1, -1)
            for moved in [bank.discrimination + sign * step * (np.arange(ITEMS) == item)]
        )
        observed[item] = -(ahead - behind) / (2 * step)

    complete, noise = known.information[:, 0, 0], known.noise[:, 0, 0]

    assert np.all(noise > 0)
    # What is left of the gap is what items lose together.
    assert np.all(np.abs(complete - noise - observed) < 0.75 * np.abs(complete - observed))


def test_persons_without_answers_change_no_bit() -> None:
    answers = simulate(400, 0.7)
    padded = np.insert(answers, [0, 50, 50, 400], np.nan, axis=0)

    once = irt.calibrate(irt.Responses.from_dense(answers), standard_errors="none")
    again = irt.calibrate(irt.Responses.from_dense(padded), standard_errors="none")

    assert np.array_equal(once.discrimination, again.discrimination)
    assert np.array_equal(once.intercept, again.intercept)
    assert once.log_likelihood == again.log_likelihood
    assert once.persons == again.persons == 400


@pytest.mark.parametrize("items", [1, 7, 8, 9, 64, 65])
def test_patterns_of_a_whole_test_stand_as_those_of_any_answers(items: int) -> None:
    answers = np.random.default_rng(items).integers(0, 2, (300, items)).astype(float)
    whole = Patterns.of(irt.Responses.from_dense(answers))

    # One person who skipped an item makes it any test; the others' order must stay.
    padded = np.vstack((answers, np.r_[np.nan, answers[0, 1:]]))
    some = Patterns.of(irt.Responses.from_dense(padded))

    others = some.of_person[:-1]
    ranks = np.searchsorted(np.unique(others), others)
    assert np.array_equal(ranks, whole.of_person)


def test_items_of_a_whole_test_hang_together() -> None:
    assert item_blocks(irt.Responses.from_dense(np.eye(5))).tolist() == [0] * 5


def test_linear_algebra_has_its_threads_back_when_the_last_has_left() -> None:
    def threads() -> list[int]:
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    before = threads()
    with one_thread():
        with one_thread():
            assert set(threads()) <= {1}
        assert set(threads()) <= {1}

    assert threads() == before


@pytest.mark.parametrize("share", [0.1, 0.7], ids=["shrinking", "creeping"])
def test_a_climb_believes_what_shrinking_steps_foretell(share: float) -> None:
    # The information is too large, here more and there less: steps go but a part of the way.
    shares = np.linspace(0.5, 1.0, 40).reshape(20, 2) * share

    def evaluate(point: np.ndarray) -> Slope:
        information = np.eye(2) / (1 - shares[:, :, np.newaxis])
        return Slope(-float((point**2).sum()) / 2, -point, information, np.empty((0, 20, 2)))

    start = np.random.default_rng(2).normal(0.0, 0.1, (20, 2))
    told = climb(evaluate, start, tolerance=1e-6, max_evaluations=100)
    foretold = climb(evaluate, start, tolerance=1e-6, max_evaluations=100, judged="step after it")

    assert told.is_done
    assert foretold.is_done
    assert foretold.evaluations <= told.evaluations
    assert np.abs(foretold.point + foretold.step).max() < 1e-6
