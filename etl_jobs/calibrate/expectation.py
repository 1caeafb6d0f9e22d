"""The E-step of a calibration as one query: item tables go in, sums over students come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_jobs.nodes import widened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow import Table

    from etl_jobs.calibrate.tables import RunTables
    from etl_jobs.irt.estimation.expectation import Sums
    from etl_jobs.irt.model.models import ItemTables
    from etl_jobs.irt.model.quadrature import Grid

_OUTCOMES = "calibration_outcomes"


@dataclass(frozen=True, slots=True)
class WarehouseExpectation:
    """The same sums as in memory, to rounding, with answers that stay where they are.

    What travels is a number for each item, outcome and node, there and back, whatever the
    number of answers.

    Args:
        tables: Where the run's answers are.
        sql: The query of `calibrate/expectation`.
        persons: How many students there are.
        labels: Put on the queries' jobs.
    """

    tables: RunTables
    sql: str
    persons: float
    labels: Mapping[str, str]

    def __call__(self, tables: ItemTables, grid: Grid) -> Sums:
        """The sums over all students, at these item tables on this grid."""
        self._load(tables)
        result = self.tables.warehouse.query(
            self._statement(len(grid.nodes)), _weights(grid), labels=self.labels
        )
        return _sums(result.to_arrow(max_bytes=None), len(tables.probability), len(grid.nodes))

    def bytes_read(self, tables: ItemTables, grid: Grid) -> int:
        """Return what going through the answers once more would read, found out for free."""
        self._load(tables)
        estimate = self.tables.warehouse.estimate(self._statement(len(grid.nodes)), _weights(grid))
        return estimate.bytes_processed

    def _load(self, tables: ItemTables) -> None:
        import numpy as np
        import pyarrow as pa

        log_outcome = tables.log_outcome.reshape(-1, tables.log_outcome.shape[2])
        columns = {"outcome": pa.array(np.arange(len(log_outcome)))}
        columns |= {f"node_{k}": pa.array(column) for k, column in enumerate(log_outcome.T)}
        self.tables.warehouse.load(
            pa.table(columns), self.tables.name(_OUTCOMES), if_exists="replace"
        )

    def _statement(self, nodes: int) -> str:
        return self.tables.named(widened(self.sql, nodes))


def _weights(grid: Grid) -> dict[str, float]:
    return {f"log_weight_{node}": float(weight) for node, weight in enumerate(grid.log_weights)}


def _sums(rows: Table, items: int, nodes: int) -> Sums:
    """Return the rows as arrays; an outcome without a row is one that nobody had."""
    import numpy as np

    from etl_jobs.irt.estimation.expectation import Sums

    outcome = rows["outcome"].to_numpy()
    # In one order whatever the order of the rows, so that the same rows give the same sum.
    order = np.argsort(outcome)
    log_likelihood = float(rows["log_likelihood"].to_numpy()[order].sum())
    tally = np.zeros((2 * items, nodes))
    for node in range(nodes):
        tally[outcome, node] = rows[f"node_{node}"].to_numpy()
    return Sums(log_likelihood, tally[0::2].copy(), tally[1::2].copy())
