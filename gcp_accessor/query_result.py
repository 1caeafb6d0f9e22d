"""What a query gave: its rows in whichever form the caller wants, and what it cost."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from gcp_accessor.byte_sizes import bytes_text
from gcp_accessor.errors import MissingExtra, ResultTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandas import DataFrame
    from pyarrow import RecordBatch, Schema, Table

    from gcp_accessor.backends import Cursor, QueryStats
    from gcp_accessor.schema import Column

_BATCH_ROWS = 65_536
_MAX_BYTES = 2 * 2**30


class QueryResult:
    """The rows of a finished query; iterating gives them as records.

    Rows are fetched when they are asked for, and again each time they are. Values are those
    of google-cloud-bigquery: NULL is None, a TIMESTAMP an aware datetime in UTC, a NUMERIC a
    Decimal, an ARRAY a list, a STRUCT a dict. A statement that is not a query, or that has a
    destination, has no rows and no columns here: the table has them.

    Example:
        >>> result = warehouse.query("SELECT 1 AS one, [2, 3] AS more")
        >>> result
        <QueryResult: 1 row of one INT64, more ARRAY<INT64>>
        >>> result.records()
        [{'one': 1, 'more': [2, 3]}]
    """

    def __init__(self, cursor: Cursor, sql: str) -> None:
        self._cursor = cursor
        self._sql = sql

    @property
    def schema(self) -> tuple[Column, ...]:
        """The result's columns, also when it has no rows."""
        return self._cursor.schema

    @property
    def total_rows(self) -> int:
        """The number of rows, known without fetching them."""
        return self._cursor.total_rows

    @property
    def stats(self) -> QueryStats:
        """The job's id and what it cost."""
        return self._cursor.stats

    def __iter__(self) -> Iterator[dict[str, object]]:
        names = [column.name for column in self.schema]
        for row in self._cursor.rows():
            yield dict(zip(names, row, strict=True))

    def __len__(self) -> int:
        return self.total_rows

    def rows(self) -> list[list[object]]:
        """Every row as a list of values, in the order of `schema`."""
        return list(self._cursor.rows())

    def records(self) -> list[dict[str, object]]:
        """Every row as a mapping from column to value."""
        return list(self)

    def first(self) -> dict[str, object] | None:
        """The first row as a record, or None if there is no row."""
        return next(iter(self), None)

    def scalar(self) -> object:
        """The one value of a result of one row and one column.

        Raises:
            ValueError: the result has another shape.
        """
        if self.total_rows != 1 or len(self.schema) != 1:
            raise ValueError(
                f"a scalar is one row of one column; the query gave {self.total_rows} rows of "
                f"{len(self.schema)} columns"
            )
        return next(self._cursor.rows())[0]

    def batches(self, max_rows: int = _BATCH_ROWS) -> Iterator[RecordBatch]:
        """The rows in Arrow, at most `max_rows` at a time; a few batches are held in memory.

        Every batch has the schema that `to_arrow()` has. A result without rows has none. The
        rows are in the order of `rows()` if the statement ends in ORDER BY. Without it a large
        result of BigQuery is read as several streams at once, and its rows come as they arrive.
        """
        if max_rows < 1:
            raise ValueError(f"max_rows is {max_rows}; expected at least 1")
        arrow_schema = _arrow_schema(self.schema)
        from gcp_accessor.arrow import conform

        for batch in self._cursor.batches(max_rows):
            whole = conform(batch, arrow_schema)
            for start in range(0, whole.num_rows, max_rows):
                yield whole.slice(start, max_rows)

    def to_arrow(self, *, max_bytes: int | None = _MAX_BYTES) -> Table:
        """The whole result as an Arrow table; without rows it still has its columns' types.

        Args:
            max_bytes: The most memory that its columns may take, by default 2 GiB. They are
                counted as they arrive, and nothing is fetched of a result whose number of rows
                alone is too large. None takes whatever comes.

        Raises:
            ResultTooLarge: the result takes more.
        """
        arrow_schema = _arrow_schema(self.schema)
        import pyarrow

        return pyarrow.Table.from_batches(self._within(max_bytes), schema=arrow_schema)

    def to_dataframe(
        self,
        *,
        dtype_backend: Literal["numpy", "pyarrow"] = "numpy",
        max_bytes: int | None = _MAX_BYTES,
    ) -> DataFrame:
        """The whole result as a DataFrame whose dtypes follow from the columns alone.

        With "numpy", an INT64 is pandas' `Int64` and a BOOL its `boolean`, so that a NULL
        turns neither into floats nor objects; a FLOAT64 is `float64`, where NULL and NaN are
        one; a TIMESTAMP is `datetime64[us, UTC]`; DATE, TIME, NUMERIC, BYTES, JSON, ARRAY and
        STRUCT hold the Python values that `rows()` gives. With "pyarrow", every column keeps
        its Arrow type.

        `attrs` of the frame holds the job's id, the bytes it read and the SQL's SHA-256.

        Args:
            dtype_backend: Whose dtypes the frame has.
            max_bytes: As for `to_arrow()`, of which the frame is made; it may itself take more.

        Raises:
            ResultTooLarge: the result takes more.
        """
        if dtype_backend not in {"numpy", "pyarrow"}:
            raise ValueError(f"dtype_backend is {dtype_backend!r}; expected 'numpy' or 'pyarrow'")
        try:
            from gcp_accessor.frame import frame_of
        except ImportError as error:
            raise MissingExtra("a DataFrame", "pandas") from error
        frame = frame_of(self.to_arrow(max_bytes=max_bytes), self.schema, dtype_backend)
        frame.attrs = {
            "job_id": self.stats.job_id,
            "bytes_processed": self.stats.bytes_processed,
            "sql_sha256": hashlib.sha256(self._sql.encode()).hexdigest(),
        }
        return frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as any library takes them that speaks Arrow, a few batches in memory.

        So a result can be loaded into another table, written to a bucket, or given to
        `polars.DataFrame` and `pyarrow.table`, as it is.
        """
        arrow_schema = _arrow_schema(self.schema)
        import pyarrow

        reader = pyarrow.RecordBatchReader.from_batches(arrow_schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _within(self, max_bytes: int | None) -> Iterator[RecordBatch]:
        from gcp_accessor.arrow import least_bytes

        size = int(least_bytes(_arrow_schema(self.schema)) * self.total_rows)
        if max_bytes is not None and size > max_bytes:
            raise _too_large(self.total_rows, f"at least {bytes_text(size)}", max_bytes)
        size = 0
        for batch in self.batches():
            size += batch.nbytes
            if max_bytes is not None and size > max_bytes:
                raise _too_large(self.total_rows, f"over {bytes_text(size)}", max_bytes)
            yield batch

    def __repr__(self) -> str:
        if not self.schema:
            return "<QueryResult: no rows to read>"
        from gcp_accessor.type_names import type_name

        columns = ", ".join(f"{column.name} {type_name(column)}" for column in self.schema)
        rows = "1 row" if self.total_rows == 1 else f"{self.total_rows:,} rows"
        return f"<QueryResult: {rows} of {columns}>"

    def _repr_html_(self) -> str:
        """Ten rows and what they cost, as a notebook shows them."""
        from gcp_accessor.display import result_html

        return result_html(self)


def _too_large(rows: int, size: str, max_bytes: int) -> ResultTooLarge:
    return ResultTooLarge(
        f"the result of {rows:,} rows takes {size} of memory, more than max_bytes, "
        f"{bytes_text(max_bytes)}; read it with batches(), let the query write a destination= "
        "or aggregate more, or raise max_bytes="
    )


def _arrow_schema(columns: tuple[Column, ...]) -> Schema:
    try:
        from gcp_accessor.arrow import arrow_schema
    except ImportError as error:
        raise MissingExtra("a result in Arrow or pandas", "pandas") from error
    return arrow_schema(columns)
