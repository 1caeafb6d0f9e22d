"""Large results over the Storage Read API: refused, interrupted, abandoned, not there."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import grpc
import pytest
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.backends.google.storage_read import StorageReader
from tests.stand_ins.bigquery import BigQueryStandIn
from tests.stand_ins.storage_read import StorageReadStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor

ROWS = 120_000
NUMBERS = f"SELECT n FROM UNNEST(GENERATE_ARRAY(1, {ROWS})) AS n"
ORDERED = f"{NUMBERS} ORDER BY n"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        yield service


@pytest.fixture
def reads(service: BigQueryStandIn) -> Iterator[StorageReadStandIn]:
    with StorageReadStandIn(service) as reads:
        yield reads


@pytest.fixture
def warehouse(service: BigQueryStandIn, reads: StorageReadStandIn) -> Iterator[BigQueryAccessor]:
    with service.accessor(read_client=reads.client()) as accessor:
        yield accessor


def numbers(warehouse: BigQueryAccessor, sql: str = ORDERED) -> list[int]:
    values: list[int] = warehouse.query(sql).to_arrow()["n"].to_pylist()
    return values


def test_a_large_result_comes_without_one_page_of_rest(
    service: BigQueryStandIn, reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    result = warehouse.query(ORDERED)
    before = service.requests.total()

    assert result.to_arrow().num_rows == ROWS

    assert service.requests.total() == before
    assert reads.requests == {"CreateReadSession": 1, "ReadRows": 1}


def test_a_small_result_asks_nobody_for_a_session(
    service: BigQueryStandIn, reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    result = warehouse.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 900)) AS n")
    before = service.requests.total()

    assert result.to_dataframe().shape == (900, 1)

    # Its rows came with the wait for the query.
    assert service.requests.total() == before
    assert not reads.requests


def test_rows_without_an_order_come_in_several_streams(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    assert sorted(numbers(warehouse, NUMBERS)) == list(range(1, ROWS + 1))

    assert reads.requests["ReadRows"] == reads.most_streams


@pytest.mark.parametrize("method", ["CreateReadSession", "ReadRows"])
def test_a_refusal_falls_back_to_rest_with_one_warning_that_names_the_role(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor, method: str
) -> None:
    reads.fail(grpc.StatusCode.PERMISSION_DENIED, "no permission", on=method, times=99)

    with pytest.warns(UserWarning, match=r"grant roles/bigquery\.readSessionUser"):
        assert numbers(warehouse) == list(range(1, ROWS + 1))
    # No warning would pass here: each is an error.
    assert numbers(warehouse) == list(range(1, ROWS + 1))

    assert reads.requests[method] == 1


def test_an_api_that_is_switched_off_is_to_be_enabled(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    message = "BigQuery Storage API has not been used in project 1 before or it is disabled."
    reads.fail(grpc.StatusCode.PERMISSION_DENIED, message, on="CreateReadSession")

    with pytest.warns(UserWarning, match=r"enable bigquerystorage\.googleapis\.com"):
        assert numbers(warehouse) == list(range(1, ROWS + 1))


@pytest.mark.parametrize("sql", [NUMBERS, ORDERED])
def test_a_stream_that_breaks_off_is_taken_up_where_it_was(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor, sql: str
) -> None:
    for after_rows in (0, 10_000, 20_000):
        reads.fail(grpc.StatusCode.UNAVAILABLE, on="ReadRows", after_rows=after_rows)

    values = numbers(warehouse, sql)

    assert sorted(values) == list(range(1, ROWS + 1))
    assert reads.sent_rows == ROWS
    assert reads.requests["ReadRows"] >= 4


def test_a_stream_that_is_to_be_asked_for_later_is(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    busy = grpc.StatusCode.RESOURCE_EXHAUSTED
    reads.fail(busy, on="ReadRows", after_rows=30_000, retry_seconds=0.01)

    assert numbers(warehouse) == list(range(1, ROWS + 1))


def test_a_session_that_fails_for_a_moment_is_asked_for_again(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    reads.fail(grpc.StatusCode.UNAVAILABLE, on="CreateReadSession")

    assert numbers(warehouse) == list(range(1, ROWS + 1))


def test_a_service_that_stays_away_is_asked_again_for_as_long_as_was_said(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    job = warehouse.bq_client.query(NUMBERS)
    job.result()
    reader = StorageReader(
        warehouse.bq_client, reads.client(), Retry(initial=0.01, maximum=0.05, timeout=0.2)
    )
    reads.fail(grpc.StatusCode.UNAVAILABLE, on="ReadRows", times=10_000)

    with pytest.raises(exceptions.RetryError):
        reader.batches(job.destination, ordered=True)

    assert reads.requests["ReadRows"] > 2


def test_a_failure_after_the_first_rows_is_raised(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    denied = grpc.StatusCode.PERMISSION_DENIED
    reads.fail(denied, "withdrawn", on="ReadRows", after_rows=50_000)

    # What has been handed out cannot be taken back, so that REST would bring it twice.
    with pytest.raises(exceptions.PermissionDenied, match="withdrawn") as raised:
        numbers(warehouse)

    assert "roles/bigquery" in raised.value.__notes__[0]


def test_who_stops_reading_stops_the_stream(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    reads.message_seconds = 0.02
    batches = warehouse.query(ORDERED).batches()
    next(batches)

    del batches

    time.sleep(0.1)
    sent = reads.sent_rows
    time.sleep(0.1)
    assert reads.sent_rows == sent < ROWS


def test_a_slow_reader_holds_few_messages(
    reads: StorageReadStandIn, warehouse: BigQueryAccessor
) -> None:
    # Nothing that compresses: 77 MB.
    hashes = ", ".join(f"TO_HEX(SHA256(CONCAT('{salt}', CAST(n AS STRING))))" for salt in range(5))
    columns = f"CONCAT({hashes}) AS s, CONCAT({hashes}, '!') AS t"
    rows = f"UNNEST(GENERATE_ARRAY(1, {ROWS})) AS n"
    batches = warehouse.query(f"SELECT {columns} FROM {rows} ORDER BY 1").batches()
    reads.message_rows = 1_000

    next(batches)

    # What is on its way fills gRPC's buffers, and no more.
    time.sleep(0.5)
    assert reads.sent_rows < ROWS / 4
    del batches


def test_a_client_of_another_endpoint_has_nothing_read_past_it(
    service: BigQueryStandIn, reads: StorageReadStandIn
) -> None:
    with service.accessor() as warehouse, warnings.catch_warnings():
        warnings.simplefilter("error")

        assert numbers(warehouse) == list(range(1, ROWS + 1))

    assert not reads.requests


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        (None, "bigquerystorage.googleapis.com:443"),
        (
            "https://bigquery.europe-west3.rep.googleapis.com",
            "bigquerystorage.europe-west3.rep.googleapis.com:443",
        ),
        ("https://bigquery-team.p.googleapis.com", None),
        ("http://localhost:9050", None),
    ],
)
def test_the_api_is_looked_for_beside_bigquerys_own_endpoint(
    endpoint: str | None, host: str | None
) -> None:
    client = bigquery.Client(
        project="a-project",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": endpoint} if endpoint else None,
    )
    reader = StorageReader(client)

    made = reader._read_client()

    assert (made.transport.host if made else None) == host
    reader.close()
    client.close()
