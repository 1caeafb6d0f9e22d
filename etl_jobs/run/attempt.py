"""One attempt at one job's run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from etl_jobs.errors import TryAgain
from etl_jobs.output_table import OutputTable
from etl_jobs.product import Work
from etl_jobs.run.days import Day
from etl_jobs.run.fingerprint import sha256
from etl_jobs.run.inputs import refuse_changes
from etl_jobs.run.settings import used_by
from etl_jobs.stopping import heed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow import RecordBatchReader, Table

    from etl_jobs.contract import Query
    from etl_jobs.job import Job
    from etl_jobs.output_table import Staging
    from etl_jobs.place import Place
    from etl_jobs.product import Product
    from etl_jobs.run.inputs import Snapshot
    from etl_jobs.run.questions import Questions
    from etl_jobs.tasks import Tasks
    from gcp_accessor import Manifest, PublicationRun
    from gcp_accessor.query_result import QueryResult

NOTHING_TO_DO = "nothing to do"
WAITING = "this task's part is written; the last task publishes"


@dataclass(frozen=True)
class Attempt:
    """One attempt at one job's run, after `start`.

    Attributes:
        order: Of this execution among all: a later one's is larger.
        settings: Those of the whole plan: what upstream jobs were told matters here too.
        versions: Of the tables that the job reads.
        upstream: The days of tables that jobs of the plan made, with the runs that made them.
        tasks: Those that share the run.
    """

    job: Job
    place: Place
    run: PublicationRun
    order: int
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    snapshot: Snapshot
    upstream: tuple[tuple[Day, str], ...]
    questions: Questions
    tasks: Tasks

    def sql_job(self, query: Query, manifest: Manifest | None) -> tuple[Manifest | None, str]:
        """Commit the query's rows, replace the day in the output table, and publish.

        Args:
            manifest: Of an earlier attempt that committed the run.
        """
        table = self._table(query)
        fill = partial(self.questions.fill, query)
        with table.staged(self.run.as_of, self.questions.key, fill) as staging:
            table.prepare(self.run.as_of)
            if manifest is None:
                self._refuse_changes()
                metrics = staging.summary() if query.summary else {}
                self._write_rows(query, staging)
                manifest = self._commit(staging.rows, metrics, _facts_of(query, staging))
            if manifest is None:
                staging.is_wanted = True
                return None, WAITING
            self._replace_day(table, staging)
        return manifest, self._publish()

    def python_job(self, module: str, manifest: Manifest | None) -> tuple[Manifest, str]:
        """Publish what the job's module makes of the rows of its queries."""
        contract = self.job.table
        if manifest and contract is None:
            return manifest, self._publish()
        product: Product = import_module(module).produce(self._work())
        heed()
        if contract is None or product.table is None:
            return self._committed(product, None, {}), self._publish()
        table = self._table(contract)
        load = partial(self._load, contract, product.table)
        with table.staged(self.run.as_of, self.questions.key, load) as staging:
            table.prepare(self.run.as_of)
            if manifest is None:
                manifest = self._committed(product, staging.rows, _facts_of(contract, staging))
            self._replace_day(table, staging)
        return manifest, self._publish()

    def _table(self, query: Query) -> OutputTable:
        publication = self.run.publication
        return OutputTable(query, self.place.warehouse, self.place.store, publication.uri)

    def _work(self) -> Work:
        """Return what a Python job starts from."""
        queries = {query.name: query for query in self.job.queries}
        return Work(
            query=lambda name: self.questions.ask(queries[name]),
            steps={step.name: step for step in self.job.steps},
            settings=self.settings,
            place=self.place,
            run=self.run,
            max_bytes=self.questions.max_bytes,
        )

    def _load(
        self, contract: Query, rows: Table, destination: str, cluster_by: tuple[str, ...]
    ) -> None:
        self.place.warehouse.load(
            rows,
            destination,
            schema=tuple(replace(column, mode="NULLABLE") for column in contract.columns),
            if_exists="replace",
            partition_by=contract.partition,
            cluster_by=cluster_by,
        )

    def _refuse_changes(self) -> None:
        """Raise TryAgain if what was read is no longer what the run is named after."""
        sources = [table for table in self.job.reads if table in self.snapshot.inputs]
        loose = [table for table in sources if table not in self.questions.pins]
        refuse_changes(self.place.warehouse, self.snapshot, loose, self.job.name)
        for day, run_id in self.upstream:
            if not day.is_of(run_id):
                raise TryAgain(
                    f"another run replaced rows of {run_id} while {self.job.name} read them, so "
                    "nothing was published; run again"
                )

    def _write_rows(self, query: Query, staging: Staging) -> None:
        """Store this task's part of the staged rows in each format that the contract publishes."""
        if not query.publish:
            return
        result = staging.ordered(self.tasks)
        stem = query.name.rpartition("/")[2]
        if self.tasks.count > 1:
            stem = f"{stem}-{self.tasks.index:05d}"
        for kind in query.publish:
            self.run.write(
                f"{stem}.{kind}", partial(_stream, result), format=kind, rows=result.total_rows
            )

    def _committed(self, product: Product, rows: int | None, more: Mapping[str, Any]) -> Manifest:
        """Commit a Python job's files."""
        self._refuse_changes()
        for file in product.files:
            self.run.write(
                file.name, partial(_same, file.content), format=file.format, rows=file.rows
            )
        metrics = {**product.metrics, "notes": list(product.notes)}
        manifest = self._commit(rows, metrics, more)
        if manifest is None:
            raise TryAgain(f"{self.job.name}: other tasks of the run are unfinished; run again")
        return manifest

    def _commit(
        self, rows: int | None, metrics: Mapping[str, Any], more: Mapping[str, Any]
    ) -> Manifest | None:
        heed()
        questions = self.questions
        return self.run.commit(
            {
                "job": self.job.name,
                "version": version("gcp-accessor"),
                "settings": used_by(self.job, self.settings),
                "inputs": dict(self.versions),
                "read_at": questions.read_at and questions.read_at.isoformat(),
                "sql_sha256": {
                    query.name: sha256(query.sql) for query in (*self.job.queries, *self.job.steps)
                },
                "queries": {name: asdict(result.stats) for name, result in questions.asked.items()},
                "rows": rows,
                "metrics": dict(metrics),
                **more,
            }
        )

    def _replace_day(self, table: OutputTable, staging: Staging) -> None:
        """Have the output table hold the rows, unless a later execution's stand there."""
        from google.api_core.exceptions import NotFound

        heed()
        day = day_of(self.run)
        if day.is_kept(self.run.run_id, self.order):
            # Another task did that, or an attempt or execution before this one.
            return
        claim = day.claim(self.run.run_id, self.order)
        if claim is None:
            return
        try:
            table.replace_day(
                self.run.as_of, staging, key=f"{self.questions.key}/day/{claim.generation}"
            )
        except NotFound:
            # Of two tasks that saw all parts written, the other one was faster, and is done.
            if not day.is_of(self.run.run_id):
                raise
        day.confirm(claim)

    def _publish(self) -> str:
        heed()
        return self.run.publish()


def is_done(attempted: Manifest, job: Job, place: Place, run: PublicationRun) -> bool:
    """Return whether nothing is left to do for a committed run.

    It is the published one, or a later day is published, and its rows are those of its day. That
    stays so: had an execution begun another run of the day since, and were it retried after this,
    it would take over from whoever asked for this run last.
    """
    others = run.order_of_others()
    if not run.is_published(above=others) and not run.is_past():
        return False
    if job.table is None:
        return True
    mark = day_of(run).mark()
    if (mark.run_id, mark.state) != (run.run_id, "done") or mark.order < others:
        return False
    table = OutputTable(job.table, place.warehouse, place.store, run.publication.uri)
    return bool(table.rows_of(run.as_of) == attempted.facts["rows"])


def day_of(run: PublicationRun) -> Day:
    """Return the day of the job's output table that the run is for."""
    return Day(run.store, f"{run.publication.uri}/days/{run.as_of}.json")


def _facts_of(query: Query, staging: Staging) -> dict[str, object]:
    """Return what a manifest says of the rows in the output table."""
    return {
        "table": query.output,
        "grain": list(query.grain),
        "columns": [asdict(column) for column in query.columns],
        "violations": staging.violations,
    }


def _same(content: object) -> object:
    return content


def _stream(result: QueryResult) -> RecordBatchReader:
    """Return the result's rows as a stream, from the first one."""
    import pyarrow

    from gcp_accessor.arrow import arrow_schema

    return pyarrow.RecordBatchReader.from_batches(arrow_schema(result.schema), result.batches())
