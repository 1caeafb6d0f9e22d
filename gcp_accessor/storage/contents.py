"""What is in an object: written, read and streamed, in any form."""

from __future__ import annotations

import functools
import io
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, get_args

from gcp_accessor import tabular
from gcp_accessor.arguments import check_choice
from gcp_accessor.storage.connection import Connection, IfExists
from gcp_accessor.tabular.formats import Format, content_type_of, format_of
from gcp_accessor.tabular.streams import Sink, decompressed, text_into
from gcp_accessor.uris import split_object_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from gcp_accessor.backends import StoredObject

Mode = Literal["rb", "wb", "rt", "wt"]
P = ParamSpec("P")


class _Block(AbstractContextManager[Any]):
    """A file for a `with` block, whose end says whether what was written is to be published."""

    def __init__(self, block: AbstractContextManager[Any]) -> None:
        self._block = block

    def __enter__(self) -> Any:
        return self._block.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._block.__exit__(kind, error, traceback)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"open() gives its file to a block, so there is no {name!r} before that; write "
            "`with store.open(uri, mode) as file:`"
        )


def _for_a_block(opener: Callable[P, Iterator[Any]]) -> Callable[P, AbstractContextManager[Any]]:
    opened = contextmanager(opener)

    @functools.wraps(opener)
    def block(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[Any]:
        return _Block(opened(*args, **kwargs))

    return block


class Contents(Connection):
    """How `CloudStorageAccessor` writes and reads one object."""

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

    @_for_a_block
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
        max_bytes: int | None = None,
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
            max_bytes: For reading text, how large it may be when decompressed. By default 4 GiB,
                if the compression is of a credible strength.

        Raises:
            google.api_core.exceptions.PreconditionFailed: as for `write`, when the block ends.
            google.api_core.exceptions.NotFound: there is no such object or bucket.
            UnsafeContent: text grows beyond its limit.

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
                    content = decompressed(file, where=uri, required=packed, max_bytes=max_bytes)
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
