"""Which items hang together is found in the warehouse as in memory, from however small a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from etl_jobs.calibrate.connections import blocks_in_warehouse
from etl_jobs.calibrate.tables import RunTables
from etl_jobs.irt import Responses
from etl_jobs.irt.answers.connections import item_blocks
from etl_jobs.job import Jobs
from gcp_accessor import BigQueryAccessor

if TYPE_CHECKING:
    from pathlib import Path

SQL = Jobs().queries["calibrate/connections"].sql
ITEMS = 22


@pytest.fixture
def tables(tmp_path: Path) -> RunTables:
    warehouse = BigQueryAccessor(local=tmp_path, dataset="etl")
    warehouse.create_dataset("etl")
    return RunTables(warehouse, "2024-03-31-0123456789ab")


def log() -> Responses:
    """Two blocks of items, an item that one student alone answered, and one that nobody did."""
    draw = np.random.default_rng(3)
    person: list[int] = []
    item: list[int] = []
    for student in range(400):
        asked = draw.permutation(12)[:5] if student % 3 else 12 + draw.permutation(8)[:4]
        mine = [20] if student == 7 else asked.tolist()
        person += [student] * len(mine)
        item += mine
    right = draw.random(len(item)) < 0.6
    return Responses.from_long(person, item, right, persons=np.arange(400), items=np.arange(ITEMS))


def of_persons(responses: Responses, persons: int) -> Responses:
    """The answers of the first persons."""
    end = responses.start[persons]
    return Responses.from_long(
        responses.person_of_answer()[:end],
        responses.item[:end],
        responses.correct[:end],
        persons=responses.persons[:persons],
        items=responses.items,
    )


@pytest.mark.parametrize("sampled", [0, 1, 5, 40, 400])
def test_blocks_are_those_of_all_answers(sampled: int, tables: RunTables) -> None:
    responses = log()
    outcome = 2 * responses.item.astype(np.int64) + responses.correct
    answers = pa.table({"student": responses.person_of_answer(), "outcome": outcome})
    tables.warehouse.load(answers, tables.name("calibration_answers"))

    found = blocks_in_warehouse(
        tables, SQL, responses.answers_per_item(), of_persons(responses, sampled)
    )

    assert found.tolist() == item_blocks(responses).tolist()
    assert found.tolist() == [0] * 12 + [1] * 8 + [2, -1]


def test_where_the_sample_hangs_together_no_answer_is_asked_again(tables: RunTables) -> None:
    draw = np.random.default_rng(4)
    responses = Responses.from_dense(draw.random((30, 6)) < 0.5)

    found = blocks_in_warehouse(tables, SQL, responses.answers_per_item(), responses)

    assert found.tolist() == [0] * 6
    assert tables.warehouse.tables("etl") == []
