"""A finished statement's rows, kept apart from the warehouse's file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from gcp_accessor.arrow import arrow_schema, conform
from gcp_accessor.arrow_values import python_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gcp_accessor.backends import QueryStats
    from gcp_accessor.schema import Column

# Rows beyond this are written to a file that has no name and goes with its last reader.
_MEMORY_BYTES = 128 * 2**20


@dataclass(slots=True)
class LocalCursor:
    """The rows of a statement, readable more than once, after the warehouse is closed.

    At most about 128 MiB of them are in memory; more are in a temporary file.
    """

    schema: tuple[Column, ...]
    total_rows: int
    stats: QueryStats
    _batches: Callable[[], Iterable[pa.RecordBatch]] = field(default=tuple, repr=False)

    def rows(self) -> Iterator[list[object]]:
        """Each row as a list of Python values, as google-cloud-bigquery types them."""
        for batch in self._batches():
            columns = [
                python_values(column, values)
                for column, values in zip(self.schema, batch.columns, strict=True)
            ]
            yield from map(list, zip(*columns, strict=True))

    def batches(self, max_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows in Arrow, at most `max_rows` at a time."""
        for batch in self._batches():
            for start in range(0, batch.num_rows, max_rows):
                yield batch.slice(start, max_rows)


def keep(
    columns: tuple[Column, ...],
    batches: Iterable[pa.RecordBatch],
    scratch: Path,
    memory_bytes: int = _MEMORY_BYTES,
) -> tuple[int, Callable[[], Iterable[pa.RecordBatch]]]:
    """Read all batches; return how many rows there are, and how to read them again."""
    schema = arrow_schema(columns)
    kept: list[pa.RecordBatch] = []
    rows = size = 0
    stream = iter(batches)
    for batch in stream:
        typed = conform(batch, schema)
        rows += typed.num_rows
        size += typed.nbytes
        kept.append(typed)
        if size > memory_bytes:
            spilled, read = _spill(schema, kept, stream, scratch)
            return rows + spilled, read
    return rows, lambda: kept


def _spill(
    schema: pa.Schema,
    kept: list[pa.RecordBatch],
    stream: Iterator[pa.RecordBatch],
    scratch: Path,
) -> tuple[int, Callable[[], Iterable[pa.RecordBatch]]]:
    rows = 0
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=".arrow") as file:
        with pa.ipc.new_file(file, schema) as writer:
            for batch in kept:
                writer.write_batch(batch)
            kept.clear()
            for batch in stream:
                typed = conform(batch, schema)
                rows += typed.num_rows
                writer.write_batch(typed)
        file.flush()
        # The mapping outlives the name, which ends with this block.
        mapped = pa.memory_map(file.name)
    reader = pa.ipc.open_file(mapped)

    def read() -> Iterator[pa.RecordBatch]:
        return (reader.get_batch(index) for index in range(reader.num_record_batches))

    return rows, read
