"""What somebody at a prompt sees: a line for each thing, and a sentence for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from etl_jobs import irt

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWERS = np.random.default_rng(1).integers(0, 2, (200, 6))
RESPONSES = irt.Responses.from_dense(ANSWERS, items=list("abcdef"))
BANK = irt.ItemBank.of(["a", "b"], 1.0, [0.0, 1.0])


def test_whatever_holds_columns_shows_itself_in_a_line() -> None:
    calibration = irt.calibrate(RESPONSES, model="1PL")
    online = irt.OnlineAbility(calibration)

    shown = [
        repr(each)
        for each in (
            RESPONSES,
            calibration,
            irt.estimate_abilities(calibration, RESPONSES, method="MAP"),
            BANK,
            online,
            online.start(),
        )
    ]

    assert shown[0] == "<Responses: persons: 200, items: 6, answers: 1,200>"
    assert shown[1].startswith("<Calibration: 1PL, items: 6 (")
    assert shown[1].endswith(f"{calibration.log_likelihood:.3f}, converged>")
    assert shown[2].startswith("<Abilities: MAP, persons: 200, reliability: ")
    assert shown[3] == "<ItemBank: items: 2>"
    assert shown[4] == "<OnlineAbility: items: 6, nodes: 241>"
    assert shown[5] == "<Belief: ability 0.000 ± 1.000, answers: 0>"


def test_a_calibration_that_did_not_converge_says_so_where_it_is_shown() -> None:
    cut = irt.calibrate(RESPONSES, max_iterations=1, on_failure="return")

    assert not cut.converged
    assert "NOT converged" in repr(cut)


@pytest.mark.parametrize(
    "call",
    [
        lambda strange: irt.estimate_abilities(strange, RESPONSES),
        lambda strange: irt.link(strange, BANK),
        lambda strange: irt.link(BANK, strange),
        lambda strange: irt.items_to_json(strange),
        lambda strange: irt.items_to_mirt_csv(strange),
        irt.OnlineAbility,
    ],
    ids=["abilities", "link new", "link old", "json", "mirt", "online"],
)
@pytest.mark.parametrize(
    "strange", [None, ANSWERS, {"a": (1.0, 0.0)}], ids=["None", "matrix", "map"]
)
def test_what_is_no_items_is_refused_and_told_how_to_come_by_some(
    call: Callable[[Any], object], strange: object
) -> None:
    with pytest.raises(TypeError, match=r"expected a Calibration, or an ItemBank .*ItemBank\.of"):
        call(strange)


def test_an_estimator_is_told_where_its_items_are() -> None:
    model = irt.ItemResponseModel("1PL").fit(ANSWERS)

    with pytest.raises(TypeError, match="keeps its items as calibration_"):
        irt.estimate_abilities(model, RESPONSES)  # type: ignore[arg-type]


@pytest.mark.parametrize("call", [irt.mantel_haenszel, irt.likelihood_ratio])
def test_a_matrix_is_no_responses_for_groups_either(call: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"Responses\.from_dense"):
        call(ANSWERS, np.arange(200) < 100)


def test_one_item_may_be_named_without_a_list() -> None:
    group = np.arange(200) % 2

    alone = irt.likelihood_ratio(RESPONSES, group, items="b", model="1PL")

    assert list(alone.items) == ["b"]
    with pytest.raises(ValueError, match="1 items with positive"):
        irt.link(BANK, BANK, common="b")


@pytest.mark.parametrize("function", [irt.item_information, irt.measurement_error])
def test_a_single_ability_is_expected_as_a_row(function: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"abilities have shape \(\)"):
        function(BANK, 0.0)


def test_a_bound_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="bound is '8'; expected a positive number"):
        irt.estimate_abilities(
            BANK, irt.Responses.from_dense([[1, 0]], items=["a", "b"]), bound="8"
        )  # type: ignore[arg-type]


def test_what_is_no_belief_and_what_is_no_label_are_refused() -> None:
    online = irt.OnlineAbility(BANK)

    with pytest.raises(TypeError, match="student is of type dict; expected the Belief"):
        online.update(online.start().to_dict(), "a", correct=True)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="item \\['a'\\] is not calibrated"):
        online.update(online.start(), ["a"], correct=True)


def test_a_frame_of_something_else_is_refused_in_words() -> None:
    texts = pd.DataFrame({"student": ["x", "y"], "right": ["1", "0"]})

    with pytest.raises(ValueError, match=r"something else than 1, 0 .*name its columns"):
        irt.ItemResponseModel().fit(texts)
    with pytest.raises(ValueError, match="no column 'item'; it has 'student', 'right'"):
        irt.ItemResponseModel(columns=("student", "item", "right")).fit(texts)
