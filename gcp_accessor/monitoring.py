"""Cloud Monitoring, or a file in its place."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gcp_accessor.accessor import Accessor
from gcp_accessor.backends import MetricKind, MetricsBackend, Point
from gcp_accessor.errors import MissingExtra
from gcp_accessor.job_metrics import JobMetrics
from gcp_accessor.metric_values import check_labels, check_value, metric_type
from gcp_accessor.tasks import current_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.cloud.monitoring_v3 import MetricServiceClient
    from pandas import DataFrame

    from gcp_accessor.accessor import Progress
    from gcp_accessor.backends import Task
    from gcp_accessor.job_metrics import Figure

# Monitoring takes an hour more, of which a clock that is wrong may use up some.
_OLDEST = timedelta(hours=24)
# What lies between the times of two points is not less than this.
_TICK = timedelta(milliseconds=1)


class MonitoringAccessor(Accessor[MetricsBackend]):
    """Metrics in Cloud Monitoring: figures of jobs, written in one line and read back.

    Making one does no I/O: clients are built on first use, once per process, so it can be
    pickled and handed to other processes. It is safe to use from several threads.

    A metric is `custom.googleapis.com/<prefix>/<metric>`; the first point that is written
    makes it and fixes its kind and type. Points are written for the resource `generic_task`,
    whose labels name this very process, and in a Cloud Run job the execution, the task's
    index and the attempt. So no two processes write to one series, and a retried task is
    never out of order with the attempt before.

    Args:
        project: None takes the environment's.
        prefix: The first part of every metric's name.
        location: Where the task runs, such as "europe-west1"; by default "global". A Cloud
            Run job's environment does not say it.
        credentials: Who asks. None takes the environment's (application default credentials).
        impersonate: The service account to act as, without a key of it; or several, each
            vouching for the next, the last of which acts. The one who asks needs
            roles/iam.serviceAccountTokenCreator on the first.
        client: A `google.cloud.monitoring_v3.MetricServiceClient` to use as it is. It does
            not know its project: give that too, or let the environment name it.
        local: A folder to work in instead of Google Cloud. If none of project,
            credentials, impersonate, client and local is given, the environment's
            GCP_ACCESSOR_LOCAL is taken, if set.
        labels: Written with every point; a label that `write` is given comes before them.
        timeout: Seconds that one call, with its retries, may take. By default 12.
        retry: How failed requests are repeated: a `google.api_core.retry.Retry`. None repeats
            them while Monitoring is out of reach.
        progress: As the other accessors have it; nothing here takes long enough for a bar.

    Example:
        >>> metrics = MonitoringAccessor(local=folder)
        >>> metrics.write("load/rows", 4980, {"table": "answers"})
        >>> [(each["value"], each["table"]) for each in metrics.read("load/rows", since=midnight)]
        [(4980, 'answers')]
    """

    _service = "monitoring"

    def __init__(
        self,
        project: str | None = None,
        *,
        prefix: str = "gcp_accessor",
        location: str | None = None,
        credentials: Credentials | None = None,
        impersonate: str | Sequence[str] | None = None,
        client: MetricServiceClient | None = None,
        local: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        progress: Progress = "auto",
    ) -> None:
        metric_type(prefix, "any")
        super().__init__(
            project,
            location=location,
            credentials=credentials,
            impersonate=impersonate,
            client=client,
            local=local,
            labels=check_labels(labels or {}),
            timeout=timeout,
            retry=retry,
            progress=progress,
        )
        self.prefix = prefix
        self._begin()

    # --- Points ---------------------------------------------------------------------------

    def write(
        self,
        metric: str,
        value: object,
        labels: Mapping[str, str] | None = None,
        *,
        kind: MetricKind = "gauge",
        unit: str | None = None,
        at: datetime | None = None,
        since: datetime | None = None,
    ) -> None:
        """Write one point of a metric.

        A series takes a point every five seconds; what comes faster belongs into one
        distribution, or one total at the end.

        Args:
            metric: Letters, digits and underscores, in parts between slashes: "load/rows".
            value: An int, a float or, as a gauge, a bool. A metric has one type for ever:
                write `float(...)` where it may once be whole. For a distribution, any
                iterable of numbers.
            labels: What tells the metric's series apart. Few values each: a series costs.
            kind: "gauge" is a value of this moment; "counter" a total that only grows, given
                as the total so far; "distribution" many values at once, kept as count, mean,
                deviation and 162 buckets (from a millionth to 10^18, each 1.41 times as wide
                as the one before).
            unit: As Monitoring writes it: "s", "By", "1". The first one stays.
            at: When the value was true; by default now. At most 24 hours ago.
            since: When a counter began at zero; by default when this accessor was made.

        Raises:
            ValueError: a name, label, value or time that Monitoring would refuse.
            TypeError: the value is not of a number's type.
            google.api_core.exceptions.InvalidArgument: the series has a point less than five
                seconds before, or the metric another kind or type.
        """
        now = datetime.now(UTC)
        self._backend.write(
            [self._point(metric, value, labels, kind, unit, now, at=at, since=since)]
        )

    def read(
        self,
        metric: str,
        *,
        since: datetime,
        until: datetime | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[dict[str, object]]:
        """Return a metric's points as records, the oldest first.

        A record is `at` (UTC), `value`, a column for each label (None where a point has it
        not) and `task`, which tells apart the processes that wrote. A distribution's value
        has count, mean, standard_deviation, bounds and bucket_counts. Monitoring shows a
        point some seconds after it was written.

        Args:
            since: The first instant to read.
            until: The last one; by default now.
            labels: Only points with these.

        Raises:
            google.api_core.exceptions.NotFound: nothing was ever written to the metric.
            ValueError: an instant without its time zone, or `until` before `since`.

        Example:
            >>> metrics.read("load/loss", since=midnight)[0]["value"]
            0.25
        """
        return self._table(metric, since, until, labels)[1]

    def read_dataframe(
        self,
        metric: str,
        *,
        since: datetime,
        until: datetime | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> DataFrame:
        """Return what `read` returns as a DataFrame; without points it still has its columns.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("a DataFrame", "pandas") from error
        columns, records = self._table(metric, since, until, labels)
        frame = pandas.DataFrame.from_records(records, columns=columns)
        return frame.astype({"at": "datetime64[us, UTC]"})

    # --- Jobs -----------------------------------------------------------------------------

    def job(self, name: str, labels: Mapping[str, str] | None = None) -> JobMetrics:
        """Return a `with` block that measures a job, and never fails or hides it.

        When the block ends, `job/success` (1, or 0 after an exception), `job/seconds` and
        what the block recorded are written with the label `job`. Each block has series of its
        own, so it may be run again at once. The block's exception passes through unchanged.

        Metrics must not cost a job its result. So here, and nowhere else, an error of the
        metrics, be it Monitoring's or a wrong name, is logged as one warning of the logger
        `gcp_accessor` and goes no further. A killed process writes nothing: let an alert
        watch for the absence of `job/success` as well.

        Example:
            >>> with metrics.job("calibrate", {"exam": "algebra"}) as job:
            ...     job.record(rows=4980, bytes_billed=None)  # None is not written
        """
        return JobMetrics(self._write_job, name, labels or {})

    # --- The accessor itself --------------------------------------------------------------

    def __getstate__(self) -> dict[str, object]:
        ours = {"_tasks", "_started", "_blocks"}
        return {name: value for name, value in super().__getstate__().items() if name not in ours}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"MonitoringAccessor({self._place()}, prefix={self.prefix!r})"

    def _begin(self) -> None:
        # By process: a forked one is another task, and must not share its parent's connections.
        self._tasks: dict[int, Task] = {}
        # A counter's first point may be written in this very moment, and must end after it.
        self._started = datetime.now(UTC) - _TICK
        self._blocks = itertools.count(1)

    def _open(self) -> MetricsBackend:
        if self.local is not None:
            from gcp_accessor.backends.metrics_file import MetricsFile

            return MetricsFile(self.local)
        from gcp_accessor.backends.google.monitoring import GoogleMetrics

        return GoogleMetrics(self.project, self._identity(), self._client, self.timeout, self.retry)

    @property
    def _task(self) -> Task:
        process = os.getpid()
        if process not in self._tasks:
            self._tasks.setdefault(process, current_task(self.prefix, self.location or "global"))
        return self._tasks[process]

    def _point(
        self,
        metric: str,
        value: object,
        labels: Mapping[str, str] | None,
        kind: MetricKind,
        unit: str | None,
        now: datetime,
        *,
        at: datetime | None = None,
        since: datetime | None = None,
    ) -> Point:
        whole = metric_type(self.prefix, metric)
        held = check_value(metric, value, kind)
        at = now if at is None else _instant("at", at)
        if at > now:
            raise ValueError(f"{metric!r} is of {at}, in the future: it is {now}")
        if at < now - _OLDEST:
            raise ValueError(
                f"{metric!r} is of {at}; Monitoring takes points of the last 24 hours, older "
                "figures belong into a table of BigQuery"
            )
        started = None
        if kind == "counter":
            started = self._started if since is None else _instant("since", since)
            if at - started < _TICK:
                raise ValueError(
                    f"the counter {metric!r} is of {at}, but counts since {started}; say with "
                    "since= when it began at zero, before that"
                )
        elif since is not None:
            raise ValueError(f"{metric!r} is a {kind}; since= belongs to a counter")
        both = check_labels({**self.labels, **(labels or {})})
        return Point(whole, kind, held, at, both, self._task, started, unit)

    def _table(
        self,
        metric: str,
        since: datetime,
        until: datetime | None,
        labels: Mapping[str, str] | None,
    ) -> tuple[list[str], list[dict[str, object]]]:
        whole = metric_type(self.prefix, metric)
        since = _instant("since", since)
        until = datetime.now(UTC) if until is None else _instant("until", until)
        if until < since:
            raise ValueError(f"until is {until}, before since, {since}")
        points = [
            (point.at, point.task.task_id if point.task else "", point)
            for point in self._backend.read(whole, since, until, check_labels(labels or {}))
        ]
        points.sort(key=lambda each: each[:2])
        keys = sorted({key for *_, point in points for key in point.labels})
        records: list[dict[str, object]] = [
            {
                "at": at,
                "value": point.value,
                **{key: point.labels.get(key) for key in keys},
                "task": task or None,
            }
            for at, task, point in points
        ]
        return ["at", "value", *keys, "task"], records

    def _write_job(
        self,
        figures: Sequence[Figure],
        labels: Mapping[str, str],
        problems: list[str],
    ) -> None:
        """Write all that can be written of a job's figures; say of the others why not."""
        check_labels({**self.labels, **labels})
        now = datetime.now(UTC)
        task = replace(self._task, task_id=f"{self._task.task_id}/{next(self._blocks)}")
        points = []
        for figure in figures:
            value = figure.value
            many = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
            kind: MetricKind = "distribution" if many else "gauge"
            try:
                both = {**check_labels(figure.labels), **labels}
                point = self._point(f"job/{figure.name}", value, both, kind, figure.unit, now)
            except (TypeError, ValueError) as error:
                problems.append(str(error))
            else:
                points.append(replace(point, task=task))
        self._backend.write(points)


def _instant(name: str, value: datetime) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ValueError(f"{name} is {value!r}; expected a datetime with its time zone")
    return value.astimezone(UTC)
