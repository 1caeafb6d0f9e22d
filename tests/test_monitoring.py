"""Metrics: their arithmetic, their file, and how the accessor takes Monitoring's faults."""

from __future__ import annotations

import doctest
import json
import logging
import math
import os
import pickle
import re
import subprocess
import sys
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.api_core.exceptions import Forbidden, InvalidArgument, ResourceExhausted, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_accessor import MonitoringAccessor, job_metrics, monitoring
from gcp_accessor.metric_values import distribution_of, exponential_bounds
from tests.stand_ins.monitoring import Fault, MonitoringStandIn, client_at

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
MINUTE = timedelta(minutes=1)


def values(metrics: MonitoringAccessor, metric: str) -> list[object]:
    since = datetime.now(UTC) - timedelta(hours=20)
    return [each["value"] for each in metrics.read(metric, since=since)]


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# --- Distributions ------------------------------------------------------------------------

NUMBERS = st.lists(
    st.integers(-(10**12), 10**12)
    | st.floats(-1e12, 1e12, allow_nan=False)
    | st.floats(1e6, 1e6 + 1e-3),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
def test_a_distribution_has_the_moments_of_exact_arithmetic(numbers: list[float]) -> None:
    exact = [Fraction(each) for each in numbers]
    mean = sum(exact, Fraction(0)) / max(len(exact), 1)
    deviation = sum(((each - mean) ** 2 for each in exact), Fraction(0))

    found = distribution_of("seconds", numbers)

    assert found.count == len(numbers)
    assert found.mean == pytest.approx(float(mean), rel=1e-15, abs=1e-300)
    # The mean itself is rounded, which shifts each deviation by as much.
    shift = len(numbers) * (abs(float(mean)) * 2e-16) ** 2
    assert found.sum_of_squared_deviation == pytest.approx(float(deviation), rel=1e-9, abs=shift)


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
def test_each_value_is_counted_in_the_bucket_around_it(numbers: list[float]) -> None:
    found = distribution_of("seconds", numbers)

    edges = [-math.inf, *found.bounds, math.inf]
    for bucket, count in enumerate(found.bucket_counts):
        assert count == sum(edges[bucket] <= each < edges[bucket + 1] for each in numbers)
    assert sum(found.bucket_counts) == len(numbers)


def test_buckets_reach_from_a_millionth_to_ten_to_the_eighteen() -> None:
    bounds = distribution_of("seconds", []).bounds

    assert len(bounds) == 161
    assert bounds[0] < 1e-6
    assert bounds[-1] > 1e18
    assert list(bounds) == sorted(set(bounds))
    assert bisect_right(bounds, 1.0) in range(1, 161)


def test_a_spread_far_from_zero_does_not_cancel() -> None:
    found = distribution_of("stamps", [1e9 + 1, 1e9 + 2, 1e9 + 3])

    assert found.sum_of_squared_deviation == 2.0


def test_bounds_grow_as_they_are_documented() -> None:
    assert exponential_bounds(3, 2.0, 0.5) == (0.5, 1.0, 2.0, 4.0)


# --- The file -----------------------------------------------------------------------------


def test_a_point_is_a_line_that_a_person_can_read(
    local_metrics: MonitoringAccessor, tmp_path: Path
) -> None:
    local_metrics.write("load/rows", 4980, {"table": "é"}, unit="1")
    local_metrics.write("load/rows", 12, kind="gauge")

    lines = (tmp_path / "place" / "metrics.ndjson").read_text("utf-8").splitlines()

    first = json.loads(lines[0])
    assert len(lines) == 2
    assert first["metric"] == "custom.googleapis.com/gcp_accessor/load/rows"
    assert (first["value"], first["labels"], first["unit"]) == (4980, {"table": "é"}, "1")
    assert first["task"]["task_id"].split("/")[1] == str(os.getpid())


def test_processes_append_to_one_file_at_once(tmp_path: Path) -> None:
    code = """
import sys
from gcp_accessor import MonitoringAccessor
metrics = MonitoringAccessor(local=sys.argv[1])
for number in range(50):
    metrics.write("load/rows", number, {"part": str(number)})
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "place")], cwd=ROOT)
        for _ in range(4)
    ]

    codes = [each.wait(60) for each in started]

    metrics = MonitoringAccessor(local=tmp_path / "place")
    assert codes == [0] * 4
    assert sorted(values(metrics, "load/rows")) == sorted([*range(50)] * 4)


def test_half_a_line_of_a_killed_process_is_not_read_and_the_next_write_removes_it(
    local_metrics: MonitoringAccessor, tmp_path: Path
) -> None:
    path = tmp_path / "place" / "metrics.ndjson"
    local_metrics.write("load/rows", 1, {"part": "a"})
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:30])

    assert values(local_metrics, "load/rows") == [1]
    local_metrics.write("load/rows", 2, {"part": "b"})

    assert values(local_metrics, "load/rows") == [1, 2]
    assert path.read_bytes().startswith(whole)


def test_the_rules_hold_between_accessors_on_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_RUN_JOB", "calibrate")
    monkeypatch.setenv("CLOUD_RUN_EXECUTION", "calibrate-x7k2p")
    first, second = (MonitoringAccessor(local=tmp_path / "place") for _ in range(2))
    now = datetime.now(UTC)
    first.write("load/rows", 1, at=now - 3 * MINUTE)

    second.write("load/rows", 2, at=now - MINUTE)

    with pytest.raises(InvalidArgument, match="in order"):
        first.write("load/rows", 3, at=now - 2 * MINUTE)


def test_a_file_that_was_removed_begins_anew(
    local_metrics: MonitoringAccessor, tmp_path: Path
) -> None:
    local_metrics.write("load/rows", 1)
    (tmp_path / "place" / "metrics.ndjson").unlink()

    local_metrics.write("load/rows", 0.5)

    assert values(local_metrics, "load/rows") == [0.5]


@pytest.mark.parametrize("line", ["{}", "[1]", "no point", '{"value": 3}', "\ufeff"])
def test_a_line_that_is_no_point_is_named(
    local_metrics: MonitoringAccessor, tmp_path: Path, line: str
) -> None:
    local_metrics.write("load/rows", 1)
    with (tmp_path / "place" / "metrics.ndjson").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")

    with pytest.raises(ValueError, match=r"metrics\.ndjson has a line that is not a point"):
        values(local_metrics, "load/rows")
    with pytest.raises(ValueError, match="mend or remove it"):
        local_metrics.write("load/rows", 2, {"part": "b"})


def test_a_full_disk_keeps_what_was_there_whole(tmp_path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from gcp_accessor import MonitoringAccessor

path = Path(sys.argv[1]) / "metrics.ndjson"
metrics = MonitoringAccessor(local=sys.argv[1])
metrics.write("load/rows", 1, {"part": "a"})
before = path.read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, resource.RLIM_INFINITY))
try:
    metrics.write("load/rows", 2, {"part": "b"})
except OSError as error:
    assert "no point was written" in error.__notes__[0], error.__notes__
else:
    raise AssertionError
assert path.read_bytes() == before
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
metrics.write("load/rows", 2, {"part": "b"})
"""
    done = run(code, tmp_path / "place")

    assert done.returncode == 0, done.stderr
    assert values(MonitoringAccessor(local=tmp_path / "place"), "load/rows") == [1, 2]


def test_a_folder_that_cannot_be_written_does_not_fail_a_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    metrics = MonitoringAccessor(local=tmp_path / "file" / "place")

    with metrics.job("calibrate"):
        pass

    [record] = caplog.records
    assert "NotADirectoryError" in record.message
    assert "no point was written" in record.message


@pytest.mark.parametrize("where", ["anywhere", "in Cloud Run"])
def test_a_forked_process_is_another_task(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "in Cloud Run":
        monkeypatch.setenv("CLOUD_RUN_JOB", "calibrate")
        monkeypatch.setenv("CLOUD_RUN_EXECUTION", "calibrate-x7k2p")
    code = """
import os, sys
from gcp_accessor import MonitoringAccessor
metrics = MonitoringAccessor(local=sys.argv[1])
metrics.write("load/rows", 1)
child = os.fork()
if not child:
    metrics.write("load/rows", 2)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    done = run(code, tmp_path / "place")

    metrics = MonitoringAccessor(local=tmp_path / "place")
    records = metrics.read("load/rows", since=datetime.now(UTC) - MINUTE)
    assert done.returncode == 0, done.stderr
    assert len({each["task"] for each in records}) == 2


# --- Monitoring itself --------------------------------------------------------------------


def test_a_point_is_one_request(
    google_metrics: MonitoringAccessor, monitoring: MonitoringStandIn
) -> None:
    google_metrics.write("load/size", 3, {"table": "a"}, unit="By")

    [request] = monitoring.requests
    [series] = request.time_series
    assert request.name == "projects/a-project"
    assert series.metric.type == "custom.googleapis.com/gcp_accessor/load/size"
    assert series.unit == "By"
    assert series.resource.labels["project_id"] == "a-project"
    assert series.resource.labels["location"] == "global"


def test_a_cloud_run_job_is_the_task(
    monitoring: MonitoringStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("JOB", "calibrate"), ("EXECUTION", "calibrate-x7k2p")):
        monkeypatch.setenv(f"CLOUD_RUN_{name}", value)
    monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", "2")
    monkeypatch.setenv("CLOUD_RUN_TASK_ATTEMPT", "1")
    client = monitoring.client()
    metrics = MonitoringAccessor(
        "a-project", client=client, location="europe-west1", prefix="school"
    )

    metrics.write("load/rows", 1)

    client.transport.close()
    [series] = monitoring.requests[0].time_series
    assert dict(series.resource.labels) == {
        "project_id": "a-project",
        "location": "europe-west1",
        "namespace": "school",
        "job": "calibrate",
        "task_id": f"calibrate-x7k2p/2/1/{os.getpid()}",
    }


def test_an_emulator_takes_the_place_of_monitoring(
    monitoring: MonitoringStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", monitoring.address)

    with MonitoringAccessor("a-project") as metrics:
        metrics.write("load/rows", 3)

    assert len(monitoring.requests) == 1
    assert monitoring.callers == [None]


def test_a_job_with_many_figures_goes_in_requests_of_200_series(
    google_metrics: MonitoringAccessor, monitoring: MonitoringStandIn
) -> None:
    with google_metrics.job("calibrate") as job:
        job.record(**{f"figure_{number}": number for number in range(448)})

    assert [len(request.time_series) for request in monitoring.requests] == [200, 200, 50]
    assert len(monitoring.metrics) == 450


def test_while_monitoring_is_out_of_reach_a_call_is_tried_again(
    google_metrics: MonitoringAccessor, monitoring: MonitoringStandIn
) -> None:
    monitoring.queue(Fault(), Fault())
    google_metrics.write("load/rows", 1)
    monitoring.queue(Fault())

    assert values(google_metrics, "load/rows") == [1]
    assert len(monitoring.requests) == 5


def impatient(monitoring: MonitoringStandIn) -> MonitoringAccessor:
    return MonitoringAccessor("a-project", client=monitoring.client(), timeout=0.5)


def test_a_lasting_fault_is_raised_when_the_timeout_is_over(monitoring: MonitoringStandIn) -> None:
    monitoring.queue(*[Fault()] * 20)

    with pytest.raises(RetryError) as caught:
        impatient(monitoring).write("load/rows", 1)

    assert "give timeout=" in caught.value.__notes__[0]


def test_a_point_whose_reply_was_lost_may_have_been_written_and_the_error_says_so(
    google_metrics: MonitoringAccessor, monitoring: MonitoringStandIn
) -> None:
    monitoring.queue(Fault(after=True))

    with pytest.raises(InvalidArgument, match="in order") as caught:
        google_metrics.write("load/rows", 1)

    assert "may have written it" in caught.value.__notes__[-1]
    assert values(google_metrics, "load/rows") == [1]


@pytest.mark.parametrize(
    ("code", "error", "advice"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, Forbidden, "roles/monitoring.metricWriter"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhausted, "IAM & Admin > Quotas"),
    ],
)
def test_an_error_says_what_to_do(
    google_metrics: MonitoringAccessor,
    monitoring: MonitoringStandIn,
    code: grpc.StatusCode,
    error: type[Exception],
    advice: str,
) -> None:
    monitoring.queue(Fault(code))

    with pytest.raises(error) as caught:
        google_metrics.write("load/rows", 1)

    assert advice in caught.value.__notes__[0]
    assert len(monitoring.requests) == 1


@pytest.mark.parametrize("fault", [Fault(), Fault(grpc.StatusCode.PERMISSION_DENIED)])
def test_a_job_succeeds_while_monitoring_is_down_and_logs_once(
    monitoring: MonitoringStandIn, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    monitoring.queue(*[fault] * 20)

    with impatient(monitoring).job("calibrate") as job:
        job.record(rows=3)

    [record] = caplog.records
    assert (record.name, record.levelno) == ("gcp_accessor", logging.WARNING)
    assert "of the job 'calibrate', metrics were not written" in record.message
    assert "a fault of the test's" in record.message
    assert "a fault of the test's" in str(job.failure)


def test_a_job_that_fails_while_monitoring_is_down_fails_with_its_own_error(
    monitoring: MonitoringStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    monitoring.queue(*[Fault()] * 20)
    error = ValueError("of the job")

    with pytest.raises(ValueError, match="of the job") as caught, impatient(monitoring).job("a"):
        raise error

    assert caught.value is error
    assert error.__context__ is None
    assert len(caplog.records) == 1


def test_a_job_succeeds_where_nothing_listens(caplog: pytest.LogCaptureFixture) -> None:
    client = client_at("127.0.0.1:9")
    metrics = MonitoringAccessor("a-project", client=client, timeout=0.5)

    with metrics.job("calibrate"):
        pass

    client.transport.close()
    assert len(caplog.records) == 1


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCP_ACCESSOR_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("project", [None, "a-project"])
def test_missing_credentials_are_an_error_that_says_how_to_sign_in(project: str | None) -> None:
    with pytest.raises(DefaultCredentialsError) as caught:
        MonitoringAccessor(project).write("load/rows", 1)

    assert "gcloud auth application-default login" in caught.value.__notes__[0]


@pytest.mark.usefixtures("no_credentials")
def test_a_job_succeeds_without_credentials(caplog: pytest.LogCaptureFixture) -> None:
    with MonitoringAccessor("a-project").job("calibrate"):
        pass

    # Google's own libraries say their part too.
    [record] = [each for each in caplog.records if each.name == "gcp_accessor"]
    assert "gcloud auth application-default login" in record.message


def test_each_process_builds_its_own_client(monitoring: MonitoringStandIn) -> None:
    # Only the address and the channel's security differ from what runs on Google Cloud.
    code = """
import os, pickle, sys, threading
import gcp_accessor.backends.google.monitoring as backend
from google.auth.credentials import AnonymousCredentials
from gcp_accessor import MonitoringAccessor
from tests.stand_ins.monitoring import client_at

made = []
def client(credentials):
    made.append(os.getpid())
    return client_at(sys.argv[1])
backend.MetricServiceClient = client

metrics = MonitoringAccessor("a-project", credentials=AnonymousCredentials())
threads = [threading.Thread(target=metrics.write, args=(f"thread_{n}", 1)) for n in range(8)]
for each in threads: each.start()
for each in threads: each.join()
assert made == [os.getpid()], made
pickle.loads(pickle.dumps(metrics)).write("pickled", 1)
child = os.fork()
if not child:
    metrics.write("forked", 1)
    assert made[-1] == os.getpid()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
metrics.write("after", 1)
metrics.close()
"""
    done = run(code, monitoring.address)

    assert done.returncode == 0, done.stderr
    names = {name.rpartition("/")[2] for name in monitoring.metrics}
    assert names == {*(f"thread_{n}" for n in range(8)), "pickled", "forked", "after"}


# --- The accessor -------------------------------------------------------------------------


def test_local_excludes_google(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="local= stands in for Google Cloud"):
        MonitoringAccessor("a-project", local=tmp_path)


def test_the_environment_may_name_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path))

    assert MonitoringAccessor().local == tmp_path
    assert MonitoringAccessor("a-project").local is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: MonitoringAccessor(local="place", prefix="my jobs"),
        lambda: MonitoringAccessor(local="place", prefix=""),
        lambda: MonitoringAccessor(local="place", labels={"A": "b"}),
    ],
)
def test_a_wrong_prefix_or_label_is_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        make()


def test_an_accessors_labels_are_written_with_every_point(tmp_path: Path) -> None:
    metrics = MonitoringAccessor(local=tmp_path, prefix="school", labels={"env": "test", "v": "1"})

    metrics.write("load/rows", 1, {"v": "2"})

    [record] = metrics.read("load/rows", since=datetime.now(UTC) - MINUTE)
    assert (record["env"], record["v"]) == ("test", "2")


def test_an_accessor_can_be_pickled(tmp_path: Path) -> None:
    metrics = MonitoringAccessor(local=tmp_path, prefix="school", labels={"env": "test"})
    metrics.write("load/rows", 1)

    again = pickle.loads(pickle.dumps(metrics))
    again.write("load/rows", 2)

    assert values(metrics, "load/rows") == [1, 2]
    assert repr(again) == repr(metrics)
    pickle.loads(pickle.dumps(MonitoringAccessor("p", credentials=AnonymousCredentials())))


# --- The pages ----------------------------------------------------------------------------

EXAMPLES = [
    example
    for module in (monitoring, job_metrics)
    for example in doctest.DocTestFinder().find(module)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_gives_what_it_shows(
    example: doctest.DocTest, local_metrics: MonitoringAccessor, tmp_path: Path
) -> None:
    local_metrics.write("load/loss", 0.25)
    midnight = datetime.now(UTC) - timedelta(hours=12)
    example.globs |= {"metrics": local_metrics, "folder": tmp_path / "folder", "midnight": midnight}

    failed, tried = doctest.DocTestRunner().run(example)

    assert tried > 0
    assert failed == 0


def test_the_code_on_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}

    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        exec(code, names)

    assert names["success"] == [1]
    assert caplog.records == []
