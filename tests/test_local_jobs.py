"""Submitted statements on a folder: their threads, their turns, and what they leave."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions

from gcp_accessor import BigQueryAccessor
from gcp_accessor.errors import QueryTimeout, UnsupportedLocally

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """
SELECT COUNT(*) AS n
FROM UNNEST(GENERATE_ARRAY(1, {size})) AS a
CROSS JOIN UNNEST(GENERATE_ARRAY(1, {size})) AS b
WHERE MOD(a * b, 7) = 3
"""
ENDLESS = SLOW.format(size=300_000)


@pytest.fixture
def exams(tmp_path: Path) -> BigQueryAccessor:
    accessor = BigQueryAccessor(local=tmp_path, dataset="exams")
    accessor.create_dataset("exams")
    return accessor


def test_a_program_ends_when_its_submitted_statements_have(
    exams: BigQueryAccessor, tmp_path: Path
) -> None:
    code = """
import sys
from gcp_accessor import BigQueryAccessor
warehouse = BigQueryAccessor(local=sys.argv[1], dataset="exams")
warehouse.submit(sys.argv[2], destination="t")
"""

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), SLOW.format(size=5000)], check=False
    )

    assert done.returncode == 0
    assert exams.table("t").rows == 1


def test_another_statement_waits_for_its_turn_no_longer_than_its_time(
    exams: BigQueryAccessor,
) -> None:
    job = exams.submit(ENDLESS, destination="t")
    while not any("gcp_accessor local" in thread.name for thread in threading.enumerate()):
        time.sleep(0.01)
    time.sleep(0.3)
    began = time.monotonic()

    with pytest.raises(QueryTimeout, match="other statements wrote"):
        exams.query("SELECT 1 AS n", destination="u", timeout=0.3)

    assert time.monotonic() - began < 5
    job.cancel()
    with pytest.raises(exceptions.Cancelled):
        job.result()


def test_reading_goes_on_while_a_submitted_statement_writes(exams: BigQueryAccessor) -> None:
    exams.load([{"n": 1}], "t")
    job = exams.submit(ENDLESS, destination="u")

    assert exams.query("SELECT n FROM t").scalar() == 1

    job.cancel()


def test_what_is_cancelled_before_its_turn_has_no_effect(exams: BigQueryAccessor) -> None:
    first = exams.submit(ENDLESS, destination="t")
    time.sleep(0.3)
    second = exams.submit("SELECT 1 AS n", destination="u")

    second.cancel()
    first.cancel()

    for job in (first, second):
        with pytest.raises(exceptions.Cancelled):
            job.result()
    assert exams.tables() == []


def test_a_key_that_was_killed_with_its_program_may_be_used_again(
    exams: BigQueryAccessor, tmp_path: Path
) -> None:
    code = """
import os, sys, threading
from gcp_accessor import BigQueryAccessor
warehouse = BigQueryAccessor(local=sys.argv[1], dataset="exams")
threading.Timer(0.6, lambda: os.kill(os.getpid(), 9)).start()
warehouse.query(sys.argv[2], destination="t", if_exists="append", idempotency_key="nightly")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), ENDLESS], check=False)

    job = exams.submit(ENDLESS, destination="t", if_exists="append", idempotency_key="nightly")

    assert done.returncode == -9
    assert not job.done()
    job.cancel()


def test_an_accessor_that_is_pickled_within_a_budget_has_none(exams: BigQueryAccessor) -> None:
    exams.load([{"n": 1}], "t")

    with exams.budget(1) as budget:
        other = pickle.loads(pickle.dumps(exams))
        assert other.query("SELECT n FROM t").scalar() == 1

    assert budget.spent == 0


def test_a_statement_that_is_no_query_is_not_estimated(exams: BigQueryAccessor) -> None:
    exams.load([{"n": 1}], "t")

    with pytest.raises(UnsupportedLocally, match="only a query is estimated"):
        exams.estimate("DELETE FROM t WHERE n = 1")
