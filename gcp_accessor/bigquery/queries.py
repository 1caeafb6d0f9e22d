"""Statements: run, and asked what they would read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_accessor.backends import Estimate, Statement
from gcp_accessor.bigquery.connection import Connection
from gcp_accessor.parameters import Parameters, from_python
from gcp_accessor.query_result import QueryResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gcp_accessor.backends import IfExists


class Queries(Connection):
    """What `BigQueryAccessor` does with statements."""

    def query(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        destination: str | None = None,
        if_exists: IfExists = "replace",
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
        max_bytes_billed: int | None = None,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> QueryResult:
        """Run one statement and return its result, whose rows a destination keeps to itself.

        A destination is written at once or not at all, and a table or partition that is
        replaced is readable throughout. Ctrl-C and a timeout cancel the job.

        Args:
            sql: GoogleSQL. Values belong in `params`, as `@name`.
            params: By name; the values' types are inferred, or said by `Typed`.
            destination: A table to write, or with `$YYYYMMDD` one of its days.
            if_exists: What happens to the destination's rows.
            partition_by: A DATE or TIMESTAMP column that splits a new destination by day.
            cluster_by: Columns that order a new destination.
            max_bytes_billed: A query that would bill more is not run.
            timeout: Seconds of wall clock, from now to the job's end.
            labels: Put on this job, beside the accessor's.

        Raises:
            ValueError: the parameters are not those that the statement uses, or show no type.
            CostLimitExceeded: it would bill more than `max_bytes_billed`.
            QueryTimeout: it took longer than `timeout`.
            google.api_core.exceptions.BadRequest: the SQL is wrong.
            google.api_core.exceptions.NotFound: a table or dataset does not exist.

        Example:
            >>> warehouse.query(
            ...     "SELECT item_id FROM answers WHERE event_date = @day", {"day": date(2024, 3, 1)}
            ... ).to_dataframe()  # doctest: +SKIP
        """
        return self._run(
            Statement(
                sql,
                from_python(params, sql),
                default_dataset=self.dataset,
                destination=None if destination is None else self._name(destination),
                if_exists=if_exists,
                partition_by=partition_by,
                cluster_by=tuple(cluster_by),
                max_bytes_billed=self._limit(max_bytes_billed),
                timeout=self._timeout(timeout),
                labels={**self.labels, **(labels or {})},
            )
        )

    def estimate(self, sql: str, params: Parameters | None = None) -> Estimate:
        """Return what a statement would read, without running it and for free."""
        return self._backend.estimate(
            Statement(
                sql,
                from_python(params, sql),
                default_dataset=self.dataset,
                labels=self.labels,
            )
        )

    def _run(self, statement: Statement) -> QueryResult:
        return QueryResult(self._backend.run(statement), statement.sql)
