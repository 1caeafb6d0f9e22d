"""Cloud Storage, or a folder in its place."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, Self

from gcp_accessor import tabular
from gcp_accessor.backends import StoredObject
from gcp_accessor.local import local_folder
from gcp_accessor.storage_first_names import FirstNames, UploadedObject
from gcp_accessor.tabular.formats import Format, content_type_of, format_of
from gcp_accessor.tabular.streams import Sink, decompressed, text_into
from gcp_accessor.uris import check_bucket, check_name, split_glob, split_object_uri, split_uri

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from google.auth.credentials import Credentials
    from google.cloud.storage import Client

    from gcp_accessor.backends import BucketBackend, ObjectWriter
    from gcp_accessor.publication import Publication

IfExists = Literal["replace", "fail"]
Mode = Literal["rb", "wb", "rt", "wt"]


class CloudStorageAccessor(FirstNames):
    """Objects in Cloud Storage, written whole or not at all, read verified.

    Making one does no I/O: clients are built on first use, once per process, so it can be
    pickled and handed to other processes. It is safe to use from several threads.

    Every write takes a precondition. `if_exists="fail"` creates the object only where there
    is none; `if_generation=n` replaces it only while it still is what was read. Of several
    writers that race under one precondition, one wins, and the others get
    `google.api_core.exceptions.PreconditionFailed`.

    Args:
        project: Needed only to create buckets. By default the environment's.
        credentials: By default the environment's (`google.auth.default()`).
        client: A `google.cloud.storage.Client` to use as it is.
        local: A folder to work in instead of Google Cloud. If none of project, credentials,
            client and local is given, the environment's GCP_ACCESSOR_LOCAL is taken, if set.
        timeout: Seconds a request, and then its retries altogether, may take. By default
            60 for a request and 120 for its retries.

    Example:
        >>> store = CloudStorageAccessor(local=folder)
        >>> store.create_bucket("lessons")
        >>> store.upload_csv_gzip("lessons", "items.csv.gz", [["q1", -0.42], ["q2", None]]).uri
        'gs://lessons/items.csv.gz'
        >>> store.download_csv_gzip("lessons", "items.csv.gz")
        [['q1', '-0.42'], ['q2', None]]
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        credentials: Credentials | None = None,
        client: Client | None = None,
        local: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> None:
        self._project = project
        self._credentials = credentials
        self._client = client
        self.local = local_folder(local, project, credentials, client)
        self._timeout = timeout
        self._made: BucketBackend | None = None

    # --- Rows as csv.gz -------------------------------------------------------------------

    def upload_csv_gzip(
        self,
        bucket_name: str,
        storage_path: str,
        texts: object,
        *,
        header: Sequence[str] | None = None,
        if_exists: IfExists = "replace",
        if_generation: int | None = None,
    ) -> UploadedObject:
        """Write rows to one gzip-compressed CSV object that BigQuery loads unchanged.

        The object appears complete or not at all. The same rows always give the same
        bytes, so a repeated run leaves an identical object. Memory stays flat: rows are
        consumed once, in blocks.

        Args:
            texts: Rows: any iterable of sequences or of records (mappings), a DataFrame, or
                anything Arrow can read. None becomes an unquoted empty field, which BigQuery
                loads as NULL; "" a quoted one.
            header: Column names, written first. A frame, Arrow and records bring their own.
            if_exists: "replace" overwrites; "fail" leaves what is there.
            if_generation: Write only while the object has this generation.

        Returns:
            The stored object: uri, generation, crc32c, size in bytes, rows.

        Raises:
            ValueError: texts is a string or one mapping, is empty, or has ragged rows (the
                message names the first ragged row).
            google.api_core.exceptions.PreconditionFailed: the object is there and if_exists
                is "fail", or its generation is another.

        Example:
            >>> store.upload_csv_gzip("lessons", "items.csv.gz", [["q1", -0.42]]).rows
            1
        """
        name = check_name(storage_path)
        with self._writer(
            check_bucket(bucket_name), name, "application/gzip", if_exists, if_generation
        ) as writer:
            rows = tabular.write(texts, writer, "csv.gz", header) or 0
        stored = {each.name: getattr(writer.stored, each.name) for each in fields(StoredObject)}
        return UploadedObject(**stored, rows=rows)

    def download_csv_gzip(
        self, bucket_name: str, storage_path: str, *, max_bytes: int | None = None
    ) -> list[list[str | None]]:
        """Return the rows of a gzip-compressed CSV object, the header among them.

        A field that is empty and unquoted is None, a quoted empty one "". The object's
        checksum is verified before its first row is read.

        Args:
            max_bytes: How large the decompressed content may be. By default 4 GiB, if the
                compression is of a credible strength.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object or bucket.
            UnsafeContent: the content grows beyond its limit.
            ValueError: the object is not gzip, is cut short, or is not CSV.
        """
        bucket, name = check_bucket(bucket_name), check_name(storage_path)
        with self._backend.reader(bucket, name) as file:
            rows: list[list[str | None]] = tabular.read(
                file, "csv.gz", where=f"gs://{bucket}/{name}", max_bytes=max_bytes
            )
        return rows

    # --- Objects of any content -----------------------------------------------------------

    def write(
        self,
        uri: str,
        data: object,
        *,
        format: Format | Literal["infer"] = "infer",
        header: Sequence[str] | None = None,
        if_exists: IfExists = "replace",
        if_generation: int | None = None,
    ) -> StoredObject:
        """Write one object. It appears complete or not at all; the same data, the same bytes.

        Args:
            uri: `gs://bucket/name`.
            data: bytes and str are written as they are, str as UTF-8. A mapping or a list
                becomes JSON; rows become CSV, NDJSON or Parquet, as in `upload_csv_gzip`.
            format: By default what the name ends in: .txt, .html, .json, .csv, .csv.gz,
                .ndjson, .ndjson.gz, .parquet.
            header: Of plain rows, the columns' names.
            if_exists: "replace" overwrites; "fail" leaves what is there.
            if_generation: Write only while the object has this generation; 0 means that
                there is none.

        Raises:
            ValueError: the name does not say a format, or the data does not fit it.
            google.api_core.exceptions.NotFound: there is no such bucket.
            google.api_core.exceptions.PreconditionFailed: the object is there and if_exists
                is "fail", or its generation is another.

        Example:
            >>> store.write("gs://lessons/latest.json", {"run": "2024-03-01"}).size
            26
        """
        bucket, name = split_object_uri(uri)
        form = tabular.choose_format(data, name) if format == "infer" else format
        kind = content_type_of(name, form)
        with self._writer(bucket, name, kind, if_exists, if_generation) as writer:
            tabular.write(data, writer, form, header)
        return writer.stored

    def read(
        self,
        uri: str,
        *,
        as_: tabular.As | Literal["infer"] = "infer",
        generation: int | None = None,
        max_bytes: int | None = None,
    ) -> Any:
        """Return one object's content, its checksum verified.

        Args:
            as_: "bytes" exactly as stored; "text", "json", "rows" (lists), "records"
                (dicts), "dataframe" or "arrow" as decoded. By default what the name's ending
                stands for: text, a JSON value, rows of CSV, records of NDJSON, a
                `pyarrow.Table` of Parquet, otherwise bytes.
            generation: Read this version; NotFound if it is no longer there.
            max_bytes: How large the decompressed content may be. By default 4 GiB, if the
                compression is of a credible strength.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object or bucket.
            UnsafeContent: the content grows beyond its limit.
            MissingExtra: a frame, Arrow or Parquet without the pandas extra.
            ValueError: the content is not of its format.
        """
        bucket, name = split_object_uri(uri)
        with self._backend.reader(bucket, name, generation=generation) as file:
            return tabular.read(file, format_of(name), as_, where=uri, max_bytes=max_bytes)

    @contextmanager
    def open(
        self,
        uri: str,
        mode: Mode = "rb",
        *,
        encoding: str = "utf-8",
        newline: str | None = "",
        if_exists: IfExists = "replace",
        if_generation: int | None = None,
        generation: int | None = None,
    ) -> Iterator[Any]:
        """Open one object for a `with` block, to be streamed. All or nothing.

        Written content is published when the block ends; an error in the block, also behind
        a wrapper such as GzipFile or TextIOWrapper, publishes nothing. Read content is one
        version, verified before the block begins.

        Args:
            mode: "rb" and "wb" for the bytes as stored; "rt" and "wt" for text, through gzip
                if the name ends in .gz.
            newline: As of the built-in `open`; by default nothing is translated.
            if_exists: For writing, "replace" overwrites; "fail" leaves what is there.
            if_generation: For writing, only while the object has this generation.
            generation: For reading, this version.

        Example:
            >>> with store.open("gs://lessons/note.txt", "wt") as file:
            ...     file.write("hello")
            5
        """
        bucket, name = split_object_uri(uri)
        packed = name.endswith(".gz")
        if mode in ("rb", "rt"):
            with self._backend.reader(bucket, name, generation=generation) as file:
                if mode == "rb":
                    yield file
                else:
                    content = decompressed(file, where=uri, required=packed)
                    with io.TextIOWrapper(content, encoding, newline=newline) as text:
                        yield text
        elif mode in ("wb", "wt"):
            kind = content_type_of(name)
            with (
                self._writer(bucket, name, kind, if_exists, if_generation) as writer,
                Sink(writer) as sink,
            ):
                if mode == "wb":
                    yield sink
                else:
                    with text_into(sink, encoding, newline, packed=packed) as text:
                        yield text
            sink.stored = writer.stored
        else:
            raise ValueError(f"the mode {mode!r} is not one of 'rb', 'wb', 'rt' and 'wt'")

    def list(self, uri: str) -> Iterator[StoredObject]:
        """Yield the objects at a prefix or a glob, in the order of their names.

        Args:
            uri: `gs://bucket/prefix`; or with `*` and `?`, which stop at a slash, `**`, which
                does not, and `[abc]`.

        Example:
            >>> [each.name for each in store.list("gs://lessons/*.csv.gz")]
            ['items.csv.gz']
        """
        bucket, path = split_uri(uri)
        prefix, pattern = split_glob(path)
        for stored in self._backend.list(bucket, prefix):
            if pattern is None or pattern.fullmatch(stored.name):
                yield stored

    def stat(self, uri: str, *, generation: int | None = None) -> StoredObject:
        """Return an object's generation, size, checksum and type, without its content.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object, version or bucket.
        """
        bucket, name = split_object_uri(uri)
        return self._backend.stat(bucket, name, generation=generation)

    def exists(self, uri: str) -> bool:
        """Return whether the object is there; False also where there is no such bucket."""
        from google.api_core.exceptions import NotFound

        try:
            self.stat(uri)
        except NotFound:
            return False
        return True

    def delete(self, uri: str, *, if_generation: int | None = None) -> None:
        """Delete one object.

        Args:
            if_generation: Only while the object has this generation.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object or bucket.
            google.api_core.exceptions.PreconditionFailed: its generation is another.
        """
        bucket, name = split_object_uri(uri)
        self._backend.delete(bucket, name, if_generation=if_generation)

    def create_bucket(self, name: str, *, if_exists: Literal["fail", "keep"] = "fail") -> None:
        """Create a bucket with the project's defaults.

        Args:
            if_exists: "keep" leaves the bucket as it is, if this account can see it.

        Raises:
            google.api_core.exceptions.Conflict: the name is taken.
        """
        from google.api_core.exceptions import Conflict

        try:
            self._backend.create_bucket(check_bucket(name))
        except Conflict:
            if if_exists == "fail":
                raise
            # Taken by somebody else, perhaps: then this says so.
            next(self.list(f"gs://{name}/"), None)

    def publication(self, uri: str) -> Publication:
        """Return the place, `gs://bucket/folder`, where one complete run is the published one."""
        from gcp_accessor.publication import Publication

        return Publication(self, uri)

    def close(self) -> None:
        """Close the connections. The accessor can be used again, and then opens new ones."""
        if self._made is not None:
            self._made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_made": None}

    @property
    def _backend(self) -> BucketBackend:
        if self._made is None:
            if self.local is not None:
                from gcp_accessor.backends.folder import FolderBackend

                self._made = FolderBackend(self.local)
            else:
                from gcp_accessor.backends.google.storage import GoogleStorageBackend

                self._made = GoogleStorageBackend(
                    self._project, self._credentials, self._client, self._timeout
                )
        return self._made

    @contextmanager
    def _writer(
        self,
        bucket: str,
        name: str,
        content_type: str,
        if_exists: IfExists,
        if_generation: int | None,
    ) -> Iterator[ObjectWriter]:
        if if_exists not in ("replace", "fail"):
            raise ValueError(f"if_exists is {if_exists!r}; expected 'replace' or 'fail'")
        # What may be replaced must not be served from a cache, from its first version on.
        cache_control: str | None = "no-store"
        if if_exists == "fail":
            if if_generation is not None:
                raise ValueError("if_exists='fail' is if_generation=0; give one of them")
            if_generation, cache_control = 0, None
        with self._backend.writer(
            bucket,
            name,
            content_type=content_type,
            if_generation=if_generation,
            cache_control=cache_control,
        ) as writer:
            yield writer


GoogleCloudStorageAccessor = CloudStorageAccessor
