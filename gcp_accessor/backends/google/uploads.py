"""Writing one object to Cloud Storage: all of it in one request, or in resumable parts."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING, Self

from google.cloud.storage.fileio import BlobWriter

from gcp_accessor.backends import StoredObject
from gcp_accessor.backends.google.storage_errors import explained

if TYPE_CHECKING:
    from types import TracebackType

    from google.cloud.storage import Blob

# What fits goes in one request; the rest in requests of this size.
_ONE_REQUEST = 8 << 20


class GoogleWriter:
    """Holds what fits in one request; beyond that, streams. An error publishes nothing."""

    stored: StoredObject

    def __init__(self, blob: Blob, options: dict[str, object]) -> None:
        self._blob = blob
        self._options = options
        self._held = bytearray()
        self._parts: _ResumableUpload | None = None
        self._broken = False

    def write(self, data: bytes, /) -> int:
        """Take the next bytes; after an error, which nothing is to hide, to no effect."""
        if self._broken:
            # A wrapper writes its end on the way out, as gzip and Parquet do.
            return len(data)
        self._broken = True
        written = self._write(data)
        self._broken = False
        return written

    def _write(self, data: bytes) -> int:
        if self._parts is None:
            self._held += data
            if len(self._held) <= _ONE_REQUEST:
                return len(data)
            self._parts = _ResumableUpload(self._blob, _ONE_REQUEST, **self._options)
            held, self._held = bytes(self._held), bytearray()
            with explained(self._blob.bucket.name, self._blob.name):
                self._parts.write(held)
            return len(data)
        with explained(self._blob.bucket.name, self._blob.name):
            self._parts.write(data)
        return len(data)

    def finish(self) -> None:
        """Publish the object."""
        if self._broken:
            raise ValueError(f"{self._blob.name!r} is not published: a write of it failed before")
        with explained(self._blob.bucket.name, self._blob.name):
            if self._parts is not None:
                self._parts.close()
                self.stored = self._parts.stored
            else:
                content = io.BytesIO(self._held)
                self._blob.upload_from_file(content, size=len(self._held), **self._options)
                self.stored = stored_object(self._blob)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or self._parts is None or self._parts.closed:
            return
        try:
            self._parts.terminate()
        except Exception as failure:
            # Nothing was published; what was sent so far expires by itself within a week.
            error.add_note(f"the upload could not be cancelled either: {failure}")


class _ResumableUpload(BlobWriter):  # type: ignore[misc]  # the library ships no types
    """Google's streaming writer, keeping its last answer, which holds the generation.

    Asking for the generation afterwards could meet somebody else's later write.
    """

    stored: StoredObject

    def _initiate_upload(self) -> None:
        super()._initiate_upload()
        upload, _ = self._upload_and_transport
        transmit = upload.transmit_next_chunk

        def transmit_and_keep(*arguments: object, **options: object) -> object:
            response = transmit(*arguments, **options)
            if upload.finished:
                answer = response.json()
                self.stored = StoredObject(
                    answer["bucket"],
                    answer["name"],
                    int(answer["generation"]),
                    int(answer["size"]),
                    answer["crc32c"],
                    answer.get("contentType"),
                    datetime.fromisoformat(answer["updated"]),
                )
            return response

        upload.transmit_next_chunk = transmit_and_keep


def stored_object(blob: Blob) -> StoredObject:
    """Return what a blob says of its object."""
    return StoredObject(
        blob.bucket.name,
        blob.name,
        blob.generation,
        blob.size,
        blob.crc32c,
        blob.content_type,
        blob.updated,
    )
