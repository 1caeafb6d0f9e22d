"""What nobody needs any more is deleted, and nothing else, whoever is at work meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gcp_accessor.arguments import check_count
from gcp_accessor.errors import CorruptRun
from gcp_accessor.publication.claims import decided_of, finish, tombstone_path
from gcp_accessor.publication.documents import SCHEMA_VERSION
from gcp_accessor.publication.pins import read_pins
from gcp_accessor.publication.place import StoredRun, list_runs
from gcp_accessor.publication.reading import Reading, is_gone

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_TASK = timedelta(days=5)
"""A Cloud Run task of 24 hours, four attempts of it, and a day of slack."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection kept and removed, or would.

    Attributes:
        kept: The runs that stay, the newest first.
        removed: The runs that are gone, committed or not.
        bytes: Of all objects that are gone, those that attempts left at runs that stay included.
        objects: How many those are.
    """

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    bytes: int
    objects: int


class Collecting(Reading):
    """How `Publication` is cleaned up."""

    def collect(
        self,
        keep: int = 3,
        older_than: timedelta = timedelta(days=7),
        *,
        dry_run: bool = True,
        longest_task: timedelta = LONGEST_TASK,
    ) -> Collection:
        """Delete runs that nobody needs, and what dead attempts left. By default, only say which.

        The published run, the one before it, the newest `keep` committed ones and every pinned
        one stay. So does whatever has an object younger than `older_than` by the clock of Cloud
        Storage, for somebody may be at work at it. A run that is started, pinned or rolled
        back to at the very moment is either spared, or is gone before whoever wants it begins.
        Killed at any moment, the next one, or the next attempt at the run, does the rest.

        Args:
            keep: How many committed runs stay, the newest by day and execution.
            older_than: How long nothing of a run was written, at least `longest_task`.
            dry_run: Write and delete nothing. The age is then by this machine's clock.
            longest_task: How long a task may be at work, all its attempts together. What is
                younger than that may be alive.

        Raises:
            ValueError: older_than is below longest_task, which could delete work in progress.
            CorruptRun: the pointer, a pin or a manifest cannot be read, so that it is not known
                what is needed.
        """
        check_count("keep", keep, at_least=1)
        if older_than < longest_task:
            raise ValueError(
                f"older_than is {older_than}, below the {longest_task} that a task may take, and "
                "would delete work in progress; raise it, or say with longest_task how long your "
                "tasks take at most"
            )
        now = datetime.now(UTC) if dry_run else self._server_time(keep, older_than)
        runs = sorted(list_runs(self.documents).values(), key=lambda run: run.rank, reverse=True)
        roots = self._roots() | _newest(runs, keep)
        kept, removed, count, size = [], [], 0, 0
        for run in runs:
            if run.run_id in roots or not _is_dead(run, now - older_than):
                kept.append(run)
            elif dry_run or self._remove(run, now - older_than):
                removed.append(run.run_id)
                count += len(run.objects)
                size += run.size
            else:
                kept.append(run)
        for run in kept:
            for path, generation, bytes_ in self._orphans(run, now - older_than):
                if dry_run or self.documents.delete(path, generation):
                    count += 1
                    size += bytes_
        return Collection(tuple(run.run_id for run in kept), tuple(removed), size, count)

    def _server_time(self, keep: int, older_than: timedelta) -> datetime:
        """Return the time by the clock that dates the objects, which an object written now has."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "keep": keep,
            "older_than_seconds": older_than.total_seconds(),
        }
        stored = self.store.write(self.documents.uri_of("collection.json"), content)
        if stored.updated is None:
            raise ValueError(f"{stored.uri} was written, but not dated; nothing was deleted")
        return stored.updated

    def _roots(self) -> set[str | None]:
        pointer = self._pointer()
        return {pointer.run_id, pointer.previous, *read_pins(self.documents).values()}

    def _remove(self, run: StoredRun, before: datetime) -> bool:
        """Delete a run unless somebody needs it; say whether it is gone. `claims` says how."""
        path = tombstone_path(run.run_id)
        self.documents.create(path, {"schema_version": SCHEMA_VERSION, "state": "intended"})
        tombstone = self.documents.find(path)
        if tombstone is None:
            # Vetoed at once.
            return False
        if decided_of(tombstone) is None:
            # What was listed before may have changed until the intention was there to be seen.
            listed = list_runs(self.documents, f"{run.run_id}/").get(run.run_id)
            if listed is None or run.run_id in self._roots() or not _is_dead(listed, before):
                self.documents.delete(path, tombstone.generation)
                return False
            content = {
                "schema_version": SCHEMA_VERSION,
                "state": "decided",
                "objects": _in_order(listed),
            }
            if self.documents.swap(path, content, tombstone.generation) is None:
                return False
            tombstone = self.documents.find(path)
        if tombstone is not None:
            finish(self.documents, run.run_id, tombstone)
        return True

    def _orphans(self, run: StoredRun, before: datetime) -> Iterable[tuple[str, int, int]]:
        """Yield the files of a committed run that its manifest does not list."""
        if run.find("manifest.json") is None:
            return
        try:
            listed = {file.object_name for file in self.manifest(run.run_id).files}
        except CorruptRun as error:
            if not is_gone(error):
                raise
            # Another collection took the whole run meanwhile.
            return
        for path, stored in run.objects:
            is_part = path.count("/") == 3 and path.split("/")[2].partition("-")[0].isdigit()
            is_old = stored.updated is not None and stored.updated < before
            if is_part and is_old and stored.name not in listed:
                yield path, stored.generation, stored.size


def _newest(runs: list[StoredRun], keep: int) -> set[str | None]:
    committed = [run.run_id for run in runs if run.find("manifest.json") is not None]
    return set(committed[:keep])


def _is_dead(run: StoredRun, before: datetime) -> bool:
    """Whether nothing of a run was written for long; so too if its end was decided before."""
    return run.touched_at < before


def _in_order(run: StoredRun) -> list[tuple[str, int]]:
    """Return what goes, the manifest first: from then on, nobody takes the run for whole."""
    end = tombstone_path(run.run_id)
    objects = [(path, stored.generation) for path, stored in run.objects if path != end]
    return sorted(objects, key=lambda each: not each[0].endswith("/manifest.json"))
