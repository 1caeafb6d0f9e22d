"""BigQuery's REST API on a loopback port, with faults on request.

Jobs, results and tables are real: behind the API stands the local engine. What is the API's
own (job ids, states, paging, the JSON of values, uploads, error reasons) is this module's.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from gcp_accessor import BigQueryAccessor
from gcp_accessor.backends import LoadSettings, Statement
from gcp_accessor.errors import CostLimitExceeded, LoadFailed, QueryTimeout, UnsupportedLocally
from gcp_accessor.schema import TableName
from gcp_accessor.type_names import columns_from_api
from tests.stand_ins.bigquery_json import cell, parameter, schema_resource
from tests.stand_ins.loopback import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor.backends import Cursor, RunningQuery, WarehouseBackend

_IF_EXISTS = {"WRITE_TRUNCATE": "replace", "WRITE_APPEND": "append", "WRITE_EMPTY": "fail"}
_FORMATS = {"CSV": "csv", "NEWLINE_DELIMITED_JSON": "ndjson", "PARQUET": "parquet"}
_ANONYMOUS = "_results"
_STATUSES = {
    "accessDenied": 403,
    "backendError": 503,
    # The client knows no status for this reason, so that it makes it a 500.
    "bytesBilledLimitExceeded": 500,
    "duplicate": 409,
    "internalError": 500,
    "invalid": 400,
    "invalidQuery": 400,
    "notFound": 404,
    "notImplemented": 501,
    "standInBroke": 500,
    "stopped": 499,
}


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, reason: str, message: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = _STATUSES[reason]
        self.items = [{"reason": reason, "message": text} for text in (message, *errors)]

    @classmethod
    def of(cls, error: Exception) -> ApiError:
        """Return what the API says when its engine raises this."""
        match error:
            case ApiError():
                return error
            case CostLimitExceeded():
                required = max(
                    int(digits) for digits in re.findall(r"\d+", str(error).replace(",", ""))
                )
                return cls(
                    "bytesBilledLimitExceeded",
                    f"Query exceeded limit for bytes billed. {required} or higher required.",
                )
            case LoadFailed():
                return cls("invalid", error.message, error.errors)
            case UnsupportedLocally():
                return cls("notImplemented", str(error))
            case exceptions.Cancelled():
                return cls("stopped", "Job execution was cancelled: User requested cancellation")
            case QueryTimeout():
                return cls("stopped", "Job execution was cancelled: Job timed out after its time")
            case exceptions.NotFound():
                return cls("notFound", error.message)
            case exceptions.Conflict():
                return cls("duplicate", error.message)
            case exceptions.BadRequest():
                return cls("invalidQuery", error.message)
        # Not the service's fault but this module's: a reason that no client waits and retries for.
        return cls("standInBroke", f"{type(error).__name__}: {error}")


@dataclass
class Job:
    """A job from its insertion on; `done` is set when it has ended, well or not."""

    id: str
    configuration: dict[str, Any]
    created: float = field(default_factory=time.time)
    ended: float | None = None
    running: RunningQuery | None = None
    cursor: Cursor | None = None
    rows: list[list[object]] = field(default_factory=list)
    is_cached: bool = False
    output_rows: int | None = None
    error: ApiError | None = None
    done: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds_allowed(self) -> float | None:
        return int(self.configuration.get("jobTimeoutMs", 0)) / 1000 or None

    @property
    def kind(self) -> str:
        return next(
            kind for kind in ("query", "load", "copy", "extract") if kind in self.configuration
        )


@dataclass
class Fault:
    """What happens to the next requests whose method and path match."""

    matches: re.Pattern[str]
    times: int
    error: ApiError | None = None
    reply_lost: bool = False


class BigQueryStandIn:
    """The service. `with BigQueryStandIn(engine) as service: ... service.url`.

    Attributes:
        job_seconds: How long every job takes before it runs.
        page_rows: The most rows that one page of results holds.
        location: Where all its datasets are. Outside of "US" and "EU" a job is found only by
            requests that name its location.
        partition_days: After how many days its datasets delete a partition, if they do.
        resources: What a table, "dataset.name", says of itself in place of the engine.
        datasets: What each dataset was made with.
        expirations: When each table that was made is to delete itself, in milliseconds.
        caches: Whether a statement that ran before is free.
        requests: How often each method and path was asked for.
        callers: Of each request, the connection's port and its Authorization.
    """

    def __init__(self, engine: WarehouseBackend, project: str = "test-project") -> None:
        self.engine = engine
        self.project = project
        self.job_seconds = 0.0
        self.page_rows = 10_000
        self.location = "US"
        self.partition_days: int | None = None
        self.resources: dict[str, dict[str, Any]] = {}
        self.expirations: dict[str, str | None] = {}
        self.datasets: dict[str, dict[str, Any]] = {}
        self.caches = False
        self.requests: Counter[str] = Counter()
        self.callers: list[tuple[int, str | None]] = []
        self.jobs: dict[str, Job] = {}
        self._uploads: dict[str, tuple[dict[str, Any], bytearray]] = {}
        self._faults: list[Fault] = []
        self._cached: set[str] = set()
        self._modified: dict[str, tuple[str | None, int]] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._clients: list[bigquery.Client] = []
        handler = type("Handler", (_Handler,), {"service": self})
        self._server = LoopbackServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._serving.start()
        return self

    def __exit__(self, *error: object) -> None:
        for job in self.jobs.values():
            self._cancel(job)
        for thread in self._threads:
            thread.join()
        for client in self._clients:
            client.close()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def accessor(self, **options: Any) -> BigQueryAccessor:
        """Return an accessor whose client of Google's speaks to this service."""
        client = bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.url},
        )
        self._clients.append(client)
        return BigQueryAccessor(client=client, **options)

    def fail(self, reason: str, *, on: str = "", times: int = 1) -> None:
        """Answer the next requests that match `on` with this error."""
        error = ApiError(reason, f"injected {reason}")
        self._faults.append(Fault(re.compile(on), times, error))

    def lose_reply(self, *, on: str = "", times: int = 1) -> None:
        """Carry out the next requests that match `on`, and hang up instead of answering."""
        self._faults.append(Fault(re.compile(on), times, reply_lost=True))

    def take_fault(self, request: str) -> Fault | None:
        with self._lock:
            self.requests[request] += 1
            for fault in self._faults:
                if fault.times and fault.matches.search(request):
                    fault.times -= 1
                    return fault
        return None

    # --- jobs -----------------------------------------------------------------------------

    def insert_job(self, resource: dict[str, Any], media: bytes | None = None) -> dict[str, Any]:
        reference = resource.get("jobReference", {})
        job_id = reference.get("jobId") or uuid.uuid4().hex
        if reference.get("location", self.location) != self.location:
            raise ApiError(
                "notFound", f"Not found: Dataset was not found in location {reference['location']}"
            )
        job = Job(job_id, resource["configuration"])
        _check_labels(job.configuration.get("labels", {}))
        if job.configuration.get("dryRun"):
            return self._dry_run(job)
        with self._lock:
            if job_id in self.jobs:
                raise ApiError(
                    "duplicate", f"Already Exists: Job {self.project}:{self.location}.{job_id}"
                )
            self.jobs[job_id] = job
        run: Callable[[Job, dict[str, Any], bytes | None], None] = getattr(self, f"_run_{job.kind}")
        thread = threading.Thread(target=self._run, args=(job, run, media))
        self._threads.append(thread)
        thread.start()
        return self.job_resource(job)

    def find_job(self, job_id: str, query: dict[str, str]) -> Job:
        location = query.get("location")
        found_at = {self.location, None} if self.location in {"US", "EU"} else {self.location}
        if job_id not in self.jobs or location not in found_at:
            where = f"{location}." if location else ""
            raise ApiError("notFound", f"Not found: Job {self.project}:{where}{job_id}")
        return self.jobs[job_id]

    def cancel_job(self, job_id: str, query: dict[str, str]) -> dict[str, Any]:
        job = self.find_job(job_id, query)
        self._cancel(job)
        return {"kind": "bigquery#jobCancelResponse", "job": self.job_resource(job)}

    def _cancel(self, job: Job) -> None:
        job.cancelled.set()
        if job.running is not None:
            job.running.cancel()

    def query_results(self, job_id: str, query: dict[str, str]) -> dict[str, Any]:
        job = self.find_job(job_id, query)
        # The API holds the request open for a while rather than be asked again at once.
        job.done.wait(int(query.get("timeoutMs", 10_000)) / 1000)
        answer = {"jobReference": self._job_reference(job), "jobComplete": job.done.is_set()}
        if not job.done.is_set():
            return answer
        if job.error is not None:
            raise job.error
        assert job.cursor is not None
        answer["cacheHit"] = job.is_cached
        answer["totalBytesProcessed"] = str(job.cursor.stats.bytes_processed or 0)
        if job.cursor.schema:
            answer["schema"] = schema_resource(job.cursor.schema)
            answer.update(self._page(job.rows, job.cursor.schema, query))
        return answer

    def job_resource(self, job: Job) -> dict[str, Any]:
        statistics: dict[str, Any] = {
            "creationTime": str(int(job.created * 1000)),
            "startTime": str(int(job.created * 1000)),
        }
        status: dict[str, Any] = {"state": "RUNNING"}
        if job.done.is_set():
            status["state"] = "DONE"
            statistics["endTime"] = str(int((job.ended or job.created) * 1000))
        if job.error is not None:
            status |= {"errorResult": job.error.items[0], "errors": job.error.items}
        if job.cursor is not None:
            stats = job.cursor.stats
            statistics["query"] = {
                "totalBytesProcessed": str(stats.bytes_processed or 0),
                # The engine itself bills nobody.
                "totalBytesBilled": str(0 if job.is_cached else stats.bytes_processed or 0),
                "totalSlotMs": "1",
                "cacheHit": job.is_cached,
                "schema": schema_resource(job.cursor.schema),
            }
            if stats.changes is not None:
                statistics["query"]["dmlStats"] = {
                    "insertedRowCount": str(stats.changes.inserted),
                    "updatedRowCount": str(stats.changes.updated),
                    "deletedRowCount": str(stats.changes.deleted),
                }
        if job.output_rows is not None:
            statistics["load"] = {"outputRows": str(job.output_rows)}
        return {
            "kind": "bigquery#job",
            "id": f"{self.project}:{self.location}.{job.id}",
            "jobReference": self._job_reference(job),
            "configuration": {"jobType": job.kind.upper(), **job.configuration},
            "status": status,
            "statistics": statistics,
        }

    def _run(self, job: Job, run: Callable[..., None], media: bytes | None) -> None:
        try:
            limit = job.seconds_allowed
            seconds = self.job_seconds if limit is None else min(self.job_seconds, limit)
            if job.cancelled.wait(seconds):
                raise exceptions.Cancelled("User requested cancellation")
            if seconds < self.job_seconds:
                raise QueryTimeout
            run(job, job.configuration[job.kind], media)
        except Exception as error:  # whatever it is, the job ended with it
            job.error = ApiError.of(error)
        job.ended = time.time()
        job.done.set()

    def _run_query(self, job: Job, query: dict[str, Any], _: bytes | None) -> None:
        statement = replace(self._statement(query), timeout=job.seconds_allowed)
        asked = json.dumps([query["query"], query.get("queryParameters")])
        job.is_cached = asked in self._cached
        if job.is_cached:
            statement = replace(statement, max_bytes_billed=None)
        job.running = self.engine.submit(statement)
        if job.cancelled.is_set():
            job.running.cancel()
        job.cursor = job.running.result()
        if statement.destination is not None:
            # The service reads results from the table that they were written to.
            job.cursor = self.engine.run(
                Statement(f"SELECT * FROM `{statement.destination.whole}`")
            )
        elif job.cursor.schema:
            # Every result is a table, of a dataset that nobody sees.
            query["destinationTable"] = self._table_reference(TableName(job.id, _ANONYMOUS))
        job.rows = list(job.cursor.rows())
        if self.caches:
            self._cached.add(asked)

    def result_of(self, dataset: str, table: str) -> Cursor:
        """Return the rows of a table, also of one that a query's result is."""
        if dataset != _ANONYMOUS:
            return self.engine.run(Statement(f"SELECT * FROM `{dataset}.{table}`"))
        job = self.jobs.get(table)
        if job is None or job.cursor is None:
            raise exceptions.NotFound(f"Not found: Table {self.project}:{dataset}.{table}")
        return job.cursor

    def _run_load(self, job: Job, load: dict[str, Any], media: bytes | None) -> None:
        schema = (load.get("schema") or {}).get("fields")
        settings = LoadSettings(
            _table_name(load["destinationTable"]),
            _FORMATS[load.get("sourceFormat", "CSV")],  # type: ignore[arg-type]
            schema=columns_from_api(schema) if schema else None,
            if_exists=_IF_EXISTS[load.get("writeDisposition", "WRITE_APPEND")],  # type: ignore[arg-type]
            partition_by=(load.get("timePartitioning") or {}).get("field"),
            cluster_by=tuple((load.get("clustering") or {}).get("fields", ())),
            skip_leading_rows=int(load.get("skipLeadingRows", 0)),
        )
        if media is not None:
            job.output_rows = self.engine.load_file(io.BytesIO(media), settings)
        else:
            job.output_rows = self.engine.load_uris(load["sourceUris"], settings)

    def _run_copy(self, _: Job, copy: dict[str, Any], __: bytes | None) -> None:
        (source,) = copy.get("sourceTables") or [copy["sourceTable"]]
        destination = _table_name(copy["destinationTable"])
        if destination.partition or copy.get("writeDisposition") == "WRITE_APPEND":
            self._check_copy(_table_name(source), destination)
        self.engine.copy(
            _table_name(source),
            destination,
            _IF_EXISTS[copy.get("writeDisposition", "WRITE_EMPTY")],  # type: ignore[arg-type]
        )

    def _check_copy(self, source: TableName, destination: TableName) -> None:
        """Refuse what differs: rows are copied as they are stored."""
        held = self.engine.table(source.whole)
        try:
            there = self.engine.table(destination.whole)
        except exceptions.NotFound:
            return
        if held.partition_by != there.partition_by:
            raise ApiError("invalid", "Incompatible table partitioning specification when copying")
        if held.cluster_by != there.cluster_by:
            raise ApiError("invalid", "Failed to copy: incompatible clustering fields")
        for mine, theirs in zip(held.schema, there.schema, strict=False):
            if mine.mode != theirs.mode:
                raise ApiError(
                    "invalid",
                    f"Provided Schema does not match Table {destination}. Field {mine.name} has "
                    f"changed mode from {theirs.mode} to {mine.mode}",
                )

    def _run_extract(self, _: Job, extract: dict[str, Any], __: bytes | None) -> None:
        (uri,) = extract["destinationUris"]
        format = _FORMATS[extract.get("destinationFormat", "CSV")]
        compress = extract.get("compression", "NONE") != "NONE"
        source = _table_name(extract["sourceTable"])
        if source.dataset == _ANONYMOUS:
            cursor = self.result_of(_ANONYMOUS, source.table)
            self.engine.export_rows(cursor, uri, format, compress)  # type: ignore[arg-type]
        else:
            self.engine.export(source, uri, format, compress)  # type: ignore[arg-type]

    def _dry_run(self, job: Job) -> dict[str, Any]:
        estimate = self.engine.estimate(self._statement(job.configuration["query"]))
        resource = self.job_resource(job)
        resource["status"] = {"state": "DONE"}
        resource["statistics"]["query"] = {
            "totalBytesProcessed": str(estimate.bytes_processed),
            "statementType": estimate.statement_type,
            "schema": schema_resource(estimate.schema),
            "referencedTables": [self._table_reference(name) for name in estimate.tables],
        }
        return resource

    def _statement(self, query: dict[str, Any]) -> Statement:
        destination = query.get("destinationTable")
        limit = query.get("maximumBytesBilled")
        return Statement(
            query["query"],
            tuple(parameter(item) for item in query.get("queryParameters", ())),
            default_dataset=(query.get("defaultDataset") or {}).get("datasetId"),
            destination=_table_name(destination) if destination else None,
            if_exists=_IF_EXISTS[query.get("writeDisposition", "WRITE_EMPTY")],  # type: ignore[arg-type]
            partition_by=(query.get("timePartitioning") or {}).get("field"),
            cluster_by=tuple((query.get("clustering") or {}).get("fields", ())),
            max_bytes_billed=int(limit) if limit else None,
        )

    def _job_reference(self, job: Job) -> dict[str, str]:
        return {"projectId": self.project, "jobId": job.id, "location": self.location}

    # --- datasets and tables --------------------------------------------------------------

    def list_datasets(self) -> dict[str, Any]:
        references = [self._dataset(name) for name in self.engine.datasets()]
        return {"kind": "bigquery#datasetList", "datasets": references}

    def get_dataset(self, name: str) -> dict[str, Any]:
        if name not in self.engine.datasets():
            raise ApiError("notFound", f"Not found: Dataset {self.project}:{name}")
        return self._dataset(name)

    def create_dataset(self, resource: dict[str, Any]) -> dict[str, Any]:
        name = resource["datasetReference"]["datasetId"]
        self.engine.create_dataset(name)
        self.datasets[name] = resource
        return self._dataset(name)

    def delete_dataset(self, name: str, query: dict[str, str]) -> dict[str, Any]:
        contents = query.get("deleteContents", "").lower() == "true"
        self.engine.delete_dataset(name, contents=contents)
        return {}

    def list_tables(self, dataset: str, query: dict[str, str]) -> dict[str, Any]:
        names = self.engine.tables(dataset)
        start = int(query.get("pageToken", 0))
        answer: dict[str, Any] = {
            "tables": [
                {"tableReference": self._table_reference(TableName(name, dataset)), "type": "TABLE"}
                for name in names[start : start + self.page_rows]
            ]
        }
        if start + self.page_rows < len(names):
            answer["nextPageToken"] = str(start + self.page_rows)
        return answer

    def get_table(self, dataset: str, name: str) -> dict[str, Any]:
        table = self.engine.table(TableName(name, dataset))
        key = f"{dataset}.{name}"
        with self._lock:
            version, modified = self._modified.get(key, (None, 0))
            if version != table.version or not modified:
                modified = max(int(time.time() * 1000), modified + 1)
                self._modified[key] = (table.version, modified)
        resource: dict[str, Any] = {
            "kind": "bigquery#table",
            "type": table.kind.upper(),
            "tableReference": self._table_reference(table.name),
            "schema": schema_resource(table.schema),
            "numRows": str(table.rows or 0),
            "numBytes": str(table.bytes or 0),
            "lastModifiedTime": str(modified),
            "etag": str(table.version),
        }
        if table.description is not None:
            resource["description"] = table.description
        if table.partition_by:
            resource["timePartitioning"] = {"type": "DAY", "field": table.partition_by}
            if self.partition_days is not None:
                milliseconds = str(self.partition_days * 86_400_000)
                resource["timePartitioning"]["expirationMs"] = milliseconds
        if table.cluster_by:
            resource["clustering"] = {"fields": list(table.cluster_by)}
        if table.view_sql is not None:
            resource["view"] = {"query": table.view_sql, "useLegacySql": False}
        return resource | self.resources.get(key, {})

    def create_table(self, dataset: str, resource: dict[str, Any]) -> dict[str, Any]:
        name = resource["tableReference"]["tableId"]
        fields = (resource.get("schema") or {}).get("fields", ())
        self.expirations[name] = resource.get("expirationTime")
        if "view" in resource:
            return self.write_view(dataset, name, resource, replace=False)
        if not fields:
            # A table may be without columns until a load brings them; the engine has no such.
            return resource | {"kind": "bigquery#table", "type": "TABLE"}
        self.engine.create_table(
            TableName(name, dataset),
            columns_from_api(fields),
            (resource.get("timePartitioning") or {}).get("field"),
            tuple((resource.get("clustering") or {}).get("fields", ())),
            description=resource.get("description"),
        )
        return self.get_table(dataset, name)

    def write_view(
        self, dataset: str, name: str, resource: dict[str, Any], *, replace: bool
    ) -> dict[str, Any]:
        self.engine.create_view(
            TableName(name, dataset),
            resource["view"]["query"],
            replace=replace,
            description=resource.get("description"),
        )
        return self.get_table(dataset, name)

    def delete_table(self, dataset: str, name: str) -> dict[str, Any]:
        self.engine.delete_table(_table_name({"datasetId": dataset, "tableId": name}))
        return {}

    def table_data(self, dataset: str, name: str, query: dict[str, str]) -> dict[str, Any]:
        self.engine.table(TableName(name, dataset))
        cursor = self.engine.run(Statement(f"SELECT * FROM `{dataset}.{name}`"))
        return self._page(list(cursor.rows()), cursor.schema, query)

    def _page(self, rows: list[list[object]], schema: Any, query: dict[str, str]) -> dict[str, Any]:
        start = int(query.get("pageToken") or query.get("startIndex") or 0)
        size = min(int(query.get("maxResults", self.page_rows)), self.page_rows)
        micros = query.get("formatOptions.useInt64Timestamp", "").lower() == "true"
        answer: dict[str, Any] = {
            "totalRows": str(len(rows)),
            "rows": [
                {"f": [{"v": cell(v, c, micros)} for v, c in zip(row, schema, strict=True)]}
                for row in rows[start : start + size]
            ],
        }
        if start + size < len(rows):
            answer["pageToken"] = str(start + size)
        return answer

    def _dataset(self, name: str) -> dict[str, Any]:
        reference = {"projectId": self.project, "datasetId": name}
        return {
            "kind": "bigquery#dataset",
            "datasetReference": reference,
            "location": self.location,
        }

    def _table_reference(self, name: TableName) -> dict[str, Any]:
        return {"projectId": self.project, "datasetId": name.dataset, "tableId": name.table}

    # --- uploads --------------------------------------------------------------------------

    def start_upload(self, resource: dict[str, Any]) -> str:
        upload_id = uuid.uuid4().hex
        self._uploads[upload_id] = (resource, bytearray())
        return f"{self.url}/upload/bigquery/v2/projects/{self.project}/jobs?upload_id={upload_id}"

    def continue_upload(
        self, upload_id: str, content_range: str, body: bytes
    ) -> dict[str, Any] | int:
        """Return the job once all bytes are there, and how many are there before."""
        resource, received = self._uploads[upload_id]
        match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", content_range)
        assert match is not None
        if match[1] is not None and int(match[1]) == len(received):
            received += body
        if match[2] != "*" and int(match[2]) == len(received):
            return self.insert_job(resource, bytes(received))
        return len(received)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go in two packets, of which the second would wait 40 ms for the first's receipt.
    disable_nagle_algorithm = True
    service: BigQueryStandIn

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        self.service.callers.append((self.client_address[1], self.headers.get("Authorization")))
        split = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        fault = self.service.take_fault(f"{self.command} {split.path}")
        try:
            if fault is not None and fault.error is not None:
                raise fault.error
            status, headers, answer = self._route(split.path, query, body)
        except Exception as error:  # the service answers, whatever happened inside it
            failed = ApiError.of(error)
            status, headers = failed.status, {}
            answer = {"error": {"code": status, "message": str(failed), "errors": failed.items}}
        if fault is not None and fault.reply_lost:
            self.close_connection = True
            return
        content = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _route(
        self, path: str, query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        if path.startswith("/upload/"):
            return self._upload(query, body)
        service = self.service
        rest = path.removeprefix(f"/bigquery/v2/projects/{service.project}/")
        segments = [unquote(segment) for segment in rest.split("/")]
        match self.command, segments:
            case "POST", ["jobs"]:
                answer = service.insert_job(json.loads(body))
            case "GET", ["jobs", job]:
                answer = service.job_resource(service.find_job(job, query))
            case "POST", ["jobs", job, "cancel"]:
                answer = service.cancel_job(job, query)
            case "GET", ["queries", job]:
                answer = service.query_results(job, query)
            case "GET", ["datasets"]:
                answer = service.list_datasets()
            case "POST", ["datasets"]:
                answer = service.create_dataset(json.loads(body))
            case "DELETE", ["datasets", dataset]:
                answer = service.delete_dataset(dataset, query)
            case "PATCH", ["datasets", dataset, "tables", table]:
                answer = service.write_view(dataset, table, json.loads(body), replace=True)
            case "GET", ["datasets", dataset]:
                answer = service.get_dataset(dataset)
            case "GET", ["datasets", dataset, "tables"]:
                answer = service.list_tables(dataset, query)
            case "POST", ["datasets", dataset, "tables"]:
                answer = service.create_table(dataset, json.loads(body))
            case "GET", ["datasets", dataset, "tables", table]:
                answer = service.get_table(dataset, table)
            case "DELETE", ["datasets", dataset, "tables", table]:
                answer = service.delete_table(dataset, table)
            case "GET", ["datasets", dataset, "tables", table, "data"]:
                answer = service.table_data(dataset, table, query)
            case _:
                raise ApiError("notFound", f"no such method: {self.command} {path}")
        return 200, {}, answer

    def _upload(
        self, query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        if "upload_id" in query:
            answer = self.service.continue_upload(
                query["upload_id"], self.headers["Content-Range"], body
            )
            if isinstance(answer, dict):
                return 200, {}, answer
            return 308, {"Range": f"bytes=0-{answer - 1}"} if answer else {}, {}
        if query["uploadType"] == "resumable":
            return 200, {"Location": self.service.start_upload(json.loads(body))}, {}
        message = BytesParser().parsebytes(
            b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
        )
        metadata, _ = message.get_payload()
        # The parser would decode the media as text: cut it out of the bytes themselves.
        boundary = b"--" + str(message.get_boundary()).encode()
        media = body.split(boundary)[2].split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
        resource = json.loads(metadata.get_payload())  # type: ignore[union-attr, arg-type]
        return 200, {}, self.service.insert_job(resource, media)


def _table_name(reference: dict[str, str]) -> TableName:
    table, _, partition = reference["tableId"].partition("$")
    return TableName(table, reference["datasetId"], None, partition or None)


def _check_labels(labels: dict[str, str]) -> None:
    for label, value in labels.items():
        for text, form in ((label, r"[^\W\d_][\w-]{0,62}"), (value, r"[\w-]{0,63}")):
            if not re.fullmatch(form, text) or text != text.lower():
                raise ApiError("invalid", f"Invalid label {label!r}: {value!r}")
