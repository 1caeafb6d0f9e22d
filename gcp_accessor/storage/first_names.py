"""The Cloud Storage methods of 0.0.6, with their names and order of arguments.

`upload_csv_gzip` and `download_csv_gzip` stand with the accessor: they are as new as they are
old.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from gcp_accessor.backends import StoredObject
from gcp_accessor.errors import UnsupportedLocally
from gcp_accessor.storage.connection import Connection
from gcp_accessor.uris import check_bucket, check_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.storage import Blob, Client

    from gcp_accessor.backends.google.storage import GoogleStorageBackend


@dataclass(frozen=True, slots=True)
class UploadedObject(StoredObject):
    """A stored object of rows. Unpacks as 0.0.6's pair: `body, status = ...`.

    Attributes:
        rows: How many rows it holds, the header not counted.
    """

    rows: int = field(kw_only=True)

    def __iter__(self) -> Iterator[object]:
        """Yield 0.0.6's message and its status, 200."""
        yield {"message": "Gzip file is successfully uploaded on gcs", "result": 200}
        yield 200


class FirstNames(Connection):
    """What `CloudStorageAccessor` offered first; new code has `read`, `write` and `list`.

    Unlike in 0.0.6, none of them reads the bucket itself, which ordinary object roles may not.
    """

    @property
    def storage_client(self) -> Client:
        """Google's own client.

        Raises:
            UnsupportedLocally: the accessor works on a folder.
        """
        if self.local is not None:
            raise UnsupportedLocally(
                f"the folder {self.local} has no google.cloud.storage client; use the accessor's "
                "own methods, or Google Cloud"
            )
        return cast("GoogleStorageBackend", self._backend).client

    def get_blob(self, bucket_name: str, storage_path: str) -> Blob:
        """Return Google's own handle of an object, without asking whether it is there."""
        return self.storage_client.bucket(check_bucket(bucket_name)).blob(check_path(storage_path))

    def get_blob_list(
        self, bucket_name: str, prefix: str | None = None, delimiter: str | None = None
    ) -> Iterator[Blob]:
        """Return Google's own iterator of the objects at a prefix."""
        client = self.storage_client
        return cast(
            "Iterator[Blob]",
            client.list_blobs(check_bucket(bucket_name), prefix=prefix, delimiter=delimiter),
        )

    def get_uris_list(
        self, bucket_name: str, prefix: str | None = None, delimiter: str | None = None
    ) -> list[str]:
        """Return the addresses of the objects at a prefix.

        Args:
            delimiter: Leave out the names that have it after the prefix.
        """
        start = prefix or ""
        return [
            stored.uri
            for stored in self._backend.list(check_bucket(bucket_name), start)
            if not delimiter or delimiter not in stored.name[len(start) :]
        ]
