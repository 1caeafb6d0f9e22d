"""The tables that jobs make, in a folder and through Google's own client."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import BadRequest, NotFound

from etl_jobs.errors import ContractError, JobError
from etl_jobs.job import Jobs
from etl_jobs.place import Place
from etl_jobs.run import parse_settings, run_plan, table_version
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_jobs.run import Outcome
    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

DAY = date(2024, 3, 1)
COLUMNS = {"as_of": "DATE", "student_id": "STRING", "answers": "INT64"}
COUNTS = """/*
Answers by student.

output: {output}
partition: as_of
grain: [as_of, student_id]
parameters:
  as_of: DATE, the day
columns:
  as_of: DATE NOT NULL, the day
  student_id: STRING NOT NULL, who answered
  answers: INT64 NOT NULL, how often
if_empty: allowed
*/
SELECT {as_of} AS as_of, student_id, COUNT(*) AS answers
FROM raw_answers
WHERE day <= @as_of
GROUP BY student_id
"""


class Bench:
    """One job over a table of two students, on one of the warehouses."""

    def __init__(
        self, warehouse: BigQueryAccessor, store: CloudStorageAccessor, folder: Path
    ) -> None:
        self.warehouse = warehouse
        self.place = Place(warehouse, store, "lessons")
        self.folder = folder
        (folder / "sources.yaml").write_text(
            "raw_answers:\n"
            "  description: Answers.\n"
            "  grain: [student_id]\n"
            "  columns:\n"
            "    student_id: STRING, who answered\n"
            "    day: DATE, when\n"
        )
        rows = [{"student_id": student, "day": DAY} for student in ("a", "b", "b")]
        warehouse.load(rows, "raw_answers")

    def run(
        self, *, name: str = "counts", output: str = "answer_counts", as_of: str = "@as_of"
    ) -> Outcome:
        path = self.folder / f"{name}.sql"
        path.write_text(COUNTS.format(output=output, as_of=as_of))
        try:
            plan = Jobs(self.folder).plan(name)
            [outcome] = run_plan(plan, self.place, parse_settings(plan, {}, DAY))
        finally:
            path.unlink()
        return outcome

    def rows(self, table: str = "answer_counts") -> list[list[object]]:
        return self.warehouse.query(f"SELECT * FROM `{table}` ORDER BY 1, 2").rows()


@pytest.fixture
def bench(exams: BigQueryAccessor, store: CloudStorageAccessor, tmp_path: Path) -> Bench:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return Bench(exams, store, folder)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        yield service


@pytest.fixture
def google(
    service: BigQueryStandIn, google_store: CloudStorageAccessor, tmp_path: Path
) -> Iterator[Bench]:
    """The bench on Google's client, whose service may be told what to do."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    with service.accessor(dataset="exams") as warehouse:
        warehouse.create_dataset("exams")
        yield Bench(warehouse, google_store, folder)


def test_a_job_replaces_its_day_and_no_other(bench: Bench) -> None:
    bench.run()
    other = [[date(2024, 2, 29), "c", 9]]
    bench.warehouse.load(other, "answer_counts", schema=COLUMNS, if_exists="append")
    bench.warehouse.load([{"student_id": "a", "day": DAY}], "raw_answers", if_exists="append")

    bench.run()

    assert bench.rows() == [*other, [DAY, "a", 2], [DAY, "b", 2]]


def test_a_day_without_rows_any_more_is_emptied(bench: Bench) -> None:
    bench.run()
    bench.warehouse.query("DELETE FROM raw_answers WHERE TRUE")

    bench.run()

    assert bench.rows() == []


def test_rows_of_another_day_than_the_run_break_the_contract(bench: Bench) -> None:
    with pytest.raises(ContractError, match="2 rows break as_of_is_the_day"):
        bench.run(as_of="DATE_SUB(@as_of, INTERVAL 1 DAY)")

    with pytest.raises(NotFound):
        bench.rows()


def test_a_table_whose_name_has_dashes_is_made_like_any_other(bench: Bench) -> None:
    bench.run(output="answer-counts")
    bench.warehouse.query("DELETE FROM raw_answers WHERE TRUE")
    bench.run(output="answer-counts")

    assert bench.rows("answer-counts") == []


def test_staging_tables_that_nobody_asked_for_in_a_week_are_swept(
    exams: BigQueryAccessor, local_store: CloudStorageAccessor, tmp_path: Path
) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    bench = Bench(exams, local_store, folder)
    for name, days in (("t__in_use", 7), ("t__left", 9), ("u__not_noted", 9)):
        exams.create_table(name, COLUMNS, partition_by="as_of")
        if name.startswith("t"):
            note = local_store.write(f"gs://lessons/counts/staging/{name}.json", {"table": name})
            path = tmp_path / "place" / "buckets" / note.bucket / note.name
            written = datetime.now(UTC) - timedelta(days=days)
            os.utime(path, (written.timestamp(), written.timestamp()))

    bench.run(output="t")

    assert exams.tables() == ["raw_answers", "t", "t__in_use", "u__not_noted"]
    notes = [stored.name for stored in local_store.list("gs://lessons/counts/staging/")]
    assert notes == ["counts/staging/t__in_use.json"]


def test_a_job_of_any_name_is_a_label_that_google_takes(
    google: Bench, service: BigQueryStandIn
) -> None:
    google.run(name="Counts v1.5 " + "of all the answers" * 4)

    labels = [job.configuration.get("labels", {}).get("job") for job in service.jobs.values()]
    assert [label for label in labels if label] == [
        "counts-v1-5-of-all-the-answersof-all-the-answersof-all-the-answ"
    ]


def test_an_output_table_that_is_not_split_alike_is_refused(google: Bench) -> None:
    google.warehouse.create_table("answer_counts", COLUMNS)

    with pytest.raises(BadRequest, match="Incompatible table partitioning"):
        google.run()


def test_an_output_table_that_somebody_clustered_stays_clustered(bench: Bench) -> None:
    bench.warehouse.create_table(
        "answer_counts", COLUMNS, partition_by="as_of", cluster_by=["student_id"]
    )

    bench.run()

    assert bench.rows() == [[DAY, "a", 1], [DAY, "b", 2]]
    assert bench.warehouse.table("answer_counts").cluster_by == ("student_id",)


@pytest.mark.parametrize("made_before", [False, True])
def test_a_day_that_bigquery_deletes_at_once_is_refused(
    made_before: bool, google: Bench, service: BigQueryStandIn
) -> None:
    if made_before:
        google.run()
    service.partition_days = 60

    with pytest.raises(JobError, match=r"deletes the rows of 2024-03-01 at once.* for 60 days"):
        google.run(as_of="@as_of ")

    # How "never" is written where a dataset's default is another.
    service.partition_days = 9_223_372_036_828_800_000 // 86_400_000
    assert google.run(as_of="@as_of ").state == "published"


# --- What changes when rows may have changed ----------------------------------------------


def test_a_materialized_view_has_the_version_of_what_is_under_it(
    google: Bench, service: BigQueryStandIn
) -> None:
    query = "SELECT student_id FROM exams.raw_answers"
    google.warehouse.create_table("m", {"student_id": "STRING"})
    service.resources["exams.m"] = {
        "type": "MATERIALIZED_VIEW",
        "materializedView": {"query": query},
    }

    before = table_version(google.warehouse, "m")
    assert table_version(google.warehouse, "m") == before
    google.warehouse.load([{"student_id": "c", "day": DAY}], "raw_answers", if_exists="append")

    assert table_version(google.warehouse, "m") != before


@pytest.mark.parametrize(
    "resource",
    [
        {"type": "EXTERNAL", "externalDataConfiguration": {"sourceFormat": "GOOGLE_SHEETS"}},
        {"type": "VIEW", "view": {"query": "SELECT * FROM `a-project.logs.events_*`"}},
        {"type": "VIEW", "view": {"query": "SELECT * FROM secret.answers"}},
    ],
    ids=["external", "wildcard", "authorised"],
)
def test_rows_whose_changes_nothing_tells_are_always_new(
    resource: dict[str, object], google: Bench, service: BigQueryStandIn
) -> None:
    service.fail("accessDenied", on="datasets/secret", times=2)
    service.resources["exams.raw_answers"] = resource

    first = table_version(google.warehouse, "raw_answers")
    second = table_version(google.warehouse, "raw_answers")

    assert first != second
