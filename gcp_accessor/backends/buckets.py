"""What is asked of Cloud Storage, or of a folder in its place, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it stands in its bucket.

    Attributes:
        generation: The version of its content, larger after every write.
        size: Bytes as stored, that is compressed where the format is.
        crc32c: Base64, as Cloud Storage states it.
    """

    bucket: str
    name: str
    generation: int
    size: int
    crc32c: str
    content_type: str | None = None
    updated: datetime | None = None

    @property
    def uri(self) -> str:
        """The object's full address, `gs://bucket/name`."""
        return f"gs://{self.bucket}/{self.name}"


class ObjectWriter(Protocol):
    """Takes an object's bytes; nothing is visible before its block ends without an error."""

    stored: StoredObject

    def write(self, data: bytes, /) -> int: ...


class BucketBackend(Protocol):
    """The operations under `CloudStorageAccessor`.

    `if_generation` is Cloud Storage's precondition: the write or delete happens only while
    the object has this generation; 0 means "does not exist". Otherwise PreconditionFailed.
    `seconds` bounds what would else take as long as the backend's own timeout says.
    """

    def writer(
        self,
        bucket: str,
        name: str,
        *,
        content_type: str,
        if_generation: int | None = None,
        cache_control: str | None = None,
        seconds: float | None = None,
    ) -> AbstractContextManager[ObjectWriter]: ...
    def reader(
        self, bucket: str, name: str, *, generation: int | None = None
    ) -> AbstractContextManager[BinaryIO]: ...
    def download(
        self,
        bucket: str,
        name: str,
        file: BinaryIO,
        *,
        generation: int | None = None,
        seconds: float | None = None,
    ) -> None: ...
    def copy(
        self,
        bucket: str,
        name: str,
        to_bucket: str,
        to_name: str,
        *,
        generation: int | None = None,
        if_generation: int | None = None,
    ) -> StoredObject: ...
    def signed_url(
        self, bucket: str, name: str, *, method: str, expires: timedelta, content_type: str | None
    ) -> str: ...
    def stat(self, bucket: str, name: str, *, generation: int | None = None) -> StoredObject: ...
    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]: ...
    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None: ...
    def create_bucket(self, bucket: str) -> None: ...
    def soft_delete_period(self, bucket: str) -> timedelta: ...
    def close(self) -> None: ...
