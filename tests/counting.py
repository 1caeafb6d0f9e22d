"""A small job over a table of answers, run on one of the warehouses and one of the stores."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from etl_jobs.job import Jobs
from etl_jobs.place import Place
from etl_jobs.run import parse_settings, run_plan
from etl_jobs.tasks import ALONE

if TYPE_CHECKING:
    from pathlib import Path

    from etl_jobs.job import Job
    from etl_jobs.run import Outcome
    from etl_jobs.tasks import Tasks
    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

DAY = date(2024, 3, 1)
COUNTS = """/*
Answers by student.

output: counts
partition: as_of
publish: [csv.gz]
grain: [as_of, student_id]
parameters:
  as_of: DATE, the day
columns:
  as_of: DATE NOT NULL, the day
  student_id: STRING NOT NULL, who answered
  answers: INT64 NOT NULL, how often
checks:
  few: answers < 1000
if_empty: allowed
*/
SELECT @as_of AS as_of, student_id, {count} AS answers
FROM raw_answers
WHERE day <= @as_of
GROUP BY student_id
"""
TOTALS = """/*
Students of the day.

output: totals
partition: as_of
publish: [csv.gz]
grain: [as_of, answers]
parameters:
  as_of: DATE, the day
columns:
  as_of: DATE NOT NULL, the day
  answers: INT64 NOT NULL, how often
  students: INT64 NOT NULL, of so many answers
*/
SELECT as_of, answers, COUNT(*) AS students
FROM counts
WHERE as_of = @as_of
GROUP BY as_of, answers
"""
SOURCES = """raw_answers:
  description: Answers.
  grain: [student_id]
  columns:
    student_id: STRING, who answered
    day: DATE, when
"""


class Counting:
    """The jobs `counts` and, after it, `totals`."""

    def __init__(
        self, warehouse: BigQueryAccessor, store: CloudStorageAccessor, folder: Path
    ) -> None:
        self.warehouse = warehouse
        self.store = store
        self.place = Place(warehouse, store, "lessons")
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "sources.yaml").write_text(SOURCES)
        (folder / "totals.sql").write_text(TOTALS)
        self.answer("a", "b", "b")

    def answer(self, *students: str) -> None:
        """Add answers of these students to the log."""
        rows = [{"student_id": student, "day": DAY} for student in students]
        self.warehouse.load(rows, "raw_answers", if_exists="append")

    def plan(self, job: str = "counts", *, count: str = "COUNT(*)") -> list[Job]:
        """Return the plan; another `count` is another version of the code."""
        path, text = self.folder / "counts.sql", COUNTS.format(count=count)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return Jobs(self.folder).plan(job)

    def run(
        self,
        job: str = "counts",
        *,
        count: str = "COUNT(*)",
        day: date = DAY,
        tasks: Tasks = ALONE,
        force: bool = False,
    ) -> Outcome:
        """Run the plan and return the last job's outcome."""
        plan = self.plan(job, count=count)
        settings = parse_settings(plan, {}, day)
        return list(run_plan(plan, self.place, settings, tasks=tasks, force=force))[-1]

    def rows(self, table: str = "counts") -> list[list[object]]:
        """Return the table's rows."""
        return self.warehouse.query(f"SELECT * FROM `{table}` ORDER BY 1, 2").rows()

    def published(self, job: str = "counts") -> str | None:
        """Return the run that readers see."""
        manifest = self.store.publication(f"gs://lessons/{job}").latest()
        return manifest and manifest.run_id
