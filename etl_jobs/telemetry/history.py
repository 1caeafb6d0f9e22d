"""What the runs of a job wrote, read back as series over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from etl_jobs.errors import JobError, Misuse, nearest
from etl_jobs.telemetry.metrics import BY_NAME, EVERY_RUN, METRICS, Metric
from gcp_accessor.byte_sizes import bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gcp_accessor import MonitoringAccessor


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one job over time, the oldest point first.

    Attributes:
        label: What tells it from others of the metric; "" where it is the only one.
        times: When each value was written, UTC.
    """

    metric: Metric
    label: str
    times: tuple[datetime, ...]
    values: tuple[float, ...]

    @property
    def name(self) -> str:
        """The metric's name, and the label where there is one."""
        return f"{self.metric.name} ({self.label})" if self.label else self.metric.name


def history(
    metrics: MonitoringAccessor, job: str, name: str | None, since: datetime
) -> list[Series]:
    """Return the series that runs of a job have written, in the order of `METRICS`.

    Args:
        name: Of the one metric to read; None reads all of the job's.

    Raises:
        Misuse: there is no such metric.
        JobError: nothing was written since then.
        google.api_core.exceptions.GoogleAPICallError: Monitoring cannot be read.
    """
    if name is not None and name not in BY_NAME:
        hint = nearest(name, BY_NAME) or f"; there are {', '.join(BY_NAME)}"
        raise Misuse(f"there is no metric {name!r}{hint}")
    chosen = [
        metric
        for metric in METRICS
        if metric.of in (EVERY_RUN, job) and name in (None, metric.name)
    ]
    found = [series for metric in chosen for series in _series(metrics, metric, job, since)]
    if not found:
        what = f"no {name} of {job}" if name else f"no metric of {job}"
        raise JobError(
            f"{what} was written since {since:%Y-%m-%d}; run the job, or look further back with "
            "--since DATE"
        )
    return found


def _series(
    metrics: MonitoringAccessor, metric: Metric, job: str, since: datetime
) -> Iterator[Series]:
    from google.api_core.exceptions import NotFound

    try:
        records = metrics.read(metric.path, since=since, labels={"job": job})
    except NotFound:
        # No run of any job has ever written it.
        return
    by_label: dict[str, list[tuple[datetime, float]]] = {}
    for record in records:
        label = ", ".join(str(record.get(key)) for key in metric.labels)
        point = cast("datetime", record["at"]), float(cast("float", record["value"]))
        by_label.setdefault(label, []).append(point)
    for label, points in sorted(by_label.items()):
        times, values = zip(*points, strict=True)
        yield Series(metric, label, times, values)


def value_text(value: float, unit: str) -> str:
    """Return a value for a person, with its unit.

    Example:
        >>> value_text(90000.0, "s"), value_text(1536, "By"), value_text(-2466.7045, "1")
        ('25.0 h', '1.5 KiB', '-2,466.7045')
    """
    if unit == "By":
        return bytes_text(round(value))
    if unit == "s":
        if value >= 7200:
            return f"{value / 3600:,.1f} h"
        return f"{value / 60:.1f} min" if value >= 120 else f"{value:.3g} s"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.4f}" if abs(value) >= 0.01 else f"{value:.3g}"
