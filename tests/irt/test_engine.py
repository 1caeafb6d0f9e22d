"""The E-step in memory: its sums, its precision, its threads, and the drafts of a search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from etl_jobs import irt
from etl_jobs.irt.answers.blocks import blocks_of, persons_in, sample_of
from etl_jobs.irt.answers.patterns import Patterns
from etl_jobs.irt.estimation.ascent import COARSE_ROUNDING, Slope, climb
from etl_jobs.irt.estimation.drafts import Draft, drafts_of
from etl_jobs.irt.estimation.expectation import InMemory, Sums
from etl_jobs.irt.estimation.moments import begin_near
from etl_jobs.irt.estimation.strands import in_strands, processors
from etl_jobs.irt.model.curves import ItemParameters
from etl_jobs.irt.model.design import design
from etl_jobs.irt.model.models import item_tables
from etl_jobs.irt.model.priors import NO_PRIORS
from etl_jobs.irt.model.quadrature import Grid

SHAPES = pytest.mark.parametrize(
    "answered", [1.0, 0.7, 0.2], ids=["whole test", "with gaps", "sparse"]
)


def simulate(persons: int, items: int, *, answered: float = 1.0, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    slope, level = draw.lognormal(0.0, 0.3, items), draw.normal(0.0, 1.0, items)
    log_odds = draw.standard_normal((persons, 1)) * slope + level
    answers: np.ndarray = (draw.random((persons, items)) < special.expit(log_odds)).astype(float)
    answers[draw.random((persons, items)) >= answered] = np.nan
    return answers


def in_memory(answers: np.ndarray) -> InMemory:
    return InMemory(blocks_of(Patterns.of(irt.Responses.from_dense(answers))))


def sums_at(expectation: InMemory, items: int, nodes: int = 41) -> Sums:
    draw = np.random.default_rng(5)
    grid = Grid.standard_normal(nodes, 6.0)
    tables = item_tables(grid.nodes, draw.lognormal(0.0, 0.4, items), draw.normal(0.0, 1.0, items))
    return expectation(tables, grid)


def drafts_of_all(expectation: InMemory, tolerance: float = 1e-5) -> list[Draft]:
    items = len(expectation.blocks[0].outcomes())
    one, none = np.ones(items), np.zeros(items)
    typical = ItemParameters(one, none, none, one)
    return drafts_of([expectation], typical, Grid.standard_normal(61, 8.0), tolerance)


def in_memories(draft: Draft) -> list[InMemory]:
    return [group for group in draft.groups if isinstance(group, InMemory)]


# --- sums ---------------------------------------------------------------------------------


@SHAPES
def test_sums_are_those_that_one_writes_down(answered: float) -> None:
    answers = simulate(300, 12, answered=answered)
    draw = np.random.default_rng(5)
    slope, level = draw.lognormal(0.0, 0.4, 12), draw.normal(0.0, 1.0, 12)
    grid = Grid.standard_normal(41, 6.0)
    log_odds = slope[:, np.newaxis] * grid.nodes + level[:, np.newaxis]
    is_right, is_wrong = (answers == 1).astype(float), (answers == 0).astype(float)
    joint = is_right @ special.log_expit(log_odds) + is_wrong @ special.log_expit(-log_odds)
    joint += grid.log_weights

    sums = in_memory(answers)(item_tables(grid.nodes, slope, level), grid)

    posterior = special.softmax(joint, axis=1)
    assert sums.log_likelihood == pytest.approx(special.logsumexp(joint, axis=1).sum(), rel=1e-12)
    assert sums.right == pytest.approx(is_right.T @ posterior, abs=1e-10)
    assert sums.wrong == pytest.approx(is_wrong.T @ posterior, abs=1e-10)


@SHAPES
def test_single_precision_is_near_enough_to_climb_by(answered: float) -> None:
    answers = simulate(3000, 40, answered=answered)
    double = in_memory(answers)

    single = InMemory(double.blocks, np.float32)

    exact, near = sums_at(double, 40), sums_at(single, 40)
    assert near.right.dtype == np.float64
    assert near.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-6)
    assert near.right == pytest.approx(exact.right, rel=1e-4, abs=1e-3)
    assert near.wrong == pytest.approx(exact.wrong, rel=1e-4, abs=1e-3)
    assert not np.array_equal(near.right, exact.right)


@SHAPES
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_threads_change_no_bit(
    monkeypatch: pytest.MonkeyPatch, answered: float, precision: type
) -> None:
    monkeypatch.setattr("etl_jobs.irt.answers.blocks._DENSE_ROWS", 50)
    monkeypatch.setattr("etl_jobs.irt.answers.blocks._SPARSE_ROWS", 50)
    blocks = in_memory(simulate(1500, 40, answered=answered)).blocks
    assert len(blocks) >= 15

    alone, *together = (
        sums_at(InMemory(blocks, precision, threads=threads), 40) for threads in (1, 2, 3)
    )

    for sums in together:
        assert sums.log_likelihood == alone.log_likelihood
        assert np.array_equal(sums.right, alone.right)
        assert np.array_equal(sums.wrong, alone.wrong)


def test_strands_come_back_in_their_order_and_their_errors_too() -> None:
    squares = in_strands(lambda number: number**2, list(range(50)), threads=3)

    assert squares == [number**2 for number in range(50)]
    assert in_strands(lambda number: number, []) == []
    assert processors() >= 1
    with pytest.raises(ZeroDivisionError):
        in_strands(lambda number: 1 / number, [2, 1, 0], threads=2)


# --- patterns -----------------------------------------------------------------------------


@SHAPES
def test_patterns_do_not_depend_on_how_much_is_worked_on_at_once(
    monkeypatch: pytest.MonkeyPatch, answered: float
) -> None:
    answers = simulate(400, 6, answered=answered)
    # Persons without answers first, last and in between.
    answers[[0, 7, 8, -1]] = np.nan
    responses = irt.Responses.from_dense(answers)
    whole = Patterns.of(responses)

    monkeypatch.setattr("etl_jobs.irt.answers.patterns._ANSWERS_AT_ONCE", 13)
    pieces = Patterns.of(responses)

    assert np.array_equal(pieces.start, whole.start)
    assert np.array_equal(pieces.code, whole.code)
    assert np.array_equal(pieces.count, whole.count)
    assert np.array_equal(pieces.of_person, whole.of_person)
    assert np.array_equal(pieces.skipped_items(), whole.skipped_items())
    assert len(whole) < 400
    assert whole.count.sum() == 400


@SHAPES
def test_each_person_has_the_pattern_of_the_own_answers(answered: float) -> None:
    answers = simulate(200, 5, answered=answered)
    answers[3] = np.nan

    patterns = Patterns.of(irt.Responses.from_dense(answers))

    for person, row in enumerate(answers):
        pattern = patterns.of_person[person]
        code = patterns.code[patterns.start[pattern] : patterns.start[pattern + 1]]
        given = np.flatnonzero(~np.isnan(row))
        assert code.tolist() == (2 * given + row[given].astype(int)).tolist()


# --- drafts -------------------------------------------------------------------------------


@SHAPES
def test_a_sample_stands_for_all(monkeypatch: pytest.MonkeyPatch, answered: float) -> None:
    monkeypatch.setattr("etl_jobs.irt.answers.blocks._DENSE_ROWS", 100)
    monkeypatch.setattr("etl_jobs.irt.answers.blocks._SPARSE_ROWS", 100)
    whole = in_memory(simulate(4000, 40, answered=answered))

    sample = InMemory(sample_of(whole.blocks, 8))

    assert len(sample.blocks) == -(-len(whole.blocks) // 8)
    assert sample.persons == pytest.approx(persons_in(whole.blocks)) == 4000
    few, all_ = sums_at(sample, 40), sums_at(whole, 40)
    assert few.log_likelihood == pytest.approx(all_.log_likelihood, rel=0.05)
    assert few.right.sum() == pytest.approx(all_.right.sum(), rel=0.1)


def test_drafts_are_for_many_answers_and_for_steps_that_they_can_tell() -> None:
    few, many = in_memory(simulate(500, 20)), in_memory(simulate(5000, 50))

    drafts = drafts_of_all(few), drafts_of_all(many, tolerance=1e-8), drafts_of_all(many)

    precisions = [group.precision for (draft,) in drafts for group in in_memories(draft)]
    assert precisions == [np.float64, np.float64, np.float32]
    assert [group.blocks is many.blocks for group in in_memories(drafts[2][0])] == [True]


def test_a_sample_without_both_outcomes_of_an_item_is_not_climbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._ENOUGH_ANSWERS", 0)
    answers = simulate(9000, 50)
    rare = answers.copy()
    rare[20:, 7] = np.nan

    assert len(drafts_of_all(in_memory(answers))) == 2
    assert len(drafts_of_all(in_memory(rare))) == 1


def test_a_sample_of_few_answers_to_each_item_is_not_climbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._ENOUGH_ANSWERS", 0)
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._MANY_ANSWERS", 0)
    many, few = in_memory(simulate(9000, 50)), in_memory(simulate(9000, 50, answered=0.2))

    of_many, of_few = drafts_of_all(many), drafts_of_all(few)

    assert [draft.whole for draft in of_many] == [False, True]
    assert [draft.whole for draft in of_few] == [True]


def test_more_answers_to_an_item_bring_the_beginning_nearer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("etl_jobs.irt.answers.blocks._SPARSE_ROWS", 400)
    responses = irt.Responses.from_dense(simulate(8000, 60, answered=0.2))
    blocks = blocks_of(Patterns.of(responses))
    found = irt.calibrate(responses, priors=None, standard_errors="none")

    def off() -> np.ndarray:
        begun = begin_near(design("2PL", NO_PRIORS, responses), [blocks]).fixed
        slope, level = found.discrimination, found.intercept
        off = np.stack((begun.discrimination - slope, begun.intercept - level))
        return np.asarray(np.abs(off).mean(axis=1))

    with_all = off()
    monkeypatch.setattr("etl_jobs.irt.estimation.moments._ENOUGH_ANSWERS", 50)

    assert np.all(with_all < 0.5 * off())


@pytest.mark.parametrize("priors", [None, irt.DEFAULT_PRIORS], ids=["likelihood", "priors"])
@pytest.mark.parametrize("model", ["1PL", "2PL"])
def test_drafts_lead_where_double_precision_alone_does(
    monkeypatch: pytest.MonkeyPatch, model: irt.Model, priors: irt.Priors | None
) -> None:
    responses = irt.Responses.from_dense(simulate(9000, 30))
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._ENOUGH_ANSWERS", 0)

    quick = irt.calibrate(responses, model=model, priors=priors, standard_errors="none")
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._MANY_ANSWERS", np.inf)
    exact = irt.calibrate(
        responses, model=model, priors=priors, standard_errors="none", tolerance=1e-8
    )

    assert quick.converged
    assert quick.score <= 0.01
    assert quick.discrimination == pytest.approx(exact.discrimination, abs=1e-4)
    assert quick.intercept == pytest.approx(exact.intercept, abs=1e-4)
    assert quick.log_posterior == pytest.approx(exact.log_posterior, abs=1e-4)
    assert quick.log_posterior <= exact.log_posterior + 1e-7


def test_the_order_of_rows_changes_no_bit_of_a_large_calibration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._ENOUGH_ANSWERS", 0)
    answers = simulate(9000, 30)
    shuffled = np.random.default_rng(0).permutation(answers)

    once = irt.calibrate(irt.Responses.from_dense(answers), standard_errors="none")
    again = irt.calibrate(irt.Responses.from_dense(shuffled), standard_errors="none")

    assert np.array_equal(once.discrimination, again.discrimination)
    assert np.array_equal(once.intercept, again.intercept)
    assert once.log_likelihood == again.log_likelihood


# --- grids and climbs ---------------------------------------------------------------------


def test_a_coarser_grid_has_fewer_nodes_around_the_same_middle() -> None:
    grid = Grid.standard_normal(61, 8.0)

    coarser = grid.coarser()

    assert coarser is not None
    assert len(coarser.nodes) < 30
    assert coarser.nodes == pytest.approx(-coarser.nodes[::-1])
    assert 4 < coarser.nodes[-1] <= 5
    assert np.exp(coarser.log_weights).sum() == pytest.approx(1.0)
    assert Grid.standard_normal(9, 8.0).coarser() is None


def test_a_sample_of_a_short_test_is_not_climbed(monkeypatch: pytest.MonkeyPatch) -> None:
    # A few hundred patterns are most of the persons: which of them are in a sample decides.
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._ENOUGH_ANSWERS", 0)
    monkeypatch.setattr("etl_jobs.irt.estimation.drafts._MANY_ANSWERS", 0)
    monkeypatch.setattr("etl_jobs.irt.answers.blocks._DENSE_ROWS", 50)

    assert len(drafts_of_all(in_memory(simulate(20_000, 10)))) == 1


def test_a_climb_goes_on_where_heights_are_blurred() -> None:
    # Heights of about a million, rounded to whole numbers; scores are exact.
    def evaluate(point: np.ndarray) -> Slope:
        height = 1e6 - float((point**2).sum())
        information = np.tile(3.0 * np.eye(2), (4, 1, 1))
        return Slope(np.round(height), -2 * point, information, np.empty((0, 4, 2)))

    start = np.linspace(-2, 1, 8).reshape(4, 2)
    end = climb(evaluate, start, tolerance=1e-9, max_evaluations=100, rounding=COARSE_ROUNDING)

    assert end.next_step <= 1e-9
    assert np.abs(end.point).max() < 1e-8
