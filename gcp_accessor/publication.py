"""How a run becomes the truth: immutable parts, a manifest that commits, a pointer that publishes.

    <uri>/runs/<run_id>/<task>-<attempt>/<file>   create-only
    <uri>/runs/<run_id>/tasks/<task>.json         create-only: the files of one task
    <uri>/runs/<run_id>/manifest.json             create-only: COMMIT
    <uri>/latest.json                             compare-and-swap: PUBLISH

Every write but the pointer's is create-only, so a second writer never changes what a first one
left; "already there" means compare, not fail. A reader starts at the pointer and reads exactly
what the manifest lists. It never lists a prefix.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from gcp_accessor.errors import CorruptRun
from gcp_accessor.manifest import (
    SCHEMA_VERSION,
    Manifest,
    PublishedFile,
    damage_of,
    manifest_from_json,
    manifest_to_json,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gcp_accessor.storage import CloudStorageAccessor
    from gcp_accessor.tabular import As
    from gcp_accessor.tabular.formats import Format

Outcome = Literal["published", "already published", "held", "newer is published"]

_RUN_ID = re.compile(r"\d{4}-\d{2}-\d{2}-[0-9a-f]{12}(-\d+)?", re.ASCII)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Pointer:
    """latest.json and the generation it was read at; 0 while nothing was ever published."""

    generation: int = 0
    run_id: str | None = None
    as_of: date | None = None
    manifest_sha256: str | None = None
    hold: bool = False


class Publication:
    """A place in Cloud Storage where one complete, checked run is the published one.

    Example:
        >>> publication = store.publication("gs://models/irt")
        >>> publication.latest() is None
        True
    """

    def __init__(self, store: CloudStorageAccessor, uri: str) -> None:
        self.store = store
        self.uri = uri.rstrip("/")

    def run(
        self, as_of: date, fingerprint: str, *, task: int = 0, tasks: int = 1
    ) -> PublicationRun:
        """Return the run of a day whose inputs and settings have this fingerprint.

        Nothing is written yet. Equal days and fingerprints name the same run, so a repeated
        run finds what a former attempt left.

        Args:
            as_of: The UTC day the run describes.
            fingerprint: A text or digest that changes whenever the bytes might.
            task: Which of `tasks` parallel tasks this one is, from 0.
        """
        if not 0 <= task < tasks:
            raise ValueError(f"task {task} of {tasks}: expected 0 to {tasks - 1}")
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
        return PublicationRun(self, f"{as_of.isoformat()}-{digest}", as_of, task, tasks)

    def latest(self) -> Manifest | None:
        """Return the manifest of the published run, or None before the first one.

        Raises:
            CorruptRun: the manifest is gone or is not the one that was published.
        """
        pointer = self._pointer()
        if pointer.run_id is None:
            return None
        return self._manifest(pointer.run_id, pointer.manifest_sha256)

    def manifest(self, run_id: str) -> Manifest:
        """Return the manifest of a committed run, published or not.

        Raises:
            CorruptRun: there is no such run, or its manifest is broken.
        """
        if not _RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id!r} is not a run; expected YYYY-MM-DD-<12 hex digits>")
        return self._manifest(run_id, None)

    def read(
        self, name: str, *, run_id: str | None = None, as_: As | Literal["infer"] = "infer"
    ) -> Any:
        """Return the content of one file of the published run, or of `run_id`.

        The object's size and checksum are compared with the manifest.

        Raises:
            CorruptRun: nothing is published, or the file is gone or changed.
            KeyError: the run has no such file.
        """
        manifest = self.manifest(run_id) if run_id else self.latest()
        if manifest is None:
            raise CorruptRun(f"nothing is published at {self.uri}; run the job first")
        file = manifest.file(name)
        uri = self._uri_of(file)
        self._verify(manifest.run_id, file)
        return self.store.read(uri, as_=as_, generation=file.generation)

    def files(self, manifest: Manifest) -> list[str]:
        """Return the full addresses of a run's files, in the order they were written."""
        return [self._uri_of(file) for file in manifest.files]

    def _uri_of(self, file: PublishedFile) -> str:
        bucket = self.uri.removeprefix("gs://").partition("/")[0]
        return f"gs://{bucket}/{file.object_name}"

    def _verify(self, run_id: str, file: PublishedFile) -> None:
        """Compare an object with what the manifest says of it."""
        from google.api_core.exceptions import NotFound

        uri = self._uri_of(file)
        try:
            stored = self.store.stat(uri, generation=file.generation)
        except NotFound as error:
            raise CorruptRun(
                f"run {run_id} lists {uri} at generation {file.generation}, which is gone; "
                "restore the object, or publish another run"
            ) from error
        if (stored.size, stored.crc32c) != (file.size, file.crc32c):
            raise CorruptRun(
                f"{uri} is not what run {run_id} wrote: expected {file.size} bytes with crc32c "
                f"{file.crc32c}, found {stored.size} with {stored.crc32c}"
            )

    def _pointer(self) -> _Pointer:
        from google.api_core.exceptions import NotFound

        uri = f"{self.uri}/latest.json"
        try:
            generation = self.store.stat(uri).generation
            text = self.store.read(uri, as_="bytes", generation=generation)
        except NotFound:
            # Replaced between the two requests, or never there: the second look decides.
            if not self.store.exists(uri):
                return _Pointer()
            return self._pointer()
        content = parse(text, uri)
        with damage_of(uri):
            return _Pointer(
                generation,
                content["run_id"],
                date.fromisoformat(content["as_of"]),
                content["manifest_sha256"],
                content["hold"],
            )

    def _manifest(self, run_id: str, sha256: str | None) -> Manifest:
        from google.api_core.exceptions import NotFound

        uri = f"{self.uri}/runs/{run_id}/manifest.json"
        try:
            text = self.store.read(uri, as_="bytes")
        except NotFound as error:
            raise CorruptRun(f"{self.uri} holds no committed run {run_id}") from error
        if sha256 not in (None, hashlib.sha256(text).hexdigest()):
            raise CorruptRun(f"{uri} is not the manifest that was published")
        return manifest_from_json(text, uri)


class PublicationRun:
    """One run on its way: written, then committed, then published.

    `write` any number of files, then `commit`, then `publish`. A run that was committed before
    needs only `publish`.
    """

    def __init__(
        self, publication: Publication, run_id: str, as_of: date, task: int, tasks: int
    ) -> None:
        self.publication = publication
        self.store = publication.store
        self.run_id = run_id
        self.as_of = as_of
        self.task = task
        self.tasks = tasks
        self.attempt = int(os.environ.get("CLOUD_RUN_TASK_ATTEMPT", "0"))
        self._files: list[PublishedFile] = []

    @property
    def uri(self) -> str:
        """The run's folder."""
        return f"{self.publication.uri}/runs/{self.run_id}"

    def committed(self) -> Manifest | None:
        """Return the run's manifest if an earlier attempt committed it."""
        if not self.store.exists(f"{self.uri}/manifest.json"):
            return None
        return self.publication.manifest(self.run_id)

    def is_published(self) -> bool:
        """Whether the pointer names this run."""
        return self.publication._pointer().run_id == self.run_id

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

        if not _FILE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a file name; expected letters, digits, '.', _ or -")
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

        Args:
            facts: What the job says of the run, as JSON values. Of several tasks, the facts of
                the one that commits count.

        Returns:
            The manifest, or None while other tasks are unfinished.

        Raises:
            CorruptRun: a file that a task listed is gone or changed.
        """
        marker = [asdict(file) for file in self._files]
        self._create(f"{self.uri}/tasks/{self.task}.json", {"files": marker})
        uris = [f"{self.uri}/tasks/{task}.json" for task in range(self.tasks)]
        done = {stored.uri for stored in self.store.list(f"{self.uri}/tasks/")}
        if not done.issuperset(uris):
            return None
        files: list[PublishedFile] = []
        for uri in uris:
            with damage_of(uri):
                listed = self.store.read(uri, as_="json")["files"]
                files += [PublishedFile(**file) for file in listed]
        for file in files:
            self.publication._verify(self.run_id, file)
        manifest = Manifest(
            self.run_id,
            self.as_of,
            datetime.now(UTC),
            tuple(files),
            facts,
            self.publication._pointer().run_id,
        )
        self._create(f"{self.uri}/manifest.json", manifest_to_json(manifest))
        return self.publication.manifest(self.run_id)

    def publish(self) -> Outcome:
        """Move the pointer to this run, unless it is on hold or names a later day.

        Of two runs of one day the one that publishes last is the published one. Safe to call
        again, and from several processes at once.
        """
        from google.api_core.exceptions import PreconditionFailed

        uri = f"{self.uri}/manifest.json"
        sha256 = hashlib.sha256(self.store.read(uri, as_="bytes")).hexdigest()
        content = {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(),
            "manifest_sha256": sha256,
            "hold": False,
        }
        while True:
            pointer = self.publication._pointer()
            if pointer.run_id == self.run_id:
                return "already published"
            if pointer.hold:
                return "held"
            if pointer.as_of is not None and pointer.as_of > self.as_of:
                return "newer is published"
            try:
                self.store.write(
                    f"{self.publication.uri}/latest.json",
                    content | {"previous": pointer.run_id},
                    if_generation=pointer.generation,
                )
                return "published"
            except PreconditionFailed:
                continue

    def _create(self, uri: str, content: Mapping[str, Any]) -> None:
        """Write JSON that is accepted as it stands if an earlier attempt wrote it."""
        from google.api_core.exceptions import PreconditionFailed

        with suppress(PreconditionFailed):
            self.store.write(uri, content, if_exists="fail")
