"""Query jobs as only a service has them: refused, lost, slow, cancelled by somebody else."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.errors import CostLimitExceeded, QueryTimeout
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor

APPEND = "SELECT 1 AS n"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        yield service


@pytest.fixture
def exams(service: BigQueryStandIn) -> Iterator[BigQueryAccessor]:
    with service.accessor(dataset="exams") as accessor:
        accessor.create_dataset("exams")
        service.requests.clear()
        yield accessor


def append(exams: BigQueryAccessor, key: str = "nightly") -> str:
    """Append one row to the table t, once under the key; return the job's id."""
    result = exams.query(APPEND, destination="t", if_exists="append", idempotency_key=key)
    return result.stats.job_id


# --- requests -----------------------------------------------------------------------------


def test_a_query_asks_as_often_as_the_raw_client(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    list(exams.bq_client.query("SELECT 1 AS n").result(page_size=1000))
    raw = service.requests.total()
    service.requests.clear()

    exams.query("SELECT 1 AS n").rows()

    assert service.requests.total() == raw


def test_a_submission_is_one_request_and_does_not_wait(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30

    job = exams.submit("SELECT 1 AS n")

    assert service.requests.total() == 1
    assert not job.done()
    assert list(service.jobs) == [job.job_id]


def test_a_submission_whose_reply_is_lost_is_one_job(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.lose_reply(on="POST .*/jobs")

    job = exams.submit("SELECT 1 AS n", destination="t", if_exists="append")

    assert job.result().stats.job_id == job.job_id
    assert list(service.jobs) == [job.job_id]


# --- run once -----------------------------------------------------------------------------


def test_a_key_is_the_id_of_its_job(service: BigQueryStandIn, exams: BigQueryAccessor) -> None:
    append(exams, "nightly_2024-03-01")
    append(exams, "answers/2024-03-01")

    plain, written = service.jobs
    assert plain == "nightly_2024-03-01"
    assert written.startswith("answers-2024-03-01-")


def test_a_reply_that_is_lost_leads_back_to_the_job_of_the_key(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.lose_reply(on="POST .*/jobs")

    append(exams)

    assert list(service.jobs) == ["nightly"]
    assert exams.query("SELECT COUNT(*) AS n FROM t").scalar() == 1


def test_a_program_that_starts_again_waits_for_the_job_that_runs(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 0.5
    first = exams.submit(APPEND, destination="t", if_exists="append", idempotency_key="nightly")

    with service.accessor(dataset="exams") as restarted:
        again = append(restarted)

    assert again == first.job_id
    assert len(service.jobs) == 1


def test_after_each_failure_the_key_has_a_next_id(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30
    for _ in range(2):
        job = exams.submit(APPEND, destination="t", if_exists="append", idempotency_key="nightly")
        job.cancel()
        with pytest.raises(exceptions.Cancelled):
            job.result()
    service.job_seconds = 0

    ids = [append(exams) for _ in range(2)]

    assert ids == ["nightly_3", "nightly_3"]
    assert list(service.jobs) == ["nightly", "nightly_2", "nightly_3"]


def test_a_key_is_found_outside_of_the_us(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.location = "asia-northeast1"

    assert append(exams) == append(exams) == "nightly"


def test_a_job_that_is_there_but_not_yet_found_is_asked_for_again(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    append(exams)
    service.fail("notFound", on="GET .*/jobs/nightly")

    assert append(exams) == "nightly"


def test_a_job_of_somebody_elses_under_that_id_is_a_conflict(exams: BigQueryAccessor) -> None:
    exams.bq_client.query(APPEND, job_id="nightly", job_retry=None).result()

    with pytest.raises(exceptions.Conflict) as caught:
        append(exams)

    assert "belongs to another statement" in caught.value.__notes__[0]


def test_limits_and_labels_do_not_make_another_statement(exams: BigQueryAccessor) -> None:
    first = append(exams)

    again = exams.query(
        APPEND,
        destination="t",
        if_exists="append",
        idempotency_key="nightly",
        timeout=60,
        labels={"attempt": "2"},
        max_bytes_billed=10**9,
    )

    assert again.stats.job_id == first


# --- cancelled, and out of time -----------------------------------------------------------


def test_a_job_that_somebody_else_cancels_is_cancelled_for_each_way_of_waiting(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30

    def cancel() -> None:
        while not service.jobs:
            time.sleep(0.01)
        (job,) = service.jobs.values()
        exams.bq_client.cancel_job(job.id)

    # The client waits in one request without a timeout, and asks again and again with one.
    for timeout in (None, 60):
        service.jobs.clear()
        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(exceptions.Cancelled, match="was cancelled") as caught:
            exams.query("SELECT 1 AS n", timeout=timeout)
        thread.join()
        assert caught.value.errors[0]["reason"] == "stopped"


def test_a_load_that_is_cancelled_is_cancelled_too(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30

    def cancel() -> None:
        while not service.jobs:
            time.sleep(0.01)
        (job,) = service.jobs.values()
        exams.bq_client.cancel_job(job.id)

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(exceptions.Cancelled):
        exams.load([{"n": 1}], "t")
    thread.join()

    assert exams.tables() == []


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_job_that_bigquery_ends_for_its_time_is_a_timeout(
    service: BigQueryStandIn,
    exams: BigQueryAccessor,
    timeout: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gcp_accessor.backends.google.queries.server_milliseconds", lambda _: 200)
    service.job_seconds = 30
    job = exams.submit("SELECT 1 AS n", timeout=20)

    with pytest.raises(QueryTimeout, match="BigQuery ended it"):
        job.result(timeout)


def test_rows_that_do_not_come_in_time_are_a_timeout_of_a_job_that_ended(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.fail("backendError", on="GET .*/queries/", times=100)

    with pytest.raises(QueryTimeout, match=r"ended, but its rows did not come within 0\.5"):
        exams.query("SELECT 1 AS n", timeout=0.5)

    assert not any(request.endswith("/cancel") for request in service.requests)


def test_a_page_that_breaks_off_is_asked_for_again(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.page_rows = 10
    result = exams.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 30)) AS n ORDER BY n", timeout=30)
    service.lose_reply(on="GET .*/queries/")
    service.fail("backendError", on="GET .*/queries/")

    assert result.rows() == [[n] for n in range(1, 31)]


def test_a_handle_that_cannot_cancel_says_why(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30
    job = exams.submit("SELECT 1 AS n")
    service.fail("accessDenied", on="POST .*/cancel")

    with pytest.raises(exceptions.Forbidden):
        job.cancel()

    assert not job.done()


def test_ctrl_c_while_a_handle_waits_leaves_the_job_alone(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 1.5
    job = exams.submit("SELECT 1 AS n")

    def interrupt() -> None:
        while not any("queries" in request for request in list(service.requests)):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        job.result(timeout=None)
    thread.join()

    assert caught.value.__notes__ == [f"The job {job.job_id} goes on; its cancel() ends it."]
    assert job.result().scalar() == 1


def test_ctrl_c_before_the_reply_cancels_the_job_that_nobody_would_hold(
    service: BigQueryStandIn, exams: BigQueryAccessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = service.insert_job

    def inserted_late(*request: Any) -> dict[str, Any]:
        reply = insert(*request)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        return reply

    monkeypatch.setattr(service, "insert_job", inserted_late)
    service.job_seconds = 2.0

    with pytest.raises(KeyboardInterrupt) as stopped:
        exams.query("SELECT 1", idempotency_key="night/1")

    [job_id] = service.jobs
    assert stopped.value.__notes__ == [f"The job {job_id} was cancelled."]
    assert any(path.endswith(f"{job_id}/cancel") for path in service.requests)


# --- limits and budgets -------------------------------------------------------------------


def test_a_submitted_query_over_its_limit_is_refused_in_our_words(
    exams: BigQueryAccessor,
) -> None:
    exams.load([[n] for n in range(100)], "t", schema={"n": "INT64"})

    with pytest.raises(CostLimitExceeded, match=r"800 bytes, but max_bytes_billed is 100"):
        exams.submit("SELECT n FROM t", max_bytes_billed=100).result()


def test_each_query_in_a_budget_is_limited_to_what_is_left(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.load([[n] for n in range(100)], "t", schema={"n": "INT64"})
    service.jobs.clear()

    with exams.budget(5000):
        exams.query("SELECT n FROM t")
        exams.query("SELECT n FROM t", max_bytes_billed=1000)
        exams.query("SELECT n FROM t")

    limits = [job.configuration["query"]["maximumBytesBilled"] for job in service.jobs.values()]
    assert limits == ["5000", "1000", "3400"]


def test_what_comes_from_the_cache_costs_a_budget_nothing(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.load([[n] for n in range(100)], "t", schema={"n": "INT64"})
    service.caches = True

    with exams.budget(1000) as budget:
        for _ in range(3):
            exams.query("SELECT n FROM t")

    assert budget.spent == 800


def test_a_query_whose_end_was_not_heard_of_is_charged_all_it_could_have_billed(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30

    with exams.budget(1000) as budget, pytest.raises(QueryTimeout):
        exams.query("SELECT 1 AS n", timeout=0.3, max_bytes_billed=300)

    assert budget.spent == 300
