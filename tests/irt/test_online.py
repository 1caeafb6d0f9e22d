"""A student's ability after each answer: exact, in any order, and small to keep."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_jobs import irt


def bank(items: int = 40, model: str = "3PL") -> irt.ItemBank:
    draw = np.random.default_rng(9)
    lower = draw.uniform(0.05, 0.25, items) if model == "3PL" else 0.0
    labels = [f"q{item}" for item in range(items)]
    return irt.ItemBank.of(labels, draw.lognormal(0, 0.3, items), draw.normal(0, 1, items), lower)


@given(
    answers=st.lists(st.tuples(st.integers(0, 39), st.booleans()), unique_by=lambda one: one[0]),
    model=st.sampled_from(["2PL", "3PL"]),
    persons=st.sampled_from([None, irt.Normal(0.7, 1.4)]),
)
@settings(max_examples=60, deadline=None)
def test_answers_one_by_one_give_what_all_at_once_do(
    answers: list[tuple[int, bool]], model: str, persons: irt.Normal | None
) -> None:
    items = bank(model=model)
    online = irt.OnlineAbility(items, persons=persons)

    student = online.start()
    for item, correct in answers:
        student = online.update(student, f"q{item}", correct=correct)

    row = np.full((1, 40), np.nan)
    for item, correct in answers:
        row[0, item] = correct
    responses = irt.Responses.from_dense(row, items=items.items)
    batch = irt.estimate_abilities(items, responses, persons=persons)
    assert student.ability == pytest.approx(batch.ability[0], abs=1e-10)
    assert student.standard_error == pytest.approx(batch.standard_error[0], abs=1e-10)
    assert student.answers == len(answers)


def test_the_order_of_answers_does_not_matter() -> None:
    items = bank()
    online = irt.OnlineAbility(items)
    answers = [(label, place % 3 > 0) for place, label in enumerate(items.items)]

    forth, back = online.start(), online.start()
    for label, correct in answers:
        forth = online.update(forth, label, correct=correct)
    for label, correct in reversed(answers):
        back = online.update(back, label, correct=correct)

    assert back.ability == pytest.approx(forth.ability, abs=1e-10)


def test_a_student_is_kept_as_json_and_taken_up_again_bit_by_bit() -> None:
    online = irt.OnlineAbility(bank())
    student = online.update(online.start(), "q3", correct=True)

    text = json.dumps(student.to_dict())
    again = irt.Belief.from_dict(json.loads(text))

    assert len(text) < 3000
    assert np.array_equal(again.log_weights, student.log_weights)
    assert np.array_equal(again.nodes, student.nodes)
    ahead = online.update(student, "q4", correct=False)
    assert online.update(again, "q4", correct=False).ability == ahead.ability


def test_a_right_answer_raises_and_a_wrong_one_lowers_and_both_narrow() -> None:
    online = irt.OnlineAbility(bank(model="2PL"))
    before = online.start()

    right = online.update(before, "q0", correct=True)
    wrong = online.update(before, "q0", correct=False)

    assert wrong.ability < before.ability < right.ability
    assert max(right.standard_error, wrong.standard_error) < before.standard_error
    chance = online.probability(before, "q0")
    mean = chance * right.ability + (1 - chance) * wrong.ability
    assert mean == pytest.approx(before.ability, abs=1e-10)
    assert before.answers == 0


def test_thousands_of_surprising_answers_stay_finite() -> None:
    online = irt.OnlineAbility(irt.ItemBank.of(["q"], 3.0, -20.0))
    student = online.start()

    for _ in range(3000):
        student = online.update(student, "q", correct=True)

    assert np.isfinite([student.ability, student.standard_error]).all()
    assert student.ability > 6


def test_unknown_items_and_states_of_something_else_are_refused() -> None:
    online = irt.OnlineAbility(bank())
    state = online.start().to_dict()

    with pytest.raises(ValueError, match="item q99 is not calibrated"):
        online.update(online.start(), "q99", correct=True)
    for answer in (None, 0.5, float("nan"), "yes"):
        with pytest.raises(ValueError, match="expected True or False"):
            online.update(online.start(), "q1", correct=answer)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="item q99 is not calibrated"):
        online.probability(online.start(), "q99")
    for broken in ({}, state | {"log_weights": "?"}, state | {"nodes": [-8, 8, 7]}, {"nodes": 3}):
        with pytest.raises(ValueError, match="no state of a student's ability"):
            irt.Belief.from_dict(broken)
    with pytest.raises(ValueError, match="grid of 2 nodes"):
        irt.OnlineAbility(bank(), nodes=2)
