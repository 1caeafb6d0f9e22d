"""Cloud Storage itself, through google-cloud-storage."""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Self, cast

import google.auth
from google.api_core.exceptions import (
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RetryError,
    from_http_response,
)
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import InvalidResponse
from google.cloud.storage.fileio import BlobWriter
from google.cloud.storage.retry import DEFAULT_RETRY

from gcp_accessor.backends import StoredObject
from gcp_accessor.backends.google.storage_advice import SIGN_IN, advised

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from google.auth.credentials import Credentials

# What fits goes in one request; the rest in requests of this size.
_ONE_REQUEST = 8 << 20
_IN_MEMORY = 32 << 20
_REQUEST_SECONDS = 60.0
_UPLOAD = "gcp-accessor-upload"
_LISTED = "items(name,generation,size,crc32c,contentType,updated),nextPageToken"


class GoogleStorageBackend:
    """The objects of real buckets.

    The client is built on first use and once per process: its connections do not survive a
    fork. No operation reads the bucket itself, which ordinary object roles may not do.
    """

    def __init__(
        self,
        project: str | None,
        credentials: Credentials | None,
        client: Client | None,
        timeout: float | None,
    ) -> None:
        self._project = project
        self._credentials = credentials
        self._given = client
        self._built: tuple[int, Client] | None = None
        retry = DEFAULT_RETRY if timeout is None else DEFAULT_RETRY.with_timeout(timeout)
        self._bounds = {"timeout": timeout or _REQUEST_SECONDS, "retry": retry}

    @property
    def client(self) -> Client:
        """Google's own client."""
        if self._given is not None:
            return self._given
        if self._built is None or self._built[0] != os.getpid():
            try:
                client = Client(project=self._project, credentials=self._credentials)
            except DefaultCredentialsError as error:
                error.add_note(SIGN_IN)
                raise
            # Recent clients ask for the bucket itself, in a thread of their own, to label
            # traces with its location. Most accounts may not, and nobody waits for the answer.
            client._bucket_metadata_cache = None
            self._built = (os.getpid(), client)
        return self._built[1]

    @contextmanager
    def writer(
        self,
        bucket: str,
        name: str,
        *,
        content_type: str,
        if_generation: int | None = None,
        cache_control: str | None = None,
    ) -> Iterator[_GoogleWriter]:
        """Upload an object: in one request if it is small, else in resumable parts.

        A retried request whose first reply was lost is refused with 412 although the first
        one won. So a conditional upload carries an id of its own in the object's metadata:
        on 412 the object's id is compared, and if it is this upload's, this upload won.
        Equal content written by somebody else is not taken for it.
        """
        blob = self._blob(bucket, name)
        blob.cache_control = cache_control
        upload = secrets.token_hex(16)
        if if_generation is not None:
            blob.metadata = {_UPLOAD: upload}
        options = {
            "content_type": content_type,
            "if_generation_match": if_generation,
            "checksum": "crc32c",
            **self._bounds,
        }
        with _GoogleWriter(blob, options) as writer:
            yield writer
            try:
                writer.finish()
            except PreconditionFailed:
                mine = self._uploaded(blob, upload)
                if mine is None:
                    raise
                writer.stored = mine

    @contextmanager
    def reader(
        self, bucket: str, name: str, *, generation: int | None = None
    ) -> Iterator[BinaryIO]:
        """Give the object's bytes as stored, all of them received and verified before."""
        blob = self._blob(bucket, name, generation)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            with _explained(bucket, name):
                blob.download_to_file(file, raw_download=True, checksum="crc32c", **self._bounds)
            file.seek(0)
            yield cast("BinaryIO", file)

    def stat(self, bucket: str, name: str, *, generation: int | None = None) -> StoredObject:
        """Return the object's generation, size and checksum."""
        blob = self._blob(bucket, name, generation)
        with _explained(bucket, name):
            blob.reload(**self._bounds)
        return _stored(blob)

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with `prefix`, in the order of their names."""
        with _explained(bucket, prefix):
            for blob in self.client.list_blobs(
                bucket, prefix=prefix or None, fields=_LISTED, **self._bounds
            ):
                yield _stored(blob)

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        """Remove the object."""
        blob = self._blob(bucket, name)
        with _explained(bucket, name):
            blob.delete(if_generation_match=if_generation, **self._bounds)

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket with the project's defaults.

        Raises:
            google.api_core.exceptions.Conflict: the name is taken, by anybody.
            ValueError: neither the accessor nor the environment names a project.
        """
        with _explained(bucket, ""):
            self.client.create_bucket(bucket, project=self._project_id(), **self._bounds)

    def close(self) -> None:
        """Close the connections of a client that was built here."""
        if self._built is not None:
            self._built[1].close()
            self._built = None

    def _project_id(self) -> str:
        """Return the project that a new bucket is to belong to.

        A client that is given none looks for none, as nothing else of it needs one.
        """
        project: str | None = self.client.project or os.environ.get("GOOGLE_CLOUD_PROJECT")
        if project is None:
            _, project = google.auth.default()
        if project is None:
            raise ValueError(
                "a bucket belongs to a project; name it with project= or GOOGLE_CLOUD_PROJECT"
            )
        return project

    def _blob(self, bucket: str, name: str, generation: int | None = None) -> Blob:
        return self.client.bucket(bucket).blob(name, generation=generation)

    def _uploaded(self, blob: Blob, upload: str) -> StoredObject | None:
        try:
            blob.reload(**self._bounds)
        except NotFound:
            return None
        return _stored(blob) if (blob.metadata or {}).get(_UPLOAD) == upload else None


class _GoogleWriter:
    """Holds what fits in one request; beyond that, streams. An error publishes nothing."""

    stored: StoredObject

    def __init__(self, blob: Blob, options: dict[str, object]) -> None:
        self._blob = blob
        self._options = options
        self._held = bytearray()
        self._parts: _ResumableUpload | None = None

    def write(self, data: bytes, /) -> int:
        if self._parts is None:
            self._held += data
            if len(self._held) <= _ONE_REQUEST:
                return len(data)
            self._parts = _ResumableUpload(self._blob, _ONE_REQUEST, **self._options)
            data, self._held = bytes(self._held), bytearray()
        with _explained(self._blob.bucket.name, self._blob.name):
            self._parts.write(data)
        return len(data)

    def finish(self) -> None:
        with _explained(self._blob.bucket.name, self._blob.name):
            if self._parts is not None:
                self._parts.close()
                self.stored = self._parts.stored
            else:
                content = io.BytesIO(self._held)
                self._blob.upload_from_file(content, size=len(self._held), **self._options)
                self.stored = _stored(self._blob)

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


def _stored(blob: Blob) -> StoredObject:
    return StoredObject(
        blob.bucket.name,
        blob.name,
        blob.generation,
        blob.size,
        blob.crc32c,
        blob.content_type,
        blob.updated,
    )


@contextmanager
def _explained(bucket: str, name: str) -> Iterator[None]:
    """Google's own errors, with a note that says what to do."""
    try:
        yield
    except InvalidResponse as error:
        # The streaming writer lets the transport's error through.
        raise advised(from_http_response(error.response), bucket, name) from error
    except GoogleAPICallError as error:
        advised(error, bucket, name)
        raise
    except RefreshError as error:
        error.add_note(SIGN_IN)
        raise
    except RetryError as error:
        error.add_note(
            f"gs://{bucket}/{name} was asked for again and again; give a longer timeout="
        )
        raise
