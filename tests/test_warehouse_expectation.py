"""The E-step in the warehouse gives the sums of the E-step in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from etl_jobs.calibrate.expectation import WarehouseExpectation
from etl_jobs.calibrate.tables import RunTables
from etl_jobs.irt import Responses
from etl_jobs.irt.answers.blocks import blocks_of
from etl_jobs.irt.answers.patterns import Patterns
from etl_jobs.irt.estimation.expectation import InMemory
from etl_jobs.irt.model.models import item_tables
from etl_jobs.irt.model.quadrature import Grid
from etl_jobs.job import Jobs
from etl_jobs.nodes import widened
from gcp_accessor import BigQueryAccessor

SQL = Jobs().queries["calibrate/expectation"].sql
LSAT6 = Path(__file__).parents[1] / "../shared/data/irt/LSAT6_patterns.csv"


@pytest.fixture
def tables(tmp_path: Path) -> RunTables:
    warehouse = BigQueryAccessor(local=tmp_path, dataset="etl")
    warehouse.create_dataset("etl")
    return RunTables(warehouse, "2024-03-31-0123456789ab")


def in_warehouse(responses: Responses, tables: RunTables) -> WarehouseExpectation:
    outcome = 2 * responses.item.astype(np.int64) + responses.correct
    answers = pa.table({"student": responses.person_of_answer(), "outcome": outcome})
    tables.warehouse.load(answers, tables.name("calibration_answers"))
    persons = int(np.count_nonzero(responses.answers_per_person()))
    return WarehouseExpectation(tables, SQL, persons, {})


def sparse_log(persons: int, items: int, share: float, seed: int) -> Responses:
    draw = np.random.default_rng(seed)
    person, item = np.nonzero(draw.random((persons, items)) < share)
    chance = 1 / (1 + np.exp(draw.normal(size=items)[item] - draw.normal(size=persons)[person]))
    return Responses.from_long(
        person,
        item,
        draw.random(len(person)) < chance,
        persons=np.arange(persons),
        items=np.arange(items),
    )


def dense_test() -> Responses:
    draw = np.random.default_rng(6)
    ability = draw.standard_normal((1000, 1))
    return Responses.from_dense(draw.random((1000, 5)) < 1 / (1 + np.exp(-1.5 - ability)))


@pytest.mark.parametrize("nodes", [61, 121])
@pytest.mark.parametrize(
    "responses",
    [dense_test(), sparse_log(400, 150, 0.1, seed=3), sparse_log(12, 900, 0.9, seed=4)],
    ids=["dense", "sparse", "hundreds of answers each"],
)
def test_the_warehouse_gives_the_sums_of_memory(
    responses: Responses, nodes: int, tables: RunTables
) -> None:
    draw = np.random.default_rng(5)
    items = len(responses.items)
    parameters = draw.lognormal(0, 0.4, items), draw.normal(0, 1.5, items)
    grid = Grid.standard_normal(nodes, 8.0)
    item = item_tables(grid.nodes, *parameters)
    memory = InMemory(blocks_of(Patterns.of(responses)))
    expected = memory(item, grid)

    warehouse = in_warehouse(responses, tables)
    found = warehouse(item, grid)

    assert warehouse.persons == memory.persons
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(found.right, expected.right, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.wrong, expected.wrong, rtol=1e-9, atol=1e-9)


def test_the_statement_as_it_stands_is_the_one_with_three_nodes() -> None:
    from etl_jobs.contract import parse_sql

    assert parse_sql(widened(SQL, 3)) == parse_sql(
        parse_sql(SQL)
        .sql(dialect="bigquery", comments=False)
        .replace("node_0 + node_1 + node_2", "(node_0 + (node_1 + node_2))")
    )


def test_a_statement_without_nodes_cannot_be_widened() -> None:
    with pytest.raises(ValueError, match="nothing here is said of 3 nodes"):
        widened("SELECT 1 AS one", 5)
