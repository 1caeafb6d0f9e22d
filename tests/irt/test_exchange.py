"""Items as JSON and as tables of other packages: exact there and back, and clear refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_jobs import irt

finite = st.floats(-1e6, 1e6)


@st.composite
def banks(draw: st.DrawFn) -> irt.ItemBank:
    labels = draw(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), unique=True
        )
    )
    size = len(labels)

    def column(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=size, max_size=size))

    return irt.ItemBank.of(
        np.array(labels, dtype=object).astype(str) if labels else np.array([], str),
        column(finite),
        column(finite),
        column(st.floats(0, 0.4)),
        column(st.floats(0.6, 1)),
    )


def same(left: irt.ItemBank, right: irt.ItemBank) -> bool:
    return left.items.tolist() == right.items.tolist() and all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in ("discrimination", "intercept", "lower", "upper")
    )


@given(bank=banks())
@settings(max_examples=60, deadline=None)
def test_json_and_mirts_table_give_back_the_very_same_items(bank: irt.ItemBank) -> None:
    assert same(irt.items_from_json(irt.items_to_json(bank)), bank)
    assert same(irt.items_from_json(irt.items_to_json(bank).encode()), bank)
    assert same(irt.items_from_mirt_csv(irt.items_to_mirt_csv(bank)), bank)


def test_a_calibration_comes_back_with_its_covariance_and_scores_the_same() -> None:
    answers = np.random.default_rng(1).integers(0, 2, (200, 6))
    responses = irt.Responses.from_dense(answers)
    calibration = irt.calibrate(responses)

    loaded = irt.items_from_json(irt.items_to_json(calibration))

    assert np.array_equal(loaded.items, calibration.items)
    assert np.array_equal(loaded.covariance, calibration.covariance)
    assert irt.estimate_abilities(loaded, responses).ability == pytest.approx(
        irt.estimate_abilities(calibration, responses).ability, abs=1e-12
    )
    assert irt.items_to_json(loaded) == irt.items_to_json(calibration)
    ability = np.linspace(-3, 3, 7)
    assert np.array_equal(
        irt.information_curve(loaded, ability), irt.information_curve(calibration, ability)
    )


def test_the_persons_that_the_items_were_calibrated_with_come_back() -> None:
    draw = np.random.default_rng(2)
    ability = 1.6 * draw.standard_normal((800, 1))
    answers = draw.random((800, 8)) < 1 / (1 + np.exp(np.linspace(-2, 2, 8) - ability))
    responses = irt.Responses.from_dense(answers)
    calibration = irt.calibrate(responses, model="Rasch")

    loaded = irt.items_from_json(irt.items_to_json(calibration))

    assert loaded.populations == calibration.populations
    assert loaded.populations[0].deviation > 1.3
    assert irt.estimate_abilities(loaded, responses).ability == pytest.approx(
        irt.estimate_abilities(calibration, responses).ability, abs=1e-12
    )
    assert irt.log_likelihood(loaded, responses) == pytest.approx(calibration.log_likelihood)


def test_covariances_nobody_asked_for_come_back_as_unknown() -> None:
    answers = np.random.default_rng(1).integers(0, 2, (200, 6))
    calibration = irt.calibrate(irt.Responses.from_dense(answers), standard_errors="none")

    assert irt.items_from_json(irt.items_to_json(calibration)).covariance is None


def test_a_published_document_with_difficulties_alone_is_read() -> None:
    document = {
        "schema_version": 1,
        "as_of": "2024-03-01",
        "items": [{"item_id": "q1", "discrimination": 2.0, "difficulty": -0.5, "flags": []}],
    }

    bank = irt.items_from_json(json.dumps(document))

    assert (bank.discrimination[0], bank.intercept[0]) == (2.0, 1.0)
    assert (bank.lower[0], bank.upper[0]) == (0.0, 1.0)


def test_what_the_job_publishes_is_read_as_the_items_it_published() -> None:
    from etl_jobs.calibrate.items import item_table, json_rows

    draw = np.random.default_rng(4)
    answers = draw.random((900, 7)) < 0.2 + 0.8 / (1 + np.exp(-draw.normal(0, 1, (900, 1))))
    labels = [f"q{item}" for item in range(7)]
    fitted = irt.calibrate(irt.Responses.from_dense(answers, items=labels), model="3PL")
    rows = json_rows(item_table(fitted, [{} for _ in labels], fitted.flags))
    group = {"label": None, "persons": 900, "mean": 0.1, "deviation": 1.2}

    loaded = irt.items_from_json(
        json.dumps({"schema_version": 1, "populations": [group], "items": rows})
    )

    assert list(loaded.items) == labels
    for name in ("discrimination", "intercept", "lower", "upper"):
        assert getattr(loaded, name) == pytest.approx(getattr(fitted, name), abs=1e-6)
    assert (loaded.populations[0].mean, loaded.populations[0].deviation) == (0.1, 1.2)


def item(**fields: object) -> str:
    row = {"item_id": "q1", "discrimination": 1.0, "intercept": 0.0} | fields
    return json.dumps({"schema_version": 1, "items": [row]})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "no JSON document"),
        (b"\xff\xfe{", "no JSON document"),
        ("[" * 100_000, "no JSON document"),
        ("[1]", "a schema_version"),
        ('{"items": []}', "a schema_version"),
        ('{"schema_version": true, "items": []}', "schema_version is True"),
        ('{"schema_version": 2, "items": []}', "version 2; this release reads up to 1"),
        ('{"schema_version": 1}', "a list with an object for each item"),
        ('{"schema_version": 1, "items": [3]}', "a list with an object for each item"),
        (item(item_id=None), "item number 0 is None"),
        (item(discrimination=None), "discrimination of item q1 is None"),
        (item(intercept="0"), "intercept of item q1 is '0'"),
        (item(discrimination=float("nan")), "hold NaN"),
        (item(intercept=True), "intercept of item q1 is True"),
        (item(lower_asymptote=0.7, upper_asymptote=0.6), "item q1 runs from 0.7 to 0.6"),
        (item(lower_asymptote=-0.1), "item q1 runs from -0.1"),
        (item(covariance=[1.0]), "covariance has shape"),
        ('{"schema_version": 1, "items": [], "populations": [1]}', "an object for each"),
        (
            '{"schema_version": 1, "items": [], "populations": [{"mean": 0, "deviation": 0}]}',
            "deviation of a population is 0",
        ),
        (
            '{"schema_version": 1, "items": [], "populations": [{"deviation": 1}]}',
            "mean of a population is None",
        ),
        (
            '{"schema_version": 1, "items": ['
            '{"item_id": "q", "discrimination": 1, "intercept": 0},'
            '{"item_id": "q", "discrimination": 1, "intercept": 0}]}',
            "distinct",
        ),
        (
            '{"schema_version": 1, "items": ['
            '{"item_id": "1", "discrimination": 1, "intercept": 0},'
            '{"item_id": 1, "discrimination": 1, "intercept": 0}]}',
            "text in some items",
        ),
    ],
)
def test_a_document_that_is_none_is_refused_and_says_where(
    text: str | bytes, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        irt.items_from_json(text)


def test_catsims_table_holds_difficulties_and_comes_back() -> None:
    bank = irt.ItemBank.of(["a,b", 'say "x"', "ü"], [1.5, -0.5, 2.0], [3.0, 1.0, 0.0], 0.2, 0.9)

    text = irt.items_to_catsim_csv(bank)
    back = irt.items_from_catsim_csv(text)

    assert text.splitlines()[0] == "item,a,b,c,d"
    assert text.splitlines()[1] == '"a,b",1.5,-2.0,0.2,0.9'
    assert list(back.items) == list(bank.items)
    assert back.intercept == pytest.approx(bank.intercept, abs=1e-15)
    assert np.array_equal(back.discrimination, bank.discrimination)


def test_numpy_reads_catsims_table_as_the_documents_say() -> None:
    bank = irt.ItemBank.of(["q1", "q2"], [1.0, 2.0], [0.0, 1.0], 0.25)

    table = np.loadtxt(
        irt.items_to_catsim_csv(bank).splitlines(), delimiter=",", skiprows=1, usecols=(1, 2, 3, 4)
    )

    assert table.tolist() == [[1.0, 0.0, 0.25, 1.0], [2.0, -0.5, 0.25, 1.0]]


def test_catsim_understands_the_table_as_it_was_meant() -> None:
    # catsim 0.21.0, of this table's columns: irt.icc(0.7, a, b, c, d) and irt.inf of the same.
    curve = [0.7819116751033344, 0.3721539207908113, 0.8154294916640514]
    information = [0.23057299688899552, 0.14035455689007986, 0.14383989276397674]
    bank = irt.ItemBank.of(
        ["q1", "q2", "q3"], [1.2, 0.8, 2.0], [0.3, -1.0, 0.5], [0.1, 0, 0.25], [1, 0.95, 0.9]
    )

    back = irt.items_from_catsim_csv(irt.items_to_catsim_csv(bank))

    assert irt.characteristic_curves(back, [0.7])[:, 0] == pytest.approx(curve, abs=1e-12)
    assert irt.item_information(back, [0.7])[:, 0] == pytest.approx(information, abs=1e-12)


def test_an_item_without_a_difficulty_has_no_place_in_catsims_table() -> None:
    flat = irt.ItemBank.of(["q1"], [0.0], [1.0])

    with pytest.raises(ValueError, match="item q1 has discrimination 0"):
        irt.items_to_catsim_csv(flat)
    assert same(irt.items_from_mirt_csv(irt.items_to_mirt_csv(flat)), flat)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "lacks item, a1, d, g, u"),
        ("item,a1,d,g\nq,1,0,0\n", "lacks u"),
        ("item,a1,d,g,u\nq,1,x,0,1\n", "d of item q is 'x' in line 2"),
        ("item,a1,d,g,u\nq,1,inf,0,1\n", "d of item q is 'inf' in line 2"),
        ("item,a1,d,g,u\nq,1\n", "d of item q is None in line 2"),
        ('item,a1,d,g,u\n"q,1,0,0,1\n', "line 1 of the table"),
        ("item,a1,d,g,u\nq,1,0,1,0\n", "item q runs from 1.0 to 0.0"),
    ],
)
def test_a_table_that_is_none_is_refused_and_says_where(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        irt.items_from_mirt_csv(text)


def test_a_bank_of_columns_that_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="discrimination has shape"):
        irt.ItemBank.of(["a", "b"], [1.0], [0.0, 0.0])
    with pytest.raises(ValueError, match="discrimination of item b is inf"):
        irt.ItemBank.of(["a", "b"], [1.0, np.inf], [0.0, 0.0])
    with pytest.raises(ValueError, match="distinct"):
        irt.ItemBank.of(["a", "a"], 1.0, 0.0)
