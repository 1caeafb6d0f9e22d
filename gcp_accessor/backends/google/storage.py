"""Cloud Storage itself, through google-cloud-storage."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import google.auth
from google.api_core.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.storage import Blob, Client
from google.cloud.storage.retry import DEFAULT_RETRY

from gcp_accessor.backends.google.connection_advice import SIGN_IN
from gcp_accessor.backends.google.downloads import download
from gcp_accessor.backends.google.signing import signed_url
from gcp_accessor.backends.google.storage_errors import explained
from gcp_accessor.backends.google.uploads import GoogleWriter, stored_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials

    from gcp_accessor.backends import StoredObject

_IN_MEMORY = 32 << 20
_REQUEST_SECONDS = 60.0
_UPLOAD = "gcp-accessor-upload"
_LISTED = "items(name,generation,size,crc32c,contentType,updated),nextPageToken"
# What somebody may have said of an object, and a copy of it does not lose.
_SAID = (
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "content_type",
)


class GoogleStorageBackend:
    """The objects of real buckets.

    The client is built on first use and once per process: its connections do not survive a
    fork. No operation on objects reads the bucket itself, which ordinary object roles may not do.
    """

    def __init__(
        self,
        project: str | None,
        credentials: Credentials | None,
        client: Client | None,
        timeout: float | None,
        *,
        retry: Retry | None = None,
        location: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._project = project
        self._location = location
        self._labels = dict(labels or {})
        self._credentials = credentials
        self._given = client
        self._built: tuple[int, Client] | None = None
        self._timeout = timeout or _REQUEST_SECONDS
        if retry is None:
            retry = DEFAULT_RETRY if timeout is None else DEFAULT_RETRY.with_timeout(timeout)
        self._retry = retry

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
        seconds: float | None = None,
    ) -> Iterator[GoogleWriter]:
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
            **self._bounds(seconds),
        }
        with GoogleWriter(blob, options) as writer:
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
            download(blob, cast("BinaryIO", file), self._bounds())
            file.seek(0)
            yield cast("BinaryIO", file)

    def download(
        self,
        bucket: str,
        name: str,
        file: BinaryIO,
        *,
        generation: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Write the object's bytes as stored to `file`, verified, in one request."""
        download(self._blob(bucket, name, generation), file, self._bounds(seconds))

    def stat(self, bucket: str, name: str, *, generation: int | None = None) -> StoredObject:
        """Return the object's generation, size and checksum."""
        blob = self._blob(bucket, name, generation)
        with explained(bucket, name):
            blob.reload(**self._bounds())
        return stored_object(blob)

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with `prefix`, in the order of their names."""
        with explained(bucket, prefix):
            for blob in self.client.list_blobs(
                bucket, prefix=prefix or None, fields=_LISTED, **self._bounds()
            ):
                yield stored_object(blob)

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
        """Copy an object within Cloud Storage, in as many requests as that takes.

        The copy is of one version and keeps what was said of it, such as its content type. A
        copy under a precondition whose reply was lost is recognised as an upload is.
        """
        source = self._blob(bucket, name, generation)
        target = self._blob(to_bucket, to_name)
        with explained(bucket, name):
            source.reload(**self._bounds())
        for said in _SAID:
            setattr(target, said, getattr(source, said))
        metadata = {key: text for key, text in (source.metadata or {}).items() if key != _UPLOAD}
        mark = secrets.token_hex(16)
        target.metadata = metadata if if_generation is None else {**metadata, _UPLOAD: mark}
        token = None
        while True:
            try:
                with explained(to_bucket, to_name):
                    token, _, _ = target.rewrite(
                        source, token=token, if_generation_match=if_generation, **self._bounds()
                    )
            except PreconditionFailed:
                mine = self._uploaded(target, mark)
                if mine is None:
                    raise
                return mine
            if token is None:
                return stored_object(target)

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        """Remove the object. A repeated request that finds none has lost its first reply."""
        blob = self._blob(bucket, name)
        bounds = {**self._bounds(), "retry": None}
        with explained(bucket, name):
            self._until_done(
                lambda: blob.delete(if_generation_match=if_generation, **bounds),
                is_done=lambda error: isinstance(error, NotFound),
            )

    def signed_url(
        self, bucket: str, name: str, *, method: str, expires: timedelta, content_type: str | None
    ) -> str:
        """Return an address that lets whoever has it do `method` with the object."""
        with explained(bucket, name):
            return signed_url(
                self._blob(bucket, name), method=method, expires=expires, content_type=content_type
            )

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket with the accessor's labels and location, else the project's defaults.

        Raises:
            google.api_core.exceptions.Conflict: the name is taken, by anybody.
            ValueError: neither the accessor nor the environment names a project.
        """
        made = self.client.bucket(bucket)
        made.labels = self._labels
        options = {
            "project": self._project_id(),
            "location": self._location,
            **self._bounds(),
            "retry": None,
        }
        with explained(bucket, ""):
            self._until_done(
                lambda: self.client.create_bucket(made, **options),
                is_done=lambda error: (
                    isinstance(error, Conflict) and "you already own it" in str(error)
                ),
            )

    def soft_delete_period(self, bucket: str) -> timedelta:
        """Return for how long the bucket, which this alone reads, keeps what is deleted."""
        try:
            with explained(bucket, ""):
                found = self.client.get_bucket(bucket, **self._bounds())
        except Forbidden as error:
            error.add_note(
                f"of gs://{bucket} itself it is storage.buckets.get that is asked for, which "
                "roles/storage.bucketViewer has"
            )
            raise
        return timedelta(seconds=found.soft_delete_policy.retention_duration_seconds or 0)

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

    def _bounds(self, seconds: float | None = None) -> dict[str, Any]:
        """How long a request and its retries may take, at most `seconds`."""
        if seconds is None:
            return {"timeout": self._timeout, "retry": self._retry}
        whole = seconds if self._retry.timeout is None else min(seconds, self._retry.timeout)
        return {"timeout": min(seconds, self._timeout), "retry": self._retry.with_timeout(whole)}

    def _until_done(
        self, request: Callable[[], object], *, is_done: Callable[[Exception], bool]
    ) -> None:
        """Repeat a request as the retry says; an error of a repetition may say it was done."""
        tries = 0

        def attempt() -> None:
            nonlocal tries
            tries += 1
            try:
                request()
            except Exception as error:
                if tries == 1 or not is_done(error):
                    raise

        self._retry(attempt)()

    def _blob(self, bucket: str, name: str, generation: int | None = None) -> Blob:
        return self.client.bucket(bucket).blob(name, generation=generation)

    def _uploaded(self, blob: Blob, upload: str) -> StoredObject | None:
        try:
            blob.reload(**self._bounds())
        except NotFound:
            return None
        return stored_object(blob) if (blob.metadata or {}).get(_UPLOAD) == upload else None
