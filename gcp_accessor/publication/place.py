"""A place in Cloud Storage that holds runs, and what is in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from gcp_accessor.publication.documents import Documents
from gcp_accessor.publication.names import is_run_id
from gcp_accessor.publication.pointer import read_pointer

if TYPE_CHECKING:
    from gcp_accessor.backends import StoredObject
    from gcp_accessor.publication.pointer import Pointer
    from gcp_accessor.storage import CloudStorageAccessor

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class PlaceOfRuns:
    """What every part of a publication starts from. Making one does no I/O."""

    def __init__(self, store: CloudStorageAccessor, uri: str) -> None:
        self.store = store
        self.documents = Documents(store, uri)
        self.uri = self.documents.uri

    def __repr__(self) -> str:
        return f"Publication({self.uri!r})"

    def _pointer(self) -> Pointer:
        return read_pointer(self.documents)


@dataclass(slots=True)
class StoredRun:
    """The objects of one run as they were listed, whatever became of it."""

    run_id: str
    objects: list[tuple[str, StoredObject]] = field(default_factory=list)

    @property
    def as_of(self) -> date:
        """The day that it describes."""
        return date.fromisoformat(self.run_id[:10])

    @property
    def rank(self) -> tuple[date, int, int]:
        """Its place among the runs that were to be published: the day, the execution, the commit.

        The commit decides between runs of versions that marked no executions.
        """
        manifest = self.find("manifest.json")
        return (self.as_of, self.order, manifest.generation if manifest else 0)

    @property
    def order(self) -> int:
        """That of the last execution that worked at it; 0 if an old version did."""
        starts = f"runs/{self.run_id}/starts/"
        return max((o.generation for path, o in self.objects if path.startswith(starts)), default=0)

    @property
    def size(self) -> int:
        """All its bytes, also those that no manifest lists."""
        return sum(stored.size for _, stored in self.objects)

    @property
    def touched_at(self) -> datetime:
        """When an object of it was last written, by the clock of Cloud Storage.

        What a collection wrote does not count.
        """
        times = (o.updated for path, o in self.objects if not path.endswith("/collected.json"))
        return max((time for time in times if time), default=_LONG_AGO)

    def find(self, name: str) -> StoredObject | None:
        """Return one object of the run's folder, if it is there."""
        wanted = f"runs/{self.run_id}/{name}"
        return next((stored for path, stored in self.objects if path == wanted), None)


def list_runs(documents: Documents, prefix: str = "") -> dict[str, StoredRun]:
    """Return the runs that are there, by their names in order; what is no run is left out."""
    found: dict[str, StoredRun] = {}
    for stored in documents.list(f"runs/{prefix}"):
        path = documents.path_of(stored)
        run_id = path.split("/")[1]
        if is_run_id(run_id) and path.count("/") > 1:
            found.setdefault(run_id, StoredRun(run_id)).objects.append((path, stored))
    return found


def sha256(content: bytes) -> str:
    """Return the digest by which a pointer knows its manifest."""
    return hashlib.sha256(content).hexdigest()
