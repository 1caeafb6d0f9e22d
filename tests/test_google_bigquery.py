"""What only a service can do: answer late, twice, in pages, or not at all."""

from __future__ import annotations

import os
import signal
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError

from gcp_accessor import BigQueryAccessor
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.errors import CostLimitExceeded, QueryTimeout
from gcp_accessor.schema import TableName
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        yield service


@pytest.fixture
def exams(service: BigQueryStandIn) -> Iterator[BigQueryAccessor]:
    with service.accessor(dataset="exams") as accessor:
        accessor.create_dataset("exams")
        yield accessor


def test_rows_come_page_by_page(service: BigQueryStandIn, exams: BigQueryAccessor) -> None:
    service.page_rows = 7

    result = exams.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 50)) AS n ORDER BY n")

    expected = list(range(1, 51))
    assert [row[0] for row in result.rows()] == expected
    assert [row[0] for row in result.rows()] == expected
    assert result.to_arrow()["n"].to_pylist() == expected
    assert all(batch.num_rows <= 5 for batch in result.batches(max_rows=5))


def test_only_the_pages_that_are_read_are_fetched(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.page_rows = 10
    result = exams.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS n ORDER BY n")
    before = service.requests.total()

    assert result.first() == {"n": 1}
    assert len(result._repr_html_()) > 0

    assert service.requests.total() == before
    assert len(list(islice(result, 25))) == 25
    assert service.requests.total() - before == 2


def test_a_small_query_takes_three_requests(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.requests.clear()

    exams.query("SELECT 1 AS n").rows()

    # Insert, ask whether it is done (perhaps twice), and the rows with the wait for them.
    assert service.requests.total() <= 4


def test_a_query_out_of_time_is_cancelled(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30

    with pytest.raises(QueryTimeout, match=r"within 0\.3 seconds and was cancelled"):
        exams.query("SELECT 1 AS n", destination="t", timeout=0.3)

    (job,) = service.jobs.values()
    assert job.cancelled.is_set()
    assert job.done.wait(5)
    assert exams.tables() == []


def test_the_service_is_told_to_end_a_job_whose_owner_died(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.query("SELECT 1 AS n", timeout=30)

    (job,) = service.jobs.values()
    assert int(job.configuration["jobTimeoutMs"]) == 90_000


def test_ctrl_c_cancels_the_job(service: BigQueryStandIn, exams: BigQueryAccessor) -> None:
    service.job_seconds = 30

    def interrupt() -> None:
        while not any(request.startswith("GET") for request in list(service.requests)):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    service.requests.clear()
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        exams.query("SELECT 1 AS n", timeout=60)
    thread.join()

    (job,) = service.jobs.values()
    assert job.cancelled.is_set()
    assert caught.value.__notes__ == [f"The job {job.id} was cancelled."]


def test_a_job_that_cannot_be_cancelled_is_said_to_go_on(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.job_seconds = 30
    service.fail("accessDenied", on="POST .*/cancel")

    with pytest.raises(QueryTimeout, match="could not be cancelled, so that it goes on"):
        exams.query("SELECT 1 AS n", timeout=0.1)


def test_a_refused_request_says_which_role_is_missing(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.fail("accessDenied", on="POST .*/jobs")

    with pytest.raises(exceptions.Forbidden) as caught:
        exams.query("SELECT 1 AS n")

    assert caught.value.__notes__ == [
        "Running a job takes roles/bigquery.jobUser on the project; reading takes "
        "roles/bigquery.dataViewer and writing roles/bigquery.dataEditor on the dataset."
    ]


def test_a_dataset_that_may_not_be_seen_is_not_called_absent(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.fail("accessDenied", on="GET .*/datasets/exams", times=2)

    with pytest.raises(exceptions.Forbidden):
        exams.check_if_dataset_exists("exams")
    with pytest.raises(exceptions.Forbidden):
        exams.check_if_table_exists("exams", "t")


def test_a_failing_service_is_asked_again(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.fail("backendError", on="POST .*/jobs")

    assert exams.query("SELECT 1 AS n").scalar() == 1


def test_a_reply_lost_on_the_way_runs_nothing_twice(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.lose_reply(on="POST .*/jobs")

    exams.query("SELECT 1 AS n", destination="t", if_exists="append")

    assert exams.query("SELECT COUNT(*) AS n FROM t").scalar() == 1


def test_a_job_id_is_run_once(service: BigQueryStandIn, exams: BigQueryAccessor) -> None:
    sql = "SELECT @n AS n"

    for _ in range(2):
        rows = exams.execute_query(
            sql,
            "nightly-2024-03-01",
            query_parameters={"n": 7},
            destination="t",
            write_disposition="WRITE_APPEND",
        )
        assert rows == [[7]]

    assert exams.query("SELECT n FROM t").rows() == [[7]]


def test_a_reply_lost_on_the_way_leads_back_to_the_job_of_that_id(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.lose_reply(on="POST .*/jobs")

    rows = exams.execute_query("SELECT @n AS n", "once", query_parameters={"n": 7})

    assert rows == [[7]]
    assert list(service.jobs) == ["once"]


@pytest.mark.parametrize("size", [10, 9_000_000], ids=["small", "large"])
def test_a_load_whose_reply_is_lost_loads_once(
    service: BigQueryStandIn, exams: BigQueryAccessor, size: int
) -> None:
    # A large file's job begins with its last piece.
    service.lose_reply(on="POST /upload" if size == 10 else "PUT /upload")

    count = exams.load([["x" * size]], "t", schema={"s": "STRING"}, if_exists="append")

    assert count == 1
    assert exams.query("SELECT COUNT(*) AS n FROM t").scalar() == 1


def test_a_copy_or_an_export_whose_reply_is_lost_is_done(
    service: BigQueryStandIn, exams: BigQueryAccessor, tmp_path: Path
) -> None:
    (tmp_path / "buckets" / "bucket").mkdir(parents=True)
    exams.load([{"n": 1}], "t")

    for _ in range(2):
        service.lose_reply(on="POST .*/jobs")
        exams.copy("t", "u", if_exists="append")
    service.lose_reply(on="POST .*/jobs")
    exams.export("u", "gs://bucket/u.parquet")
    service.lose_reply(on="POST .*/jobs")
    exams.load("gs://bucket/u.parquet", "v")

    assert exams.query("SELECT COUNT(*) AS n FROM v").scalar() == 2


def test_a_table_that_is_in_the_way_of_a_copy_is_still_a_conflict(
    exams: BigQueryAccessor,
) -> None:
    exams.load([{"n": 1}], "t")

    with pytest.raises(exceptions.Conflict):
        exams.copy("t", "t", if_exists="fail")


def test_jobs_outside_of_the_us_are_found_where_they_are(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.location = "asia-northeast1"

    exams.load([{"n": 7}], "t")
    exams.copy("t", "u")
    service.lose_reply(on="POST .*/jobs")
    exams.copy("t", "w")
    for _ in range(2):
        rows = exams.execute_query("SELECT @n AS n", "once", query_parameters={"n": 7})
        assert rows == [[7]]
    service.job_seconds = 30
    with pytest.raises(QueryTimeout, match="was cancelled"):
        exams.query("SELECT 1 AS n", timeout=0.3)

    assert exams.tables() == ["t", "u", "w"]


def test_a_job_id_of_another_statement_is_a_conflict(exams: BigQueryAccessor) -> None:
    exams.execute_query("SELECT @n AS n", "once", query_parameters={"n": 1})

    for sql, n in (("SELECT @n AS m", 1), ("SELECT @n AS n", 2)):
        with pytest.raises(exceptions.Conflict) as caught:
            exams.execute_query(sql, "once", query_parameters={"n": n})
        assert "belongs to another statement" in caught.value.__notes__[0]


def test_the_id_of_a_failed_job_is_spent(exams: BigQueryAccessor) -> None:
    with pytest.raises(exceptions.NotFound):
        exams.execute_query("SELECT * FROM nowhere", "once")

    with pytest.raises(exceptions.Conflict) as caught:
        exams.execute_query("SELECT * FROM nowhere", "once")

    assert "never runs an id twice" in caught.value.__notes__[0]
    assert "nowhere" in caught.value.__notes__[0]


@pytest.mark.parametrize("request_", ["POST .*/jobs", "GET .*/queries"])
def test_a_query_over_its_limit_is_refused_in_our_words_whenever_the_service_says_so(
    service: BigQueryStandIn, exams: BigQueryAccessor, request_: str
) -> None:
    service.fail("bytesBilledLimitExceeded", on=request_)

    with pytest.raises(CostLimitExceeded, match="nothing was run"):
        exams.query("SELECT 1 AS n", max_bytes_billed=1)


def test_labels_and_limits_travel_with_the_job(service: BigQueryStandIn, tmp_path: Path) -> None:
    with service.accessor(labels={"job": "answers"}, max_bytes_billed=10**9) as accessor:
        accessor.query("SELECT 1 AS n", labels={"as_of": "2024-03-01"})

    (job,) = service.jobs.values()
    assert job.configuration["labels"] == {"job": "answers", "as_of": "2024-03-01"}
    assert job.configuration["query"]["maximumBytesBilled"] == str(10**9)


def test_options_of_the_first_release_reach_the_job(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.execute_query(
        "SELECT 1 AS n", priority="BATCH", use_query_cache=False, job_id_prefix="a-"
    )

    (job,) = service.jobs.values()
    assert job.id.startswith("a-")
    assert job.configuration["query"]["priority"] == "BATCH"
    assert job.configuration["query"]["useQueryCache"] is False


def test_a_large_file_is_sent_in_pieces(service: BigQueryStandIn, exams: BigQueryAccessor) -> None:
    count = exams.load([["x" * 9_000_000], ["y"]], "t", schema={"s": "STRING"})

    assert count == 2
    assert service.requests["PUT /upload/bigquery/v2/projects/test-project/jobs"] >= 1
    assert exams.query("SELECT SUM(LENGTH(s)) AS n FROM t").scalar() == 9_000_001


def test_a_frames_lists_arrive_as_arrays_of_their_types(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.load(pa.table({"l": [[1, 2], []]}), "t")

    (job,) = service.jobs.values()
    load = job.configuration["load"]
    assert load["parquetOptions"] == {"enableListInference": True}
    assert load["schema"]["fields"] == [{"name": "l", "type": "INT64", "mode": "REPEATED"}]
    assert exams.query("SELECT l FROM t").rows() == [[[1, 2]], [[]]]


def test_a_table_list_of_many_pages_is_whole(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    service.page_rows = 2
    for n in range(5):
        exams.create_table(f"t{n}", {"n": "INT64"})

    assert exams.tables() == [f"t{n}" for n in range(5)]


def test_existence_is_asked_for_by_name(service: BigQueryStandIn, exams: BigQueryAccessor) -> None:
    service.requests.clear()

    exams.check_if_dataset_exists("exams")
    exams.check_if_table_exists("exams", "t")

    assert service.requests == {
        "GET /bigquery/v2/projects/test-project/datasets/exams": 1,
        "GET /bigquery/v2/projects/test-project/datasets/exams/tables/t": 1,
    }


def test_the_raw_client_is_there_for_the_rest(exams: BigQueryAccessor) -> None:
    exams.create_table("t", {"n": "INT64"})

    assert exams.bq_client.get_table("exams.t").table_id == "t"


def test_no_credentials_is_an_error_that_says_how_to_sign_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    accessor = BigQueryAccessor(project="a-project")

    with pytest.raises(DefaultCredentialsError) as caught:
        accessor.query("SELECT 1 AS n")

    assert "gcloud auth application-default login" in caught.value.__notes__[0]


def test_a_partition_is_addressed_by_its_unit(service: BigQueryStandIn) -> None:
    from gcp_accessor.backends.google.schema import table_reference, time_partitioning

    units = {}
    for partition in ("2024", "202403", "20240301", "2024030109"):
        name = TableName("t", "d", None, partition)
        partitioning = time_partitioning("day", name)
        assert partitioning is not None
        units[table_reference(name, "p").table_id] = partitioning.type_

    assert units == {
        "t$2024": "YEAR",
        "t$202403": "MONTH",
        "t$20240301": "DAY",
        "t$2024030109": "HOUR",
    }
