"""Rows as csv.gz: in with one call, and out again."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from gcp_accessor import tabular
from gcp_accessor.backends import StoredObject
from gcp_accessor.storage.connection import Connection, IfExists
from gcp_accessor.storage.first_names import UploadedObject
from gcp_accessor.uris import check_bucket, check_name

if TYPE_CHECKING:
    from collections.abc import Sequence


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
