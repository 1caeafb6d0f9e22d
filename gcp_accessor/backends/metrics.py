"""What is asked of Cloud Monitoring, or of a file in its place, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


MetricKind = Literal["gauge", "counter", "distribution"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Many values as one point: their count, mean, spread and histogram.

    Attributes:
        sum_of_squared_deviation: Of the values from their mean.
        bounds: Where the histogram's buckets meet. The first bucket lies below `bounds[0]`,
            the last one at and above `bounds[-1]`; a bound belongs to the bucket above it.
        bucket_counts: Values in each bucket. Buckets missing at the end are empty.
    """

    count: int
    mean: float
    sum_of_squared_deviation: float
    bounds: tuple[float, ...] = field(default=(), repr=False)
    bucket_counts: tuple[int, ...] = field(default=(), repr=False)

    @property
    def standard_deviation(self) -> float:
        """Of these values (divided by their count); NaN if there are none."""
        if not self.count:
            return float("nan")
        return float((self.sum_of_squared_deviation / self.count) ** 0.5)


@dataclass(frozen=True, slots=True)
class Task:
    """Who writes a point, as the labels of Monitoring's `generic_task`, save the project."""

    location: str
    namespace: str
    job: str
    task_id: str


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one series. A series is a metric with these labels, written by one task.

    Attributes:
        metric: The whole type, `custom.googleapis.com/...`.
        started: When a counter began to count; None for the other kinds.
        task: None for a point that was read from a resource of another type.
    """

    metric: str
    kind: MetricKind
    value: bool | int | float | Distribution
    at: datetime
    labels: Mapping[str, str]
    task: Task | None
    started: datetime | None = None
    unit: str | None = None


class MetricsBackend(Protocol):
    """The operations under `MonitoringAccessor`.

    `write` refuses with InvalidArgument, as Monitoring does, a point that is not at least five
    seconds after the last one of its series, and one of another kind or type than its metric.
    `read` gives the points from `since` up to and with `until` whose labels include `labels`,
    in any order; NotFound if nothing was ever written to the metric.
    """

    def write(self, points: Sequence[Point]) -> None: ...
    def read(
        self, metric: str, since: datetime, until: datetime, labels: Mapping[str, str]
    ) -> Iterator[Point]: ...
    def close(self) -> None: ...
