"""One run of a job: plan -> query -> check -> publish.

A SQL job's rows are checked in a staging table. Only then do they replace their day in the
output table, and only after that is the run committed and published in Cloud Storage. Killed
anywhere, the next run does the rest and leaves the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from etl_jobs.contract import parse_sql, tables_read
from etl_jobs.errors import JobError, Misuse
from etl_jobs.nodes import widened
from etl_jobs.output_table import OutputTable
from etl_jobs.product import Work
from etl_jobs.stopping import heed
from gcp_accessor.errors import CostLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from pyarrow import RecordBatchReader, Table

    from etl_jobs.contract import Query
    from etl_jobs.job import Job
    from etl_jobs.output_table import Staging
    from etl_jobs.place import Place
    from etl_jobs.product import Product
    from gcp_accessor import BigQueryAccessor, Manifest, PublicationRun
    from gcp_accessor.query_result import QueryResult


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
        Misuse: a text names a parameter that no job has or is not of its type, or a parameter
            without a default has no value.
    """
    parameters = {
        parameter.name: parameter
        for job in plan
        for parameter in (*job.parameters, *(p for query in job.queries for p in query.parameters))
    }
    if "as_of" in texts:
        raise Misuse("the day is not set with --set; give it with --as-of")
    # The day is the whole run's.
    parameters.pop("as_of", None)
    settings: dict[str, object] = {"as_of": as_of}
    unknown = sorted(set(texts) - set(parameters))
    if unknown:
        there = ", ".join(sorted(parameters)) or "none"
        raise Misuse(f"there is no parameter {unknown[0]!r}; {plan[-1].name} takes {there}")
    for name, parameter in parameters.items():
        text = texts.get(name, parameter.default)
        if text is None:
            raise Misuse(f"the parameter {name} ({parameter.about}) needs --set {name}=VALUE")
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
    # Before anything is done: what was typed may mean nothing.
    for job in plan:
        if job.module:
            settings = import_module(job.module).settle(settings, place)
    plan = [job.as_asked(settings) for job in plan]
    # Looked up once: jobs that read one table describe the same rows of it.
    versions: dict[str, str] = {}
    for job in plan:
        heed()
        started = time.monotonic()
        for table in job.reads:
            if table not in versions:
                versions[table] = table_version(place.warehouse, table)
        inputs = {table: versions[table] for table in job.reads}
        run = _run_of(job, place, settings, inputs)
        attempt = _Attempt(job, place, run, settings, inputs, max_bytes)
        if job.module:
            manifest, state = attempt.python_job(job.module)
        else:
            manifest, state = attempt.sql_job(job.queries[0])
        if job.output:
            versions[job.output] = manifest.run_id
        files = tuple(run.publication.files(manifest))
        yield Outcome(job.name, state, manifest, files, time.monotonic() - started)


def table_version(warehouse: BigQueryAccessor, table: str) -> str:
    """Return what changes whenever a table's rows may have changed.

    A view has the versions of the tables under it. Where nothing tells (an external table, a
    view over wildcard tables or over tables that this account may not see), it is the moment,
    so that a job never takes such rows for those it has seen.

    Raises:
        JobError: there is no such table.
    """
    from google.api_core.exceptions import Forbidden, NotFound

    try:
        found = warehouse.table(table)
    except NotFound as error:
        raise JobError(
            f"there is no table {table}; fill it with --input {table}=FILE, or create it in "
            "BigQuery"
        ) from error
    if found.version is not None:
        return found.version
    parts = [found.view_sql or ""]
    try:
        parts += [table_version(warehouse, name) for name in tables_read(parse_sql(parts[0]))]
    except (ValueError, Forbidden):
        return f"unknown at {datetime.now(UTC).isoformat()}"
    return _sha256("\n".join(parts))


def _used(job: Job, settings: Mapping[str, object]) -> dict[str, object]:
    """Return those settings that the job or one of its queries takes."""
    parameters = (*job.parameters, *(p for query in job.queries for p in query.parameters))
    return {parameter.name: settings[parameter.name] for parameter in parameters}


def _texts(settings: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}


def _run_of(
    job: Job, place: Place, settings: Mapping[str, object], inputs: Mapping[str, str]
) -> PublicationRun:
    """Return the run that these inputs, settings and this code decide."""
    fingerprint = {
        "job": job.name,
        "version": version("gcp-accessor"),
        "code": _code_digest() if job.module else None,
        "sql": [query.sql for query in (*job.queries, *job.steps)],
        "settings": _texts(_used(job, settings)),
        "inputs": inputs,
    }
    publication = place.store.publication(f"gs://{place.bucket}/{job.name}")
    return publication.run(cast("date", settings["as_of"]), json.dumps(fingerprint, sort_keys=True))


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
    """One attempt at one job's run.

    Attributes:
        settings: Those of the whole plan: what upstream jobs were told matters here too.
    """

    job: Job
    place: Place
    run: PublicationRun
    settings: Mapping[str, object]
    inputs: Mapping[str, str]
    max_bytes: int | None

    def sql_job(self, query: Query) -> tuple[Manifest, str]:
        """Replace the day in the output table, then publish the rows."""
        table = OutputTable(query, self.place.warehouse)
        manifest = self.run.committed()
        if manifest and self._is_done(table, manifest):
            return manifest, "nothing to do"
        with table.staged(self.run.as_of, partial(self._query, query)) as staging:
            metrics = staging.summary() if query.summary else {}
            if manifest is None:
                self._write_rows(query, staging)
            self._replace_day(table, staging)
        if manifest is None:
            results = {query.name: staging.result} if staging.result else {}
            manifest = self._commit(staging.rows, results, metrics, _facts_of(query, staging))
        return manifest, self._publish()

    def python_job(self, module: str) -> tuple[Manifest, str]:
        """Publish what the job's module makes of the rows of its queries."""
        contract = self.job.table
        table = OutputTable(contract, self.place.warehouse) if contract else None
        manifest = self.run.committed()
        if manifest and (self._is_done(table, manifest) if table else self.run.is_published()):
            return manifest, "nothing to do"
        if manifest and not table:
            return manifest, self._publish()
        results: dict[str, QueryResult] = {}
        product: Product = import_module(module).produce(self._work(results))
        rows, more = None, {}
        if contract and table and product.table is not None:
            load = partial(self._load, contract, product.table)
            with table.staged(self.run.as_of, load) as staging:
                self._replace_day(table, staging)
                rows, more = staging.rows, _facts_of(contract, staging)
        if manifest is None:
            for file in product.files:
                self.run.write(
                    file.name, partial(_same, file.content), format=file.format, rows=file.rows
                )
            metrics = {**product.metrics, "notes": list(product.notes)}
            manifest = self._commit(rows, results, metrics, more)
        return manifest, self._publish()

    def _publish(self) -> str:
        heed()
        return self.run.publish()

    def _work(self, results: dict[str, QueryResult]) -> Work:
        """Return what a Python job starts from; the queries that it runs are noted."""
        queries = {query.name: query for query in self.job.queries}

        def query(name: str) -> QueryResult:
            results[name] = self._query(queries[name])
            return results[name]

        steps = {step.name: step for step in self.job.steps}
        return Work(query, steps, self.settings, self.place, self.run, self.max_bytes)

    def _is_done(self, table: OutputTable, manifest: Manifest) -> bool:
        """Whether the run is the published one, and its rows are those of the day."""
        return (
            self.run.is_published()
            and self._last_writer() == self.run.run_id
            and table.rows_of(self.run.as_of) == manifest.facts["rows"]
        )

    def _replace_day(self, table: OutputTable, staging: Staging) -> None:
        # Said beforehand: a run that is killed in between leaves a day that no run trusts.
        self.place.store.write(self._writer_uri, {"run_id": self.run.run_id})
        table.replace_day(self.run.as_of, staging)

    def _load(
        self, contract: Query, rows: Table, destination: str, cluster_by: tuple[str, ...]
    ) -> None:
        self.place.warehouse.load(
            rows,
            destination,
            schema=tuple(replace(column, mode="NULLABLE") for column in contract.columns),
            partition_by=contract.partition,
            cluster_by=cluster_by,
        )

    @property
    def _writer_uri(self) -> str:
        """The object that names the run whose rows the output table's day has."""
        return f"{self.run.publication.uri}/days/{self.run.as_of}.json"

    def _last_writer(self) -> str | None:
        from google.api_core.exceptions import NotFound

        try:
            return str(self.place.store.read(self._writer_uri)["run_id"])
        except NotFound:
            return None

    def _query(
        self, query: Query, destination: str | None = None, cluster_by: tuple[str, ...] = ()
    ) -> QueryResult:
        names = {parameter.name for parameter in query.parameters}
        nodes = self.settings.get("nodes")
        sql = widened(query.sql, cast("int", nodes)) if "nodes" in names else query.sql
        try:
            return self.place.warehouse.query(
                sql,
                {name: value for name, value in self.settings.items() if name in names},
                destination=destination,
                partition_by=query.partition if destination else None,
                cluster_by=cluster_by,
                max_bytes_billed=self.max_bytes or query.byte_budget,
                labels={"job": _label(self.job.name)},
            )
        except CostLimitExceeded as error:
            limit = "--max-bytes" if self.max_bytes else "byte_budget in its header"
            error.add_note(f"The query is sql/{query.name}.sql, its limit {limit}.")
            raise
        except Exception as error:
            error.add_note(f"The query is sql/{query.name}.sql.")
            raise

    def _write_rows(self, query: Query, staging: Staging) -> None:
        """Store the staged rows in each format that the contract publishes."""
        if not query.publish:
            return
        result = staging.ordered()
        stem = query.name.rpartition("/")[2]
        for kind in query.publish:
            self.run.write(
                f"{stem}.{kind}", partial(_stream, result), format=kind, rows=staging.rows
            )

    def _commit(
        self,
        rows: int | None,
        results: Mapping[str, QueryResult],
        metrics: Mapping[str, Any],
        more: Mapping[str, Any],
    ) -> Manifest:
        facts = {
            "job": self.job.name,
            "version": version("gcp-accessor"),
            "settings": _texts(_used(self.job, self.settings)),
            "inputs": dict(self.inputs),
            "sql_sha256": {
                query.name: _sha256(query.sql) for query in (*self.job.queries, *self.job.steps)
            },
            "queries": {name: asdict(result.stats) for name, result in results.items()},
            "rows": rows,
            "metrics": dict(metrics),
            **more,
        }
        manifest = self.run.commit(facts)
        if manifest is None:
            raise JobError(f"{self.job.name}: other tasks of the run are unfinished")
        return manifest


def _facts_of(query: Query, staging: Staging) -> dict[str, object]:
    """Return what a manifest says of the rows in the output table."""
    return {
        "table": query.output,
        "columns": [asdict(column) for column in query.columns],
        "violations": staging.violations,
    }


def _label(name: str) -> str:
    """Return the name in what a label may hold: at most 63 lower-case letters, digits, _ and -."""
    return re.sub(r"[^\w-]", "-", name.lower())[:63]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _same(content: object) -> object:
    return content


def _stream(result: QueryResult) -> RecordBatchReader:
    """Return the result's rows as a stream, from the first one."""
    import pyarrow

    from gcp_accessor.arrow import arrow_schema

    return pyarrow.RecordBatchReader.from_batches(arrow_schema(result.schema), result.batches())
