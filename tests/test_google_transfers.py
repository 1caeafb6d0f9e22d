"""Loads, upserts and exports through Google's own client: what travels, and what goes wrong."""

from __future__ import annotations

import gzip
import time
from datetime import date
from typing import TYPE_CHECKING, BinaryIO

import pytest
from google.api_core import exceptions

from gcp_accessor.backends import Changes
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.errors import LoadFailed
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor
    from gcp_accessor.backends import LoadSettings, RunningQuery, Statement


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        service.engine.create_dataset("exams")
        yield service


@pytest.fixture
def exams(service: BigQueryStandIn) -> BigQueryAccessor:
    return service.accessor(dataset="exams")


def test_staged_rows_delete_themselves_within_a_day(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.upsert([{"n": 1}], "t", ["n"])

    (staged,) = [name for name in service.expirations if name.startswith("upsert_")]
    hours = (int(service.expirations[staged] or 0) / 1000 - time.time()) / 3600
    assert 23.9 < hours <= 24
    assert service.expirations["t"] is None
    assert exams.tables() == ["t"]


def test_a_merge_carries_its_limit_its_labels_and_the_days_of_its_rows(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    schema = {"day": "DATE", "n": "INT64"}
    exams.create_table("t", schema, partition_by="day")

    exams.upsert(
        [["2024-03-01", 1], ["2024-03-05", 2]],
        "t",
        ["day"],
        schema=schema,
        max_bytes_billed=20_000_000,
        labels={"job": "nightly"},
    )

    queries = [job.configuration for job in service.jobs.values() if job.kind == "query"]
    (merge,) = [query for query in queries if query["query"]["query"].startswith("MERGE")]
    values = [p["parameterValue"]["value"] for p in merge["query"]["queryParameters"]]
    assert values == ["2024-03-01", "2024-03-05"]
    assert merge["query"]["maximumBytesBilled"] == "20000000"
    assert {tuple(job.configuration["labels"].items()) for job in service.jobs.values()} == {
        (("job", "nightly"),)
    }


def test_staged_rows_that_cannot_be_removed_do_not_fail_what_is_done(
    service: BigQueryStandIn, exams: BigQueryAccessor, caplog: pytest.LogCaptureFixture
) -> None:
    service.fail("accessDenied", on="DELETE .*/upsert_")

    assert exams.upsert([{"n": 1}], "t", ["n"]) == Changes(inserted=1)

    assert "stay for a day" in caplog.text


def test_an_upsert_that_is_refused_leaves_no_staged_rows(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.create_table("t", {"n": "INT64"})
    service.fail("accessDenied", on="POST .*/v2/projects/[^/]*/jobs$", times=1)

    with pytest.raises(exceptions.Forbidden):
        exams.upsert([{"n": 1}], "t", ["n"])

    assert exams.tables() == ["t"]
    assert exams.query("SELECT * FROM t").rows() == []


def test_a_dataset_is_made_where_it_is_to_be(
    service: BigQueryStandIn, exams: BigQueryAccessor
) -> None:
    exams.create_dataset("raw", location="europe-west6")

    assert service.datasets["raw"]["location"] == "europe-west6"


def test_a_table_that_is_read_by_its_days_says_so(
    service: BigQueryStandIn, exams: BigQueryAccessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    exams.create_table("t", {"day": "DATE", "n": "INT64"}, partition_by="day")
    submit = service.engine.submit

    def demanding(statement: Statement) -> RunningQuery:
        if statement.sql.startswith("MERGE"):
            raise exceptions.BadRequest(
                "Cannot query over table 'exams.t' without a filter over column(s) 'day' that can "
                "be used for partition elimination"
            )
        return submit(statement)

    monkeypatch.setattr(service.engine, "submit", demanding)

    with pytest.raises(exceptions.BadRequest) as caught:
        exams.upsert([{"day": date(2024, 3, 1), "n": 1}], "t", ["n"])

    assert any("add the column that splits it, 'day'" in note for note in caught.value.__notes__)


class _Strict(DuckDBWarehouse):
    """An engine that finds fault with every file, in BigQuery's words."""

    def load_file(self, file: BinaryIO, settings: LoadSettings) -> int:
        raise LoadFailed(
            "Error while reading data, error message: JSON table encountered too many errors, "
            "giving up. Rows: 2; errors: 1. Please look into the errors[] collection",
            (
                "Error while reading data, error message: JSON parsing error in row starting at "
                "position 9: Could not convert value to integer. Field: n; Value: two",
            ),
        )


@pytest.mark.parametrize("packed", [False, True])
def test_a_position_in_a_file_is_told_as_a_line(tmp_path: Path, packed: bool) -> None:
    text = b'{"n": 1}\n{"n": "two"}\n'
    path = tmp_path / "a.ndjson"
    path.write_bytes(gzip.compress(text) if packed else text)

    with (
        BigQueryStandIn(_Strict(tmp_path / "place")) as service,
        pytest.raises(LoadFailed) as caught,
    ):
        service.accessor(dataset="exams").load(path, "t", schema={"n": "INT64"})

    (error,) = caught.value.errors
    assert error.startswith("line 2: Error while reading data")
    assert "too many errors" in caught.value.message
