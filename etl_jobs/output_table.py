"""The table that a SQL job makes: rows are staged, checked, and then replace their day."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from etl_jobs.checks import check_columns, check_rows, quoted_table
from etl_jobs.errors import ContractError, JobError, Terminated
from etl_jobs.failure import is_transient
from etl_jobs.tasks import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlglot import exp

    from etl_jobs.contract import Query
    from etl_jobs.tasks import Tasks
    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
    from gcp_accessor.backends import Table
    from gcp_accessor.query_result import QueryResult

    FillTable = Callable[[str, tuple[str, ...]], QueryResult | None]

# A staging table that nobody asked for in so long was left by a process that was killed. No
# task of Cloud Run lives longer than 7 days.
_STAGING_LIFE = timedelta(days=8)


class Staging:
    """Checked rows of one run, in a table of their own.

    Attributes:
        rows: How many there are.
        violations: Check -> violations, all of them 0.
        is_wanted: Set where other tasks still read the table, so that it is left to them.
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
        self.is_wanted = False
        fill(name, cluster_by)
        written = warehouse.table(name)
        _refuse_expired(written, day)
        check_columns(query, written)
        self.rows, self.violations = check_rows(query, warehouse, name, day)

    def ordered(self, tasks: Tasks = ALONE) -> QueryResult:
        """Return this task's rows in the order of the contract's grain.

        Of several tasks each has the rows whose labels have a certain hash, so that all have about
        as many, and each row is one's.
        """
        from sqlglot import exp, select

        columns = [exp.column(column.name) for column in self._query.columns]
        order = [exp.column(name) for name in self._query.grain]
        sql = select(*columns).from_(quoted_table(self.name)).order_by(*order)
        if tasks.count == 1:
            return self._warehouse.query(sql.sql(dialect="bigquery"))
        return self._warehouse.query(
            sql.where(_share_of(self._query), dialect="bigquery").sql(dialect="bigquery"),
            {"task": tasks.index, "tasks": tasks.count},
        )

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
        uri: The folder of the job in Cloud Storage, where staging tables are noted.
    """

    def __init__(
        self, query: Query, warehouse: BigQueryAccessor, store: CloudStorageAccessor, uri: str
    ) -> None:
        self._query = query
        self._warehouse = warehouse
        self._store = store
        self._uri = uri
        self.name = query.output or ""
        # As it was before the rows were staged; in a folder a look reads every row of it.
        self._there: Table | None = None

    @contextmanager
    def staged(self, day: date, key: str, fill: FillTable) -> Iterator[Staging]:
        """Give the query's checked rows in a staging table that is gone afterwards.

        It stays where somebody is to come back for it: after SIGTERM, and after a failure that
        may pass.

        Args:
            day: The day that they are to be of.
            key: Names the run and its execution, whose attempts have one staging table.
            fill: Puts the rows into a table of the name it is given, clustered as it is told:
                rows are copied only between tables that are clustered alike.

        Raises:
            ContractError: the rows break the contract.
            JobError: BigQuery deletes the rows of so old a day at once.
        """
        name = f"{self.name}__{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        self._note(name)
        staging = None
        try:
            self._there = self._find()
            cluster_by = self._there.cluster_by if self._there else ()
            staging = Staging(self._query, self._warehouse, name, day, cluster_by, fill)
            yield staging
        except BaseException as error:
            if not (isinstance(error, Terminated) or is_transient(error)):
                self._drop(name)
            raise
        if not staging.is_wanted:
            self._drop(name)

    def prepare(self, day: date) -> None:
        """Make sure that the table is there, with the columns of the contract.

        Rows have been staged before: tables are made for rows that keep their contract.

        Raises:
            ContractError: the table has other columns than the contract.
            JobError: BigQuery deletes the rows of so old a day at once.
        """
        from google.api_core.exceptions import Conflict

        promised = self._query.columns
        there = self._there
        if there is None:
            # Staged rows, as every query's, may be NULL by their type; that none is has been
            # checked. A copy needs equal modes.
            columns = tuple(replace(column, mode="NULLABLE") for column in promised)
            # Another run may make it at the same moment.
            with suppress(Conflict):
                self._warehouse.create_table(self.name, columns, partition_by=self._query.partition)
            there = self._warehouse.table(self.name)
        _refuse_expired(there, day)
        found = there.schema
        if [(c.name, c.type) for c in found] != [(c.name, c.type) for c in promised]:
            raise ContractError(
                f"the table {self.name} has the columns {', '.join(c.name for c in found)}, which "
                f"are not those that {self._query.name} promises now; delete the table or alter "
                "it, then run again"
            )

    def replace_day(self, day: date, staging: Staging, *, key: str) -> None:
        """Put the staged rows in the place of the day's former ones, in one step.

        Args:
            key: Under it the rows are replaced once, whoever asks.
        """
        if staging.rows:
            suffix = f"${day:%Y%m%d}"
            self._warehouse.copy(
                staging.name + suffix, self.name + suffix, if_exists="replace", idempotency_key=key
            )
        else:
            from sqlglot import delete

            statement = delete(quoted_table(self.name), where=self._is_day())
            self._warehouse.query(
                statement.sql(dialect="bigquery"), {"as_of": day}, idempotency_key=key
            )

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

    def _find(self) -> Table | None:
        """Return the table as it is, which somebody may have clustered; None if there is none."""
        from google.api_core.exceptions import NotFound

        try:
            return self._warehouse.table(self.name)
        except NotFound:
            return None

    def _is_day(self) -> exp.Expr:
        from sqlglot import exp

        return exp.column(self._query.partition or "").eq(exp.Parameter(this=exp.var("as_of")))

    def _note(self, name: str) -> None:
        """Say that a staging table is in use, and delete those that nobody uses any more.

        How long that is, Cloud Storage's clock says alone: this one may jump.
        """
        now = self._store.write(self._note_of(name), {"schema_version": 1, "table": name})
        for note in self._store.list(f"{self._uri}/staging/"):
            if note.updated and now.updated and now.updated - note.updated > _STAGING_LIFE:
                self._drop(note.name.rpartition("/")[2].removesuffix(".json"))

    def _drop(self, name: str) -> None:
        from google.api_core.exceptions import NotFound

        self._warehouse.delete_table(name, if_missing="ignore")
        # Another run may have swept it.
        with suppress(NotFound):
            self._store.delete(self._note_of(name))

    def _note_of(self, name: str) -> str:
        return f"{self._uri}/staging/{name}.json"


def _share_of(query: Query) -> str:
    """Return what is true of the rows of `@task` of `@tasks`."""
    names = query.labels or query.grain
    texts = ", ".join(f"IFNULL(CAST(`{name}` AS STRING), '')" for name in names)
    # 60 bits of a hash, which no sign can be mistaken in.
    number = f"CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5(CONCAT({texts}))), 1, 15)) AS INT64)"
    return f"MOD({number}, @tasks) = @task"


def _refuse_expired(table: Table, day: date) -> None:
    """Raise JobError where a day's rows are gone as soon as they are written."""
    life = table.partition_life
    if life is not None and datetime.now(UTC).date() - day >= life:
        raise JobError(
            f"BigQuery deletes the rows of {day} at once: the partitions of "
            f"{table.name.dataset}.{table.name.table} live for {life.days} days; raise the "
            "partition expiration of the dataset and the table, or take a later day"
        )
