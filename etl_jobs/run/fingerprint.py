"""What decides a run's bytes, and so its name: the SQL, the settings, the inputs, the code."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

from etl_jobs.run.settings import used_by

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from etl_jobs.job import Job
    from etl_jobs.place import Place
    from etl_jobs.tasks import Tasks
    from gcp_accessor import PublicationRun

_PACKAGE = Path(__file__).parent.parent


def run_of(
    job: Job,
    place: Place,
    settings: Mapping[str, object],
    inputs: Mapping[str, str],
    tasks: Tasks,
    *,
    force: bool,
) -> PublicationRun:
    """Return the run that these inputs, settings and this code decide; nothing is written.

    Args:
        inputs: The version of each table that the job reads.
        tasks: Those that share the run.
        force: Make it anew, whatever stands of it.
    """
    fingerprint: dict[str, object] = {
        "job": job.name,
        "version": version("gcp-accessor"),
        "code": _code_digest() if job.module else None,
        "sql": [query.sql for query in (*job.queries, *job.steps)],
        "settings": used_by(job, settings),
        "inputs": inputs,
    }
    if tasks.count > 1:
        # Of other tasks' parts it would not be known which rows they hold.
        fingerprint["tasks"] = tasks.count
    publication = place.store.publication(f"gs://{place.bucket}/{job.name}")
    return publication.run(
        cast("date", settings["as_of"]),
        json.dumps(fingerprint, sort_keys=True),
        task=tasks.index,
        tasks=tasks.count,
        force=force,
    )


def sha256(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _code_digest() -> str:
    """Return a digest of this package's own sources, which decide what a Python job makes."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.suffix in {".py", ".j2", ".css", ".js"}:
            digest.update(path.relative_to(_PACKAGE).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
