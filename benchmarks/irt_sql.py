"""The E-step of a calibration in SQL: wide, a column for each node, beside long, a row for each.

Both run on the same local engine, in turns, over the same answers; then the wide one over twice
and four times as many, for how its time grows.

    python benchmarks/irt_sql.py [--answers 500000] [--runs 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from etl_jobs.calibrate.expectation import WarehouseExpectation
from etl_jobs.calibrate.tables import RunTables
from etl_jobs.irt.model.models import item_tables
from etl_jobs.irt.model.quadrature import Grid
from etl_jobs.job import Jobs
from gcp_accessor import BigQueryAccessor

if TYPE_CHECKING:
    from collections.abc import Callable

NODES = 41
ITEMS = 2000
ANSWERS_EACH = 50

# The same sums, one row for each answer and node.
LONG = """
WITH joint AS (
  SELECT answers.student, outcomes.node, SUM(outcomes.log_probability) AS log_joint
  FROM calibration_answers AS answers
  INNER JOIN long_outcomes AS outcomes ON answers.outcome = outcomes.outcome
  GROUP BY answers.student, outcomes.node
),

weighted AS (
  SELECT joint.student, joint.node, joint.log_joint + weights.log_weight AS log_joint
  FROM joint
  INNER JOIN long_weights AS weights ON joint.node = weights.node
),

masses AS (
  SELECT student, node, EXP(log_joint - MAX(log_joint) OVER (PARTITION BY student)) AS mass
  FROM weighted
),

posteriors AS (
  SELECT student, node, mass / SUM(mass) OVER (PARTITION BY student) AS share
  FROM masses
)

SELECT answers.outcome, posteriors.node, SUM(posteriors.share) AS students
FROM calibration_answers AS answers
INNER JOIN posteriors ON answers.student = posteriors.student
GROUP BY answers.outcome, posteriors.node
"""


def prepared(answers: int, folder: str) -> tuple[RunTables, WarehouseExpectation]:
    """Return tables that hold so many answers."""
    warehouse = BigQueryAccessor(local=folder, dataset="etl")
    warehouse.create_dataset("etl")
    tables = RunTables(warehouse, f"bench-{answers}")
    draw = np.random.default_rng(1)
    students = answers // ANSWERS_EACH
    student = np.repeat(draw.integers(2**60, size=students), ANSWERS_EACH)
    outcome = draw.integers(2 * ITEMS, size=len(student))
    warehouse.load(
        pa.table({"student": student, "outcome": outcome}), tables.name("calibration_answers")
    )
    sql = Jobs().queries["calibrate/expectation"].sql
    return tables, WarehouseExpectation(tables, sql, students, {})


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    grid = Grid.standard_normal(NODES, 6.0)
    draw = np.random.default_rng(2)
    item = item_tables(grid.nodes, draw.lognormal(0, 0.3, ITEMS), draw.normal(0, 1, ITEMS))

    with tempfile.TemporaryDirectory() as folder:
        tables, wide = prepared(options.answers, folder)
        nodes = np.arange(NODES)
        long_outcomes = {
            "outcome": np.repeat(np.arange(2 * ITEMS), NODES),
            "node": np.tile(nodes, 2 * ITEMS),
            "log_probability": item.log_outcome.ravel(),
        }
        tables.warehouse.load(pa.table(long_outcomes), "long_outcomes")
        weights = {"node": nodes, "log_weight": grid.log_weights}
        tables.warehouse.load(pa.table(weights), "long_weights")
        long_sql = tables.named(LONG)

        def run_long() -> object:
            return tables.warehouse.query(long_sql).to_arrow(max_bytes=None)

        sums = wide(item, grid)
        expected = np.zeros((2 * ITEMS, NODES))
        rows = tables.warehouse.query(long_sql).to_arrow()
        expected[rows["outcome"].to_numpy(), rows["node"].to_numpy()] = rows["students"].to_numpy()
        error = max(
            np.abs(sums.wrong - expected[0::2]).max(), np.abs(sums.right - expected[1::2]).max()
        )
        pairs = [
            (seconds(lambda: wide(item, grid)), seconds(run_long)) for _ in range(options.runs)
        ]
    wide_time, long_time = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"{options.answers:,} answers, {NODES} nodes; medians of {options.runs}")
    print(f"long  {long_time:8.2f} s")
    print(f"wide  {wide_time:8.2f} s   {long_time / wide_time:.1f} times as fast")
    print(f"largest difference of a sum: {error:.1e}")

    for factor in (1, 2, 4):
        answers = factor * options.answers
        with tempfile.TemporaryDirectory() as folder:
            _, wide = prepared(answers, folder)
            wide(item, grid)
            taken = statistics.median(
                seconds(partial(wide, item, grid)) for _ in range(options.runs)
            )
        print(
            f"wide  {answers:>12,} answers  {taken:7.2f} s  {1e6 * taken / answers:.2f} s a million"
        )


if __name__ == "__main__":
    main()
