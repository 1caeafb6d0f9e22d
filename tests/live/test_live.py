"""A real project, by request: what no stand-in can promise.

`nox -s live` runs these with GCP_ACCESSOR_LIVE_PROJECT and GCP_ACCESSOR_LIVE_BUCKET. They make a
dataset of their own, write under one folder of the bucket, and remove both.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import PreconditionFailed

from etl_jobs.job import Jobs
from etl_jobs.place import Place
from etl_jobs.run import parse_settings, run_plan
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, CostLimitExceeded
from tests.test_sql_cases import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        "GCP_ACCESSOR_LIVE_PROJECT" not in os.environ,
        reason="a real project, by request: set GCP_ACCESSOR_LIVE_PROJECT and _BUCKET",
    ),
]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def dataset() -> str:
    return f"gcp_accessor_live_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def warehouse(dataset: str) -> Iterator[BigQueryAccessor]:
    with BigQueryAccessor(os.environ["GCP_ACCESSOR_LIVE_PROJECT"], dataset=dataset) as accessor:
        accessor.create_dataset(dataset)
        try:
            yield accessor
        finally:
            accessor.bq_client.delete_dataset(dataset, delete_contents=True)


@pytest.fixture
def store() -> Iterator[CloudStorageAccessor]:
    with CloudStorageAccessor(os.environ["GCP_ACCESSOR_LIVE_PROJECT"]) as accessor:
        yield accessor


@pytest.fixture
def folder(store: CloudStorageAccessor, dataset: str) -> Iterator[str]:
    uri = f"gs://{os.environ['GCP_ACCESSOR_LIVE_BUCKET']}/{dataset}"
    try:
        yield uri
    finally:
        for stored in list(store.list(f"{uri}/")):
            store.delete(stored.uri)


def test_what_storage_writes_bigquery_loads(
    warehouse: BigQueryAccessor, store: CloudStorageAccessor, folder: str
) -> None:
    rows = [['a\r\n"b", c', 1], ["", None], [None, -1]]
    bucket, _, prefix = folder.removeprefix("gs://").partition("/")
    store.upload_csv_gzip(bucket, f"{prefix}/rows.csv.gz", rows, header=["s", "n"])

    warehouse.load(
        f"{folder}/rows.csv.gz", "t", schema={"s": "STRING", "n": "INT64"}, skip_leading_rows=1
    )

    found = warehouse.query("SELECT s, n FROM t ORDER BY n")
    assert found.rows() == [["", None], [None, -1], rows[0]]


def test_parameters_come_back_with_their_types(warehouse: BigQueryAccessor) -> None:
    values = {
        "day": date(2024, 3, 1),
        "moment": datetime(2024, 3, 1, 9, tzinfo=UTC),
        "names": ["a", "b"],
        "share": 0.25,
    }

    record = warehouse.query(
        "SELECT @day AS day, @moment AS moment, @names AS names, @share AS share", values
    ).first()

    assert record == values


def test_of_two_creators_one_wins(store: CloudStorageAccessor, folder: str) -> None:
    store.write(f"{folder}/a.txt", "first", if_exists="fail")

    with pytest.raises(PreconditionFailed):
        store.write(f"{folder}/a.txt", "second", if_exists="fail")

    assert store.read(f"{folder}/a.txt") == "first"


def test_a_query_over_its_limit_is_refused(warehouse: BigQueryAccessor) -> None:
    warehouse.load([{"n": n} for n in range(10_000)], "t")

    with pytest.raises(CostLimitExceeded):
        warehouse.query("SELECT SUM(n) FROM t", max_bytes_billed=1)


@pytest.mark.parametrize("name", sorted(Jobs().queries))
def test_bigquery_itself_accepts_every_query(
    name: str, warehouse: BigQueryAccessor, dataset: str
) -> None:
    query = Jobs().queries[name]
    sql = query.sql
    for table in query.reads:
        own = table.rpartition(".")[2]
        warehouse.create_table(own, columns_of(table))
        # Tables that others fill stand in a dataset of theirs; here they stand in ours.
        sql = sql.replace(f"FROM {table}", f"FROM {dataset}.{own}")
    settings = {p.name: p.default for p in query.parameters} | {"as_of": date(2024, 3, 1)}

    estimate = warehouse.estimate(sql, settings)

    found = [(column.name, column.type) for column in estimate.schema]
    assert found == [(column.name, column.type) for column in query.columns]


def test_jobs_replace_their_day_and_publish_it(
    warehouse: BigQueryAccessor, store: CloudStorageAccessor, folder: str, tmp_path: Path
) -> None:
    # The jobs' SQL, reading a raw table of this test's own dataset.
    dataset = warehouse.dataset
    source = Jobs().folder
    for path in [path for path in source.rglob("*.*") if path.is_file()]:
        target = tmp_path / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        text = path.read_text(encoding="utf-8").replace("raw.answers", f"{dataset}.raw_answers")
        target.write_text(text, encoding="utf-8")
    rows = [
        {
            "answer_id": f"a{n}",
            "student_id": f"s{n}",
            "item_id": "q1",
            "item_name": None,
            "subject": None,
            "exam": None,
            "correct": n % 2,
            "answered_at": datetime(2024, 3, 1, tzinfo=UTC),
        }
        for n in range(4)
    ]
    warehouse.load(rows, f"{dataset}.raw_answers", schema=columns_of("raw.answers"))
    jobs = Jobs(tmp_path)
    plan = jobs.plan("features/items")
    bucket = folder.removeprefix("gs://")
    place = Place(warehouse, store, bucket)

    for _ in range(2):
        outcomes = list(run_plan(plan, place, parse_settings(plan, {}, date(2024, 3, 1))))

    assert [outcome.state for outcome in outcomes] == ["nothing to do"] * 2
    assert len(outcomes[-1].files) == 2
    assert warehouse.query("SELECT COUNT(*) FROM answers_latest").scalar() == 4
