"""One run on its way: started, written, committed, published."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from gcp_accessor.errors import CorruptRun
from gcp_accessor.publication import starts
from gcp_accessor.publication.manifest import (
    Manifest,
    PublishedFile,
    manifest_to_json,
    marker_from_json,
    marker_to_json,
)
from gcp_accessor.publication.names import check_file_name
from gcp_accessor.publication.place import list_runs, sha256
from gcp_accessor.publication.pointer import move_pointer, record_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from gcp_accessor.publication.reading import Reading
    from gcp_accessor.publication.starts import Started
    from gcp_accessor.tabular.formats import Format

Outcome = Literal["published", "already published", "held", "newer is published"]


class PublicationRun:
    """One run on its way: `start`, then `write` any number of files, `commit`, `publish`.

    Each step may be repeated, by anybody, after a kill at any moment. A run that was committed
    before needs only `publish`.

    Attributes:
        run_id: `<as_of>-<hash>`; the same for every attempt, task and execution.
        execution: Cloud Run's, whose attempts are one; elsewhere each object is one of its own.
        task: Which of `tasks` parallel tasks this one is, from 0.
    """

    def __init__(
        self, publication: Reading, run_id: str, as_of: date, task: int, tasks: int, execution: str
    ) -> None:
        self.publication = publication
        self.store = publication.store
        self.run_id = run_id
        self.as_of = as_of
        self.task = task
        self.tasks = tasks
        self.execution = execution
        self.attempt = int(os.environ.get("CLOUD_RUN_TASK_ATTEMPT", "0"))
        self._documents = publication.documents
        self._files: list[PublishedFile] = []
        self._started: Started | None = None

    def __repr__(self) -> str:
        return f"PublicationRun({self.uri!r})"

    @property
    def uri(self) -> str:
        """The run's folder."""
        return self._documents.uri_of(self._path(""))

    def start(self, facts: Mapping[str, Any]) -> Started:
        """Mark this execution at the run and record its facts, or read those that are there.

        The first attempt decides the facts, such as the moment as of which tables are read, so
        that every other one makes the same of them. Which of two runs of one day is published
        follows from the order of the executions, which Cloud Storage's clock decides here.

        Args:
            facts: JSON values. Those that an earlier attempt recorded count in their place.
        """
        if self._started is None:
            self._started = starts.start(self._documents, self.run_id, self.execution, facts)
        return self._started

    def fail(self, sentence: str) -> None:
        """Record that this execution cannot succeed, so that its other attempts need not try."""
        starts.fail(self._documents, self.run_id, self.execution, sentence)

    def failed(self) -> str | None:
        """Return what an attempt or task of this execution failed with for good, or None.

        Another execution's failure is not this one's: somebody may have put right what it was.
        """
        found = starts.failure(self._documents, self.run_id)
        return found[1] if found is not None and found[0] == self.execution else None

    def committed(self) -> Manifest | None:
        """Return the run's manifest if an earlier attempt committed it."""
        if self._documents.stat(self._path("manifest.json")) is None:
            return None
        return self.publication.manifest(self.run_id)

    def is_published(self, *, above: int = 0) -> bool:
        """Whether the pointer names this run.

        Args:
            above: Of another execution; whether the pointer would also stay, should that one come
                to publish its run of the day. It stays while it is held.
        """
        pointer = self.publication._pointer()
        stays = pointer.hold or pointer.order >= above
        return pointer.run_id == self.run_id and stays

    def is_past(self) -> bool:
        """Whether the pointer names a run of a later day, so that it would not move to this one."""
        return self.publication._pointer().rank[0] > self.as_of

    def order_of_others(self) -> int:
        """The order of the last execution that began another run of the day; 0 where none did.

        It may be at work, or be retried yet.
        """
        runs = list_runs(self._documents, f"{self.as_of}-").values()
        return max((run.order for run in runs if run.run_id != self.run_id), default=0)

    def is_done(self) -> bool:
        """Whether this task has written all its files, in this attempt or another."""
        return self._documents.stat(self._marker(self.task)) is not None

    def write(
        self,
        name: str,
        data: Callable[[], object],
        *,
        format: Format | Literal["infer"] = "infer",
        rows: int | None = None,
    ) -> PublishedFile:
        """Store one file of the run, create-only.

        Where an earlier attempt left a file of this name, that one is left alone and this one
        goes into the folder of the next attempt: the manifest says which one counts.

        Args:
            name: The file's name in the run, without a folder.
            data: Called once for each attempt; returns what `CloudStorageAccessor.write` takes.
            format: As for `CloudStorageAccessor.write`.
            rows: How many rows the file holds, for the manifest.
        """
        from google.api_core.exceptions import PreconditionFailed

        check_file_name(name)
        while True:
            uri = f"{self.uri}/{self.task}-{self.attempt}/{name}"
            try:
                stored = self.store.write(uri, data(), format=format, if_exists="fail")
                break
            except PreconditionFailed:
                self.attempt += 1
        file = PublishedFile(name, stored.name, stored.generation, stored.size, stored.crc32c, rows)
        self._files.append(file)
        return file

    def commit(self, facts: Mapping[str, Any]) -> Manifest | None:
        """Mark this task as done and, once all tasks are, write the manifest.

        Listing is strongly consistent, so the task that finishes last always sees every marker.
        A marker or manifest that is there already is accepted as it stands.

        Args:
            facts: What the job says of the run, as JSON values. Of several tasks, the facts of
                the one that commits count.

        Returns:
            The manifest, or None while other tasks are unfinished.

        Raises:
            CorruptRun: a file that a task listed is gone or changed.
            ValueError: the run is one of another number of tasks.
        """
        self._documents.create(self._marker(self.task), marker_to_json(self._files, self.tasks))
        markers = [self._marker(task) for task in range(self.tasks)]
        done = {
            self._documents.path_of(each) for each in self._documents.list(self._path("tasks/"))
        }
        if not done.issuperset(markers):
            return None
        files = [file for marker in markers for file in self._marked(marker)]
        for file in files:
            self.publication._check_stored(self.run_id, file)
        manifest = Manifest(
            self.run_id,
            self.as_of,
            datetime.now(UTC),
            tuple(files),
            facts,
            self.publication._pointer().run_id,
        )
        self._documents.create(self._path("manifest.json"), manifest_to_json(manifest))
        return self.publication.manifest(self.run_id)

    def publish(self) -> Outcome:
        """Move the pointer to this run, unless it is on hold or a newer run is published.

        Newer is the later day, and of one day the execution that began later. So a retry that
        comes late never replaces what a newer execution made, while somebody who runs old
        settings again, on purpose, publishes them again. Safe to call again, and from several
        processes at once.

        Returns:
            What became of it. A run that is not published stays committed.
        """
        rank = (self.as_of, self.start({}).order)
        _, text = self.publication._manifest(self.run_id, None)
        while True:
            pointer = self.publication._pointer()
            is_ours = pointer.run_id == self.run_id
            if is_ours and (pointer.hold or pointer.rank >= rank):
                # Whoever moved it may have been killed before noting that.
                record_pointer(self._documents)
                return "already published"
            if pointer.hold:
                return "held"
            if not is_ours and pointer.rank >= rank:
                return "newer is published"
            moved = move_pointer(
                self._documents,
                pointer,
                run_id=self.run_id,
                as_of=self.as_of,
                order=rank[1],
                manifest_sha256=sha256(text),
            )
            if moved is not None:
                return "already published" if is_ours else "published"

    def _path(self, name: str) -> str:
        return f"runs/{self.run_id}/{name}" if name else f"runs/{self.run_id}"

    def _marker(self, task: int) -> str:
        return self._path(f"tasks/{task}.json")

    def _marked(self, marker: str) -> list[PublishedFile]:
        text, uri = self._documents.content(marker), self._documents.uri_of(marker)
        if text is None:
            raise CorruptRun(f"{uri} was deleted while the run was committed; run it again")
        return marker_from_json(text, uri, self.tasks)
