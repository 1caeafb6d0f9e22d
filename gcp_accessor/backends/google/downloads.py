"""Reading one object of Cloud Storage: verified, however often the stream broke."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, BinaryIO

import google_crc32c
from google.api_core.exceptions import NotFound
from google.cloud.storage.exceptions import DataCorruption

from gcp_accessor.backends.google.storage_errors import explained, not_cloud_storage

if TYPE_CHECKING:
    from google.cloud.storage import Blob


def download(blob: Blob, file: BinaryIO, bounds: dict[str, object]) -> None:
    """Write the object's bytes as stored to `file`, which is at its beginning.

    One request. After a break Google's client goes on where it was, in the version that it
    began with, but verifies only what came in one piece; so all of it is verified here.

    Raises:
        google.api_core.exceptions.NotFound: there is no such object; or the version that was
            being read is gone, which a note says.
        google.cloud.storage.exceptions.DataCorruption: the checksum is another.
    """
    bucket, name = blob.bucket.name, blob.name
    received = _Received(file)
    try:
        with explained(bucket, name):
            blob.download_to_file(received, raw_download=True, checksum="crc32c", **bounds)
    except NotFound as error:
        if received.size:
            error.add_note(f"gs://{bucket}/{name} was replaced while it was read: read it again")
        raise
    except DataCorruption as error:
        error.add_note(_damaged(bucket, name))
        raise
    # Not given by a proxy that answers "200 OK" with a page of its own.
    if blob.crc32c is None:
        raise not_cloud_storage(bucket, name)
    if blob.crc32c != received.crc32c:
        damaged = DataCorruption(
            None,
            f"Checksum mismatch: of gs://{bucket}/{name} came {received.size} bytes with the "
            f"crc32c {received.crc32c}; expected {blob.crc32c}",
        )
        damaged.add_note(_damaged(bucket, name))
        raise damaged


def _damaged(bucket: str, name: str) -> str:
    return f"gs://{bucket}/{name} was damaged on its way, or is in the bucket: read it again"


class _Received:
    """Hands a download on to its file, keeping its checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._checksum = google_crc32c.Checksum()
        self.size = 0

    @property
    def crc32c(self) -> str:
        return b64encode(self._checksum.digest()).decode()

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._checksum.update(data)
        self.size += len(data)
        return len(data)

    def seek(self, position: int) -> int:
        # Google's client begins anew where a server does not resume.
        self._file.seek(position)
        self._file.truncate()
        self._checksum = google_crc32c.Checksum()
        self.size = 0
        return position
