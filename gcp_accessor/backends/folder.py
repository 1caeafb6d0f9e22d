"""A bucket as a folder, with Cloud Storage's generations and preconditions.

An object is a plain file, so that a person can open it. Its generation is the file's
modification time in whole microseconds, set before the one rename that makes the object
visible: content and generation are committed together, and a file dropped in by hand is an
object too.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat as file_status
import time
from base64 import b64encode
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, cast

import google_crc32c
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed

from gcp_accessor.backends import StoredObject
from gcp_accessor.backends.durable import make_folders, remove_empty, sweep, sync_folder
from gcp_accessor.backends.google.storage_advice import advised
from gcp_accessor.errors import UnsupportedLocally
from gcp_accessor.tabular.formats import content_type_of
from gcp_accessor.uris import check_bucket, check_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMEMBERED_CHECKSUMS = 10_000


class FolderBackend:
    """The objects under `root/buckets/<bucket>/`.

    Several processes may write at once: a precondition is checked and the object renamed
    into place under one lock per bucket. Killed at any moment, a write leaves the old
    content or the new, never a part of either; what is returned has been synced to disk.

    Limits, each refused by name: a file system has no room for an object `a` beside `a/b`,
    nor for names with empty parts (`a//b`, `a/`) or parts above 255 bytes.
    """

    def __init__(self, root: Path) -> None:
        self._buckets = root / "buckets"
        self._private = root / ".gcp_accessor"
        self._swept = False
        self._checksums: dict[tuple[int, ...], str] = {}

    @contextmanager
    def writer(
        self,
        bucket: str,
        name: str,
        *,
        content_type: str,  # noqa: ARG002 - a file has none: it follows from the name
        if_generation: int | None = None,
        cache_control: str | None = None,  # noqa: ARG002 - nothing caches a file
        seconds: float | None = None,  # noqa: ARG002 - a disk is not waited for
    ) -> Iterator[_FolderWriter]:
        """Take an object's bytes into a temporary file; its block's end makes it the object."""
        path = self._path(bucket, name)
        try:
            with self._temporary() as (file, temporary):
                writer = _FolderWriter(file)
                yield writer
                file.flush()
                os.fsync(file.fileno())
                generation = self._publish(file, temporary, path, bucket, name, if_generation)
        except OSError as error:
            error.add_note(
                f"gs://{bucket}/{name} was not written, what was there is untouched: check that "
                f"{self._buckets.parent} can be written and that its disk has room"
            )
            raise
        writer.stored = _stored(bucket, name, generation, writer.size, writer.crc32c)

    @contextmanager
    def reader(
        self, bucket: str, name: str, *, generation: int | None = None
    ) -> Iterator[BinaryIO]:
        """Give the object as it was when opened, whatever is written meanwhile."""
        with self._open(bucket, name, generation) as file:
            yield file

    def download(
        self,
        bucket: str,
        name: str,
        file: BinaryIO,
        *,
        generation: int | None = None,
        seconds: float | None = None,  # noqa: ARG002 - a disk is not waited for
    ) -> None:
        """Write the object's bytes to `file`."""
        with self._open(bucket, name, generation) as source:
            shutil.copyfileobj(source, file, _BLOCK)

    def copy(
        self,
        bucket: str,
        name: str,
        to_bucket: str,
        to_name: str,
        *,
        generation: int | None = None,
        if_generation: int | None = None,
    ) -> StoredObject:
        """Copy one version of an object."""
        content_type = content_type_of(to_name)
        with (
            self._open(bucket, name, generation) as source,
            self.writer(
                to_bucket, to_name, content_type=content_type, if_generation=if_generation
            ) as writer,
        ):
            while block := source.read(_BLOCK):
                writer.write(block)
        return writer.stored

    def signed_url(
        self,
        bucket: str,
        name: str,
        *,
        method: str,  # noqa: ARG002 - refused
        expires: timedelta,  # noqa: ARG002 - refused
        content_type: str | None,  # noqa: ARG002 - refused
    ) -> str:
        """Refuse by name: nobody serves a folder."""
        raise UnsupportedLocally(
            f"gs://{bucket}/{name} is a file under {self._buckets}, which no address leads to; "
            "signed URLs are of Google Cloud"
        )

    def stat(self, bucket: str, name: str, *, generation: int | None = None) -> StoredObject:
        """Return the object's generation, size and checksum."""
        with self._open(bucket, name, generation) as file:
            return self._describe(bucket, name, file)

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with `prefix`, in the order of their names."""
        folder = self._folder(bucket)
        inside, _, _ = prefix.rpartition("/")
        if inside and _cannot_hold(inside):
            return
        names = []
        for parent, _, files in os.walk(folder / inside):
            relative = os.path.relpath(parent, folder)
            names += [file if relative == "." else f"{relative}/{file}" for file in files]
        for name in sorted(names):
            # A file may have been deleted since the folder was read.
            if name.startswith(prefix):
                with suppress(NotFound):
                    yield self.stat(bucket, name)

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        """Remove the object, and the folders it leaves empty."""
        path = self._path(bucket, name, reading=True)
        with self._locked(bucket) as lock:
            generation = _generation(path)
            if generation == 0:
                raise _not_found(bucket, name)
            _check_generation(bucket, name, generation, if_generation)
            lock.keep_above(generation)
            path.unlink()
            sync_folder(path.parent)
            for parent in path.parents:
                if parent == self._buckets / bucket or not remove_empty(parent):
                    break

    def create_bucket(self, bucket: str) -> None:
        """Make the bucket's folder.

        Raises:
            google.api_core.exceptions.Conflict: it is there already.
        """
        folder = self._buckets / check_bucket(bucket)
        if folder.is_dir():
            raise Conflict(f"the bucket {bucket} exists already: {folder}")
        make_folders(folder)

    def soft_delete_period(self, bucket: str) -> timedelta:
        """Return zero: a file that is deleted is gone."""
        self._folder(bucket)
        return timedelta(0)

    def close(self) -> None:
        """Nothing stays open between two operations."""

    def _folder(self, bucket: str) -> Path:
        folder = self._buckets / check_bucket(bucket)
        if not folder.is_dir():
            missing = NotFound(f"the bucket {bucket} does not exist: there is no folder {folder}")
            raise advised(missing, bucket)
        return folder

    def _path(self, bucket: str, name: str, *, reading: bool = False) -> Path:
        folder = self._folder(bucket)
        reason = _cannot_hold(check_name(name))
        if reason is None:
            return folder / name
        if reading:
            raise _not_found(bucket, name)
        raise UnsupportedLocally(f"a folder cannot hold gs://{bucket}/{name}: {reason}")

    @contextmanager
    def _open(self, bucket: str, name: str, generation: int | None) -> Iterator[BinaryIO]:
        path = self._path(bucket, name, reading=True)
        try:
            file = path.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise _not_found(bucket, name) from None
        with file:
            found = _generation_of(os.fstat(file.fileno()))
            if generation is not None and found != generation:
                raise _not_found(bucket, f"{name}#{generation}")
            yield cast("BinaryIO", file)

    def _describe(self, bucket: str, name: str, file: BinaryIO) -> StoredObject:
        status = os.fstat(file.fileno())
        # The change time too: an edit by hand may set the modification time back.
        times = (status.st_mtime_ns, status.st_ctime_ns)
        version = (status.st_dev, status.st_ino, status.st_size, *times)
        checksum = self._checksums.get(version)
        if checksum is None:
            running = google_crc32c.Checksum()
            while block := file.read(_BLOCK):
                running.update(block)
            checksum = b64encode(running.digest()).decode()
            if len(self._checksums) >= _REMEMBERED_CHECKSUMS:
                self._checksums.clear()
            self._checksums[version] = checksum
        return _stored(bucket, name, _generation_of(status), status.st_size, checksum)

    def _publish(
        self,
        file: BinaryIO,
        temporary: Path,
        path: Path,
        bucket: str,
        name: str,
        if_generation: int | None,
    ) -> int:
        with self._locked(bucket) as lock:
            current = _generation(path)
            _check_generation(bucket, name, current, if_generation)
            generation = max(time.time_ns() // 1000, current + 1, lock.floor() + 1)
            lock.keep_above(generation)
            os.utime(file.fileno(), ns=(generation * 1000, generation * 1000))
            if _generation_of(os.fstat(file.fileno())) != generation:
                raise OSError(
                    f"the file system under {self._private} does not keep times in "
                    "microseconds, which the generations of objects need"
                )
            os.fsync(file.fileno())
            try:
                make_folders(path.parent)
                temporary.replace(path)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise UnsupportedLocally(
                    f"a folder cannot hold gs://{bucket}/{name} beside what is there: one path "
                    "cannot be both an object and the folder of another"
                ) from None
            # Within the lock: whoever sees this object and acts on it acts on what is durable.
            sync_folder(path.parent)
        return generation

    @contextmanager
    def _temporary(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A locked new file. The lock dies with its process, which is how a sweep can tell."""
        folder = self._private / "tmp"
        make_folders(folder)
        if not self._swept:
            sweep(folder)
            self._swept = True
        while True:
            path = folder / secrets.token_hex(16)
            file = cast("BinaryIO", path.open("xb"))
            fcntl.flock(file, fcntl.LOCK_EX)
            # A sweep may have taken it in the moment before it was locked.
            if os.fstat(file.fileno()).st_nlink:
                break
            file.close()
        try:
            with file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, bucket: str) -> Iterator[_Lock]:
        folder = self._private / "locks"
        make_folders(folder)
        descriptor = os.open(folder / bucket, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield _Lock(descriptor)
        finally:
            # Closed it would be locked still in a process that was forked meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


class _FolderWriter:
    """Counts and checks what goes into the temporary file."""

    stored: StoredObject

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._checksum = google_crc32c.Checksum()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._file.write(data)
        self._checksum.update(data)
        self.size += len(data)
        return len(data)

    @property
    def crc32c(self) -> str:
        return b64encode(self._checksum.digest()).decode()


class _Lock:
    """A bucket's lock, which also remembers the largest generation that was given or deleted.

    Even if the clock was set back, a name that is written again must not get a generation that
    it has had, and what is written later has the larger generation, whatever its name.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def floor(self) -> int:
        return int(os.pread(self._descriptor, 20, 0) or 0)

    def keep_above(self, generation: int) -> None:
        os.pwrite(self._descriptor, b"%020d" % max(generation, self.floor()), 0)


def _generation_of(status: os.stat_result) -> int:
    return status.st_mtime_ns // 1000


def _generation(path: Path) -> int:
    """The generation of what stands at `path`; 0, as in a precondition, if nothing does."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return 0 if file_status.S_ISDIR(status.st_mode) else _generation_of(status)


def _check_generation(bucket: str, name: str, found: int, expected: int | None) -> None:
    if expected is None or found == expected:
        return
    state = f"has generation {found}" if found else "does not exist"
    wanted = f"generation {expected}" if expected else "that it did not exist"
    failed = PreconditionFailed(f"gs://{bucket}/{name} {state}; expected {wanted}")
    raise advised(failed, bucket, name)


def _not_found(bucket: str, name: str) -> NotFound:
    return advised(NotFound(f"No such object: gs://{bucket}/{name}"), bucket, name)


def _cannot_hold(name: str) -> str | None:
    for part in name.split("/"):
        if part in {"", ".", ".."}:
            return f"a part between two slashes is {part!r}"
        if len(os.fsencode(part)) > 255:
            return f"the part {part[:20]!r}... is longer than 255 bytes"
    return None


def _stored(bucket: str, name: str, generation: int, size: int, crc32c: str) -> StoredObject:
    updated = _EPOCH + timedelta(microseconds=generation)
    return StoredObject(bucket, name, generation, size, crc32c, content_type_of(name), updated)
