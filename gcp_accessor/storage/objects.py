"""Objects of any content: written, read, streamed, listed, deleted."""

from __future__ import annotations

import io
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from gcp_accessor import tabular
from gcp_accessor.arguments import check_choice
from gcp_accessor.storage.connection import Connection, IfExists, precondition
from gcp_accessor.tabular.formats import Format, content_type_of, format_of
from gcp_accessor.tabular.streams import Sink, decompressed, text_into
from gcp_accessor.uris import check_new_bucket, split_glob, split_object_uri, split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gcp_accessor.backends import StoredObject

Mode = Literal["rb", "wb", "rt", "wt"]

_LONGEST_SIGNED = timedelta(days=7)


class Objects(Connection):
    """What `CloudStorageAccessor` does with one object, and with what there is of them."""

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
        check_choice("format", format, ("infer", *get_args(Format)))
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
        types: Mapping[str, str] | None = None,
        generation: int | None = None,
        max_bytes: int | None = None,
    ) -> Any:
        """Return one object's content, its checksum verified.

        Args:
            as_: "bytes" exactly as stored; "text", "json", "rows" (lists), "records"
                (dicts), "dataframe" or "arrow" as decoded. By default what the name's ending
                stands for: text, a JSON value, rows of CSV, records of NDJSON, a
                `pyarrow.Table` of Parquet, otherwise bytes.
            types: Of CSV as "dataframe" or "arrow", columns' types in BigQuery's words, such as
                `{"student_id": "STRING"}`. Of another column it is the narrowest type that
                holds all of its values, so that "007" becomes 7.
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
            return tabular.read(
                file, format_of(name), as_, where=uri, types=types, max_bytes=max_bytes
            )

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

    def copy(
        self,
        source: str,
        destination: str,
        *,
        if_exists: IfExists = "replace",
        if_generation: int | None = None,
        source_generation: int | None = None,
    ) -> StoredObject:
        """Copy one object within Cloud Storage; its bytes do not come here.

        The copy appears complete or not at all, and keeps the content type and whatever else
        was said of its source.

        Args:
            source: `gs://bucket/name`.
            destination: The copy's `gs://bucket/name`.
            if_exists: "replace" overwrites; "fail" leaves what is there.
            if_generation: Copy only while the destination has this generation.
            source_generation: Copy this version; NotFound if it is no longer there.

        Raises:
            google.api_core.exceptions.NotFound: there is no such source or bucket.
            google.api_core.exceptions.PreconditionFailed: the destination is there and
                if_exists is "fail", or its generation is another.

        Example:
            >>> store.copy("gs://lessons/items.csv.gz", "gs://lessons/2024/items.csv.gz").name
            '2024/items.csv.gz'
        """
        from_bucket, from_name = split_object_uri(source)
        bucket, name = split_object_uri(destination)
        expected, _ = precondition(if_exists, if_generation)
        return self._backend.copy(
            from_bucket,
            from_name,
            bucket,
            name,
            generation=source_generation,
            if_generation=expected,
        )

    def signed_url(
        self,
        uri: str,
        *,
        method: Literal["GET", "HEAD", "PUT", "DELETE"] = "GET",
        expires: timedelta = timedelta(minutes=15),
        content_type: str | None = None,
    ) -> str:
        """Return an address that lets whoever has it read, or write, one object for a while.

        No key file is needed: a service account without one is signed for by IAM, in one
        request, as is the account that is impersonated.

        Args:
            method: What may be done with the object.
            expires: For how long, at most seven days.
            content_type: What a PUT has to send as its Content-Type.

        Raises:
            UnsupportedLocally: the accessor works on a folder.
            google.auth.exceptions.InvalidOperation: the account is a person's, who cannot sign.
            google.auth.exceptions.TransportError: the account may not sign for itself; it needs
                roles/iam.serviceAccountTokenCreator.
        """
        bucket, name = split_object_uri(uri)
        if method not in ("GET", "HEAD", "PUT", "DELETE"):
            raise ValueError(f"method is {method!r}; expected 'GET', 'HEAD', 'PUT' or 'DELETE'")
        if not timedelta(seconds=1) <= expires <= _LONGEST_SIGNED:
            raise ValueError(
                f"expires is {expires}; expected a second at least, seven days at most"
            )
        return self._backend.signed_url(
            bucket, name, method=method, expires=expires, content_type=content_type
        )

    def create_bucket(self, name: str, *, if_exists: Literal["fail", "keep"] = "fail") -> None:
        """Create a bucket with the project's defaults.

        Args:
            if_exists: "keep" leaves the bucket as it is, if this account can see it.

        Raises:
            google.api_core.exceptions.Conflict: the name is taken.
        """
        from google.api_core.exceptions import Conflict

        try:
            self._backend.create_bucket(check_new_bucket(name))
        except Conflict:
            if if_exists == "fail":
                raise
            # Taken by somebody else, perhaps: then this says so.
            next(self.list(f"gs://{name}/"), None)
