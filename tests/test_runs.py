"""Runs that are retried, started twice, shared by tasks: one truth in the end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from etl_jobs.errors import ContractError, JobError, Terminated, TryAgain
from etl_jobs.run import plan as walking
from etl_jobs.run.days import Day
from etl_jobs.tasks import Tasks
from gcp_accessor import PublicationRun
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.errors import CostLimitExceeded
from tests.counting import DAY, Counting
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

ROWS = [[DAY, "a", 1], [DAY, "b", 2]]


@pytest.fixture
def counting(exams: BigQueryAccessor, store: CloudStorageAccessor, tmp_path: Path) -> Counting:
    return Counting(exams, store, tmp_path / "jobs")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        yield service


@pytest.fixture
def google(
    service: BigQueryStandIn, google_store: CloudStorageAccessor, tmp_path: Path
) -> Iterator[Counting]:
    """The same on Google's clients, whose services may be told what to do."""
    with service.accessor(dataset="exams") as warehouse:
        warehouse.create_dataset("exams")
        yield Counting(warehouse, google_store, tmp_path / "jobs")


def in_execution(patch: pytest.MonkeyPatch, name: str) -> None:
    """Be an attempt of this execution of a Cloud Run job."""
    patch.setenv("CLOUD_RUN_EXECUTION", name)


def end_at(
    step: str, counting: Counting, monkeypatch: pytest.MonkeyPatch, count: str = "COUNT(*)"
) -> None:
    """Run, and be told to end when the run comes to this step."""

    def end(*_: object, **__: object) -> None:
        raise Terminated

    with monkeypatch.context() as patch:
        patch.setattr(PublicationRun, step, end)
        with pytest.raises(Terminated):
            counting.run(count=count)


def statements(service: BigQueryStandIn, word: str) -> list[str]:
    """The queries that jobs were started with, which hold a word."""
    found = [job.configuration.get("query", {}).get("query", "") for job in service.jobs.values()]
    return [sql for sql in found if word in sql]


# --- A retry reads the same rows -----------------------------------------------------------


def test_a_source_is_read_as_of_one_moment_and_a_jobs_own_table_as_it_is(
    google: Counting, service: BigQueryStandIn
) -> None:
    google.run("totals")

    [counts] = statements(service, "COUNT(*) AS answers")
    [totals] = statements(service, "COUNT(*) AS students")
    assert "FROM raw_answers FOR SYSTEM_TIME AS OF @read_at\n" in counts
    assert "SYSTEM_TIME" not in totals
    [job] = [j for j in service.jobs.values() if "SYSTEM_TIME" in str(j.configuration)]
    values = {p["name"]: p for p in job.configuration["query"]["queryParameters"]}
    assert values["read_at"]["parameterType"] == {"type": "TIMESTAMP"}
    manifest = google.store.publication("gs://lessons/counts").latest()
    assert manifest is not None
    assert datetime.fromisoformat(manifest.facts["read_at"]) <= datetime.now(UTC)
    assert google.rows() == ROWS


def test_a_view_which_cannot_be_read_as_it_was_is_looked_at_again_instead(
    google: Counting, service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.warehouse.query("CREATE TABLE log AS SELECT * FROM raw_answers")
    google.warehouse.delete_table("raw_answers")
    google.warehouse.create_view("raw_answers", "SELECT student_id, day FROM exams.log")

    google.run()

    assert statements(service, "SYSTEM_TIME") == []
    answer_while_started(google, monkeypatch, "log")
    with pytest.raises(TryAgain, match="raw_answers changed while counts read it"):
        google.run(count="1 + COUNT(*)")


def answer_while_started(counting: Counting, patch: pytest.MonkeyPatch, table: str) -> None:
    """Have an answer come in between a run's look at its inputs and its query."""
    start = PublicationRun.start

    def answered(run: PublicationRun, facts: object) -> object:
        rows = [{"student_id": "late", "day": DAY}]
        counting.warehouse.load(rows, table, if_exists="append")
        return start(run, facts)  # type: ignore[arg-type]

    patch.setattr(PublicationRun, "start", answered)


def test_in_a_folder_a_source_that_changes_meanwhile_stops_the_run(
    exams: BigQueryAccessor,
    local_store: CloudStorageAccessor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(exams, local_store, tmp_path / "jobs")
    with monkeypatch.context() as patch:
        answer_while_started(counting, patch, "raw_answers")
        if exams.local is None:
            # BigQuery reads the rows as they were.
            assert counting.run().state == "published"
            return
        with pytest.raises(TryAgain, match="raw_answers changed while counts read it"):
            counting.run()

    assert counting.published() is None
    assert counting.run().state == "published"
    assert counting.rows() == [*ROWS, [DAY, "late", 1]]


def test_all_attempts_of_an_execution_read_what_the_first_one_saw(
    google: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    end_at("commit", google, monkeypatch)
    [first] = {
        stored.name.split("/")[2] for stored in google.store.list("gs://lessons/counts/runs/")
    }
    google.answer("c")

    again = google.run()
    in_execution(monkeypatch, "night-2")
    later = google.run()

    assert again.run_id == first
    assert later.run_id != first


# --- A retry asks nothing twice ------------------------------------------------------------


def test_a_retry_finds_the_query_that_its_execution_has_asked(
    google: Counting, service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    end_at("commit", google, monkeypatch)
    assert len([name for name in google.warehouse.tables() if "__" in name]) == 1

    assert google.run().state == "published"

    assert len(statements(service, "COUNT(*) AS answers")) == 1
    assert google.rows() == ROWS
    assert google.warehouse.tables() == ["counts", "raw_answers"]


def test_a_query_whose_rows_were_swept_is_asked_anew(
    google: Counting, service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    end_at("commit", google, monkeypatch)
    [staging] = [name for name in google.warehouse.tables() if "__" in name]
    google.warehouse.delete_table(staging)

    assert google.run().state == "published"

    assert google.rows() == ROWS


@pytest.mark.parametrize("step", ["start", "write", "commit", "publish"])
def test_a_run_that_ends_anywhere_is_finished_by_the_next_attempt(
    step: str, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    end_at(step, counting, monkeypatch)

    assert counting.run().state == "published"

    assert counting.rows() == ROWS
    assert counting.run().state == "nothing to do"
    assert counting.warehouse.tables() == ["counts", "raw_answers"]
    assert list(counting.store.list("gs://lessons/counts/staging/")) == []


# --- What cannot succeed is said once ------------------------------------------------------


def test_a_failure_for_good_is_repeated_without_asking_until_a_new_execution(
    google: Counting, service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    with pytest.raises(ContractError, match="2 rows break few") as first:
        google.run(count="COUNT(*) + 5000")
    asked = len(service.jobs)

    with pytest.raises(JobError) as second:
        google.run(count="COUNT(*) + 5000")

    assert str(second.value) == str(first.value)
    # The moment alone is asked for: the run has to be found.
    assert len(service.jobs) == asked + 1
    in_execution(monkeypatch, "night-2")
    with pytest.raises(ContractError):
        google.run(count="COUNT(*) + 5000")


def test_a_failure_that_may_pass_is_not_held_against_the_next_attempt(
    google: Counting, service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    with monkeypatch.context() as patch:
        patch.setattr(Day, "confirm", lambda *_: (_ for _ in ()).throw(TryAgain("met another")))
        with pytest.raises(TryAgain):
            google.run()

    assert google.run().state == "published"


# --- Two runs of one day -------------------------------------------------------------------


def test_a_late_retry_of_an_earlier_execution_replaces_nothing(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    end_at("commit", counting, monkeypatch)
    in_execution(monkeypatch, "night-2")
    newer = counting.run(count="10 + COUNT(*)")

    in_execution(monkeypatch, "night-1")
    late = counting.run()

    assert late.state == "newer is published"
    assert counting.published() == newer.run_id
    assert counting.rows() == [[DAY, "a", 11], [DAY, "b", 12]]


def test_an_old_setting_that_somebody_runs_on_purpose_is_published_again(
    counting: Counting,
) -> None:
    first = counting.run()
    counting.run(count="10 + COUNT(*)")

    again = counting.run()

    assert (again.run_id, again.state) == (first.run_id, "published")
    assert counting.published() == first.run_id
    assert counting.rows() == ROWS


def test_a_run_that_is_asked_for_again_outlasts_one_that_began_meanwhile_and_is_retried(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    asked = counting.run()
    in_execution(monkeypatch, "night-2")
    end_at("commit", counting, monkeypatch, count="10 + COUNT(*)")
    in_execution(monkeypatch, "night-3")
    # The day of the table is its own by then, and the pointer is not.
    end_at("publish", counting, monkeypatch)
    in_execution(monkeypatch, "night-4")
    again, once_more = counting.run(), counting.run()
    in_execution(monkeypatch, "night-2")

    late = counting.run(count="10 + COUNT(*)")

    assert (again.run_id, again.state) == (asked.run_id, "already published")
    assert once_more.state == "nothing to do"
    assert late.state == "newer is published"
    assert counting.published() == asked.run_id
    assert counting.rows() == ROWS


def test_so_it_does_where_a_later_day_is_published(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = counting.run(day=date(2024, 3, 2))
    in_execution(monkeypatch, "night-1")
    counting.run()
    in_execution(monkeypatch, "night-2")
    end_at("commit", counting, monkeypatch, count="10 + COUNT(*)")
    in_execution(monkeypatch, "night-3")
    again, once_more = counting.run(), counting.run()
    in_execution(monkeypatch, "night-2")

    counting.run(count="10 + COUNT(*)")

    assert (again.state, once_more.state) == ("newer is published", "nothing to do")
    assert counting.published() == later.run_id
    assert counting.rows()[:2] == ROWS


def test_a_run_that_is_forced_is_made_anew(counting: Counting) -> None:
    first = counting.run()

    forced = counting.run(force=True)

    assert forced.state == "published"
    assert forced.run_id != first.run_id
    assert counting.published() == forced.run_id
    assert counting.rows() == ROWS


def test_a_day_that_two_runs_replaced_at_once_is_nobodys(store: CloudStorageAccessor) -> None:
    day = Day(store, "gs://lessons/counts/days/2024-03-01.json")
    first = day.claim("first", 1)
    second = day.claim("second", 2)
    assert first is not None
    assert second is not None

    for claim in (first, second):
        with pytest.raises(TryAgain, match=r"the runs .* replaced one day of a table at the same"):
            day.confirm(claim)

    assert not day.is_of("first")
    assert not day.is_of("second")
    assert day.claim("first", 1) is None
    third = day.claim("third", 3)
    assert third is not None
    day.confirm(third)
    assert day.is_of("third")


def test_a_day_is_confirmed_by_two_attempts_of_one_run(store: CloudStorageAccessor) -> None:
    day = Day(store, "gs://lessons/counts/days/2024-03-01.json")
    claims = [day.claim("run", 1) for _ in range(2)]

    for claim in claims:
        assert claim is not None
        day.confirm(claim)

    assert day.is_of("run")


def test_rows_that_another_run_replaces_while_they_are_read_are_not_published(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.run()
    start = PublicationRun.start

    def started(run: PublicationRun, facts: object) -> object:
        if "/totals/" in run.uri:
            day = Day(counting.store, "gs://lessons/counts/days/2024-03-01.json")
            assert day.claim("2024-03-01-0123456789ab", 2**62) is not None
        return start(run, facts)  # type: ignore[arg-type]

    monkeypatch.setattr(PublicationRun, "start", started)

    with pytest.raises(TryAgain, match="while totals read them"):
        counting.run("totals")

    assert counting.published("totals") is None


# --- Several tasks -------------------------------------------------------------------------


def parts(counting: Counting) -> list[list[list[str]]]:
    """The rows of each published file."""
    publication = counting.store.publication("gs://lessons/counts")
    manifest = publication.latest()
    assert manifest is not None
    return [list(publication.read(file.name).content)[1:] for file in manifest.files]


def test_tasks_write_the_parts_of_one_run_and_ask_its_query_once(
    google: Counting, service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    students = [f"s{number:02d}" for number in range(40)]
    google.answer(*students)

    states = [google.run(tasks=Tasks(index, 3)).state for index in (2, 0, 1)]

    assert states[:2] == ["this task's part is written; the last task publishes"] * 2
    assert states[2] == "published"
    assert len(statements(service, "COUNT(*) AS answers")) == 1
    found = parts(google)
    assert all(part == sorted(part) for part in found)
    assert min(map(len, found)) > 0
    assert sorted(row[1] for part in found for row in part) == ["a", "b", *students]
    assert len(google.rows()) == 42
    assert google.warehouse.tables() == ["counts", "raw_answers"]


def test_tasks_at_the_same_time_make_one_run(
    google: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_execution(monkeypatch, "night-1")
    monkeypatch.setattr(walking, "_LOOK_SECONDS", 0.05)
    google.plan("totals")

    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(lambda index: google.run("totals", tasks=Tasks(index, 3)), range(3)))

    assert google.published("totals") in {end.run_id for end in ends}
    assert google.rows() == ROWS
    assert google.rows("totals") == [[DAY, 1, 1], [DAY, 2, 1]]
    manifest = google.store.publication("gs://lessons/totals").latest()
    assert manifest is not None
    assert len(manifest.files) == 3
    assert sum(file.rows or 0 for file in manifest.files) == 2


def test_a_task_that_waits_too_long_for_the_first_one_may_try_again(
    google: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(walking, "_LOOK_SECONDS", 0.01)

    with pytest.raises(TryAgain, match="the first task has not made"):
        google.run("totals", tasks=Tasks(1, 2))


def test_another_number_of_tasks_is_another_run(google: Counting) -> None:
    alone = google.run()
    shared = [google.run(tasks=Tasks(index, 2)) for index in range(2)][-1]

    assert shared.run_id != alone.run_id
    assert shared.state == "published"


# --- Budgets -------------------------------------------------------------------------------


def test_a_run_reads_no_more_than_its_budget(counting: Counting) -> None:
    with pytest.raises(CostLimitExceeded), counting.warehouse.budget(10):
        counting.run()

    assert counting.published() is None
    assert counting.warehouse.tables() == ["raw_answers"]
