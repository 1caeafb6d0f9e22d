"""One run of a job: plan -> query -> check -> commit -> replace -> publish.

A SQL job's rows are checked in a staging table. The files made of them are committed by a
manifest; then the rows replace their day in the output table, and only then the run is published
in Cloud Storage. Killed anywhere, the next attempt does the rest and leaves the same.
"""

from etl_jobs.run.inputs import table_version
from etl_jobs.run.plan import Outcome, run_plan
from etl_jobs.run.settings import parse_settings
from etl_jobs.tasks import ALONE, Tasks, tasks_of_environment

__all__ = [
    "ALONE",
    "Outcome",
    "Tasks",
    "parse_settings",
    "run_plan",
    "table_version",
    "tasks_of_environment",
]
