"""Statistics in SQL are those of `etl_jobs.irt`: abilities, and differential item functioning."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from etl_jobs.calibrate.items import ITEM_PARAMETERS
from etl_jobs.irt import ItemBank, Responses, estimate_abilities, mantel_haenszel
from etl_jobs.irt.model.priors import Normal
from etl_jobs.job import Jobs
from etl_jobs.nodes import widened
from gcp_accessor import BigQueryAccessor

if TYPE_CHECKING:
    from pathlib import Path

QUERIES = Jobs().queries
DAY = date(2024, 3, 31)


@pytest.fixture
def warehouse(tmp_path: Path) -> BigQueryAccessor:
    warehouse = BigQueryAccessor(local=tmp_path, dataset="etl")
    for dataset in ("raw", "etl"):
        warehouse.create_dataset(dataset)
    return warehouse


def load_answers(warehouse: BigQueryAccessor, responses: Responses) -> None:
    person = responses.person_of_answer()
    answers = {
        "as_of": [DAY] * responses.answers,
        "student_id": responses.persons[person],
        "item_id": responses.items[responses.item],
        "correct": responses.correct.astype(np.int64),
    }
    warehouse.load(pa.table(answers), "answers_latest")


def load_items(warehouse: BigQueryAccessor, bank: ItemBank, persons: Normal) -> None:
    items = len(bank.items)
    parameters = {
        "as_of": [DAY] * items,
        "item_id": bank.items,
        "discrimination": bank.discrimination,
        "intercept": bank.intercept,
        "lower_asymptote": bank.lower,
        "upper_asymptote": bank.upper,
        "is_anchor": [False] * items,
        "population_mean": [persons.mean] * items,
        "population_deviation": [persons.deviation] * items,
        "flags": [""] * items,
    }
    there = [column.name for column in ITEM_PARAMETERS.columns]
    assert list(parameters) == there[: len(parameters)]
    warehouse.load(pa.table(parameters), "item_parameters")


def simulated(persons: int, bank: ItemBank, share: float, seed: int) -> Responses:
    draw = np.random.default_rng(seed)
    items = len(bank.items)
    log_odds = np.outer(draw.normal(size=persons), bank.discrimination) + bank.intercept
    chance = bank.lower + (bank.upper - bank.lower) / (1 + np.exp(-log_odds))
    answers = np.where(
        draw.random((persons, items)) < share, draw.random((persons, items)) < chance, np.nan
    )
    labels = np.array([f"s{number:04}" for number in range(persons)])
    return Responses.from_dense(answers, persons=labels, items=bank.items)


def bank_of(items: int, seed: int) -> ItemBank:
    draw = np.random.default_rng(seed)
    return ItemBank.of(
        np.array([f"q{number:03}" for number in range(items)]),
        draw.lognormal(0, 0.3, items),
        draw.normal(0, 1, items),
        np.where(np.arange(items) % 2, 0.2, 0.0),
        np.where(np.arange(items) % 3, 1.0, 0.95),
    )


@pytest.mark.parametrize("persons", [Normal(0.0, 1.0), Normal(0.4, 1.3)], ids=["N(0,1)", "moved"])
def test_abilities_in_sql_are_those_in_memory(persons: Normal, warehouse: BigQueryAccessor) -> None:
    bank = bank_of(30, seed=1)
    responses = simulated(300, bank, 0.6, seed=2)
    expected = estimate_abilities(bank, responses, persons=persons)
    load_items(warehouse, bank, persons)
    load_answers(warehouse, responses)

    sql = widened(QUERIES["abilities/students"].sql, 61)
    rows = warehouse.query(sql, {"as_of": DAY, "nodes": 61}).to_arrow().sort_by("student_id")

    answered = responses.answers_per_person() > 0
    assert rows["student_id"].to_pylist() == responses.persons[answered].tolist()
    assert rows["answers"].to_pylist() == responses.answers_per_person()[answered].tolist()
    for name, value in (
        ("ability", expected.ability),
        ("ability_error", expected.standard_error),
    ):
        np.testing.assert_allclose(rows[name].to_numpy(), value[answered], rtol=0, atol=1e-9)


def test_the_statement_of_abilities_as_it_stands_is_the_one_with_three_nodes(
    warehouse: BigQueryAccessor,
) -> None:
    bank = bank_of(6, seed=1)
    load_items(warehouse, bank, Normal(0.2, 1.1))
    load_answers(warehouse, simulated(20, bank, 0.8, seed=2))
    sql, values = QUERIES["abilities/students"].sql, {"as_of": DAY, "nodes": 3}

    as_it_stands, widened_ = (
        warehouse.query(each, values).to_arrow().sort_by("student_id")
        for each in (sql, widened(sql, 3))
    )

    assert as_it_stands.num_rows > 10
    assert as_it_stands.equals(widened_)


def test_hundreds_of_answers_all_alike_are_placed_as_in_memory(
    warehouse: BigQueryAccessor,
) -> None:
    # Likelihoods of so many answers are far below the smallest number there is; a 2PL item lets
    # nobody be lucky, so that the unlikely ones are not saved by an asymptote.
    draw = np.random.default_rng(7)
    labels = np.array([f"q{number:03}" for number in range(400)])
    bank = ItemBank.of(labels, draw.lognormal(0.3, 0.3, 400), draw.normal(0, 1.5, 400))
    rows = np.stack((np.ones(400), np.zeros(400), np.arange(400) % 2))
    students = ["all right", "all wrong", "every other one"]
    responses = Responses.from_dense(rows, persons=students, items=labels)
    expected = estimate_abilities(bank, responses)
    load_items(warehouse, bank, Normal(0.0, 1.0))
    load_answers(warehouse, responses)

    sql = widened(QUERIES["abilities/students"].sql, 161)
    found = warehouse.query(sql, {"as_of": DAY, "nodes": 161}).to_arrow().sort_by("student_id")

    assert found["student_id"].to_pylist() == students
    assert expected.ability[1] < -3 < 3 < expected.ability[0]
    np.testing.assert_allclose(found["ability"].to_numpy(), expected.ability, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        found["ability_error"].to_numpy(), expected.standard_error, rtol=0, atol=1e-5
    )


def test_mantel_haenszel_in_sql_is_that_in_memory(warehouse: BigQueryAccessor) -> None:
    bank = bank_of(12, seed=3)
    shifted = ItemBank.of(
        bank.items, bank.discrimination, bank.intercept - 1.5 * (np.arange(12) == 4)
    )
    reference, focal = simulated(500, bank, 1, seed=4), simulated(400, shifted, 1, seed=5)
    students = np.array(
        [f"{group}{each}" for group, n in (("a", 500), ("b", 400)) for each in range(n)]
    )
    correct = np.concatenate((reference.correct, focal.correct)).reshape(900, 12)
    responses = Responses.from_dense(correct, persons=students, items=bank.items)
    is_focal = np.arange(900) >= 500
    expected = mantel_haenszel(responses, is_focal)
    load_answers(warehouse, responses)
    groups = {"student_id": students, "student_group": np.where(is_focal, "b", "a")}
    warehouse.load(pa.table(groups), "raw.student_groups")

    settings = {"as_of": DAY, "reference": "a", "focal": "b"}
    result = warehouse.query(QUERIES["dif/mantel_haenszel"].sql, settings)
    rows = result.to_arrow().sort_by("item_id")

    assert rows["item_id"].to_pylist() == bank.items.tolist()
    assert rows["ets_class"].to_pylist() == expected.ets_class.tolist()
    assert rows["ets_class"][4].as_py() == "C"
    for name in ("odds_ratio", "delta", "delta_error", "chi_squared"):
        np.testing.assert_allclose(
            rows[name].to_numpy(), getattr(expected, name), rtol=0, atol=1e-9, err_msg=name
        )
