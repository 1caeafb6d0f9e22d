"""Runs that cannot be, or that meet what they should not: each ends with one sentence."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from freezegun import freeze_time
from google.api_core.exceptions import (
    Cancelled,
    Conflict,
    Forbidden,
    MethodNotImplemented,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from etl_jobs.cli import main
from etl_jobs.errors import ContractError, JobError, Misuse, TryAgain
from etl_jobs.failure import ExitCode, exit_code, explain, is_transient
from etl_jobs.job import Jobs
from etl_jobs.place import Place
from etl_jobs.tasks import ALONE, Tasks, tasks_of_environment
from gcp_accessor import BigQueryAccessor
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.errors import CorruptRun, CostLimitExceeded, QueryTimeout, TransferFailed
from tests.counting import DAY, Counting
from tests.stand_ins.bigquery import BigQueryStandIn
from tests.stand_ins.cloud_storage.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor import CloudStorageAccessor
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

ROOT = Path(__file__).resolve().parent.parent
LSAT6 = f"raw.answers={ROOT / 'examples' / 'lsat6.csv.gz'}"


@pytest.fixture
def counting(
    exams: BigQueryAccessor, local_store: CloudStorageAccessor, tmp_path: Path
) -> Counting:
    return Counting(exams, local_store, tmp_path / "jobs")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        yield service


@pytest.fixture
def google(
    service: BigQueryStandIn, google_store: CloudStorageAccessor, tmp_path: Path
) -> Iterator[Counting]:
    with service.accessor(dataset="exams") as warehouse:
        warehouse.create_dataset("exams")
        yield Counting(warehouse, google_store, tmp_path / "jobs")


# --- Which failures may pass ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServiceUnavailable("down"), ExitCode.TRY_AGAIN),
        (TooManyRequests("slowly"), ExitCode.TRY_AGAIN),
        (Forbidden("slowly", errors=[{"reason": "rateLimitExceeded"}]), ExitCode.TRY_AGAIN),
        (ConnectionResetError(104, "reset"), ExitCode.TRY_AGAIN),
        (QueryTimeout("too long"), ExitCode.TRY_AGAIN),
        (TryAgain("met another"), ExitCode.TRY_AGAIN),
        (Forbidden("no role", errors=[{"reason": "accessDenied"}]), ExitCode.FAILED),
        (NotFound("no table"), ExitCode.FAILED),
        (Conflict("there already"), ExitCode.FAILED),
        (Cancelled("by somebody"), ExitCode.FAILED),
        (MethodNotImplemented("never"), ExitCode.FAILED),
        (CostLimitExceeded("too much"), ExitCode.FAILED),
        (CorruptRun("damaged"), ExitCode.FAILED),
        (ContractError("broken"), ExitCode.FAILED),
        (OSError(28, "No space left on device"), ExitCode.FAILED),
        (Misuse("what?"), ExitCode.MISUSED),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_failure_may_pass_or_not(error: Exception, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_a_transfer_fails_as_its_first_file_did() -> None:
    failed = TransferFailed("1 of 2 files", {"a": ServiceUnavailable("down")}, (), ())
    failed.__cause__ = ServiceUnavailable("down")

    assert is_transient(failed)


# --- Jobs that contradict themselves, or each other ----------------------------------------


@pytest.mark.parametrize("output", ["Counts", "etl.counts", "etl.COUNTS"])
def test_two_jobs_of_one_table_are_refused_however_they_write_it(
    output: str, counting: Counting
) -> None:
    counting.plan()
    text = (counting.folder / "counts.sql").read_text()
    (counting.folder / "other.sql").write_text(text.replace("output: counts", f"output: {output}"))

    with pytest.raises(ContractError, match=f"counts and other both make the table {output}"):
        Jobs(counting.folder).plan("counts")


def test_a_job_that_makes_what_is_filled_from_outside_is_refused(counting: Counting) -> None:
    counting.plan()
    path = counting.folder / "counts.sql"
    path.write_text(path.read_text().replace("output: counts", "output: raw_answers"))

    with pytest.raises(ContractError, match=r"which sources\.yaml lists as filled from outside"):
        Jobs(counting.folder).plan("counts")


def test_a_contract_that_contradicts_its_sql_runs_nothing(counting: Counting) -> None:
    with pytest.raises(ContractError, match=r"promises answers INT64, but .* returned answers STR"):
        counting.run(count="CAST(COUNT(*) AS STRING)")

    assert counting.published() is None
    assert counting.warehouse.tables() == ["raw_answers"]


# --- Clocks, versions, days ----------------------------------------------------------------


def test_a_clock_that_jumps_changes_neither_a_run_nor_its_order(
    exams: BigQueryAccessor, local_store: CloudStorageAccessor, tmp_path: Path
) -> None:
    counting = Counting(exams, local_store, tmp_path / "jobs")
    # What is imported under a stopped clock does not come to itself again.
    counting.run(count="20 + COUNT(*)")
    ended = []
    for moment, count in (
        ("2035-01-01", "COUNT(*)"),
        ("2021-01-01", "10 + COUNT(*)"),
        ("2029-01-01", "10 + COUNT(*)"),
    ):
        # Google's clients and the stand-in have clocks of their own.
        with freeze_time(moment, ignore=["google", "requests", "urllib3", "http"]):
            ended.append(counting.run(count=count))

    assert [each.state for each in ended] == ["published", "published", "nothing to do"]
    assert counting.published() == ended[1].run_id
    assert counting.rows() == [[DAY, "a", 11], [DAY, "b", 12]]


def test_two_versions_of_the_code_at_once_leave_one_whole_day(
    exams: BigQueryAccessor, local_store: CloudStorageAccessor, tmp_path: Path
) -> None:
    versions = []
    for name, count in (("old", "COUNT(*)"), ("new", "10 + COUNT(*)")):
        counting = Counting(exams, local_store, tmp_path / name)
        versions.append((counting, count))
    # Two students, each noted twice.
    expected = {version.plan(count=count)[0].queries[0].sql for version, count in versions}
    assert len(expected) == 2

    def run(version: tuple[Counting, str]) -> str:
        try:
            return version[0].run(count=version[1]).state
        except TryAgain:
            return "torn"

    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(run, versions))

    assert set(states) <= {"published", "newer is published", "torn"}
    again = versions[1][0].run(count=versions[1][1])
    assert again.state in {"published", "already published", "nothing to do"}
    assert versions[1][0].published() == again.run_id
    assert versions[1][0].rows() == [[DAY, "a", 12], [DAY, "b", 14]]


def test_a_day_before_any_answer_is_a_day_without_rows(counting: Counting) -> None:
    ended = counting.run(day=date(2020, 1, 1))

    assert ended.state == "published"
    assert counting.rows() == []


@pytest.mark.parametrize("text", ["2024-03-31T00:00:00+02:00", "2024-03-31Z", "2024-03-31 CET"])
def test_a_day_with_a_time_zone_is_no_day(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "calibrate", "--local", "nowhere", "--as-of", text])

    assert ended.value.code == 2
    assert f"--as-of: {text!r} is not a day; expected YYYY-MM-DD" in capsys.readouterr().err


# --- Places that do not do -----------------------------------------------------------------


def test_who_may_not_write_tables_is_told_and_leaves_nothing(
    google: Counting, service: BigQueryStandIn
) -> None:
    service.fail("accessDenied", on="POST .*/jobs", times=1_000)

    with pytest.raises(Forbidden) as caught:
        google.run()

    assert not is_transient(caught.value)
    assert "bigquery." in str(explain(caught.value))
    assert google.published() is None


def test_who_may_not_write_objects_is_told_and_leaves_the_table_alone(
    google: Counting, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.queue(*[Fault("status", 403, method="POST")] * 1)

    with pytest.raises(Forbidden) as caught:
        google.run()

    assert not is_transient(caught.value)
    assert explain(caught.value)
    assert "counts" not in google.warehouse.tables()


def test_a_dataset_in_another_location_is_said(google: Counting, service: BigQueryStandIn) -> None:
    client = bigquery.Client(
        project=service.project,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": service.url},
        location="us-east1",
    )
    with client, BigQueryAccessor(client=client, dataset="exams") as elsewhere:
        google.place = Place(elsewhere, google.store, "lessons")

        with pytest.raises(NotFound, match="not found in location us-east1") as caught:
            google.run()

    assert not is_transient(caught.value)
    assert google.published() is None


# --- Tasks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "count", "said"),
    [
        ("4", "4", "CLOUD_RUN_TASK_INDEX is 4 and CLOUD_RUN_TASK_COUNT 4"),
        ("0", "0", "CLOUD_RUN_TASK_COUNT 0"),
        ("one", "2", "CLOUD_RUN_TASK_INDEX is 'one'; expected a whole number"),
        ("-1", "2", "CLOUD_RUN_TASK_INDEX is '-1'"),
    ],
)
def test_a_task_that_cannot_be_is_misuse(
    index: str,
    count: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", index)
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", count)

    assert main(["run", "calibrate", "--local", str(tmp_path / "place")]) == 2

    assert said in capsys.readouterr().err
    assert not (tmp_path / "place").exists()


def test_without_cloud_run_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"):
        monkeypatch.delenv(name, raising=False)

    assert tasks_of_environment() == ALONE == Tasks(0, 1)


def test_a_python_job_is_left_to_the_first_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--local", str(tmp_path), "--as-of", "2024-03-31"]
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", "2")
    monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", "1")

    assert main(["run", "calibrate", *place, "--input", LSAT6]) == 0
    said = capsys.readouterr().out

    assert "calibrate: left to the first of 2 tasks" in said
    assert not (tmp_path / "buckets" / "etl" / "calibrate").exists()


# --- The command ---------------------------------------------------------------------------


def test_a_failure_for_good_ends_the_same_way_at_each_attempt(tmp_path: Path) -> None:
    code = "import sys; from etl_jobs.cli import main; sys.exit(main(sys.argv[1:]))"
    typed = ["run", "answers/latest", "--local", str(tmp_path), "--as-of", "2020-01-01"]
    assert main([*typed[:2], *typed[2:4], "--as-of", "2024-03-31", "--input", LSAT6]) == 0

    ends = [
        subprocess.run(
            [sys.executable, "-c", code, *typed],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "CLOUD_RUN_EXECUTION": execution},
            capture_output=True,
            text=True,
            check=False,
        )
        for execution in ("night-1", "night-1", "night-2")
    ]

    assert [end.returncode for end in ends] == [1, 1, 1]
    assert ends[0].stderr == ends[1].stderr == ends[2].stderr
    assert ends[0].stderr.startswith("etl-jobs: answers/latest returned no rows")


def test_an_unknown_run_is_answered_by_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--local", str(tmp_path)]
    assert main(["run", "answers/latest", *place, "--as-of", "2024-03-31", "--input", LSAT6]) == 0
    capsys.readouterr()

    code = main(["show", "answers/latest", *place, "--run", "2024-03-31-0123456789ab"])

    assert code == 1
    assert "holds no committed run 2024-03-31-0123456789ab" in capsys.readouterr().err


def test_everything_raised_on_purpose_is_one_sentence() -> None:
    assert explain(JobError("it is so")) == "it is so"
