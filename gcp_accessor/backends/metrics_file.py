"""A file in Cloud Monitoring's place: a point a line, with Monitoring's rules."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import InvalidArgument, NotFound

from gcp_accessor.backends import Distribution, Point, Task
from gcp_accessor.backends.durable import sync_folder
from gcp_accessor.backends.google.monitoring_advice import advised
from gcp_accessor.metric_values import (
    BUCKET_GROWTH,
    BUCKET_SCALE,
    FINITE_BUCKETS,
    exponential_bounds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_SAMPLING_PERIOD = timedelta(seconds=5)


class MetricsFile:
    """The points in `root/metrics.ndjson`, one JSON object a line, the oldest write first.

    Several processes may write at once, by turns under one lock. A line is on disk when
    `write` returns; killed at any moment, a half line may stay at the end, which nobody reads
    and the next write removes.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / "metrics.ndjson"
        self._known = _Known()

    def write(self, points: Sequence[Point]) -> None:
        """Append the points that the rules allow; then refuse the others, as Monitoring does.

        Raises:
            google.api_core.exceptions.InvalidArgument: a point breaks a rule.
        """
        try:
            with self._locked(fcntl.LOCK_EX) as descriptor:
                refused = self._append_allowed(descriptor, points)
        except OSError as error:
            error.add_note(
                f"no point was written: check that {self.path} can be written and that its disk "
                "has room"
            )
            raise
        if refused:
            message = "One or more TimeSeries could not be written: " + "; ".join(refused)
            raise advised(InvalidArgument(message))

    def read(
        self, metric: str, since: datetime, until: datetime, labels: Mapping[str, str]
    ) -> Iterator[Point]:
        """Yield the metric's points in the order in which they were written."""
        found = False
        if self.path.exists():
            with self._locked(fcntl.LOCK_SH) as descriptor:
                content = _content(descriptor, 0)
            for point in _parsed(_without_others(content, metric), self.path):
                if point.metric != metric:
                    continue
                found = True
                if since <= point.at <= until and labels.items() <= point.labels.items():
                    yield point
        if not found:
            raise advised(NotFound(f'Cannot find metric(s) that match type = "{metric}".'))

    def close(self) -> None:
        """Nothing stays open between two operations."""

    @contextmanager
    def _locked(self, how: int) -> Iterator[int]:
        new = how == fcntl.LOCK_EX and not self.path.exists()
        if new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        mode = os.O_RDWR | os.O_APPEND | os.O_CREAT if how == fcntl.LOCK_EX else os.O_RDONLY
        descriptor = os.open(self.path, mode | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, how)
            if new:
                for folder in (self.path.parent, self.path.parent.parent):
                    sync_folder(folder)
            yield descriptor
        finally:
            # Closed it would be locked still in a process that was forked meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _append_allowed(self, descriptor: int, points: Sequence[Point]) -> list[str]:
        known = self._catch_up(descriptor)
        refused = []
        lines = []
        try:
            for point in points:
                reason = known.refusal(point)
                if reason is None:
                    known.add(point)
                    lines.append(_line(point))
                else:
                    refused.append(f"{point.metric} {dict(point.labels)}: {reason}")
            known.size += _append(descriptor, known.size, b"".join(lines))
        except BaseException:
            # It knows of points that the file may not have; the next write reads it anew.
            self._known = _Known()
            raise
        return refused

    def _catch_up(self, descriptor: int) -> _Known:
        """What the file says by now; only what was appended since is read."""
        status = os.fstat(descriptor)
        known = self._known
        if known.file != (status.st_dev, status.st_ino) or status.st_size < known.size:
            known = _Known((status.st_dev, status.st_ino))
        content = _content(descriptor, known.size)
        for point in _parsed(content, self.path):
            known.add(point)
        known.size += len(content)
        self._known = known
        return known


@dataclass(slots=True)
class _Known:
    """What the rules need of the points so far: each metric's form, each series' last one."""

    file: tuple[int, int] = (-1, -1)
    size: int = 0
    forms: dict[str, tuple[str, str]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    last: dict[tuple[object, ...], Point] = field(default_factory=dict)

    def add(self, point: Point) -> None:
        self.forms.setdefault(point.metric, _form(point))
        if point.unit:
            self.units.setdefault(point.metric, point.unit)
        self.last[_series(point)] = point

    def refusal(self, point: Point) -> str | None:
        """Why Monitoring would not take the point; None if it would."""
        form = self.forms.get(point.metric, _form(point))
        if form != _form(point):
            return f"the metric is a {' of '.join(form)}, the point a {' of '.join(_form(point))}"
        unit = self.units.get(point.metric, point.unit)
        if point.unit and unit != point.unit:
            return f"the metric's unit is {unit!r}, the point's {point.unit!r}"
        last = self.last.get(_series(point))
        if last is None:
            return None
        if point.at <= last.at:
            return f"Points must be written in order: the last one is of {last.at}"
        if point.started and point.started != last.started and point.started <= last.at:
            return (
                f"Points must be written in order: the counter started at {point.started}, before "
                f"its last point, of {last.at}"
            )
        if point.at - last.at < _SAMPLING_PERIOD:
            return (
                "One or more points were written more frequently than the maximum sampling period "
                f"configured for the metric: the last one is of {last.at}"
            )
        return None


def _form(point: Point) -> tuple[str, str]:
    names = {bool: "bool", int: "int", float: "float", Distribution: "numbers"}
    return point.kind, names[type(point.value)]


def _series(point: Point) -> tuple[object, ...]:
    return point.metric, frozenset(point.labels.items()), point.task


def _append(descriptor: int, end: int, lines: bytes) -> int:
    # A killed process may have left half a line.
    if os.fstat(descriptor).st_size > end:
        os.ftruncate(descriptor, end)
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        # A full disk took a part.
        os.ftruncate(descriptor, end)
        raise
    return len(lines)


def _content(descriptor: int, start: int) -> bytes:
    """The whole lines from there on."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(start)
        content = file.read()
    return content[: content.rfind(b"\n") + 1]


def _line(point: Point) -> bytes:
    value: object = point.value
    if isinstance(point.value, Distribution):
        value = {
            "count": point.value.count,
            "mean": point.value.mean,
            "sum_of_squared_deviation": point.value.sum_of_squared_deviation,
            "exponential_buckets": [FINITE_BUCKETS, BUCKET_GROWTH, BUCKET_SCALE],
            "bucket_counts": point.value.bucket_counts,
        }
    fields = {
        "at": point.at.isoformat(),
        "metric": point.metric,
        "value": value,
        "labels": dict(point.labels),
        "kind": point.kind,
        "started": point.started and point.started.isoformat(),
        "unit": point.unit,
        "task": point.task and asdict(point.task),
    }
    return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _without_others(content: bytes, metric: str) -> bytes:
    """The lines without those that are plainly of another metric: most of them need no parsing."""
    wanted, some = f'"metric": "{metric}"'.encode(), b'"metric": "custom.googleapis.com/'
    lines = content.split(b"\n")
    return b"\n".join(line for line in lines if wanted in line or some not in line)


def _parsed(content: bytes, path: Path) -> Iterator[Point]:
    for line in content.split(b"\n")[:-1]:
        try:
            yield _point(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} has a line that is not a point of a metric: {line[:80]!r}; mend or remove "
                "it"
            ) from error


def _point(fields: dict[str, Any]) -> Point:
    value = fields["value"]
    if fields["kind"] == "distribution":
        value = Distribution(
            value["count"],
            value["mean"],
            value["sum_of_squared_deviation"],
            exponential_bounds(*value["exponential_buckets"]),
            tuple(value["bucket_counts"]),
        )
    started = fields["started"]
    return Point(
        metric=fields["metric"],
        kind=fields["kind"],
        value=value,
        at=datetime.fromisoformat(fields["at"]),
        labels=fields["labels"],
        task=Task(**fields["task"]),
        started=None if started is None else datetime.fromisoformat(started),
        unit=fields["unit"],
    )
