"""The tables that a calibration in the warehouse makes for itself, and takes away at its end.

Queries name them plainly; the tables of one run carry its name, so that runs at the same time
do not meet and a run that was killed finds what it had.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_jobs.contract import parse_sql
from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcp_accessor import BigQueryAccessor

# Beyond its columns named here, an outcome has one for each node.
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "calibration_items": (
        Column("item", "INT64", description="the item's number, from 0"),
        Column("item_id", "STRING", description="question answered"),
    ),
    "calibration_answers": (
        Column("student", "INT64", description="60 bits of a hash of the student's id"),
        Column("outcome", "INT64", description="twice the item's number, plus 1 if right"),
    ),
    "calibration_blocks": (
        Column("outcome", "INT64", description="twice the item's number, plus 1 if right"),
        Column("block", "INT64", description="the block of items that the item belongs to"),
    ),
    "calibration_outcomes": (
        Column("outcome", "INT64", description="twice the item's number, plus 1 if right"),
        Column("node_0", "FLOAT64", description="log-probability at the first node"),
        Column("node_1", "FLOAT64", description="the same at the next"),
        Column("node_2", "FLOAT64", description="the same at the last"),
    ),
}


@dataclass(frozen=True, slots=True)
class RunTables:
    """The tables of one run.

    Args:
        run_id: What the run is called; its letters, digits and dashes go into the tables' names.
    """

    warehouse: BigQueryAccessor
    run_id: str

    def name(self, table: str) -> str:
        """Return what a table of `COLUMNS` is called in this run."""
        if table not in COLUMNS:
            raise ValueError(f"{table!r} is not one of {', '.join(COLUMNS)}")
        return f"{table}__{re.sub('[^0-9A-Za-z]', '_', self.run_id)}"

    def named(self, sql: str) -> str:
        """Return a statement that means this run's tables by their plain names."""
        from sqlglot import exp

        tree = parse_sql(sql)
        for table in list(tree.find_all(exp.Table)):
            if not table.db and table.name in COLUMNS:
                own = exp.to_table(self.name(table.name))
                table.replace(exp.alias_(own, table.alias_or_name, table=True))
        return tree.sql(dialect="bigquery", pretty=True, comments=False)

    def exists(self, table: str) -> bool:
        """Return whether a former attempt at the run has made the table."""
        from google.api_core.exceptions import NotFound

        try:
            self.warehouse.table(self.name(table))
        except NotFound:
            return False
        return True

    def drop(self) -> None:
        """Take all of the run's tables away."""
        for table in COLUMNS:
            self.warehouse.delete_table(self.name(table), if_missing="ignore")
