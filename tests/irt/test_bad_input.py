"""What cannot be calibrated is refused with one sentence: what, where, what was expected."""

from __future__ import annotations

import resource
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from etl_jobs import irt
from etl_jobs.irt.memory import free_memory

# Made of what their types do not allow.
PRIORS: Any = irt.Priors
NORMAL: Any = irt.Normal
BETA: Any = irt.Beta


def answers(persons: int = 60, items: int = 5, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    ability = draw.standard_normal((persons, 1))
    return (draw.random((persons, items)) < 1 / (1 + np.exp(-ability))).astype(float)


def with_cell(value: object, kind: type = float) -> np.ndarray:
    matrix: np.ndarray = answers().astype(kind)
    matrix[3, 2] = value
    return matrix


# --- matrices -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, -1, 0.5, np.inf, -np.inf, 1e300])
def test_a_matrix_of_anything_but_right_wrong_or_missing_is_refused_with_the_place(
    value: float,
) -> None:
    with pytest.raises(ValueError, match=r"in row 3, column 2 \(1 such cells\); expected 1, 0"):
        irt.Responses.from_dense(with_cell(value))


@pytest.mark.parametrize("value", ["yes", [1], {}, 1 + 2j, date(2024, 1, 1)])
def test_an_object_that_is_no_number_is_refused_with_the_place(value: object) -> None:
    matrix = answers().astype(object)
    matrix[3, 2] = value

    with pytest.raises(ValueError, match=r"in row 3, column 2; expected 1, 0 or missing"):
        irt.Responses.from_dense(matrix)


def test_a_matrix_of_objects_reads_as_its_numbers_and_none_is_missing() -> None:
    plain, objects = answers(), answers().astype(object)
    plain[3, 2], objects[3, 2] = np.nan, None

    expected, found = irt.Responses.from_dense(plain), irt.Responses.from_dense(objects)

    assert np.array_equal(found.item, expected.item)
    assert np.array_equal(found.correct, expected.correct)


def test_what_pandas_calls_missing_is_missing() -> None:
    plain = answers()
    plain[3, 2] = np.nan
    frame = pd.DataFrame(plain).astype("Int64")

    expected, found = irt.Responses.from_dense(plain), irt.Responses.from_dense(frame)

    assert frame.iloc[3, 2] is pd.NA
    assert np.array_equal(found.item, expected.item)
    assert np.array_equal(found.correct, expected.correct)


@pytest.mark.parametrize(
    "person",
    [
        np.array(["a", None], object),
        np.array(["a", np.nan], object),
        np.array(["a", pd.NA], object),
        np.array([1.0, np.nan]),
        np.array(["2024-01-01", "NaT"], "M8[D]"),
    ],
    ids=["None", "NaN in text", "NA", "NaN", "NaT"],
)
def test_a_person_or_an_item_without_a_name_is_refused(person: np.ndarray) -> None:
    with pytest.raises(ValueError, match="person is missing in some rows"):
        irt.Responses.from_long(person, [0, 1], [1, 0])
    with pytest.raises(ValueError, match="item is missing in some rows"):
        irt.Responses.from_long([0, 1], person, [1, 0])
    with pytest.raises(ValueError, match="one of the item labels is missing"):
        irt.Responses.from_dense([[1, 0]], items=person)


@pytest.mark.parametrize("correct", [[1, np.inf], [1, 2], [1, -1], [1, 0.5]])
def test_a_log_of_anything_but_right_wrong_or_missing_is_refused_with_the_row(
    correct: list[float],
) -> None:
    with pytest.raises(ValueError, match=r"in row 1 \(1 such rows\); expected 1, 0 or missing"):
        irt.Responses.from_long([0, 1], [0, 1], correct)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint64, np.float16, np.longdouble])
def test_every_kind_of_number_is_read_alike(kind: type) -> None:
    expected = irt.Responses.from_dense(answers())

    found = irt.Responses.from_dense(answers().astype(kind))

    assert np.array_equal(found.correct, expected.correct)


@pytest.mark.parametrize(
    "matrix",
    [1, [1, 0, 1], np.zeros((2, 2, 2)), None, "abc", {"a": 1}],
    ids=["number", "row", "cube", "None", "text", "dict"],
)
def test_what_has_not_two_dimensions_is_refused(matrix: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a matrix \(persons, items\)"):
        irt.Responses.from_dense(matrix)


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of the matrix differ in length"):
        irt.Responses.from_dense([[1, 0], [1]])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"items": list("abc")}, r"item labels have shape \(3,\); the matrix has 5 columns"),
        ({"persons": [1]}, r"person labels have shape \(1,\); the matrix has 60 rows"),
        ({"items": np.zeros((5, 1))}, r"item labels have shape \(5, 1\)"),
        ({"items": list("abcda")}, "item labels are not distinct"),
    ],
)
def test_labels_that_are_not_the_matrix_s_are_refused(labels: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        irt.Responses.from_dense(answers(), **labels)


def test_labels_of_several_types_are_refused() -> None:
    with pytest.raises(ValueError, match="person labels cannot be put in order"):
        irt.Responses.from_long(np.array([1, "a"], object), [0, 1], [1, 0])


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (answers()[:1], "only 1 person gave answers; calibration needs at least 2"),
        (answers()[:, :1], "only 1 item has answers; calibration needs at least 2"),
        (np.zeros((0, 5)), "there is no answer"),
        (np.zeros((5, 0)), "there is no answer"),
        (np.full((5, 5), np.nan), "there is no answer"),
        (np.ones((50, 5)), "all 250 answers are right"),
        (np.zeros((50, 5)), "all 250 answers are wrong"),
    ],
    ids=["one row", "one column", "no row", "no column", "nothing", "all right", "all wrong"],
)
@pytest.mark.parametrize("model", ["Rasch", "1PL", "2PL", "3PL", "4PL"])
def test_what_tells_nothing_apart_is_refused(matrix: Any, sentence: str, model: Any) -> None:
    responses = irt.Responses.from_dense(matrix)

    with pytest.raises(irt.TooFewResponses, match=sentence):
        irt.calibrate(responses, model=model)


def test_items_without_variance_stay_finite_and_are_named() -> None:
    matrix = answers()
    matrix[:, 1], matrix[:, 3] = 1.0, 0.0

    calibration = irt.calibrate(irt.Responses.from_dense(matrix))

    assert np.all(np.isfinite(calibration.difficulty))
    assert "all_right" in calibration.flags[1]
    assert "all_wrong" in calibration.flags[3]
    with pytest.raises(irt.TooFewResponses, match="are none, for 1, 3"):
        irt.calibrate(irt.Responses.from_dense(matrix), priors=None)


# --- too large ----------------------------------------------------------------------------


def test_a_billion_answers_and_more_are_refused_with_the_estimate() -> None:
    # A view of one number, so that only what would be made of it is large.
    matrix = np.broadcast_to(np.int8(1), (10_000_000, 1_000_000))

    with pytest.raises(
        MemoryError, match=r"10,000,000 x 1,000,000 answers takes about 60,000.0 GB"
    ):
        irt.Responses.from_dense(matrix)


def test_a_log_of_ten_billion_answers_is_refused_with_the_estimate() -> None:
    column = np.broadcast_to(np.int8(1), 10_000_000_000)

    with pytest.raises(MemoryError, match=r"10,000,000,000 answers takes about 400.0 GB"):
        irt.Responses.from_long(column, column, column)


def test_a_billion_nodes_are_refused_with_the_estimate() -> None:
    wide = irt.Responses.from_dense(answers(30, 200))

    with pytest.raises(MemoryError, match="1,000,000,000 nodes for 200 items takes about"):
        irt.calibrate(wide, nodes=1_000_000_000)


def test_a_table_of_probabilities_too_large_is_refused_with_the_estimate() -> None:
    many = np.broadcast_to(0.0, 10**9)

    with pytest.raises(MemoryError, match=r"10,000 items x 1,000,000,000 abilities takes about"):
        irt.probability(many, np.ones(10_000), np.zeros(10_000))


def test_joint_standard_errors_of_a_huge_bank_are_refused_with_another_way() -> None:
    items = 200_000
    person = np.repeat(np.arange(4), items)
    item = np.tile(np.arange(items), 4)
    correct = (person + item) % 2
    responses = irt.Responses.from_long(person, item, correct)

    with pytest.raises(MemoryError, match=r'200,000 items takes about .* standard_errors="near"'):
        irt.calibrate(
            responses, standard_errors="joint", max_iterations=1, nodes=3, on_failure="return"
        )


@pytest.mark.skipif(
    not Path("/proc/meminfo").exists(),
    reason="reads /proc/meminfo, which Linux alone has; run it there",
)
def test_free_memory_is_what_the_kernel_says() -> None:
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024

    assert 0 < free_memory() <= total
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < total


# --- arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize("responses", [answers(), None, answers().tolist()])
def test_a_matrix_itself_is_refused_and_told_how_to_become_responses(responses: Any) -> None:
    with pytest.raises(TypeError, match="make Responses of it with"):
        irt.calibrate(responses)


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("model", "5PL", ValueError),
        ("model", None, ValueError),
        ("nodes", 0, ValueError),
        ("nodes", -61, ValueError),
        ("nodes", 2.5, TypeError),
        ("nodes", True, TypeError),
        ("span", 0, ValueError),
        ("span", -8, ValueError),
        ("span", np.nan, ValueError),
        ("span", np.inf, ValueError),
        ("span", 1e308, ValueError),
        ("span", "wide", TypeError),
        ("tolerance", 0, ValueError),
        ("tolerance", np.nan, ValueError),
        ("max_iterations", 0, ValueError),
        ("max_iterations", 10.0, TypeError),
        ("standard_errors", "yes", ValueError),
        ("on_failure", "ignore", ValueError),
        ("population", "uniform", ValueError),
        ("priors", "default", TypeError),
        ("priors", 5, TypeError),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(
    argument: str, value: Any, error: type[Exception]
) -> None:
    responses = irt.Responses.from_dense(answers())

    with pytest.raises(error, match=rf"^{argument} is .*; expected"):
        irt.calibrate(responses, **{argument: value})


def test_anchors_that_do_not_exist_are_named() -> None:
    responses = irt.Responses.from_dense(answers(), items=list("abcde"))

    with pytest.raises(ValueError, match="anchors that are no item of these responses: z, y"):
        irt.calibrate(responses, anchors={"a": (1.0, 0.0), "z": (1.0, 0.0), "y": (1.0, 0.0)})


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ((1.0,), "parameters of shape"),
        ((np.nan, 0.0), "expected finite numbers"),
        ((1.0, 0.0, 0.5, 0.4), "0 <= lower < upper <= 1"),
    ],
)
def test_anchors_that_are_no_curve_are_named(parameters: Any, sentence: str) -> None:
    responses = irt.Responses.from_dense(answers(), items=list("abcde"))

    with pytest.raises(ValueError, match=f"anchor a has .*{sentence}"):
        irt.calibrate(responses, anchors={"a": parameters})


@pytest.mark.parametrize("anchors", ["latest", [(1.0, 0.0)], 5])
def test_anchors_that_are_no_mapping_are_refused(anchors: Any) -> None:
    with pytest.raises(TypeError, match="expected a mapping from items' labels"):
        irt.calibrate(irt.Responses.from_dense(answers()), anchors=anchors)


def test_anchors_that_are_no_numbers_are_named() -> None:
    responses = irt.Responses.from_dense(answers(), items=list("abcde"))

    with pytest.raises(ValueError, match=r"anchor a has the parameters \('x', 'y'\); expected"):
        irt.calibrate(responses, anchors={"a": ("x", "y")})  # type: ignore[dict-item]


def test_a_prior_that_an_anchor_contradicts_is_refused() -> None:
    responses = irt.Responses.from_dense(answers(), items=list("abcde"))
    positive = irt.Priors(discrimination=irt.LogNormal(0.0, 0.5))

    with pytest.raises(ValueError, match=r"anchor a has the discrimination -1.*rules out"):
        irt.calibrate(responses, priors=positive, anchors={"a": (-1.0, 0.0)})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: irt.Normal(0.0, 0.0), "deviation is 0"),
        (lambda: irt.Normal(0.0, np.inf), "deviation is inf"),
        (lambda: irt.LogNormal(np.nan, 1.0), "mean is nan"),
        (lambda: irt.Beta(0.5, 5.0), "expected 1 or more"),
        (lambda: irt.Beta(2.0, np.nan), "expected 1 or more"),
        (lambda: NORMAL("0", 1.0), "a prior is made of '0'; expected numbers"),
        (lambda: BETA(2.0, None), "a beta prior is made of None; expected numbers"),
        (lambda: PRIORS(discrimination=1.0), "expected Normal or LogNormal, or None"),
        (lambda: PRIORS(discrimination=irt.Beta(2, 2)), "the prior of discrimination is"),
        (lambda: PRIORS(intercept=irt.LogNormal(0, 1)), "the prior of intercept is"),
        (lambda: PRIORS(lower=irt.Normal(0, 1)), "the prior of lower is"),
        (lambda: PRIORS(slip=0.1), "the prior of slip is 0.1; expected Beta"),
    ],
)
def test_a_prior_that_contradicts_itself_is_refused(make: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        make()


# --- beyond the grid ----------------------------------------------------------------------


def test_abilities_beyond_the_grid_have_finite_probabilities_and_no_information() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(answers()))
    far = [-np.inf, -1e308, -1e3, 1e3, 1e308, np.inf]

    right = irt.characteristic_curves(calibration, far)

    assert np.array_equal(right, np.repeat([[0.0] * 3 + [1.0] * 3], 5, axis=0))
    assert irt.information_curve(calibration, far).tolist() == [0.0] * 6
    assert irt.measurement_error(calibration, far).tolist() == [np.inf] * 6


@pytest.mark.parametrize("method", ["EAP", "MAP", "ML", "WLE"])
def test_a_person_beyond_the_grid_is_placed_at_its_end_at_most(method: Any) -> None:
    # The easiest of these 300 items is as hard as an ability of 9.
    bank = irt.ItemBank.of(np.arange(300), 2.0, np.linspace(-30.0, -18.0, 300))
    person = irt.Responses.from_dense(np.ones((1, 300)))

    found = irt.estimate_abilities(bank, person, method=method)

    assert 5.0 < found.ability[0] <= 8.0


def test_abilities_of_persons_who_are_no_distribution_are_refused() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(answers()))

    with pytest.raises(TypeError, match=r"persons is 'normal'; expected Normal\(mean, deviation\)"):
        irt.estimate_abilities(calibration, irt.Responses.from_dense(answers()), persons="normal")  # type: ignore[arg-type]


def test_abilities_of_what_is_no_responses_are_refused() -> None:
    calibration = irt.calibrate(irt.Responses.from_dense(answers()))

    with pytest.raises(TypeError, match="make Responses of it"):
        irt.estimate_abilities(calibration, answers())  # type: ignore[arg-type]
