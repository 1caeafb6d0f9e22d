"""What processes do at a publication: they publish, read, roll back, pin and collect."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.proof.bucket import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, timedelta

    from gcp_accessor import CloudStorageAccessor, Manifest
    from tests.proof.bucket import Bucket, Version

    Play = Callable[[CloudStorageAccessor], object]

FOLDER = "calibrate"
URI = f"gs://{BUCKET}/{FOLDER}"
POINTER = f"{FOLDER}/latest.json"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be published: a day under some settings, by so many tasks."""

    day: date
    settings: str
    tasks: int = 1

    def publish(self, *, task: int = 0, variant: str = "the same") -> Play:
        """Return one task of an execution. Another variant writes other bytes into its part."""

        def play(store: CloudStorageAccessor) -> str:
            publication = store.publication(URI)
            run = publication.run(self.day, self.settings, task=task, tasks=self.tasks)
            run.start({"settings": self.settings})
            if run.committed() is None:
                part = {"run_id": run.run_id, "task": task, "variant": variant}
                run.write(f"part-{task}.json", lambda: part)
                if run.commit({"tasks": self.tasks}) is None:
                    return "others are unfinished"
            return run.publish()

        return play


def read(store: CloudStorageAccessor) -> Manifest | None:
    """Read the published run whole, and make sure that it is one and complete."""
    publication = store.publication(URI)
    if publication.latest() is None:
        return None
    first = publication.read("part-0.json")
    manifest: Manifest = first.manifest
    others = (publication.read(each.name, run_id=manifest.run_id) for each in manifest.files[1:])
    parts = [first.content, *(other.content for other in others)]
    assert [part["run_id"] for part in parts] == [manifest.run_id] * manifest.facts["tasks"]
    assert [part["task"] for part in parts] == list(range(manifest.facts["tasks"]))
    return manifest


def roll_back(run_id: str) -> Play:
    """Return a person's rollback."""
    return lambda store: store.publication(URI).rollback(run_id)


def release(store: CloudStorageAccessor) -> object:
    """End a rollback."""
    return store.publication(URI).release()


def pin(name: str, run_id: str) -> Play:
    """Return a person's pin."""
    return lambda store: store.publication(URI).pin(name, run_id)


def unpin(name: str) -> Play:
    """Return the end of a pin."""
    return lambda store: store.publication(URI).unpin(name)


def collect(keep: int, older_than: timedelta) -> Play:
    """Return a collection that deletes."""
    return lambda store: store.publication(URI).collect(
        keep=keep, older_than=older_than, dry_run=False, longest_task=older_than
    )


# --- What stands in the bucket, seen from outside ----------------------------------------------


def pointer(bucket: Bucket) -> dict[str, Any] | None:
    """Return the pointer as it stands."""
    content = bucket.content(POINTER)
    return None if content is None else json.loads(content)


def committed(bucket: Bucket) -> list[str]:
    """Return the runs that have a manifest."""
    names = bucket.names(f"{FOLDER}/runs/")
    return [name.split("/")[2] for name in names if name.endswith("/manifest.json")]


def rank(bucket: Bucket, run_id: str) -> tuple[str, int]:
    """Return what decides whether a run is newer: its day, and its last execution's mark."""
    marks = bucket.names(f"{FOLDER}/runs/{run_id}/starts/")
    return run_id[:10], max(bucket.held[mark].generation for mark in marks)


def damage(bucket: Bucket, run_id: str) -> str | None:
    """Return what of a committed run is not as its manifest says, or None."""
    content = bucket.content(f"{FOLDER}/runs/{run_id}/manifest.json")
    if content is None:
        return f"{run_id} has no manifest"
    for file in json.loads(content)["files"]:
        held = bucket.held.get(file["object_name"])
        if held is None:
            return f"{run_id} has lost {file['object_name']}"
        if (held.generation, held.crc32c) != (file["generation"], file["crc32c"]):
            return f"{run_id}: {file['object_name']} is another"
    return None


def pointers(bucket: Bucket) -> list[dict[str, Any]]:
    """Return all that the pointer ever was, in turn."""
    return [
        json.loads(version.content)
        for version in bucket.history
        if version.name == POINTER and version.content is not None
    ]


def parsed(version: Version) -> dict[str, Any]:
    """Return what a version of the pointer says."""
    assert version.content is not None, "the pointer was deleted"
    content: dict[str, Any] = json.loads(version.content)
    return content
