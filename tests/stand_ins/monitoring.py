"""Cloud Monitoring's time series as a local gRPC service, with its rules and with faults."""

from __future__ import annotations

import re
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.api.metric_pb2 import MetricDescriptor
from google.cloud.monitoring_v3 import MetricServiceClient, TimeSeries
from google.cloud.monitoring_v3.services.metric_service.transports import (
    MetricServiceGrpcTransport,
)
from google.cloud.monitoring_v3.types import (
    CreateTimeSeriesRequest,
    ListTimeSeriesRequest,
    ListTimeSeriesResponse,
)
from google.protobuf import empty_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stand_ins.tls import Certificate

# google.api.MonitoredResource types that custom metrics may be written for.
RESOURCES = {
    "generic_task": {"project_id", "location", "namespace", "job", "task_id"},
    "generic_node": {"project_id", "location", "namespace", "node_id"},
    "global": {"project_id"},
}
OLDEST = timedelta(hours=24)
SAMPLING_PERIOD = timedelta(seconds=5)
MOST_SERIES = 200
SERIES_ON_A_PAGE = 3
CONDITION = re.compile(r'(metric\.type|metric\.labels\.(\w+)) = "((?:[^"\\]|\\.)*)"(?: AND |$)')


@dataclass(frozen=True)
class Fault:
    """What befalls one request: it fails before, or its reply is lost after it was done."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    after: bool = False


@dataclass
class Metric:
    kind: str
    value_type: str
    unit: str
    series: dict[Any, TimeSeries] = field(default_factory=dict)


class MonitoringStandIn:
    """`projects.timeSeries.create` and `.list` of any project, on a port of this machine.

    Attributes:
        requests: What was asked for.
        callers: Of each request, its authorization.

    Args:
        certificate: For "localhost". None speaks without TLS, and so receives no token.
    """

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.metrics: dict[str, Metric] = {}
        self.requests: list[Any] = []
        self.callers: list[str | None] = []
        self._faults: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        methods = {
            "CreateTimeSeries": self._method(
                self._create, CreateTimeSeriesRequest, empty_pb2.Empty.SerializeToString
            ),
            "ListTimeSeries": self._method(
                self._list, ListTimeSeriesRequest, ListTimeSeriesResponse.serialize
            ),
        }
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("google.monitoring.v3.MetricService", methods)]
        )
        if certificate is None:
            self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        else:
            secure = grpc.ssl_server_credentials([(certificate.private, certificate.public)])
            self.address = f"localhost:{self._server.add_secure_port('localhost:0', secure)}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def client(self) -> MetricServiceClient:
        """Google's own client, speaking to this service."""
        return client_at(self.address)

    def queue(self, *faults: Fault) -> None:
        """Let these befall the next requests, one each."""
        self._faults.extend(faults)

    def _method(self, answer: Any, request_type: Any, serialize: Any) -> grpc.RpcMethodHandler:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            with self._lock:
                self.requests.append(request)
                told = dict(context.invocation_metadata())
                self.callers.append(told.get("authorization"))
                fault = self._faults.popleft() if self._faults else None
                if fault and not fault.after:
                    context.abort(fault.code, "a fault of the test's")
                response = answer(request, context)
                if fault:
                    context.abort(fault.code, "a lost reply of the test's")
                return response

        return grpc.unary_unary_rpc_method_handler(handle, request_type.deserialize, serialize)

    def _create(self, request: CreateTimeSeriesRequest, context: grpc.ServicerContext) -> Any:
        if not re.fullmatch("projects/[a-z0-9-]+", request.name):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Name {request.name!r} is invalid.")
        if len(request.time_series) > MOST_SERIES:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "At most 200 TimeSeries at once.")
        problems = []
        met = set()
        for number, series in enumerate(request.time_series):
            key = _key(series)
            problem = "Duplicate TimeSeries encountered." if key in met else self._add(series)
            met.add(key)
            if problem:
                problems.append(f"{problem}: timeSeries[{number}]")
        if problems:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"One or more TimeSeries could not be written: {'; '.join(problems)}",
            )
        return empty_pb2.Empty()

    def _add(self, series: TimeSeries) -> str | None:
        kind, value_type = _form(series)
        found = self.metrics.get(series.metric.type) or Metric(kind, value_type, series.unit)
        stored = found.series.get(_key(series))
        problem = _form_problem(series, found) or _time_problem(series, stored)
        if problem is None:
            self.metrics[series.metric.type] = found
            found.unit = found.unit or series.unit
            if stored is None:
                found.series[_key(series)] = series
            else:
                # The latest point comes first, as Monitoring lists them.
                stored.points.insert(0, series.points[0])
        return problem

    def _list(
        self, request: ListTimeSeriesRequest, context: grpc.ServicerContext
    ) -> ListTimeSeriesResponse:
        metric, labels = _parse_filter(request.filter)
        if metric not in self.metrics:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f'Cannot find metric(s) that match type = "{metric}".'
            )
        found = self.metrics[metric]
        chosen = []
        for series in found.series.values():
            if labels.items() <= dict(series.metric.labels).items():
                points = [
                    point
                    for point in series.points
                    if request.interval.start_time
                    < point.interval.end_time
                    <= request.interval.end_time
                ]
                if points:
                    answer = TimeSeries(series)
                    answer.points = points
                    answer.unit = found.unit
                    chosen.append(answer)
        start = int(request.page_token or 0)
        end = start + SERIES_ON_A_PAGE
        return ListTimeSeriesResponse(
            time_series=chosen[start:end], next_page_token=str(end) if end < len(chosen) else ""
        )


def client_at(address: str) -> MetricServiceClient:
    """Google's own client, speaking to a service without TLS."""
    channel = grpc.insecure_channel(address)
    return MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))


def _key(series: TimeSeries) -> Any:
    labels = (series.metric.labels, series.resource.labels)
    return series.metric.type, *(frozenset(each.items()) for each in labels)


def _form(series: TimeSeries) -> tuple[str, str]:
    kind = MetricDescriptor.MetricKind.Name(series.metric_kind)
    return kind, MetricDescriptor.ValueType.Name(series.value_type)


def _form_problem(series: TimeSeries, metric: Metric) -> str | None:
    kind, value_type = _form(series)
    known = RESOURCES.get(series.resource.type)
    if known is None or set(series.resource.labels) != known:
        return f"Unrecognized resource label or type: {series.resource}"
    if not series.metric.type.startswith("custom.googleapis.com/"):
        return f"Unrecognized metric type {series.metric.type}"
    if (kind, value_type) != (metric.kind, metric.value_type):
        return (
            f"Metric kind and value type for metric {series.metric.type} must be {metric.kind} and "
            f"{metric.value_type}, but are {kind} and {value_type}."
        )
    if series.unit and metric.unit and series.unit != metric.unit:
        return f"The unit of {series.metric.type} is {metric.unit} and cannot be changed."
    if len(series.points) != 1:
        return "Exactly one point must be written per TimeSeries."
    held = TimeSeries.pb(series).points[0].value.WhichOneof("value")
    if f"{value_type.lower()}_value" != held:
        return f"The value type is {value_type}, the point holds {held}."
    if value_type == "DISTRIBUTION":
        value = series.points[0].value.distribution_value
        if sum(value.bucket_counts) != value.count:
            return "The sum of bucket_counts must equal count."
    return None


def _time_problem(series: TimeSeries, stored: TimeSeries | None) -> str | None:
    interval = series.points[0].interval
    start, end, now = interval.start_time, interval.end_time, datetime.now(UTC)
    if end < now - OLDEST or end > now + timedelta(minutes=5):
        return f"Data points cannot be written more than 24h in the past or in the future: {end}"
    has_start = "start_time" in interval
    if _form(series)[0] == "CUMULATIVE":
        if not has_start or start >= end:
            return "The start time must be before the end time for the cumulative metric."
    elif has_start and start != end:
        return "The start time must be equal to the end time for the gauge metric."
    if stored is None:
        return None
    last = stored.points[0].interval
    restarted = has_start and start != last.start_time and start <= last.end_time
    if end <= last.end_time or restarted:
        return (
            "Points must be written in order. One or more of the points specified had an older "
            "start time than the most recent point."
        )
    if end - last.end_time < SAMPLING_PERIOD:
        return (
            "One or more points were written more frequently than the maximum sampling period "
            "configured for the metric."
        )
    return None


def _parse_filter(text: str) -> tuple[str, dict[str, str]]:
    metric, labels, position = "", {}, 0
    for match in _conditions(text):
        value = re.sub(r"\\(.)", r"\1", match[3])
        if match[2] is None:
            metric = value
        else:
            labels[match[2]] = value
        position = match.end()
    if position != len(text):
        raise ValueError(f"not a filter: {text}")
    return metric, labels


def _conditions(text: str) -> Iterator[re.Match[str]]:
    position = 0
    while match := CONDITION.match(text, position):
        yield match
        position = match.end()
