"""What runs tell Monitoring, or the file in its place; and how a person sees it again."""

from __future__ import annotations

import doctest
import logging
import re
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from freezegun import freeze_time
from google.api_core.exceptions import NotFound
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_jobs.cli import main
from etl_jobs.errors import ContractError, JobError, Terminated
from etl_jobs.inputs.load import load_input
from etl_jobs.job import Jobs
from etl_jobs.place import Place, name_place, open_place
from etl_jobs.run import Outcome, parse_settings, run_plan
from etl_jobs.telemetry import charts
from etl_jobs.telemetry import history as history_module
from etl_jobs.telemetry.charts import braille, sparkline
from etl_jobs.telemetry.history import history, value_text
from etl_jobs.telemetry.metrics import EVERY_RUN, METRICS, PREFIX
from etl_jobs.telemetry.runs import measured, peak_memory
from gcp_accessor import MonitoringAccessor
from tests.stand_ins.monitoring import Fault, MonitoringStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from etl_jobs.job import Job

ROOT = Path(__file__).resolve().parent.parent
LSAT6 = ROOT / "examples" / "lsat6.csv.gz"
PAGE = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
AS_OF = date(2024, 3, 31)

# A job without inputs, whose rows break its contract where they are told to.
NUMBERS = """
/*
Numbers.

output: numbers
partition: as_of
grain: [as_of, number]
parameters:
  as_of: DATE, the day
  most:
    type: INT64
    about: the largest number
    default: 3
columns:
  as_of: DATE NOT NULL, the day
  number: INT64 NOT NULL, from 1
checks:
  small: number <= 3
if_empty: allowed
*/

SELECT
  @as_of AS as_of,
  number
FROM UNNEST(GENERATE_ARRAY(1, @most)) AS number
"""


@pytest.fixture(params=["local", "google"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A folder to run in, whose metrics go to its file, or to Monitoring."""
    place = name_place(local=tmp_path / "place")
    open_place(place)
    if request.param == "local":
        yield place
        return
    service: MonitoringStandIn = request.getfixturevalue("monitoring")
    client = service.client()
    yield replace(place, metrics=MonitoringAccessor("a-project", client=client, prefix=PREFIX))
    client.transport.close()


@pytest.fixture
def numbers(tmp_path: Path) -> list[Job]:
    """The plan of a job that is quickly done."""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "sources.yaml").write_text("{}")
    (folder / "numbers.sql").write_text(NUMBERS)
    return Jobs(folder).plan("numbers")


def run(plan: list[Job], place: Place, as_of: date = AS_OF, **given: str) -> list[Outcome]:
    outcomes = run_plan(plan, place, parse_settings(plan, given, as_of))
    return list(measured(outcomes, plan, place))


def values(place: Place, metric: str, job: str) -> list[object]:
    assert place.metrics is not None
    since = datetime.now(UTC) - timedelta(days=1)
    records = place.metrics.read(f"job/{metric}", since=since, labels={"job": job})
    return [record["value"] for record in records]


# --- What a run writes ----------------------------------------------------------------------


def test_a_run_writes_what_the_table_of_metrics_promises(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    load_input(place.warehouse, "raw.answers", LSAT6, None, sources=Jobs().sources)

    run(Jobs().plan("calibrate"), place)

    for metric in METRICS:
        if metric.of in ("calibrate", EVERY_RUN):
            [value] = values(place, metric.name, "calibrate")
            assert type(value) is metric.type, metric.name
            assert not metric.is_alarming(value) or metric.name == "as_of_age"
    found = {
        name: values(place, name, "answers/latest")
        for name in ("success", "rows_in", "rows_out", "contract_violations")
    }
    assert found == {
        "success": [1],
        "rows_in": [5425],
        "rows_out": [5000],
        "contract_violations": [0],
    }
    assert values(place, "rows_in", "features/items") == [5000]
    assert values(place, "calibration/students", "calibrate") == [1000]
    assert caplog.records == []


def test_each_rule_of_cleaning_says_how_many_rows_it_drops(place: Place) -> None:
    load_input(place.warehouse, "raw.answers", LSAT6, None, sources=Jobs().sources)

    run(Jobs().plan("answers/rejected"), place)

    assert place.metrics is not None
    since = datetime.now(UTC) - timedelta(days=1)
    records = place.metrics.read("job/rows_dropped", since=since)
    assert {record["reason"]: record["value"] for record in records} == {
        "another attempt at the same item": 150,
        "a repeat of the same answer id": 100,
        "no student id": 50,
        "correct is not 0 or 1": 25,
        "no answer id": 25,
        "no item id": 25,
        "no time": 25,
        "not scored": 25,
    }


def test_a_run_that_breaks_its_contract_says_by_how_many_rows(
    place: Place, numbers: list[Job]
) -> None:
    run(numbers, place)

    with pytest.raises(ContractError, match="7 rows break small") as caught:
        run(numbers, place, AS_OF + timedelta(days=1), most="10")

    assert caught.value.violations["small"] == 7
    assert values(place, "success", "numbers") == [1, 0]
    assert values(place, "contract_violations", "numbers") == [0, 7]
    # What readers see is still the run before, and its age is told.
    assert len(values(place, "as_of_age", "numbers")) == 2
    assert values(place, "rows_out", "numbers") == [3]


def test_the_age_of_what_is_published_is_told_by_runs_that_fail(
    place: Place, numbers: list[Job]
) -> None:
    def failing() -> Iterator[Outcome]:
        raise JobError("the source is gone")
        yield

    with freeze_time("2024-04-01 02:00", ignore=["grpc"]):
        run(numbers, place)
    with freeze_time("2024-04-02 08:00", ignore=["grpc"]):
        with pytest.raises(JobError, match="the source is gone"):
            list(measured(failing(), numbers, place))

        ages = {name: values(place, name, "numbers") for name in ("published_age", "as_of_age")}
        assert [age / 3600 for age in ages["published_age"]] == pytest.approx([30.0])
        # The day ended with 31 March.
        assert [age / 3600 for age in ages["as_of_age"]] == pytest.approx([32.0])


def test_a_run_that_has_nothing_to_do_costs_nothing(place: Place, numbers: list[Job]) -> None:
    run(numbers, place)

    [outcome] = run(numbers, place)

    assert outcome.state == "nothing to do"
    assert values(place, "success", "numbers") == [1, 1]
    assert values(place, "rows_out", "numbers") == [3, 3]


def test_attempts_at_one_moment_are_refused_no_point(
    place: Place,
    numbers: list[Job],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Days one after the other, and a task that is tried again, on a clock that stands still."""
    monkeypatch.setenv("CLOUD_RUN_JOB", "numbers")
    monkeypatch.setenv("CLOUD_RUN_EXECUTION", "numbers-x7k2p")
    with freeze_time("2024-04-02 08:00", ignore=["grpc"]):
        for day in range(3):
            run(numbers, place, AS_OF - timedelta(days=day))
        monkeypatch.setenv("CLOUD_RUN_TASK_ATTEMPT", "1")
        # Another attempt is another process, with an accessor of its own.
        assert place.metrics is not None
        place.metrics.__setstate__(place.metrics.__getstate__())
        run(numbers, place)

        assert values(place, "success", "numbers") == [1, 1, 1, 1]
    assert caplog.records == []


def test_points_are_of_the_cloud_run_task(
    monitoring: MonitoringStandIn,
    tmp_path: Path,
    numbers: list[Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("JOB", "nightly"), ("EXECUTION", "nightly-x7k2p"), ("TASK_INDEX", "0")):
        monkeypatch.setenv(f"CLOUD_RUN_{name}", value)
    client = monitoring.client()
    metrics = MonitoringAccessor("a-project", client=client, prefix=PREFIX)
    place = replace(name_place(local=tmp_path / "place"), metrics=metrics)
    open_place(place)

    run(numbers, place)

    client.transport.close()
    [request] = monitoring.requests
    for series in request.time_series:
        assert series.resource.type == "generic_task"
        assert series.resource.labels["job"] == "nightly"
        assert series.resource.labels["task_id"].startswith("nightly-x7k2p/0/0/")
        assert series.resource.labels["namespace"] == PREFIX
        assert series.metric.labels["job"] == "numbers"
    by_type = {series.metric.type: series for series in request.time_series}
    for metric in METRICS:
        if metric.whole in by_type and metric.unit != "1":
            assert by_type[metric.whole].unit == metric.unit


# --- It never fails the job -----------------------------------------------------------------


def test_where_monitoring_takes_nothing_a_run_says_so_once_and_asks_no_more(
    monitoring: MonitoringStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitoring.queue(*[Fault(grpc.StatusCode.PERMISSION_DENIED)] * 20)
    client = monitoring.client()
    metrics = MonitoringAccessor("a-project", client=client, prefix=PREFIX)
    place = replace(name_place(local=tmp_path / "place"), metrics=metrics)
    open_place(place)
    load_input(place.warehouse, "raw.answers", LSAT6, None, sources=Jobs().sources)
    plan = Jobs().plan("features/items")

    outcomes = run(plan, place)

    client.transport.close()
    assert [outcome.state for outcome in outcomes] == ["published"] * len(plan)
    assert len(monitoring.requests) == 1
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "metrics were not written" in record.message


def test_a_run_that_stands_without_the_facts_of_today_is_no_failure(
    place: Place, numbers: list[Job], caplog: pytest.LogCaptureFixture
) -> None:
    [outcome] = run(numbers, place)
    assert outcome.manifest is not None
    bare = replace(outcome, manifest=replace(outcome.manifest, facts={"rows": 3}))

    [given] = measured([bare], numbers, place)

    assert given is bare
    assert values(place, "success", "numbers") == [1, 1]
    [record] = caplog.records
    assert "some metrics of the job 'numbers' were not written" in record.message


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Terminated])
def test_a_run_that_is_stopped_has_neither_succeeded_nor_failed(
    place: Place, numbers: list[Job], stop: type[BaseException]
) -> None:
    def stopped() -> Iterator[Outcome]:
        raise stop
        yield

    with pytest.raises(stop):
        list(measured(stopped(), numbers, place))

    with pytest.raises(NotFound):
        values(place, "success", "numbers")


def test_a_job_that_is_left_to_another_task_is_told_by_that_one(
    place: Place, numbers: list[Job]
) -> None:
    left = Outcome("numbers", None, "left to the first task", None, (), 0.0, {}, None)

    assert list(measured([left], numbers, place)) == [left]

    with pytest.raises(NotFound):
        values(place, "success", "numbers")


def test_without_metrics_the_outcomes_are_the_plans(place: Place, numbers: list[Job]) -> None:
    [outcome] = run(numbers, replace(place, metrics=None))

    assert outcome.state == "published"


def test_memory_is_counted_in_bytes() -> None:
    before = peak_memory()
    held = bytearray(before + 64 * 2**20)

    assert peak_memory() >= before + 60 * 2**20
    assert len(held) < 2**34


# --- How a person sees it -------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two days were calibrated."""
    folder = tmp_path_factory.mktemp("demo") / "place"
    for day in ("2024-03-30", "2024-03-31"):
        source = f"raw.answers={LSAT6}"
        place = ("--local", str(folder), "--input", source, "--as-of", day)
        assert main(["run", "calibrate", *place]) == 0
    return folder


def test_show_has_a_line_for_each_metric(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "calibrate", "--local", str(demo), "--metrics"]) == 0

    printed = capsys.readouterr().out.splitlines()
    named = {line.split()[0]: line for line in printed[1:]}
    of_it = {metric.name for metric in METRICS if metric.of in (EVERY_RUN, "calibrate")}
    assert set(named) == of_it
    assert re.fullmatch(r"  success +▄▄  1", named["success"])
    assert "-2,466.7045" in named["calibration/log_likelihood"]
    # The day is long past.
    assert "!" in named["as_of_age"]


def test_show_tells_labels_apart(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "answers/rejected", "--local", str(demo), "--metrics"]) == 0

    assert re.search(
        r"rows_dropped \(no student id\) +▄▄  50$", capsys.readouterr().out, re.MULTILINE
    )


def test_show_draws_one_metric_as_a_chart(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "calibrate", "--local", str(demo), "--metrics", "seconds"]) == 0

    first, *field, below, last = capsys.readouterr().out.splitlines()
    assert first == "seconds: wall-clock time"
    assert len(field) == 10
    assert all("│" in line for line in field)
    assert f"{datetime.now(UTC):%Y-}" in below
    assert last.strip().startswith("last: ")


@pytest.mark.parametrize("name", [(), ("seconds",)])
def test_show_draws_a_picture(demo: Path, tmp_path: Path, name: tuple[str, ...]) -> None:
    path = tmp_path / "metrics.png"

    show = ("show", "calibrate", "--local", str(demo), "--metrics", *name, "--png", str(path))
    assert main(show) == 0

    assert path.read_bytes().startswith(b"\x89PNG\r\n")


def test_a_picture_without_matplotlib_names_what_brings_it(
    demo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("matplotlib", "matplotlib.dates", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)

    show = ("show", "calibrate", "--local", str(demo), "--metrics", "--png", str(tmp_path / "a"))
    assert main(show) == 1

    assert "pip install 'gcp-accessor[notebook]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("calibrate", "--metrics", "secnds"), 2, "did you mean 'seconds'?"),
        (("calibrat", "--metrics"), 2, "did you mean calibrate?"),
        (("calibrate", "--png", "a.png"), 2, "--png and --since are about --metrics"),
        (("monitor", "--metrics"), 1, "no metric of monitor was written since"),
        (("calibrate", "--metrics", "--since", "2100-01-01"), 2, "is in the future"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_sentence(
    demo: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert main(["show", *arguments, "--local", str(demo)]) == code

    assert said in capsys.readouterr().err


def test_the_history_of_a_job_is_read_from_monitoring_too(place: Place, numbers: list[Job]) -> None:
    run(numbers, place)
    assert place.metrics is not None

    found = history(place.metrics, "numbers", None, datetime.now(UTC) - timedelta(hours=1))

    by_name = {series.name: series.values for series in found}
    assert by_name["rows_out"] == (3.0,)
    assert by_name["success"] == (1.0,)


def test_show_reads_google_clouds_metrics_and_says_why_it_cannot(
    monitoring: MonitoringStandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", monitoring.address)
    with MonitoringAccessor("a-project", prefix=PREFIX) as metrics, metrics.job("calibrate"):
        pass

    shown = main(["show", "calibrate", "--project", "a-project", "--metrics"])
    monitoring.queue(Fault(grpc.StatusCode.PERMISSION_DENIED))
    refused = main(["show", "calibrate", "--project", "a-project", "--metrics"])

    printed = capsys.readouterr()
    assert (shown, refused) == (0, 1)
    assert re.search(r"^  success +▄  1$", printed.out, re.MULTILINE)
    assert "roles/monitoring" in printed.err


# --- Charts -----------------------------------------------------------------------------------

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_a_sparkline_has_a_block_for_each_of_the_last_values(values: list[float]) -> None:
    line = sparkline(values, 24)

    shown = values[-24:]
    assert len(line) == len(shown)
    if min(shown) < max(shown):
        assert line[shown.index(max(shown))] == "█"
        assert line[shown.index(min(shown))] == "▁"


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(2, 60), st.integers(1, 12))
def test_a_chart_stays_in_its_field_and_reaches_its_bounds(
    values: list[float], columns: int, lines: int
) -> None:
    field = braille(list(range(len(values))), values, columns=columns, lines=lines)

    assert len(field) == lines
    assert all(len(row) <= columns for row in field)
    assert all("\u2800" <= letter <= "\u28ff" for row in field for letter in row)
    if min(values) < max(values):
        assert field[0]
        assert field[-1]


def test_a_line_that_rises_rises_to_the_right() -> None:
    assert braille([0, 1], [0, 1], columns=2, lines=1) == ["⡠⠊"]


@pytest.mark.parametrize("module", [charts, history_module])
def test_examples_give_what_they_show(module: ModuleType) -> None:
    found = doctest.testmod(module)

    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5000, "1", "5,000"),
        (-2466.7045, "1", "-2,466.7045"),
        (3e-05, "1", "3e-05"),
        (0.0, "1", "0"),
        (0.4278, "s", "0.428 s"),
        (150.0, "s", "2.5 min"),
        (93600.0, "s", "26.0 h"),
        (280195072, "By", "267.2 MiB"),
    ],
)
def test_values_are_for_people(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


# --- The page -----------------------------------------------------------------------------------


def test_the_page_lists_every_metric_as_it_is_written() -> None:
    rows = re.findall(
        r"^\| `([a-z_/]+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE
    )

    assert rows == [
        (metric.name, metric.of, metric.unit, alert_of(metric), described(metric))
        for metric in METRICS
    ]


def alert_of(metric) -> str:
    for bound, side in ((metric.below, "below"), (metric.above, "above")):
        if bound is not None:
            whole = f"{bound / 3600:g} h" if metric.unit == "s" else f"{bound:g}"
            return f"{side} {whole}"
    return ""


def described(metric) -> str:
    labels = f" (label `{metric.labels[0]}`)" if metric.labels else ""
    return f"{metric.about}{labels}"


def test_no_two_metrics_share_a_name() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.whole.startswith("custom.googleapis.com/etl/job/") for metric in METRICS)
