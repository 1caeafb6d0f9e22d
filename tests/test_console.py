"""What a command prints: in a Cloud Run job entries of a log, elsewhere lines for people."""

from __future__ import annotations

import doctest
import io
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import termios
import warnings
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.oauth2.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

import etl_jobs.cloud_log
from etl_jobs.cli import main
from etl_jobs.cloud_log import about, entry, in_cloud_run, logged, write_entry
from etl_jobs.console import complain
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from tests.stand_ins.cloud_storage import CloudStorageStandIn
    from tests.stand_ins.monitoring import MonitoringStandIn

ROOT = Path(__file__).resolve().parent.parent
LSAT6 = ROOT / "examples" / "lsat6.csv.gz"
TASK = {
    "CLOUD_RUN_JOB": "etl-calibrate",
    "CLOUD_RUN_EXECUTION": "etl-calibrate-x7k2p",
    "CLOUD_RUN_TASK_INDEX": "0",
    "CLOUD_RUN_TASK_COUNT": "1",
    "CLOUD_RUN_TASK_ATTEMPT": "1",
}
# What the labels of a line are then.
LABELS = {"execution": "etl-calibrate-x7k2p", "task_index": "0", "task_attempt": "1"}
LABELS_KEY = "logging.googleapis.com/labels"


def start(*arguments: str, where: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "etl_jobs.cli", *arguments],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(ROOT), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, where: Path, **more: str) -> tuple[int, str, str]:
    process = start(*arguments, where=where, **more)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def entries(text: str) -> list[dict[str, Any]]:
    """Every line, which has to be an object as Cloud Logging reads it."""
    found = [json.loads(line) for line in text.splitlines()]
    for each in found:
        assert each["severity"] in {"INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"}
        assert each["message"]
        assert all(isinstance(value, str) for value in each[LABELS_KEY].values())
    return found


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What the main job prints in Cloud Run, on each stream."""
    folder = tmp_path_factory.mktemp("cloud_run")
    source = f"raw.answers={LSAT6}"
    code, out, err = run(
        *("run", "calibrate", "--local", "demo", "--input", source), where=folder, **TASK
    )
    assert code == 0, err
    return out, err


def test_every_line_of_a_run_in_cloud_run_is_an_entry_of_its_task(logs: tuple[str, str]) -> None:
    for each in entries("".join(logs)):
        assert {name: each[LABELS_KEY].get(name) for name in LABELS} == LABELS


def test_each_job_of_a_plan_is_told_as_it_begins_and_as_it_ends(logs: tuple[str, str]) -> None:
    told = entries(logs[0])

    begun = [each for each in told if "step" in each]
    ended = [each for each in told if "state" in each]
    assert [each["step"] for each in begun] == [1, 2, 3, 4]
    assert [each[LABELS_KEY]["job"] for each in begun] == [
        each[LABELS_KEY]["job"] for each in ended
    ]
    last = ended[-1]
    assert last["message"].startswith("calibrate: published, 5 rows")
    assert last["rows"] == 5
    assert last["figures"]["students"] == 1000
    assert last[LABELS_KEY]["run"] in last_files(told)


def last_files(told: list[dict[str, Any]]) -> str:
    """What is said after the last outcome: where its files are."""
    return " ".join(each["message"] for each in told[-3:])


def test_what_the_accessors_log_names_the_job_it_was_for(logs: tuple[str, str]) -> None:
    queries = [each for each in entries(logs[1]) if each.get("operation") == "query"]

    assert {each["logger"] for each in queries} == {"gcp_accessor"}
    assert all(each[LABELS_KEY]["run"] for each in queries)
    assert {each[LABELS_KEY]["job"] for each in queries} >= {"answers/latest", "calibrate"}
    assert all(each["bytes_processed"] >= 0 for each in queries)


def test_no_value_of_a_row_is_in_the_log(logs: tuple[str, str]) -> None:
    text = "".join(logs)

    assert "Item 1" not in text
    assert "lsat6-3" not in text
    assert "s0282" not in text
    assert "Law School" not in text


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["run", "calibrat"], 2, "there is no job 'calibrat'; did you mean calibrate?"),
        (["rnu"], 2, "there is no command 'rnu'; did you mean 'run'?"),
        (["run", "calibrate", "--as-of", "soon"], 2, "'soon' is not a day"),
        (
            ["show", "calibrate", "--local", "."],
            1,
            "holds no bucket etl, so nothing is published there",
        ),
    ],
)
def test_what_went_wrong_is_one_entry_of_severity_error(
    arguments: list[str], code: int, sentence: str, tmp_path: Path
) -> None:
    found, out, err = run(*arguments, where=tmp_path, **TASK)

    (told,) = entries(err)
    assert (found, out) == (code, "")
    assert told["severity"] == "ERROR"
    assert sentence in told["message"]


def test_what_fails_a_job_is_told_with_the_job(tmp_path: Path) -> None:
    code, out, err = run("run", "calibrate", "--local", "demo", where=tmp_path, **TASK)

    assert code == 1
    [failed] = [each for each in entries(out + err) if each["severity"] == "ERROR"]
    assert failed[LABELS_KEY]["job"] == "answers/latest"


def test_help_is_one_entry(tmp_path: Path) -> None:
    code, out, err = run("--help", where=tmp_path, **TASK)

    (told,) = entries(out)
    assert (code, err, told["severity"]) == (0, "", "INFO")
    assert "calibrate --local demo" in told["message"]


def test_a_task_that_is_told_to_end_says_so_in_the_log(tmp_path: Path) -> None:
    process = start(
        *("run", "calibrate", "--local", "demo", "--input", f"raw.answers={LSAT6}"),
        where=tmp_path,
        **TASK,
    )
    assert process.stdout is not None
    first = process.stdout.readline()

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)

    told = entries(first + out + err)
    assert process.returncode == 143
    assert [each["message"] for each in told if each["severity"] == "WARNING"] == [
        "told to end (SIGTERM); run again, it goes on where it was"
    ]


def test_a_service_and_a_pipe_have_lines_for_people(tmp_path: Path) -> None:
    _, alone, _ = run("list", where=tmp_path)
    _, service, _ = run("list", where=tmp_path, **TASK, K_SERVICE="a-service")

    assert alone == service
    assert alone.startswith("abilities/students ")


def test_through_googles_own_clients_every_line_is_an_entry_too(
    tmp_path: Path,
    cloud_storage: CloudStorageStandIn,
    monitoring: MonitoringStandIn,
    task: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    credentials = Credentials("a-secret-token")
    monkeypatch.setattr("google.auth.default", lambda *_, **__: (credentials, "a-project"))
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", monitoring.address)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    engine = DuckDBWarehouse(tmp_path)
    for dataset in ("raw", "etl"):
        engine.create_dataset(dataset)

    with BigQueryStandIn(engine) as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
        code = main(
            [
                *("run", "features/items", "--project", bigquery.project, "--bucket", "lessons"),
                *("--input", f"raw.answers={LSAT6}", "--as-of", "2024-03-31"),
            ]
        )

    out, err = capsys.readouterr()
    assert code == 0, err
    told = entries(out + err)
    assert told[-1][LABELS_KEY]
    assert "gs://lessons/features/items/runs/" in out
    assert [each["severity"] for each in told if each["severity"] != "INFO"] == []
    assert "a-secret-token" not in out + err


# --- Entries -------------------------------------------------------------------------------


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K_SERVICE", raising=False)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.delenv("TRACEPARENT", raising=False)
    for name, value in TASK.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("task")
@settings(max_examples=100, deadline=None)
@given(
    st.text(st.characters(), min_size=1),
    st.dictionaries(st.text(), st.text(st.characters()) | st.integers() | st.none()),
)
def test_any_text_is_one_line_that_says_the_same(message: str, fields: dict[str, Any]) -> None:
    stream = io.StringIO()

    write_entry(stream, "INFO", message, fields)

    line = stream.getvalue()
    assert line.endswith("\n")
    assert line.count("\n") == 1
    # Whatever the container's encoding is.
    assert line.isascii()
    told = json.loads(line)
    assert told["message"] == message
    assert told["severity"] == "INFO"
    for name, value in fields.items():
        if name not in ("message", "severity", LABELS_KEY):
            assert told[name] == value


@pytest.mark.usefixtures("task")
def test_what_json_has_no_form_for_is_its_text() -> None:
    odd = {"loss": float("nan"), "most": float("inf"), "day": date(2026, 3, 31), "rows": 3}

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    told = json.loads(entry("INFO", "x", odd), parse_constant=refuse)
    assert (told["loss"], told["most"]) == ("NaN", "Infinity")
    assert (told["day"], told["rows"]) == ("2026-03-31", 3)


@pytest.mark.usefixtures("task")
def test_labels_hold_within_their_block_and_no_longer() -> None:
    with about(job="calibrate"), about(run="2026-03-31-abc"):
        within = json.loads(entry("INFO", "x"))
    after = json.loads(entry("INFO", "x"))

    assert within[LABELS_KEY] == {"job": "calibrate", "run": "2026-03-31-abc", **LABELS}
    assert after[LABELS_KEY] == LABELS


@pytest.mark.usefixtures("task")
def test_an_error_takes_along_what_it_was_about(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        with about(job="calibrate"), about(run="2026-03-31-abc"):
            raise LookupError("lost")
    except LookupError as error:
        complain("the answers are lost", error=error)
    complain("of nothing in particular")

    lost, other = entries(capsys.readouterr().err)
    assert lost[LABELS_KEY] == {"job": "calibrate", "run": "2026-03-31-abc", **LABELS}
    assert other[LABELS_KEY] == LABELS


@pytest.mark.usefixtures("task")
def test_a_given_trace_is_named_with_its_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")

    told = json.loads(entry("INFO", "x"))

    assert told["logging.googleapis.com/trace"] == f"projects/a-project/traces/{'ab' * 16}"
    assert told["logging.googleapis.com/spanId"] == "cd" * 8


@pytest.mark.usefixtures("task")
def test_a_span_of_opentelemetry_comes_before_a_given_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")

    with TracerProvider().get_tracer("test").start_as_current_span("a job") as span:
        told = json.loads(entry("INFO", "x"))

    expected = f"{span.get_span_context().trace_id:032x}"
    assert told["logging.googleapis.com/trace"] == expected


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'ab' * 15}-{'cd' * 8}-01"])
def test_without_a_trace_none_is_named(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", given)

    assert "logging.googleapis.com/trace" not in json.loads(entry("INFO", "x"))


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize("imported", [False, True])
def test_what_googles_clients_log_is_an_entry_once(
    imported: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # What their import does.
    google = logging.getLogger("google")
    monkeypatch.setattr(google, "propagate", not imported)
    before = google.level
    google.setLevel(logging.DEBUG if imported else logging.NOTSET)

    with logged():
        logging.getLogger("google.auth").warning("no quota project")
        logging.getLogger("google.auth").debug("a request, with all that it holds")
    google.setLevel(before)

    (told,) = entries(capsys.readouterr().err)
    assert (told["message"], told["severity"]) == ("no quota project", "WARNING")


@pytest.mark.usefixtures("task")
def test_what_libraries_log_and_warn_of_are_entries(capsys: pytest.CaptureFixture[str]) -> None:
    with logged(), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("an old way", DeprecationWarning, stacklevel=1)
        logging.getLogger("google.auth").warning("no %s", "quota project")
        logging.getLogger("google.auth").info("not told")
        logging.getLogger("gcp_accessor").info("query done", extra={"json_fields": {"rows": 3}})
        try:
            raise LookupError("lost")
        except LookupError:
            logging.getLogger("urllib3").exception("a retry")
    logging.getLogger("gcp_accessor").info("after the block")

    warned, quota, query, failed = entries(capsys.readouterr().err)
    assert warned["severity"] == quota["severity"] == "WARNING"
    assert "an old way" in warned["message"]
    assert (quota["message"], quota["logger"]) == ("no quota project", "google.auth")
    assert (query["severity"], query["rows"]) == ("INFO", 3)
    assert failed["severity"] == "ERROR"
    assert "LookupError: lost" in failed["message"]


@pytest.mark.usefixtures("task")
def test_an_error_that_nobody_expected_is_one_entry_with_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught, logged(), about(job="calibrate"):
        raise ZeroDivisionError("a fault of ours")

    (told,) = entries(capsys.readouterr().err)
    assert caught.value.code == 1
    assert told["severity"] == "CRITICAL"
    assert told["message"].startswith("Traceback")
    assert told["message"].endswith("ZeroDivisionError: a fault of ours")
    assert told[LABELS_KEY]["job"] == "calibrate"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"CLOUD_RUN_JOB": "x"}, True),
        ({"CLOUD_RUN_JOB": "x", "K_SERVICE": "y"}, False),
    ],
)
def test_only_a_task_of_a_cloud_run_job_writes_entries(
    environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLOUD_RUN_JOB", "K_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert in_cloud_run() is expected


def test_the_example_of_labels_gives_what_it_shows() -> None:
    found = doctest.testmod(etl_jobs.cloud_log)

    assert (found.failed, found.attempted) == (0, 1)


# --- In a terminal -------------------------------------------------------------------------

SLOW = """
import time
from types import SimpleNamespace
from etl_jobs.console import say, watched
jobs = [SimpleNamespace(name="answers/latest"), SimpleNamespace(name="calibrate")]
def outcomes():
    for job in jobs:
        time.sleep(1.3)
        run = SimpleNamespace(run_id="r")
        yield SimpleNamespace(job=job.name, run_id=run.run_id, manifest=run)
for outcome in watched(outcomes(), jobs):
    say(f"{outcome.job}: published")
"""


def in_a_terminal(code: str) -> str:
    """What a person sees while it runs."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {name: text for name, text in os.environ.items() if name not in TASK}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:
        # How Linux tells that nobody writes any more.
        pass
    os.close(ours)
    assert process.wait(60) == 0, shown
    return shown.decode()


def test_in_a_terminal_a_clock_runs_while_a_job_does_and_is_then_gone() -> None:
    pytest.importorskip("tqdm", reason="bars need the extra `progress`")

    shown = in_a_terminal(SLOW)

    assert "answers/latest (1 of 2) 00:0" in shown
    assert "calibrate (2 of 2) 00:0" in shown
    lines = [line.rpartition("\r")[2] for line in shown.split("\r\n")]
    assert [line for line in lines if line.strip()] == [
        "answers/latest: published",
        "calibrate: published",
    ]
