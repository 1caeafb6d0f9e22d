"""What all tasks and attempts of one execution agree on: the rows that they read.

Tables may change between the start of the first task and a retry of the last one. Under Cloud Run
the first process that looks at them writes down what it saw, and the others read that:
`<job>/executions/<execution>-<day>.json`, create-only. It counts only where BigQuery can still
read all of the tables as they were then.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from etl_jobs.run.inputs import Input, Snapshot, snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_jobs.job import Job
    from etl_jobs.place import Place
    from gcp_accessor.backends import StoredObject

# No execution of Cloud Run lives longer.
_LIFE = timedelta(days=30)


def snapshot_of(plan: Sequence[Job], place: Place) -> Snapshot:
    """Return the tables that a plan reads and does not make, as they stand.

    Raises:
        JobError: one of them is not there.
    """
    made = {job.output for job in plan}
    return snapshot(place.warehouse, {table for job in plan for table in job.reads} - made)


def snapshot_of_execution(
    plan: Sequence[Job], place: Place, settings: Mapping[str, object]
) -> Snapshot:
    """Return the tables that a plan reads and does not make, as this execution first saw them.

    Raises:
        JobError: one of them is not there.
    """
    from google.api_core.exceptions import PreconditionFailed

    seen = snapshot_of(plan, place)
    execution = os.environ.get("CLOUD_RUN_EXECUTION")
    if not execution or seen.read_at is None or not all(i.is_kept for i in seen.inputs.values()):
        return seen
    folder = f"gs://{place.bucket}/{plan[-1].name}/executions/"
    uri = f"{folder}{execution}-{settings['as_of']}.json"
    content = {
        "schema_version": 1,
        "read_at": seen.read_at.isoformat(),
        "inputs": {name: asdict(each) for name, each in seen.inputs.items()},
    }
    try:
        stored = place.store.write(uri, content, if_exists="fail")
    except PreconditionFailed:
        found = place.store.read(uri, as_="json")
        first = {name: Input(**each) for name, each in found["inputs"].items()}
        same_tables = first.keys() == seen.inputs.keys()
        return Snapshot(first, datetime.fromisoformat(found["read_at"])) if same_tables else seen
    _sweep(place, folder, stored)
    return seen


def _sweep(place: Place, folder: str, now: StoredObject) -> None:
    """Delete what executions wrote that ended long ago, by Cloud Storage's own clock."""
    from google.api_core.exceptions import NotFound

    for old in place.store.list(folder):
        if old.updated and now.updated and now.updated - old.updated > _LIFE:
            # Another task may sweep as well.
            with suppress(NotFound):
                place.store.delete(old.uri)
