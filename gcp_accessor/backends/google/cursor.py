"""A finished query's rows, read from BigQuery."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gcp_accessor.backends import Changes, QueryStats
from gcp_accessor.backends.google.advice import advice
from gcp_accessor.backends.google.jobs import FIRST_PAGE_ROWS
from gcp_accessor.backends.google.schema import columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud import bigquery
    from pyarrow import RecordBatch

    from gcp_accessor.backends.google.storage_read import StorageReader

_PAGE_ROWS = 50_000
_SMALL_PAGE_ROWS = 5_000
# A session of the Storage Read API takes some tenths of a second to open, in which REST
# brings, and the client decodes, about so many values.
_FEW_VALUES = 100_000
_ORDER_BY = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)


class GoogleCursor:
    """The rows of a finished query job.

    Python's values come page by page through REST, and so does Arrow of a small result; a
    large one comes through the Storage Read API, if there is one.

    Args:
        job: It has ended well.
        stored: The rows stay in the table that they were written to.
        reader: Reads large results in Arrow.
    """

    def __init__(self, job: bigquery.QueryJob, *, stored: bool, reader: StorageReader) -> None:
        self._job = job
        self._reader = reader
        rows = job.result(page_size=FIRST_PAGE_ROWS)
        # BigQuery would answer with the whole destination, or with DDL's idea of a schema.
        self._has_rows = not stored and rows.total_rows is not None
        self.schema = columns(rows.schema) if self._has_rows else ()
        self.total_rows: int = rows.total_rows if self._has_rows else 0
        self.stats = QueryStats(
            job_id=job.job_id,
            seconds=(job.ended - job.started).total_seconds() if job.ended and job.started else 0,
            bytes_processed=job.total_bytes_processed,
            bytes_billed=job.total_bytes_billed,
            cache_hit=bool(job.cache_hit),
            slot_milliseconds=job.slot_millis,
            changes=_changes(job),
        )

    @property
    def table(self) -> bigquery.TableReference:
        """The table that holds the rows: the destination, or one that BigQuery made for them."""
        table: bigquery.TableReference = self._job.destination
        return table

    def rows(self) -> Iterator[list[object]]:
        """Each row as a list of Python values."""
        if not self.total_rows:
            return
        with advice():
            for page in self._job.result(page_size=_PAGE_ROWS).pages:
                for row in page:
                    # Row.values() copies every value deeply; they are nobody else's.
                    yield list(row[:])

    def batches(self, max_rows: int) -> Iterator[RecordBatch]:
        """The rows in Arrow, in messages or pages of the service's size.

        Their order is that of `rows()` if the statement says ORDER BY, and may else be any.
        """
        if not self.total_rows:
            return
        with advice():
            batches = self._read()
            yield from self._pages(max_rows) if batches is None else batches

    def _read(self) -> Iterator[RecordBatch] | None:
        """The rows through the Storage Read API, where that is possible and worth its session."""
        left = (self.total_rows - FIRST_PAGE_ROWS) * len(self.schema)
        table = self._job.destination
        # What a script ends with is in no table that is known, and a partition is a part of one.
        if left <= _FEW_VALUES or table is None or "$" in table.table_id:
            return None
        # Also an ORDER BY inside of a window costs the other streams, but no order is lost.
        ordered = _ORDER_BY.search(self._job.query) is not None
        return self._reader.batches(table, ordered=ordered)

    def _pages(self, max_rows: int) -> Iterator[RecordBatch]:
        # Small batches are cut from larger pages: each page is a request.
        rows = min(max(max_rows, _SMALL_PAGE_ROWS), _PAGE_ROWS)
        pages = self._job.result(page_size=rows)
        yield from pages.to_arrow_iterable()


def _changes(job: bigquery.QueryJob) -> Changes | None:
    done = job.dml_stats
    if done is None:
        return None
    return Changes(done.inserted_row_count, done.updated_row_count, done.deleted_row_count)
