"""The objects of one bucket as somebody with the disk in his hands changes them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from tests.stand_ins.cloud_storage.service import Held

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand_ins.cloud_storage import CloudStorageStandIn


class Shelf(Protocol):
    """What stands in a bucket. Whatever is put keeps the generation that is asked for."""

    def names(self) -> list[str]: ...
    def content(self, name: str) -> bytes: ...
    def generation(self, name: str) -> int: ...
    def put(self, name: str, content: bytes, generation: int) -> None: ...
    def remove(self, name: str) -> None: ...


class FolderShelf:
    """A bucket that is a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        return sorted(
            path.relative_to(self._folder).as_posix()
            for path in self._folder.rglob("*")
            if path.is_file()
        )

    def content(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def generation(self, name: str) -> int:
        return (self._folder / name).stat().st_mtime_ns // 1000

    def put(self, name: str, content: bytes, generation: int) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(generation * 1000, generation * 1000))

    def remove(self, name: str) -> None:
        (self._folder / name).unlink()


class ServiceShelf:
    """A bucket of the stand-in for Cloud Storage."""

    def __init__(self, service: CloudStorageStandIn, bucket: str) -> None:
        self._held = service.buckets[bucket]

    def names(self) -> list[str]:
        return sorted(self._held)

    def content(self, name: str) -> bytes:
        return self._held[name].content

    def generation(self, name: str) -> int:
        return self._held[name].generation

    def put(self, name: str, content: bytes, generation: int) -> None:
        written = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=generation)
        self._held[name] = Held(content, generation, {}, updated=written)

    def remove(self, name: str) -> None:
        del self._held[name]


def copy(source: Shelf, target: Shelf) -> None:
    """Put all that stands on one shelf onto another."""
    for name in source.names():
        target.put(name, source.content(name), source.generation(name))
