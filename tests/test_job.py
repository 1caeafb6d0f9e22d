"""Which jobs there are and the order they run in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from etl_jobs.errors import ContractError, JobError
from etl_jobs.job import Jobs, sql_folder

if TYPE_CHECKING:
    from pathlib import Path


def write_job(folder: Path, name: str, output: str, reads: str) -> None:
    path = folder / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""/*
A job.

output: {output}
partition: as_of
grain: [as_of, id]
parameters:
  as_of: DATE, the day
columns:
  as_of: DATE, the day
  id: STRING, a row
*/
SELECT @as_of AS as_of, id FROM {reads}
"""
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the project's SQL, to add jobs to."""
    for path in sql_folder().rglob("*.*"):
        target = tmp_path / path.relative_to(sql_folder())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


def test_the_main_job_runs_after_all_it_reads() -> None:
    order = [job.name for job in Jobs().plan("calibrate")]

    assert sorted(order) == ["answers/latest", "answers/rejected", "calibrate", "features/items"]
    assert order.index("answers/latest") < order.index("features/items")
    assert order[-1] == "calibrate"


def test_a_job_without_upstream_runs_alone() -> None:
    assert [job.name for job in Jobs().plan("answers/latest")] == ["answers/latest"]


def test_an_unknown_job_is_answered_with_the_nearest() -> None:
    with pytest.raises(JobError, match="no job 'calibrat'; did you mean calibrate"):
        Jobs().plan("calibrat")


def test_a_table_that_nothing_makes_is_named_with_the_file_that_reads_it(folder: Path) -> None:
    write_job(folder, "extra/orphan", "orphans", "answers_latests")

    with pytest.raises(
        ContractError,
        match=r"sql/extra/orphan\.sql reads answers_latests, which no job makes.*"
        r"did you mean answers_latest\?",
    ):
        Jobs(folder).plan("extra/orphan")


def test_a_cycle_is_named_in_the_order_it_turns(folder: Path) -> None:
    write_job(folder, "ring/a", "table_a", "table_c")
    write_job(folder, "ring/b", "table_b", "table_a")
    write_job(folder, "ring/c", "table_c", "table_b")

    with pytest.raises(ContractError, match="wait for each other") as caught:
        Jobs(folder).plan("ring/a")

    names = re.findall(r"ring/[abc]", str(caught.value))
    assert names[0] == names[-1]
    assert set(names) == {"ring/a", "ring/b", "ring/c"}


def test_two_jobs_that_make_one_table_are_refused(folder: Path) -> None:
    write_job(folder, "extra/first", "same", "raw.answers")
    write_job(folder, "extra/second", "same", "raw.answers")

    with pytest.raises(ContractError, match="extra/first and extra/second both make the table"):
        Jobs(folder).plan("calibrate")


def test_a_folder_without_sql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no SQL file under"):
        Jobs(tmp_path).plan("calibrate")


def test_a_python_job_whose_query_is_gone_says_which(folder: Path) -> None:
    (folder / "calibrate" / "items.sql").unlink()

    with pytest.raises(ContractError, match=r"calibrate reads sql/calibrate/items\.sql"):
        Jobs(folder).plan("calibrate")
