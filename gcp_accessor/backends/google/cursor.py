"""A finished query's rows, read from BigQuery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_accessor.backends import Changes, QueryStats
from gcp_accessor.backends.google.advice import advice
from gcp_accessor.backends.google.jobs import FIRST_PAGE_ROWS
from gcp_accessor.backends.google.schema import columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud import bigquery
    from pyarrow import RecordBatch

_PAGE_ROWS = 50_000


class GoogleCursor:
    """The rows of a finished query job, paged through REST."""

    def __init__(self, job: bigquery.QueryJob, *, stored: bool) -> None:
        self._job = job
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

    def rows(self) -> Iterator[list[object]]:
        """Each row as a list of Python values."""
        if not self._has_rows:
            return
        with advice():
            for row in self._job.result(page_size=_PAGE_ROWS):
                yield list(row.values())

    def batches(self, max_rows: int) -> Iterator[RecordBatch]:
        """One batch for each page."""
        if not self._has_rows:
            return
        with advice():
            pages = self._job.result(page_size=min(max_rows, _PAGE_ROWS))
            yield from pages.to_arrow_iterable()


def _changes(job: bigquery.QueryJob) -> Changes | None:
    done = job.dml_stats
    if done is None:
        return None
    return Changes(done.inserted_row_count, done.updated_row_count, done.deleted_row_count)
