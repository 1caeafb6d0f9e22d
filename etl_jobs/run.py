"""One run of a job: plan -> query -> check -> publish.

A SQL job's rows are checked in a staging table. Only then do they replace their day in the
output table, and only after that is the run committed and published in Cloud Storage. Killed
anywhere, the next run does the rest and leaves the same.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_jobs.checks import check_columns, check_rows
from etl_jobs.contract import parse_sql, tables_read
from etl_jobs.errors import ContractError, JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyarrow import RecordBatchReader

    from etl_jobs.contract import Query
    from etl_jobs.job import Job
    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, Manifest, PublicationRun
    from gcp_accessor.query_result import QueryResult

# A staging table that outlives this was left by a process that was killed.
_STAGING_LIFE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run reads and writes: a warehouse with its default dataset, and a bucket."""

    warehouse: BigQueryAccessor
    store: CloudStorageAccessor
    bucket: str


@dataclass(frozen=True, slots=True)
class File:
    """One file that a Python job wants published."""

    name: str
    content: object
    format: str = "infer"
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What a Python job made of the rows it read.

    Attributes:
        metrics: Figures about the run, for its manifest.
        notes: What a person should be told, one sentence each.
    """

    files: tuple[File, ...]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job of a plan ended.

    Attributes:
        state: A publication's outcome, or "nothing to do" where an earlier run with the same
            inputs and settings stands.
        files: The full addresses of what was published.
        seconds: Wall-clock time.
    """

    job: str
    state: str
    manifest: Manifest
    files: tuple[str, ...]
    seconds: float


def parse_settings(plan: Sequence[Job], texts: Mapping[str, str], as_of: date) -> dict[str, object]:
    """Return the value of every parameter of a plan's jobs, defaults filled in.

    Raises:
        JobError: a text names a parameter that no job has, or a parameter without a default
            has no value.
        ContractError: a text is not of its parameter's type.
    """
    parameters = {
        parameter.name: parameter
        for job in plan
        for parameter in (*job.parameters, *(p for query in job.queries for p in query.parameters))
    }
    settings: dict[str, object] = {"as_of": as_of}
    unknown = sorted(set(texts) - set(parameters))
    if unknown:
        there = ", ".join(sorted(set(parameters) - {"as_of"})) or "none"
        raise JobError(f"there is no parameter {unknown[0]!r}; {plan[-1].name} takes {there}")
    for name, parameter in parameters.items():
        text = texts.get(name, parameter.default)
        if name == "as_of":
            continue
        if text is None:
            raise JobError(f"parameter {name} ({parameter.about}) has no value; add --set {name}=")
        settings[name] = parameter.parse(text)
    return settings


def run_plan(
    plan: Sequence[Job],
    place: Place,
    settings: Mapping[str, object],
    *,
    max_bytes: int | None = None,
) -> Iterator[Outcome]:
    """Run each job of a plan in turn, giving each one's outcome as it ends.

    Args:
        plan: Jobs, each after those it needs.
        settings: Parameter values by name, `as_of` among them.
        max_bytes: A byte budget for each query in place of its contract's.

    Raises:
        JobError: the first job that fails; those before it stay published.
        google.api_core.exceptions.GoogleAPICallError: what Google refuses, as it says it.
    """
    made: dict[str, str] = {}
    for job in plan:
        started = time.monotonic()
        inputs = {
            table: made.get(table) or table_version(place.warehouse, table) for table in job.reads
        }
        run = _run_of(job, place, settings, inputs)
        attempt = _Attempt(job, place, run, _used(job, settings), inputs, max_bytes)
        manifest, state = attempt.sql_job() if job.query else attempt.python_job()
        if job.output:
            made[job.output] = manifest.run_id
        files = tuple(run.publication.files(manifest))
        yield Outcome(job.name, state, manifest, files, time.monotonic() - started)


def table_version(warehouse: BigQueryAccessor, table: str) -> str:
    """Return what changes whenever a table's rows may have changed.

    A view has the versions of the tables under it.

    Raises:
        JobError: there is no such table.
    """
    from google.api_core.exceptions import NotFound

    try:
        found = warehouse.table(table)
    except NotFound as error:
        raise JobError(
            f"there is no table {table}; load one with --input {table}=FILE, or create it in "
            "BigQuery"
        ) from error
    if found.version is not None:
        return found.version
    parts = [found.view_sql or ""]
    parts += [table_version(warehouse, name) for name in tables_read(parse_sql(parts[0]))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _used(job: Job, settings: Mapping[str, object]) -> dict[str, object]:
    """Return those settings that the job or one of its queries takes."""
    parameters = (*job.parameters, *(p for query in job.queries for p in query.parameters))
    return {parameter.name: settings[parameter.name] for parameter in parameters}


def _run_of(
    job: Job, place: Place, settings: Mapping[str, object], inputs: Mapping[str, str]
) -> PublicationRun:
    """Return the run that these inputs, settings and this code decide."""
    as_of = settings["as_of"]
    assert isinstance(as_of, date)
    fingerprint = {
        "job": job.name,
        "version": version("gcp-accessor"),
        "code": _code_digest() if job.module else None,
        "sql": [query.sql for query in job.queries],
        "settings": {name: str(value) for name, value in _used(job, settings).items()},
        "inputs": inputs,
    }
    publication = place.store.publication(f"gs://{place.bucket}/{job.name}")
    return publication.run(as_of, json.dumps(fingerprint, sort_keys=True))


def _code_digest() -> str:
    """Return a digest of this package's own sources, which decide what a Python job makes."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*")):
        if path.suffix in {".py", ".j2", ".css", ".js"}:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Attempt:
    """One attempt at one job's run."""

    job: Job
    place: Place
    run: PublicationRun
    settings: Mapping[str, object]
    inputs: Mapping[str, str]
    max_bytes: int | None

    def sql_job(self) -> tuple[Manifest, str]:
        """Replace the day in the output table, then publish the rows."""
        query = self.job.query
        assert query is not None
        manifest = self.run.committed()
        if manifest and self.run.is_published() and self._table_holds(query, manifest):
            return manifest, "nothing to do"
        with self._staged(query) as (staging, result, checks):
            rows = self.place.warehouse.table(staging).rows or 0
            if manifest is None:
                self._write_rows(query, staging, rows)
            self._replace_day(query, staging, rows)
        if manifest is None:
            manifest = self._commit(rows, {query.name: result}, checks, {})
        return manifest, self.run.publish()

    def python_job(self) -> tuple[Manifest, str]:
        """Publish what the job's module makes of the rows of its queries."""
        manifest = self.run.committed()
        if manifest:
            published = self.run.is_published()
            return manifest, "nothing to do" if published else self.run.publish()
        results = {query.name: self._query(query) for query in self.job.queries}
        produce: Callable[..., Product] = import_module(self.job.module or "").produce
        product = produce(results, self.settings)
        for file in product.files:
            self.run.write(
                file.name, lambda file=file: file.content, format=file.format, rows=file.rows
            )
        metrics = {**product.metrics, "notes": list(product.notes)}
        manifest = self._commit(None, results, {}, metrics)
        return manifest, self.run.publish()

    def _query(self, query: Query, destination: str | None = None) -> QueryResult:
        names = {parameter.name for parameter in query.parameters}
        return self.place.warehouse.query(
            query.sql,
            {name: value for name, value in self.settings.items() if name in names},
            destination=destination,
            partition_by=query.partition if destination else None,
            max_bytes_billed=self.max_bytes or query.byte_budget,
            labels={"job": _label(self.job.name)},
        )

    @contextmanager
    def _staged(self, query: Query) -> Iterator[tuple[str, QueryResult, dict[str, int]]]:
        """Give the query's checked rows in a table that is gone afterwards."""
        self._sweep(query)
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        staging = f"{query.output}__{moment}_{uuid.uuid4().hex[:8]}"
        try:
            result = self._query(query, staging)
            check_columns(query, self.place.warehouse, staging)
            yield staging, result, check_rows(query, self.place.warehouse, staging)
        finally:
            self.place.warehouse.delete_table(staging, if_missing="ignore")

    def _sweep(self, query: Query) -> None:
        """Delete the staging tables that killed processes left."""
        warehouse = self.place.warehouse
        oldest = (datetime.now(UTC) - _STAGING_LIFE).strftime("%Y%m%dT%H%M%S")
        prefix = f"{query.output}__"
        for name in warehouse.tables():
            moment = name.removeprefix(prefix).partition("_")[0]
            if name.startswith(prefix) and moment < oldest:
                warehouse.delete_table(name, if_missing="ignore")

    def _write_rows(self, query: Query, staging: str, rows: int) -> None:
        """Store the staged rows in each format that the contract publishes."""
        if not query.publish:
            return
        result = self.place.warehouse.query(_ordered_sql(query, staging))
        stem = query.name.rpartition("/")[2]
        for format_ in query.publish:
            self.run.write(
                f"{stem}.{format_}", lambda: _reader(result), format=format_, rows=rows
            )

    def _replace_day(self, query: Query, staging: str, rows: int) -> None:
        """Put the staged rows in the place of the day's former ones, in one step."""
        from google.api_core.exceptions import NotFound

        warehouse, output = self.place.warehouse, query.output or ""
        try:
            found = warehouse.table(output).schema
        except NotFound:
            warehouse.create_table(output, query.columns, partition_by=query.partition)
            found = query.columns
        names = [(column.name, column.type) for column in found]
        if names != [(column.name, column.type) for column in query.columns]:
            raise ContractError(
                f"the table {output} has the columns {', '.join(name for name, _ in names)}, which "
                f"are not those {query.name} promises now; delete the table or alter it, then run "
                "again"
            )
        if rows:
            day = f"{self.run.as_of:%Y%m%d}"
            warehouse.copy(f"{staging}${day}", f"{output}${day}", if_exists="replace")
        else:
            warehouse.query(_delete_day_sql(query), {"as_of": self.run.as_of})

    def _table_holds(self, query: Query, manifest: Manifest) -> bool:
        """Whether the output table still has the day's rows."""
        from google.api_core.exceptions import NotFound

        try:
            counted = self.place.warehouse.query(_count_day_sql(query), {"as_of": self.run.as_of})
        except NotFound:
            return False
        return counted.scalar() == manifest.facts["rows"]

    def _commit(
        self,
        rows: int | None,
        results: Mapping[str, QueryResult],
        checks: Mapping[str, int],
        metrics: Mapping[str, Any],
    ) -> Manifest:
        facts = {
            "job": self.job.name,
            "version": version("gcp-accessor"),
            "settings": {name: str(value) for name, value in self.settings.items()},
            "inputs": dict(self.inputs),
            "sql_sha256": {
                query.name: hashlib.sha256(query.sql.encode()).hexdigest()
                for query in self.job.queries
            },
            "queries": {name: asdict(result.stats) for name, result in results.items()},
            "table": self.job.output,
            "rows": rows,
            "columns": [asdict(column) for column in self.job.query.columns]
            if self.job.query
            else None,
            "violations": dict(checks),
            "metrics": dict(metrics),
        }
        manifest = self.run.commit(facts)
        assert manifest is not None, "a run of one task is committed by that task"
        return manifest


def _label(name: str) -> str:
    """Return a job's name as BigQuery allows it in a label."""
    return name.replace("/", "-").lower()


def _reader(result: QueryResult) -> RecordBatchReader:
    """Return the result's rows as a stream."""
    import pyarrow

    return pyarrow.RecordBatchReader.from_batches(result.arrow_schema, result.batches())


def _ordered_sql(query: Query, table: str) -> str:
    """Return SQL for all rows of a table in the order of the contract's grain."""
    from sqlglot import exp, select

    columns = [exp.column(column.name) for column in query.columns]
    order = [exp.column(name) for name in query.grain]
    source = exp.to_table(table, dialect="bigquery")
    return select(*columns).from_(source).order_by(*order).sql(dialect="bigquery")


def _count_day_sql(query: Query) -> str:
    from sqlglot import select

    return select("COUNT(*)").from_(*_table_and_day(query)[:1]).where(_table_and_day(query)[1]).sql(
        dialect="bigquery"
    )


def _delete_day_sql(query: Query) -> str:
    from sqlglot import delete

    table, day = _table_and_day(query)
    return delete(table, where=day).sql(dialect="bigquery")


def _table_and_day(query: Query) -> tuple[Any, Any]:
    from sqlglot import exp

    day = exp.column(query.partition or "").eq(exp.Parameter(this=exp.var("as_of")))
    return exp.to_table(query.output or "", dialect="bigquery"), day
