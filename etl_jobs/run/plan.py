"""The jobs of a plan, one after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

from etl_jobs.cloud_log import about
from etl_jobs.errors import JobError, TryAgain
from etl_jobs.failure import explain, is_transient
from etl_jobs.run.attempt import NOTHING_TO_DO, Attempt, day_of, is_done
from etl_jobs.run.days import version_before
from etl_jobs.run.executions import snapshot_of_execution
from etl_jobs.run.fingerprint import run_of
from etl_jobs.run.inputs import moment_of
from etl_jobs.run.questions import Questions
from etl_jobs.run.settings import used_by
from etl_jobs.stopping import heed
from etl_jobs.tasks import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from etl_jobs.job import Job
    from etl_jobs.place import Place
    from etl_jobs.run.days import Day
    from etl_jobs.run.inputs import Snapshot
    from etl_jobs.tasks import Tasks
    from gcp_accessor import Manifest, PublicationRun
    from gcp_accessor.backends import QueryStats

# How long a task waits for the first one to make what it reads, and how often it looks.
_PATIENCE_SECONDS = 3600.0
_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job of a plan ended, as far as this task went.

    Attributes:
        run_id: None where the job is left to another task.
        state: A publication's outcome; "nothing to do" where an earlier run with the same inputs
            and settings stands; or what is left to other tasks.
        manifest: None where other tasks commit the run.
        files: The full addresses of what was published.
        seconds: Wall-clock time.
        queries: What each query cost, by its name; none where there was nothing to do.
        rows_in: The rows of the tables that the job reads and no job makes; None where one of
            them does not say.
    """

    job: str
    run_id: str | None
    state: str
    manifest: Manifest | None
    files: tuple[str, ...]
    seconds: float
    queries: Mapping[str, QueryStats]
    rows_in: int | None


def run_plan(
    plan: Sequence[Job],
    place: Place,
    settings: Mapping[str, object],
    *,
    max_bytes: int | None = None,
    tasks: Tasks = ALONE,
    force: bool = False,
) -> Iterator[Outcome]:
    """Run each job of a plan in turn, giving each one's outcome as it ends.

    Of several tasks, each writes a part of the last job's rows, if that is a SQL job that
    publishes them. All else is the first task's: the others wait for what they read, or leave at
    once where there is nothing to share.

    Args:
        plan: Jobs, each after those it needs.
        settings: Parameter values by name, `as_of` among them.
        max_bytes: A byte budget for each query in place of its contract's.
        tasks: Those that share the last job, and which of them this process is.
        force: Make the last job's run anew, even where nothing changed.

    Raises:
        JobError: the first job that fails; those before it stay published.
        google.api_core.exceptions.GoogleAPICallError: what Google refuses, as it says it.
    """
    # Before anything is done: what was typed may mean nothing.
    for job in plan:
        if job.module:
            settings = import_module(job.module).settle(settings, place)
    plan = [job.as_asked(settings) for job in plan]
    if not tasks.is_first and not is_shared(plan[-1]):
        left = f"left to the first of {tasks.count} tasks"
        for job in plan:
            yield Outcome(job.name, None, left, None, (), 0.0, {}, None)
        return
    # Looked up once: jobs that read one table describe the same rows of it.
    seen = snapshot_of_execution(plan, place, settings)
    walk = Walk(place, settings, seen, max_bytes)
    for job in plan[:-1]:
        yield walk.make(job) if tasks.is_first else walk.wait_for(job)
    yield walk.make(plan[-1], tasks if is_shared(plan[-1]) else ALONE, force=force)


def is_shared(job: Job) -> bool:
    """Return whether several tasks can each write a part of the job's rows."""
    return job.module is None and job.table is not None and bool(job.table.publish)


class Walk:
    """The way through a plan: what was made so far is what later jobs read."""

    def __init__(
        self,
        place: Place,
        settings: Mapping[str, object],
        snapshot: Snapshot,
        max_bytes: int | None,
    ) -> None:
        self._place = place
        self._settings = settings
        self._snapshot = snapshot
        self._max_bytes = max_bytes
        self._versions = {name: each.version for name, each in snapshot.inputs.items()}
        self._days: dict[str, tuple[Day, str]] = {}
        self._publications: dict[str, str] = {}

    def run_of(self, job: Job, tasks: Tasks = ALONE, *, force: bool = False) -> PublicationRun:
        """Return the run that the job is to make; nothing is written."""
        return run_of(job, self._place, self._settings, self._versions_for(job), tasks, force=force)

    def _versions_for(self, job: Job) -> dict[str, str]:
        """Return the version of each table that the job reads, of all the days it reads."""
        versions = {table: self._versions[table] for table in job.reads}
        for table in job.earlier_days:
            # A table that no job of the plan makes has one version for all of its rows.
            if table in self._publications:
                day = cast("date", self._settings["as_of"])
                before = version_before(self._place.store, self._publications[table], day)
                versions[table] += f" after {before}"
        return versions

    def note(self, job: Job, run: PublicationRun) -> None:
        """Have later jobs read what the run makes."""
        if job.output:
            self._versions[job.output] = run.run_id
            self._days[job.output] = (day_of(run), run.run_id)
            self._publications[job.output] = run.publication.uri

    def make(self, job: Job, tasks: Tasks = ALONE, *, force: bool = False) -> Outcome:
        """Make the job's run, or this task's part of it.

        Raises:
            JobError: it failed, in this attempt or in an earlier one of this execution.
        """
        heed()
        began = time.monotonic()
        run = self.run_of(job, tasks, force=force)
        manifest = run.committed()
        if manifest is not None and is_done(manifest, job, self._place, run):
            self.note(job, run)
            return self._outcome(job, run, NOTHING_TO_DO, manifest, began, {})
        with about(run=run.run_id):
            questions, manifest, state = self._attempt(job, run, manifest, tasks)
        if manifest is not None:
            self.note(job, run)
        stats = {name: result.stats for name, result in questions.asked.items()}
        return self._outcome(job, run, state, manifest, began, stats)

    def wait_for(self, job: Job) -> Outcome:
        """Wait until the first task has made the job's run.

        Raises:
            JobError: it failed there.
            TryAgain: it took too long.
        """
        began = time.monotonic()
        run = self.run_of(job)
        while True:
            heed()
            manifest = run.committed()
            if manifest is not None and (job.table is None or day_of(run).is_of(run.run_id)):
                self.note(job, run)
                return self._outcome(job, run, "made by the first task", manifest, began, {})
            failed = run.failed()
            if failed is not None:
                raise JobError(failed)
            if time.monotonic() - began > _PATIENCE_SECONDS:
                raise TryAgain(
                    f"the first task has not made {run.run_id} of {job.name} within "
                    f"{_PATIENCE_SECONDS / 60:.0f} minutes; run again once it has"
                )
            time.sleep(_LOOK_SECONDS)

    def _attempt(
        self, job: Job, run: PublicationRun, manifest: Manifest | None, tasks: Tasks
    ) -> tuple[Questions, Manifest | None, str]:
        failed = run.failed()
        if failed is not None:
            raise JobError(failed)
        versions = self._versions_for(job)
        read_at = self._snapshot.read_at
        started = run.start(
            {
                "version": version("gcp-accessor"),
                "settings": used_by(job, self._settings),
                "inputs": versions,
                "read_at": read_at and read_at.isoformat(),
            }
        )
        # Whoever looked before the mark may have seen a run that was just being collected.
        manifest = manifest and run.committed()
        read_at = moment_of(started.facts, read_at)
        moment = f"/{read_at.timestamp()}" if read_at else ""
        questions = Questions(
            job.name,
            self._place.warehouse,
            self._settings,
            read_at,
            self._snapshot.pins(job.reads),
            f"{job.name}/{run.run_id}/{started.order}{moment}",
            self._max_bytes,
        )
        attempt = Attempt(
            job=job,
            place=self._place,
            run=run,
            order=started.order,
            settings=self._settings,
            versions=versions,
            snapshot=self._snapshot,
            upstream=tuple(self._days[table] for table in job.reads if table in self._days),
            questions=questions,
            tasks=tasks,
        )
        try:
            if job.module:
                return (questions, *attempt.python_job(job.module, manifest))
            return (questions, *attempt.sql_job(job.queries[0], manifest))
        except Exception as error:
            _record(run, error)
            raise

    def _outcome(
        self,
        job: Job,
        run: PublicationRun,
        state: str,
        manifest: Manifest | None,
        began: float,
        queries: Mapping[str, QueryStats],
    ) -> Outcome:
        files = () if manifest is None else tuple(run.publication.files(manifest))
        rows = [
            self._snapshot.inputs[table].rows
            for table in job.reads
            if table in self._snapshot.inputs
        ]
        known = [number for number in rows if number is not None]
        rows_in = sum(known) if len(known) == len(rows) else None
        seconds = time.monotonic() - began
        return Outcome(job.name, run.run_id, state, manifest, files, seconds, queries, rows_in)


def _record(run: PublicationRun, error: Exception) -> None:
    """Tell the execution's other attempts of a failure that would be theirs too."""
    from gcp_accessor.explanation import expected_errors

    heed()
    sentence = explain(error)
    if sentence is None or is_transient(error):
        return
    try:
        run.fail(sentence)
    except expected_errors() as failure:
        error.add_note(f"That could not be recorded for a later attempt: {failure}")
