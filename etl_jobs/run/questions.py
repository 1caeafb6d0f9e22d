"""A job's queries as one run asks them: pinned to a moment, within a budget, and once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from etl_jobs.nodes import widened
from etl_jobs.run.inputs import as_of_moment
from gcp_accessor.errors import CostLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from etl_jobs.contract import Query
    from gcp_accessor import BigQueryAccessor
    from gcp_accessor.query_result import QueryResult

# The most that a query may take. BigQuery itself ends it a minute later, should nobody be left to
# wait for it.
QUERY_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class Questions:
    """What the queries of one job have in common.

    Attributes:
        settings: Those of the whole plan, by name.
        read_at: The moment as of which `pins` are read.
        pins: The tables that are read as of it.
        key: Names the run and its execution: the attempts of one ask each query once.
        max_bytes: A byte budget for each query in place of its contract's.
        asked: The results so far, by the query's name.
    """

    job: str
    warehouse: BigQueryAccessor
    settings: Mapping[str, object]
    read_at: datetime | None
    pins: frozenset[str]
    key: str
    max_bytes: int | None
    asked: dict[str, QueryResult] = field(default_factory=dict)

    def ask(self, query: Query) -> QueryResult:
        """Return a query's rows."""
        # A folder has no job that goes on without its process, and could be found again.
        key = None if self.warehouse.local is not None else self.key
        return self._ask(query, key)

    def fill(self, query: Query, destination: str, cluster_by: tuple[str, ...]) -> QueryResult:
        """Write a query's rows to a table of this run's own, and return what that cost.

        An attempt after one that was killed finds the job that the former one started.
        """
        result = self._ask(query, f"{self.key}/rows", destination, cluster_by)
        if not self.warehouse.exists(destination):
            # Its job ended long ago and the table has been swept since; no job id is good twice.
            result = self._ask(query, None, destination, cluster_by)
        return result

    def statement(self, query: Query) -> tuple[str, dict[str, object]]:
        """Return a query's SQL and parameters as they are sent."""
        names = {parameter.name for parameter in query.parameters}
        values = {name: value for name, value in self.settings.items() if name in names}
        sql = query.sql
        if "nodes" in names:
            sql = widened(sql, cast("int", self.settings["nodes"]))
        pins = self.pins.intersection(query.reads)
        if pins:
            sql = as_of_moment(sql, pins)
            values["read_at"] = self.read_at
        return sql, values

    def _ask(
        self,
        query: Query,
        key: str | None,
        destination: str | None = None,
        cluster_by: tuple[str, ...] = (),
    ) -> QueryResult:
        sql, values = self.statement(query)
        try:
            result = self.warehouse.query(
                sql,
                values,
                destination=destination,
                partition_by=query.partition if destination else None,
                cluster_by=cluster_by,
                max_bytes_billed=self.max_bytes or query.byte_budget,
                timeout=QUERY_SECONDS,
                labels={"job": label(self.job)},
                idempotency_key=key and f"{key}/{query.name}",
            )
        except CostLimitExceeded as error:
            limit = "--max-bytes" if self.max_bytes else "byte_budget in its header"
            error.add_note(f"The query is sql/{query.name}.sql, its limit {limit}.")
            raise
        except Exception as error:
            error.add_note(f"The query is sql/{query.name}.sql.")
            raise
        self.asked[query.name] = result
        return result


def label(name: str) -> str:
    """Return the name in what a label may hold: at most 63 lower-case letters, digits, _ and -."""
    return re.sub(r"[^\w-]", "-", name.lower())[:63]
