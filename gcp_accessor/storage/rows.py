"""Rows as csv.gz: in with one call, and out again, all at once or one by one."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from gcp_accessor import tabular
from gcp_accessor.backends import StoredObject
from gcp_accessor.storage.connection import Connection, IfExists
from gcp_accessor.storage.first_names import UploadedObject
from gcp_accessor.tabular.formats import format_of
from gcp_accessor.uris import check_bucket, check_path, split_object_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Rows(Connection):
    """What `CloudStorageAccessor` does with objects of rows."""

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
        bytes, be they lists, records, Arrow or a DataFrame, so a repeated run leaves an
        identical object; another version of `isal`, or another family of processors, may
        pack them differently. Memory stays flat: rows are consumed once, in blocks.

        It is packed for speed, and about a quarter larger than at gzip's strongest level.

        Args:
            texts: Rows: any iterable of sequences or of records (mappings), a DataFrame, or
                anything Arrow can read. None becomes an unquoted empty field, which BigQuery
                loads as NULL; "" a quoted one. In a DataFrame NaN is NULL too, as pandas
                has it; its index is left out.
            header: Column names, written first. A frame, Arrow and records bring their own.
            if_exists: "replace" overwrites; "fail" leaves what is there.
            if_generation: Write only while the object has this generation.

        Returns:
            The stored object: uri, generation, crc32c, size in bytes, rows.

        Raises:
            ValueError: texts is a string or one mapping, is empty, has ragged rows (the
                message names the first ragged row), two columns of one name, or a lone
                surrogate (the message names its row).
            TypeError: a value is nothing that CSV can hold (a note names its row).
            google.api_core.exceptions.PreconditionFailed: the object is there and if_exists
                is "fail", or its generation is another.

        Example:
            >>> store.upload_csv_gzip("lessons", "items.csv.gz", [["q1", -0.42]]).rows
            1
        """
        name = check_path(storage_path)
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
        checksum is verified before its first row is read. `read(uri, as_="dataframe")` and
        `as_="arrow"` give columns with types, and take a tenth of the time; `iter_rows` holds
        a block of rows only.

        Args:
            max_bytes: How large the decompressed content may be. By default 4 GiB, if the
                compression is of a credible strength.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object or bucket.
            UnsafeContent: the content grows beyond its limit.
            ValueError: the object is not gzip, is cut short, or is not CSV.

        Example:
            >>> store.download_csv_gzip("lessons", "items.csv.gz")
            [['q1', '-0.42']]
        """
        bucket, name = check_bucket(bucket_name), check_path(storage_path)
        with self._backend.reader(bucket, name) as file:
            rows: list[list[str | None]] = tabular.read(
                file, "csv.gz", where=f"gs://{bucket}/{name}", max_bytes=max_bytes
            )
        return rows

    def iter_rows(
        self, uri: str, *, generation: int | None = None, max_bytes: int | None = None
    ) -> Iterator[list[str | None]]:
        """Yield the rows of a CSV object, gzip-compressed or not, the header among them.

        They are those of `download_csv_gzip`, a few thousand at a time, so that memory stays
        flat; what has been received of the object waits on disk. They are of one version,
        whatever is written meanwhile.

        Args:
            uri: `gs://bucket/name`, the name ending in .csv or .csv.gz.
            generation: This version.
            max_bytes: As in `download_csv_gzip`.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object, version or bucket.
            UnsafeContent: the content grows beyond its limit.
            ValueError: the object is not CSV; the rows before that have been given.

        Example:
            >>> sum(len(row) for row in store.iter_rows("gs://lessons/items.csv.gz"))
            2
        """
        bucket, name = split_object_uri(uri)
        return self._rows(bucket, name, "rows", generation, max_bytes)

    def iter_records(
        self,
        uri: str,
        *,
        header: Sequence[str] | None = None,
        generation: int | None = None,
        max_bytes: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of a CSV, NDJSON or Parquet object, in flat memory as `iter_rows`.

        CSV's values are texts or None; NDJSON's and Parquet's have their types.

        Args:
            uri: `gs://bucket/name`, the name ending in one of those formats.
            header: The columns' names of a CSV object whose first row is not its header.
            generation: This version.
            max_bytes: As in `download_csv_gzip`.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object, version or bucket.
            UnsafeContent: the content grows beyond its limit.
            ValueError: the object is not of its format, or a row is of another width than the
                header; the records before that have been given.

        Example:
            >>> next(store.iter_records("gs://lessons/items.csv.gz", header=["item", "b"]))
            {'item': 'q1', 'b': '-0.42'}
        """
        bucket, name = split_object_uri(uri)
        return self._rows(bucket, name, "records", generation, max_bytes, header)

    def _rows(
        self,
        bucket: str,
        name: str,
        form: Literal["rows", "records"],
        generation: int | None,
        max_bytes: int | None,
        header: Sequence[str] | None = None,
    ) -> Iterator[Any]:
        with self._backend.reader(bucket, name, generation=generation) as file:
            for block in tabular.blocks(
                file,
                format_of(name),
                form,
                where=f"gs://{bucket}/{name}",
                header=header,
                max_bytes=max_bytes,
            ):
                yield from block
