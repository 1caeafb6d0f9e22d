"""What a program hears of its accessors: log records with what each call cost, and spans."""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import GoogleAPICallError, NotFound
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gcp_accessor import LoadFailed
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor

# What must never be told.
CANARY = "canary-4f1d"


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="gcp_accessor")
    return caplog


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A program that traces; the spans that have ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # A program sets its provider once for ever.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def told(heard: pytest.LogCaptureFixture, operation: str) -> dict[str, Any]:
    """The fields of the last record about an operation's end."""
    fields = [
        each.__dict__["json_fields"]
        for each in heard.records
        if each.name == "gcp_accessor" and "sql" not in each.__dict__["json_fields"]
    ]
    return next(each for each in reversed(fields) if each["operation"] == operation)


def use(warehouse: BigQueryAccessor) -> None:
    """Every way for a value to come near the warehouse, and errors that quote one."""
    warehouse.create_dataset("exams")
    warehouse.dataset = "exams"
    warehouse.load([{"item_id": CANARY}], "answers", if_exists="append")
    warehouse.query("SELECT * FROM answers WHERE item_id = @id", {"id": CANARY}).rows()
    warehouse.estimate("SELECT * FROM answers WHERE item_id = @id", {"id": CANARY})
    with pytest.raises(GoogleAPICallError, match=CANARY):
        warehouse.query("SELECT CAST(@id AS INT64) AS n", {"id": CANARY}).rows()
    with pytest.raises((LoadFailed, GoogleAPICallError, ValueError)):
        warehouse.load([{"item_id": CANARY, "more": 1}], "answers", if_exists="append")
    warehouse.delete_table("answers")


# --- Log records --------------------------------------------------------------------------


def test_a_query_is_told_with_what_it_cost(
    exams: BigQueryAccessor, heard: pytest.LogCaptureFixture
) -> None:
    result = exams.query("SELECT 1 AS n UNION ALL SELECT 2")

    fields = told(heard, "query")
    assert fields["service"] == "bigquery"
    assert fields["job_id"] == result.stats.job_id
    assert fields["rows"] == 2
    assert fields["bytes_billed"] == result.stats.bytes_billed
    assert 0 < fields["seconds"] < 60
    [record] = [each for each in heard.records if each.levelno == logging.INFO]
    assert record.__dict__["job_id"] == result.stats.job_id
    assert record.getMessage().startswith("query done: seconds=")


def test_a_submitted_query_is_told_once_when_it_has_ended(
    exams: BigQueryAccessor, heard: pytest.LogCaptureFixture, spans: InMemorySpanExporter
) -> None:
    spans.clear()

    job = exams.submit("SELECT 1 AS n")
    before = [each for each in heard.records if each.levelno == logging.INFO]
    job.result()
    job.result()

    assert before == []
    assert told(heard, "submit")["job_id"] == job.job_id
    [record] = [each for each in heard.records if each.levelno == logging.INFO]
    assert record.__dict__["operation"] == "query"
    assert record.__dict__["job_id"] == job.job_id
    assert record.__dict__["rows"] == 1
    assert [each.name for each in of_ours(spans)] == ["submit", "query"]


def test_waiting_for_a_while_is_no_failure_of_the_query(
    tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service, service.accessor() as accessor:
        service.job_seconds = 0.5
        job = accessor.submit("SELECT 1 AS n")

        with pytest.raises(TimeoutError):
            job.result(timeout=0.05)
        job.result()

    assert "failed" not in heard.text
    assert told(heard, "query")["rows"] == 1


def test_a_load_is_told_with_its_table_and_rows(
    exams: BigQueryAccessor, heard: pytest.LogCaptureFixture
) -> None:
    exams.load([{"n": 1}, {"n": 2}], "answers", if_exists="append")

    fields = told(heard, "load")
    assert fields["table"] == "exams.answers"
    assert fields["rows"] == 2


def test_an_object_is_told_with_its_address_and_size(
    store: CloudStorageAccessor, heard: pytest.LogCaptureFixture
) -> None:
    stored = store.write("gs://lessons/a.txt", "four")
    store.read("gs://lessons/a.txt")
    list(store.list("gs://lessons/"))

    fields = told(heard, "write")
    assert fields["uri"] == "gs://lessons/a.txt"
    assert (fields["bytes"], fields["generation"]) == (4, stored.generation)
    assert told(heard, "read")["uri"] == "gs://lessons/a.txt"
    assert told(heard, "list")["count"] == 1
    assert {each.levelno for each in heard.records} == {logging.DEBUG}


def test_a_failure_is_told_by_its_type(
    store: CloudStorageAccessor, heard: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(NotFound):
        store.read("gs://lessons/none.txt")

    assert told(heard, "read")["error"] == "NotFound"
    assert "read failed:" in heard.text


def test_sql_is_told_at_debug_alone(
    exams: BigQueryAccessor, heard: pytest.LogCaptureFixture
) -> None:
    exams.query("SELECT 1 AS secret_column")
    at_debug = heard.text
    heard.clear()
    heard.set_level(logging.INFO, logger="gcp_accessor")
    exams.query("SELECT 1 AS secret_column")

    assert "SELECT 1 AS secret_column" in at_debug
    assert "secret_column" not in heard.text
    assert "query done" in heard.text


def test_no_value_is_ever_told_of_a_warehouse(
    warehouse: BigQueryAccessor, heard: pytest.LogCaptureFixture, spans: InMemorySpanExporter
) -> None:
    use(warehouse)

    ours = [each for each in heard.records if each.name == "gcp_accessor"]
    assert len(ours) >= 8
    assert CANARY not in repr([(each.getMessage(), each.__dict__) for each in ours])
    traced = [each.to_json() for each in of_ours(spans)]
    assert len(traced) >= 7
    assert CANARY not in repr(traced)


def test_no_value_is_ever_told_of_objects_and_points(
    store: CloudStorageAccessor,
    metrics: MonitoringAccessor,
    heard: pytest.LogCaptureFixture,
    spans: InMemorySpanExporter,
) -> None:
    store.write("gs://lessons/a.json", {"id": CANARY})
    store.upload_csv_gzip("lessons", "a.csv.gz", [[CANARY]])
    store.download_csv_gzip("lessons", "a.csv.gz")
    metrics.write("load/rows", 987_654_321, {"table": CANARY})
    metrics.read("load/rows", since=datetime.now(UTC) - timedelta(hours=1))

    ours = [each for each in heard.records if each.name == "gcp_accessor"]
    everything = repr([(each.getMessage(), each.__dict__) for each in ours])
    everything += repr([each.to_json() for each in of_ours(spans)])
    assert len(ours) == 5
    assert CANARY not in everything
    assert "987654321" not in everything


def test_nothing_is_written_where_nobody_set_up_logging() -> None:
    code = """
import sys, tempfile
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
folder = tempfile.mkdtemp()
CloudStorageAccessor(local=folder).create_bucket("lessons")
BigQueryAccessor(local=folder).query("SELECT 1 AS n").rows()
import logging
assert not logging.getLogger("gcp_accessor").handlers
assert "opentelemetry" not in sys.modules or "google.cloud.bigquery" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- Spans --------------------------------------------------------------------------------


def of_ours(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    return [
        each
        for each in spans.get_finished_spans()
        if each.instrumentation_scope is not None
        and each.instrumentation_scope.name == "gcp_accessor"
    ]


def test_a_query_is_a_span_by_the_conventions_for_databases(
    exams: BigQueryAccessor, spans: InMemorySpanExporter
) -> None:
    spans.clear()

    result = exams.query("SELECT 1 AS n", destination="numbers")

    [span] = of_ours(spans)
    attributes = dict(span.attributes or {})
    on_google = exams.local is None
    assert span.name == "query exams.numbers"
    assert span.kind is (SpanKind.CLIENT if on_google else SpanKind.INTERNAL)
    assert attributes["db.system.name"] == ("gcp.bigquery" if on_google else "duckdb")
    assert attributes["db.operation.name"] == "query"
    assert attributes["db.collection.name"] == "exams.numbers"
    assert attributes["gcp_accessor.job_id"] == result.stats.job_id
    assert attributes.get("server.address") == ("bigquery.googleapis.com" if on_google else None)


def test_a_failed_call_is_a_failed_span(
    store: CloudStorageAccessor, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(NotFound):
        store.read("gs://lessons/none.txt")

    [span] = of_ours(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "NotFound"
    assert not span.events


def test_a_span_stands_below_the_callers_and_above_googles(
    google_store: CloudStorageAccessor,
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("google.cloud.storage._opentelemetry_tracing.enable_otel_traces", True)

    with trace.get_tracer("caller").start_as_current_span("job"):
        google_store.write("gs://lessons/a.txt", "four")
        names = [each.name for each in google_store.list("gs://lessons/")]

    by_name = {each.name: each for each in spans.get_finished_spans()}
    job, wrote = by_name["job"], by_name["write lessons"]
    googles = [each for each in by_name.values() if each.name.startswith("Storage.")]
    assert names == ["a.txt"]
    assert wrote.parent is not None
    assert wrote.parent.span_id == job.context.span_id
    assert {each.parent.span_id for each in googles if each.parent} >= {
        wrote.context.span_id,
        by_name["list lessons"].context.span_id,
    }


def test_what_a_block_is_left_for_is_no_part_of_its_span(
    store: CloudStorageAccessor, spans: InMemorySpanExporter
) -> None:
    tracer = trace.get_tracer("caller")
    store.write("gs://lessons/a.csv", "12")

    with tracer.start_as_current_span("job") as job:
        with (
            store.open("gs://lessons/b.txt", "wt") as file,
            tracer.start_as_current_span("thinking"),
        ):
            file.write("four")
        for _ in store.list("gs://lessons/"):
            with tracer.start_as_current_span("thinking"):
                pass

    thoughts = [each for each in spans.get_finished_spans() if each.name == "thinking"]
    assert len(thoughts) == 3
    assert {each.parent.span_id for each in thoughts if each.parent} == {
        job.get_span_context().span_id
    }
