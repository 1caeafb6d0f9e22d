"""Cloud Monitoring itself, through google-cloud-monitoring."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import google.auth
from google.api.distribution_pb2 import Distribution as GoogleDistribution
from google.api.metric_pb2 import MetricDescriptor
from google.api_core.exceptions import (
    GoogleAPICallError,
    InvalidArgument,
    RetryError,
    ServiceUnavailable,
)
from google.api_core.retry import Retry
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.monitoring_v3 import MetricServiceClient, TimeSeries
from google.cloud.monitoring_v3.services.metric_service.transports import (
    MetricServiceGrpcTransport,
)

from gcp_accessor.backends import Distribution, MetricKind, Point, Task
from gcp_accessor.backends.google.connection_advice import SIGN_IN, WITHOUT_ID
from gcp_accessor.backends.google.monitoring_advice import advised
from gcp_accessor.metric_values import (
    BUCKET_GROWTH,
    BUCKET_SCALE,
    FINITE_BUCKETS,
    exponential_bounds,
    without_trailing_zeros,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from google.auth.credentials import Credentials

# Monitoring takes no more series in one request.
_SERIES_IN_A_REQUEST = 200
_SECONDS = 12.0
_MICROSECOND = timedelta(microseconds=1)


class GoogleMetrics:
    """The time series of a real project. The client is built on first use."""

    def __init__(
        self,
        project: str | None,
        credentials: Credentials | None,
        client: MetricServiceClient | None,
        timeout: float | None,
        retry: Retry | None = None,
    ) -> None:
        self._project = project
        self._credentials = credentials
        self._given = client
        self._built: MetricServiceClient | None = None
        self._building = threading.Lock()
        self._seconds = timeout or _SECONDS
        # The client itself retries no write.
        self._retry = retry or Retry(
            predicate=_is_out_of_reach, initial=0.2, maximum=3.0, timeout=self._seconds
        )

    def write(self, points: Sequence[Point]) -> None:
        """Write the points, 200 in a request.

        Of one request, Monitoring writes what it can and refuses the others. The first request
        with a refused point is the last one that is sent.
        """
        client, project = self._reached()
        for start in range(0, len(points), _SERIES_IN_A_REQUEST):
            series = [
                _series(each, project) for each in points[start : start + _SERIES_IN_A_REQUEST]
            ]
            attempts = 0

            def attempt(series: list[TimeSeries] = series) -> None:
                nonlocal attempts
                attempts += 1
                client.create_time_series(
                    name=f"projects/{project}",
                    time_series=series,
                    retry=None,
                    timeout=self._seconds,
                )

            try:
                with _explained():
                    self._retry(attempt)()
            except InvalidArgument as error:
                if attempts > 1:
                    error.add_note(
                        "an earlier attempt of this call was cut off, and may have written it"
                    )
                raise

    def read(
        self, metric: str, since: datetime, until: datetime, labels: Mapping[str, str]
    ) -> Iterator[Point]:
        """Yield the points of every series that the labels choose."""
        client, project = self._reached()
        conditions = [f"metric.type = {_quoted(metric)}"]
        conditions += [f"metric.labels.{key} = {_quoted(labels[key])}" for key in labels]
        request = {
            "name": f"projects/{project}",
            "filter": " AND ".join(conditions),
            # Monitoring leaves the first instant of an interval out.
            "interval": {"start_time": since - _MICROSECOND, "end_time": until},
            "view": "FULL",
        }
        with _explained():
            for series in client.list_time_series(
                request=request, retry=self._retry, timeout=self._seconds
            ):
                yield from _points(series)

    def close(self) -> None:
        """Close the connections of a client that was built here."""
        with self._building:
            if self._built is not None:
                self._built.transport.close()
                self._built = None

    def _reached(self) -> tuple[MetricServiceClient, str]:
        """The client and the project, which it does not know itself."""
        with self._building:
            if self._project is None:
                self._project = _project_of(self._credentials)
            if self._given is not None:
                return self._given, self._project
            if self._built is None:
                try:
                    self._built = _client(self._credentials)
                except DefaultCredentialsError as error:
                    error.add_note(SIGN_IN)
                    raise
            return self._built, self._project


def _client(credentials: Credentials | None) -> MetricServiceClient:
    """Return Google's client, or one of an emulator, as Google's other clients know them."""
    emulator = os.environ.get("MONITORING_EMULATOR_HOST")
    if not emulator:
        return MetricServiceClient(credentials=credentials)
    import grpc

    channel = grpc.insecure_channel(emulator)
    return MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))


def _is_out_of_reach(error: BaseException) -> bool:
    # Where there is no token, gRPC says the same, and google-auth has tried long enough.
    return isinstance(error, ServiceUnavailable) and WITHOUT_ID not in error.message


def _project_of(credentials: Credentials | None) -> str:
    project = getattr(credentials, "project_id", None)
    if project is None:
        try:
            _, project = google.auth.default()
        except DefaultCredentialsError as error:
            error.add_note(SIGN_IN)
            raise
    if project is None:
        raise ValueError("no project is known; give project=, or set GOOGLE_CLOUD_PROJECT")
    return str(project)


def _series(point: Point, project: str) -> TimeSeries:
    interval = {"end_time": point.at}
    if point.started is not None:
        interval["start_time"] = point.started
    if isinstance(point.value, Distribution):
        kind, name, value = "DISTRIBUTION", "distribution_value", _google_distribution(point.value)
    elif isinstance(point.value, bool):
        kind, name, value = "BOOL", "bool_value", point.value
    elif isinstance(point.value, int):
        kind, name, value = "INT64", "int64_value", point.value
    else:
        kind, name, value = "DOUBLE", "double_value", point.value
    task = asdict(point.task) if point.task else {}
    return TimeSeries(
        metric={"type": point.metric, "labels": dict(point.labels)},
        resource={"type": "generic_task", "labels": {"project_id": project, **task}},
        metric_kind="CUMULATIVE" if point.kind == "counter" else "GAUGE",
        value_type=kind,
        points=[{"interval": interval, "value": {name: value}}],
        unit=point.unit or "",
    )


def _google_distribution(value: Distribution) -> GoogleDistribution:
    buckets = GoogleDistribution.BucketOptions.Exponential(
        num_finite_buckets=FINITE_BUCKETS, growth_factor=BUCKET_GROWTH, scale=BUCKET_SCALE
    )
    return GoogleDistribution(
        count=value.count,
        mean=value.mean,
        sum_of_squared_deviation=value.sum_of_squared_deviation,
        bucket_options=GoogleDistribution.BucketOptions(exponential_buckets=buckets),
        bucket_counts=value.bucket_counts,
    )


def _points(series: TimeSeries) -> Iterator[Point]:
    resource = series.resource
    task = None
    if resource.type == "generic_task":
        task = Task(
            **{key: resource.labels[key] for key in ("location", "namespace", "job", "task_id")}
        )
    for point in series.points:
        held = point.value._pb.WhichOneof("value")
        value: Any = getattr(point.value, held)
        kind: MetricKind = "gauge"
        if held == "distribution_value":
            kind, value = "distribution", _distribution(value)
        elif series.metric_kind == MetricDescriptor.MetricKind.CUMULATIVE:
            kind = "counter"
        yield Point(
            metric=series.metric.type,
            kind=kind,
            value=value,
            at=_instant(point.interval.end_time),
            labels=dict(series.metric.labels),
            task=task,
            started=_instant(point.interval.start_time) if kind == "counter" else None,
            unit=series.unit or None,
        )


def _distribution(value: GoogleDistribution) -> Distribution:
    options = value.bucket_options
    match options.WhichOneof("options"):
        case "exponential_buckets":
            each = options.exponential_buckets
            bounds = exponential_bounds(each.num_finite_buckets, each.growth_factor, each.scale)
        case "linear_buckets":
            line = options.linear_buckets
            steps = range(line.num_finite_buckets + 1)
            bounds = tuple(line.offset + line.width * step for step in steps)
        case _:
            bounds = tuple(options.explicit_buckets.bounds)
    return Distribution(
        value.count,
        value.mean,
        value.sum_of_squared_deviation,
        bounds,
        without_trailing_zeros(value.bucket_counts),
    )


def _instant(value: datetime) -> datetime:
    # Google's subclass also counts nanoseconds; equal instants should be equal in type too.
    return datetime.fromtimestamp(0, UTC) + (value - datetime.fromtimestamp(0, UTC))


def _quoted(text: str) -> str:
    """The text as a string of Monitoring's filter language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@contextmanager
def _explained() -> Iterator[None]:
    """Google's own errors, with a note that says what to do."""
    try:
        yield
    except (GoogleAPICallError, RetryError) as error:
        advised(error)
        raise
