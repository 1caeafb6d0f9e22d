"""Items that hang together through common persons, and blocks that do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from etl_jobs import irt
from etl_jobs.irt.answers.connections import item_blocks
from tests.irt.simulation import simulate


def test_blocks_without_a_common_person_are_named_and_flagged() -> None:
    answers = simulate(300, 12).answers
    answers[:200, 8:], answers[200:, :8] = np.nan, np.nan

    found = irt.calibrate(irt.Responses.from_dense(answers))

    assert found.block.tolist() == [0] * 8 + [1] * 4
    assert all("unconnected" not in flags for flags in found.flags[:8])
    assert all("unconnected" in flags for flags in found.flags[8:])
    assert np.all(np.isfinite(found.covariance))


def test_one_person_joins_two_blocks() -> None:
    answers = simulate(300, 12).answers
    answers[:200, 8:], answers[200:, :8] = np.nan, np.nan
    answers[299, 0] = 1

    found = irt.calibrate(irt.Responses.from_dense(answers))

    assert np.all(found.block == 0)


def test_the_person_who_joins_may_be_the_last_of_many() -> None:
    rows = 5000
    item = np.concatenate((np.tile([0, 1], rows), [1, 2], np.tile([2, 3], rows)))
    person = np.concatenate((np.repeat(range(rows), 2), [2 * rows] * 2))
    person = np.concatenate((person, np.repeat(range(rows, 2 * rows), 2)))

    joined = irt.Responses.from_long(person, item, item % 2)
    apart = irt.Responses.from_long(
        np.delete(person, 2 * rows), np.delete(item, 2 * rows), np.delete(item % 2, 2 * rows)
    )

    assert item_blocks(joined).tolist() == [0, 0, 0, 0]
    assert sorted(item_blocks(apart).tolist()) == [0, 0, 1, 1]


@given(
    answered=npst.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 8))),
)
@settings(max_examples=80, deadline=None)
def test_items_share_a_block_if_and_only_if_persons_lead_from_one_to_the_other(
    answered: np.ndarray,
) -> None:
    responses = irt.Responses.from_dense(np.where(answered, 1.0, np.nan))

    block = item_blocks(responses)

    reach = answered.T.astype(int) @ answered.astype(int) > 0
    for _ in range(8):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    has_answers = answered.any(axis=0)
    assert np.array_equal(block >= 0, has_answers)
    same = block[:, np.newaxis] == block
    assert np.array_equal(same[has_answers][:, has_answers], reach[has_answers][:, has_answers])
    sizes = np.bincount(block[has_answers], weights=answered.sum(axis=0)[has_answers])
    assert np.all(np.diff(sizes) <= 0)


def test_no_answers_are_no_block() -> None:
    assert item_blocks(irt.Responses.from_dense(np.full((2, 3), np.nan))).tolist() == [-1, -1, -1]
    with pytest.raises(irt.TooFewResponses):
        irt.calibrate(irt.Responses.from_dense(np.full((2, 3), np.nan)))
