"""What holds for MonitoringAccessor on every backend."""

from __future__ import annotations

import copy
import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from freezegun import freeze_time
from google.api_core.exceptions import InvalidArgument, NotFound

from gcp_accessor import Distribution

if TYPE_CHECKING:
    from gcp_accessor import MonitoringAccessor

MINUTE = timedelta(minutes=1)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def values(metrics: MonitoringAccessor, metric: str, **options: object) -> list[object]:
    since = datetime.now(UTC) - timedelta(hours=20)
    return [each["value"] for each in metrics.read(metric, since=since, **options)]


# --- Points -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (3, 3),
        (-(2**63), -(2**63)),
        (2.5, 2.5),
        (1e308, 1e308),
        (True, True),
        (False, False),
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
    ],
)
def test_a_gauge_is_read_back_with_its_type(
    metrics: MonitoringAccessor, value: object, read: object
) -> None:
    metrics.write("load/rows", value)

    [found] = values(metrics, "load/rows")

    assert found == read
    assert type(found) is type(read)


def test_a_distribution_is_read_back_with_its_histogram(metrics: MonitoringAccessor) -> None:
    metrics.write("response/seconds", [1, 2, 3.5, -1], kind="distribution")

    [found] = values(metrics, "response/seconds")

    assert isinstance(found, Distribution)
    assert (found.count, found.mean, found.sum_of_squared_deviation) == (4, 1.375, 10.6875)
    assert found.standard_deviation == pytest.approx(np.std([1, 2, 3.5, -1]))
    assert sum(found.bucket_counts) == 4
    assert found.bucket_counts[0] == 1
    for low in (1, 2, 3.5):
        [bucket] = [
            number
            for number in range(1, len(found.bounds))
            if found.bounds[number - 1] <= low < found.bounds[number]
        ]
        assert found.bucket_counts[bucket] == 1


def test_a_distribution_may_be_empty(metrics: MonitoringAccessor) -> None:
    metrics.write("response/seconds", iter([]), kind="distribution")

    [found] = values(metrics, "response/seconds")

    assert isinstance(found, Distribution)
    assert (found.count, found.mean, found.bucket_counts) == (0, 0.0, ())
    assert math.isnan(found.standard_deviation)


def test_points_are_read_oldest_first_with_a_column_for_each_label(
    metrics: MonitoringAccessor, now: datetime
) -> None:
    metrics.write("load/rows", 2, {"table": "b", "region": "eu"}, at=now - 2 * MINUTE)
    metrics.write("load/rows", 1, {"table": "a"}, at=now - 3 * MINUTE)
    metrics.write("load/rows", 3, {"table": "a"}, at=now - MINUTE)

    records = metrics.read("load/rows", since=now - timedelta(hours=1))

    tasks = {each.pop("task") for each in records}
    assert len(tasks) == 1
    assert records == [
        {"at": now - 3 * MINUTE, "value": 1, "region": None, "table": "a"},
        {"at": now - 2 * MINUTE, "value": 2, "region": "eu", "table": "b"},
        {"at": now - MINUTE, "value": 3, "region": None, "table": "a"},
    ]
    assert all(type(each["at"]) is datetime for each in records)


def test_more_series_than_a_page_holds_are_all_read(metrics: MonitoringAccessor) -> None:
    for number in range(8):
        metrics.write("load/rows", number, {"part": str(number)})

    assert sorted(values(metrics, "load/rows")) == list(range(8))


def test_an_interval_includes_both_its_ends(metrics: MonitoringAccessor, now: datetime) -> None:
    for minutes in (5, 4, 3, 2):
        metrics.write("load/rows", minutes, at=now - minutes * MINUTE)

    records = metrics.read("load/rows", since=now - 4 * MINUTE, until=now - 3 * MINUTE)

    assert [each["value"] for each in records] == [4, 3]


def test_an_interval_may_be_empty(metrics: MonitoringAccessor, now: datetime) -> None:
    metrics.write("load/rows", 1, at=now - 5 * MINUTE)

    assert metrics.read("load/rows", since=now - MINUTE) == []


@pytest.mark.parametrize("text", ['say "no"', "a\\b", "a\\", "Zoë 日本", "a AND b = c", "x" * 1024])
def test_labels_hold_any_text_and_choose_points(metrics: MonitoringAccessor, text: str) -> None:
    metrics.write("load/rows", 1, {"table": text})
    metrics.write("load/rows", 2, {"table": "another"})

    assert values(metrics, "load/rows", labels={"table": text}) == [1]


def test_time_zones_are_read_as_utc(metrics: MonitoringAccessor, now: datetime) -> None:
    tokyo = timezone(timedelta(hours=9))
    metrics.write("load/rows", 1, at=(now - MINUTE).astimezone(tokyo))

    [record] = metrics.read("load/rows", since=(now - 2 * MINUTE).astimezone(tokyo))

    assert record["at"] == now - MINUTE
    assert record["at"].tzinfo is UTC


def test_a_metric_that_nobody_wrote_is_not_found(metrics: MonitoringAccessor) -> None:
    with pytest.raises(NotFound, match="gcp_accessor/no/such") as caught:
        values(metrics, "no/such")

    assert "write a point first" in caught.value.__notes__[0]


def test_points_are_read_into_a_frame(metrics: MonitoringAccessor, now: datetime) -> None:
    metrics.write("load/rows", 1, {"table": "a"}, at=now - 2 * MINUTE)
    metrics.write("load/rows", 2, {"table": "b"}, at=now - MINUTE)

    frame = metrics.read_dataframe("load/rows", since=now - timedelta(hours=1))
    empty = metrics.read_dataframe("load/rows", since=now)

    assert list(frame.columns) == ["at", "value", "table", "task"]
    assert str(frame["at"].dtype) == str(empty["at"].dtype) == "datetime64[us, UTC]"
    assert frame["value"].to_list() == [1, 2]
    assert list(empty.columns) == ["at", "value", "task"]
    assert frame["at"].iloc[0] == pd.Timestamp(now - 2 * MINUTE)


# --- What Monitoring refuses --------------------------------------------------------------


def test_a_series_takes_a_point_every_five_seconds(
    metrics: MonitoringAccessor, now: datetime
) -> None:
    metrics.write("load/rows", 1, at=now - timedelta(seconds=20))

    with pytest.raises(InvalidArgument, match="more frequently") as caught:
        metrics.write("load/rows", 2, at=now - timedelta(seconds=15.001))
    metrics.write("load/rows", 3, at=now - timedelta(seconds=15))

    assert "every five seconds" in caught.value.__notes__[0]
    assert values(metrics, "load/rows") == [1, 3]


@pytest.mark.parametrize("earlier", [timedelta(0), timedelta(seconds=30)])
def test_a_point_that_is_out_of_order_is_refused(
    metrics: MonitoringAccessor, now: datetime, earlier: timedelta
) -> None:
    metrics.write("load/rows", 1, at=now - MINUTE)

    with pytest.raises(InvalidArgument, match="in order"):
        metrics.write("load/rows", 2, at=now - MINUTE - earlier)
    metrics.write("load/rows", 3, {"table": "another series"}, at=now - MINUTE - earlier)

    assert sorted(values(metrics, "load/rows")) == [1, 3]


@pytest.mark.parametrize(
    ("value", "kind"), [(2.0, "gauge"), (True, "gauge"), (2, "counter"), ([2], "distribution")]
)
def test_the_first_point_fixes_a_metrics_kind_and_type(
    metrics: MonitoringAccessor, now: datetime, value: object, kind: str
) -> None:
    metrics.write("load/rows", 1, at=now - MINUTE)

    with pytest.raises(InvalidArgument) as caught:
        metrics.write("load/rows", value, {"table": "another series"}, kind=kind)

    assert "the first point of a metric fixes" in caught.value.__notes__[0]
    assert values(metrics, "load/rows") == [1]


def test_the_first_unit_of_a_metric_stays(metrics: MonitoringAccessor, now: datetime) -> None:
    metrics.write("load/size", 1, at=now - 3 * MINUTE)
    metrics.write("load/size", 2, at=now - 2 * MINUTE, unit="By")
    metrics.write("load/size", 3, at=now - MINUTE)

    with pytest.raises(InvalidArgument, match="unit"):
        metrics.write("load/size", 4, unit="kBy")


@pytest.mark.parametrize(
    ("metric", "value", "options", "message"),
    [
        ("", 1, {}, "parts of letters"),
        ("load rows", 1, {}, "'gcp_accessor/load rows' cannot be written"),
        ("load//rows", 1, {}, "parts of letters"),
        ("1st", 1, {}, "beginning with a letter"),
        ("a" * 200, 1, {}, "at most 200 letters"),
        ("rows\n", 1, {}, "parts of letters"),
        ("rows", math.nan, {}, "expected a finite number"),
        ("rows", -math.inf, {}, "expected a finite number"),
        ("rows", 2**63, {}, "64 bits"),
        ("rows", -1, {"kind": "counter"}, "never below zero"),
        ("rows", [1, math.nan], {"kind": "distribution"}, "expected a finite number"),
        ("rows", [1e308, -1e308], {"kind": "distribution"}, "beyond a float"),
        ("rows", 1, {"kind": "delta"}, "expected 'gauge', 'counter' or 'distribution'"),
        ("rows", 1, {"labels": {"Table": "a"}}, "small letter"),
        ("rows", 1, {"labels": {"a" * 101: "a"}}, "at most 100"),
        ("rows", 1, {"labels": {"table": ""}}, "leave an empty label out"),
        ("rows", 1, {"labels": {"table": "x" * 1025}}, "1 to 1024"),
        ("rows", 1, {"labels": {"table": "a\nb"}}, "control characters"),
        ("rows", 1, {"labels": {"task": "a"}}, "second column 'task'"),
        ("rows", 1, {"labels": {f"l{n}": "a" for n in range(31)}}, "at most 30"),
        ("rows", 1, {"at": datetime(2024, 3, 1)}, "with its time zone"),
        ("rows", 1, {"since": datetime(2024, 3, 1, tzinfo=UTC)}, "belongs to a counter"),
    ],
)
def test_what_monitoring_would_not_take_is_refused_before(
    metrics: MonitoringAccessor,
    metric: str,
    value: object,
    options: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.write(metric, value, **options)

    with pytest.raises(NotFound):
        values(metrics, "rows")


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        ("3", {}, "A text belongs in a label"),
        (None, {}, "expected an int or a float"),
        ([1], {}, "expected an int or a float"),
        (True, {"kind": "counter"}, "expected an int or a float"),
        (3, {"kind": "distribution"}, "made of many numbers"),
        ("123", {"kind": "distribution"}, "made of many numbers"),
        ([True], {"kind": "distribution"}, "expected an int or a float"),
        (1, {"labels": {"table": 3}}, "the label 'table' is 3; expected text"),
    ],
)
def test_a_value_of_another_type_is_a_type_error(
    metrics: MonitoringAccessor, value: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        metrics.write("rows", value, **options)


def test_only_points_of_the_last_24_hours_are_taken(metrics: MonitoringAccessor) -> None:
    with freeze_time("2024-03-01 12:00:00", ignore=["grpc"]):
        now = datetime.now(UTC)
        metrics.write("load/rows", 1, at=now - timedelta(hours=24))
        metrics.write("load/rows", 2, at=now)

        with pytest.raises(ValueError, match="older figures belong into a table of BigQuery"):
            metrics.write("load/rows", 3, at=now - timedelta(hours=24, microseconds=1))
        with pytest.raises(ValueError, match="in the future: it is 2024-03-01 12:00:00"):
            metrics.write("load/rows", 4, at=now + timedelta(microseconds=1))

        records = metrics.read("load/rows", since=now - timedelta(days=30))
    assert [each["value"] for each in records] == [1, 2]


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        (datetime(2024, 3, 1), None, "since is .*; expected a datetime with its time zone"),
        ("2024-03-01", None, "expected a datetime with its time zone"),
        (datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 1), "until is"),
        (
            datetime(2024, 3, 2, tzinfo=UTC),
            datetime(2024, 3, 1, tzinfo=UTC),
            "until is 2024-03-01 .*, before since",
        ),
    ],
)
def test_an_interval_that_is_none_is_refused(
    metrics: MonitoringAccessor, since: datetime, until: datetime | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.read("load/rows", since=since, until=until)


# --- Counters -----------------------------------------------------------------------------


def test_a_counter_may_be_written_as_soon_as_its_accessor_is_made(
    metrics: MonitoringAccessor,
) -> None:
    metrics.write("load/rows", 0, kind="counter")

    assert values(metrics, "load/rows") == [0]


def test_a_counter_grows_from_its_start(metrics: MonitoringAccessor, now: datetime) -> None:
    since = now - timedelta(hours=2)
    for minutes, total in ((60, 10), (30, 25)):
        metrics.write("load/rows", total, kind="counter", at=now - minutes * MINUTE, since=since)

    with pytest.raises(InvalidArgument, match="in order"):
        metrics.write("load/rows", 3, kind="counter", at=now, since=now - 45 * MINUTE)
    metrics.write("load/rows", 5, kind="counter", at=now, since=now - 20 * MINUTE)

    assert values(metrics, "load/rows") == [10, 25, 5]


def test_a_counter_that_ends_before_it_starts_is_refused(
    metrics: MonitoringAccessor, now: datetime
) -> None:
    with pytest.raises(ValueError, match="say with since= when it began at zero"):
        metrics.write("load/rows", 1, kind="counter", at=now - timedelta(hours=1))


# --- Jobs ---------------------------------------------------------------------------------


def figures(metrics: MonitoringAccessor, *names: str) -> dict[str, object]:
    return {name: values(metrics, f"job/{name}", labels={"job": "calibrate"}) for name in names}


def test_a_job_writes_its_success_its_seconds_and_what_it_recorded(
    metrics: MonitoringAccessor, now: datetime
) -> None:
    with metrics.job("calibrate", {"exam": "algebra"}) as job:
        job.record(rows=1, loss=0.5, converged=True)
        job.record(rows=np.int64(4980), sizes=[1, 2, 3], bytes_billed=None)

    found = figures(metrics, "success", "rows", "loss", "converged")
    assert found == {"success": [1], "rows": [4980], "loss": [0.5], "converged": [True]}
    [sizes] = values(metrics, "job/sizes")
    assert isinstance(sizes, Distribution)
    assert sizes.count == 3
    with pytest.raises(NotFound):
        values(metrics, "job/bytes_billed")
    [record] = metrics.read("job/seconds", since=now)
    assert 0 <= record["value"] < 60
    assert (record["job"], record["exam"]) == ("calibrate", "algebra")


def test_a_job_writes_figures_with_units_and_labels_of_their_own(
    metrics: MonitoringAccessor, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    with metrics.job("clean", {"exam": "algebra"}) as job:
        job.add("rows/dropped", 25, {"reason": "no time"}, unit="1")
        job.add("rows/dropped", 75, {"reason": "not scored", "job": "another"}, unit="1")
        job.add("bytes", None, unit="By")

    records = metrics.read("job/rows/dropped", since=now)
    found = {(each["reason"], each["value"], each["job"], each["exam"]) for each in records}
    assert found == {("no time", 25, "clean", "algebra"), ("not scored", 75, "clean", "algebra")}
    with pytest.raises(NotFound):
        values(metrics, "job/bytes")
    assert caplog.records == []


def test_a_figure_that_cannot_be_written_leaves_the_others(
    metrics: MonitoringAccessor, caplog: pytest.LogCaptureFixture
) -> None:
    with metrics.job("calibrate") as job:
        job.add("rows", 3, {"No": "label"})
        job.add("loss", 0.5)
        job.add("seconds", 3)

    assert figures(metrics, "success", "loss") == {"success": [1], "loss": [0.5]}
    [record] = caplog.records
    assert "'No'" in record.message
    assert "'seconds' is measured" in record.message
    assert job.failure is None


@pytest.mark.parametrize(
    "error", [ValueError("of the job"), KeyboardInterrupt(), SystemExit(3), SystemExit("no")]
)
def test_a_job_that_fails_says_so_and_its_exception_passes_unchanged(
    metrics: MonitoringAccessor, error: BaseException
) -> None:
    def run() -> None:
        with metrics.job("calibrate") as job:
            job.record(rows=3)
            raise error

    with pytest.raises(type(error)) as caught:
        run()

    assert caught.value is error
    assert caught.value.__context__ is None
    assert not hasattr(error, "__notes__")
    assert figures(metrics, "success", "rows") == {"success": [0], "rows": [3]}


@pytest.mark.parametrize("code", [None, 0])
def test_a_job_that_exits_with_zero_has_succeeded(
    metrics: MonitoringAccessor, code: int | None
) -> None:
    with pytest.raises(SystemExit), metrics.job("calibrate"):
        raise SystemExit(code)

    assert figures(metrics, "success") == {"success": [1]}


def test_a_job_may_run_again_at_once(
    metrics: MonitoringAccessor, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        with metrics.job("calibrate") as job:
            job.record(number=number)

    assert sorted(figures(metrics, "number")["number"]) == [0, 1, 2]
    assert caplog.records == []


def test_what_a_job_cannot_write_is_logged_once_and_the_rest_is_written(
    metrics: MonitoringAccessor, caplog: pytest.LogCaptureFixture
) -> None:
    with metrics.job("calibrate") as job:
        job.record(rows="many", loss=math.nan, seconds=3, items=5, **{"an item": 1})

    assert figures(metrics, "success", "items") == {"success": [1], "items": [5]}
    [record] = caplog.records
    assert (record.name, record.levelno) == ("gcp_accessor", logging.WARNING)
    for reason in ("'job/rows' is 'many'", "'job/loss' is nan", "'seconds' is measured", "an item"):
        assert reason in record.message


@pytest.mark.parametrize(
    ("name", "labels"),
    [("", None), ("calibrate", {"A": "b"}), ("calibrate", {"exam": None}), (3, 4)],
)
def test_a_job_that_is_wrongly_named_still_runs(
    metrics: MonitoringAccessor, caplog: pytest.LogCaptureFixture, name: str, labels: dict[str, str]
) -> None:
    ran = False

    with metrics.job(name, labels) as job:
        job.record(rows=1)
        ran = True

    assert ran
    assert len(caplog.records) == 1


def test_a_figure_of_a_job_has_one_type_for_ever(
    metrics: MonitoringAccessor, caplog: pytest.LogCaptureFixture
) -> None:
    for loss in (0.5, 1):
        with metrics.job("calibrate") as job:
            job.record(loss=loss)

    assert figures(metrics, "loss", "success") == {"loss": [0.5], "success": [1, 1]}
    [record] = caplog.records
    assert "write float(...)" in record.message


# --- Tasks --------------------------------------------------------------------------------


def test_two_attempts_of_a_cloud_run_task_write_to_two_series(
    metrics: MonitoringAccessor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_RUN_JOB", "calibrate")
    monkeypatch.setenv("CLOUD_RUN_EXECUTION", "calibrate-x7k2p")
    monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", "2")
    for attempt in ("0", "1"):
        monkeypatch.setenv("CLOUD_RUN_TASK_ATTEMPT", attempt)
        # Another attempt is another process, with an accessor of its own.
        another = copy.copy(metrics)
        another.write("load/rows", int(attempt), at=now)

    records = metrics.read("load/rows", since=now)

    mine = os.getpid()
    tasks = [f"calibrate-x7k2p/2/0/{mine}", f"calibrate-x7k2p/2/1/{mine}"]
    assert [each["task"] for each in records] == tasks


def test_threads_share_an_accessor(metrics: MonitoringAccessor) -> None:
    def write(number: int) -> None:
        metrics.write("load/rows", number, {"part": str(number)})
        with metrics.job("calibrate") as job:
            job.record(number=number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))

    assert sorted(values(metrics, "load/rows")) == list(range(24))
    assert sorted(figures(metrics, "number")["number"]) == list(range(24))
    tasks = metrics.read_dataframe("load/rows", since=datetime.now(UTC) - MINUTE)["task"]
    assert tasks.nunique() == 1


def test_an_accessor_can_be_used_after_it_was_closed(metrics: MonitoringAccessor) -> None:
    metrics.write("load/rows", 1)

    metrics.close()

    assert values(metrics, "load/rows") == [1]
