"""The table that a SQL job makes: rows are staged, checked, and then replace their day."""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from etl_jobs.checks import check_columns, check_rows, quoted_table
from etl_jobs.errors import ContractError, JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlglot import exp

    from etl_jobs.contract import Query
    from gcp_accessor import BigQueryAccessor
    from gcp_accessor.backends import Table
    from gcp_accessor.query_result import QueryResult

    FillTable = Callable[[str, tuple[str, ...]], QueryResult | None]

# A staging table that outlives this was left by a process that was killed.
_STAGING_LIFE = timedelta(days=1)
_MOMENT = "%Y%m%dT%H%M%S"
_STAGING = re.compile(r"__(?P<moment>\d{8}T\d{6})_[0-9a-f]{8}", re.ASCII)


class Staging:
    """Checked rows of one run, in a table of their own.

    Attributes:
        result: What the query cost; None if the rows come from elsewhere.
        rows: How many it returned.
        violations: Check -> violations, all of them 0.
    """

    def __init__(
        self,
        query: Query,
        warehouse: BigQueryAccessor,
        name: str,
        day: date,
        cluster_by: tuple[str, ...],
        fill: FillTable,
    ) -> None:
        self._query = query
        self._warehouse = warehouse
        self.name = name
        self.result = fill(name, cluster_by)
        _refuse_expired(warehouse.table(name), day)
        check_columns(query, warehouse, name)
        self.rows, self.violations = check_rows(query, warehouse, name, day)

    def ordered(self) -> QueryResult:
        """Return all rows in the order of the contract's grain."""
        from sqlglot import exp, select

        columns = [exp.column(column.name) for column in self._query.columns]
        order = [exp.column(name) for name in self._query.grain]
        sql = select(*columns).from_(quoted_table(self.name)).order_by(*order)
        return self._warehouse.query(sql.sql(dialect="bigquery"))

    def summary(self) -> dict[str, object]:
        """Return what the rows count, as `counts` and as `notes` for a person, largest first."""
        query = self._query
        label, count = query.labels[0], query.counts[0]
        counts = [(int(str(row[count])), str(row[label])) for row in self.ordered()]
        if not counts:
            return {"notes": [f"no {query.summary}"], "counts": {}}
        counts.sort(key=lambda each: -each[0])
        total = f"{sum(number for number, _ in counts):,}"
        parts = [f"{number:>{len(total)},} {name}" for number, name in counts]
        notes = [f"{total} {query.summary}:", *(f"  {part}" for part in parts)]
        return {"notes": notes, "counts": {name: number for number, name in counts}}


class OutputTable:
    """The table of a query with an output, split by day.

    Args:
        query: One whose contract names an output and its partition.
    """

    def __init__(self, query: Query, warehouse: BigQueryAccessor) -> None:
        self._query = query
        self._warehouse = warehouse
        self.name = query.output or ""

    @contextmanager
    def staged(self, day: date, fill: FillTable) -> Iterator[Staging]:
        """Give the query's checked rows in a staging table that is gone afterwards.

        Args:
            day: The day that they are to be of.
            fill: Puts the rows into a new table of the name it is given, clustered as it is
                told: rows are copied only between tables that are clustered alike.

        Raises:
            ContractError: the rows break the contract.
            JobError: BigQuery deletes the rows of so old a day at once.
        """
        self._sweep()
        moment = datetime.now(UTC).strftime(_MOMENT)
        name = f"{self.name}__{moment}_{uuid.uuid4().hex[:8]}"
        try:
            clustering = self._clustering()
            yield Staging(self._query, self._warehouse, name, day, clustering, fill)
        finally:
            self._warehouse.delete_table(name, if_missing="ignore")

    def replace_day(self, day: date, staging: Staging) -> None:
        """Put the staged rows in the place of the day's former ones, in one step.

        Raises:
            ContractError: the table has other columns than the contract.
            JobError: BigQuery deletes the rows of so old a day at once.
        """
        from google.api_core.exceptions import Conflict, NotFound

        promised = self._query.columns
        try:
            there = self._warehouse.table(self.name)
            _refuse_expired(there, day)
            found = there.schema
        except NotFound:
            # Staged rows, as every query's, may be NULL by their type; that none is has been
            # checked. A copy needs equal modes.
            columns = tuple(replace(column, mode="NULLABLE") for column in promised)
            # Another run may make it at the same moment.
            with suppress(Conflict):
                self._warehouse.create_table(self.name, columns, partition_by=self._query.partition)
            found = promised
        if [(c.name, c.type) for c in found] != [(c.name, c.type) for c in promised]:
            raise ContractError(
                f"the table {self.name} has the columns {', '.join(c.name for c in found)}, which "
                f"are not those that {self._query.name} promises now; delete the table or alter "
                "it, then run again"
            )
        if staging.rows:
            suffix = f"${day:%Y%m%d}"
            self._warehouse.copy(staging.name + suffix, self.name + suffix, if_exists="replace")
        else:
            from sqlglot import delete

            statement = delete(quoted_table(self.name), where=self._is_day())
            self._warehouse.query(statement.sql(dialect="bigquery"), {"as_of": day})

    def rows_of(self, day: date) -> int | None:
        """Return how many rows the day has; None if there is no table."""
        from google.api_core.exceptions import NotFound
        from sqlglot import select

        statement = select("COUNT(*)").from_(quoted_table(self.name)).where(self._is_day())
        try:
            result = self._warehouse.query(statement.sql(dialect="bigquery"), {"as_of": day})
        except NotFound:
            return None
        return int(str(result.scalar()))

    def _clustering(self) -> tuple[str, ...]:
        """Return the columns that somebody may have clustered the table by."""
        from google.api_core.exceptions import NotFound

        try:
            return self._warehouse.table(self.name).cluster_by
        except NotFound:
            return ()

    def _is_day(self) -> exp.Expr:
        from sqlglot import exp

        return exp.column(self._query.partition or "").eq(exp.Parameter(this=exp.var("as_of")))

    def _sweep(self) -> None:
        """Delete the staging tables that killed processes left, and no table of another name."""
        oldest = (datetime.now(UTC) - _STAGING_LIFE).strftime(_MOMENT)
        dataset, dot, output = self.name.rpartition(".")
        for name in self._warehouse.tables(dataset or None):
            staging = _STAGING.fullmatch(name.removeprefix(output))
            if staging and name.startswith(output) and staging["moment"] < oldest:
                self._warehouse.delete_table(f"{dataset}{dot}{name}", if_missing="ignore")


def _refuse_expired(table: Table, day: date) -> None:
    """Raise JobError where a day's rows are gone as soon as they are written."""
    life = table.partition_life
    if life is not None and datetime.now(UTC).date() - day >= life:
        raise JobError(
            f"BigQuery deletes the rows of {day} at once: the partitions of "
            f"{table.name.dataset}.{table.name.table} live for {life.days} days; raise the "
            "partition expiration of the dataset and the table, or take a later day"
        )
