"""Arrow data as Parquet files: the same bytes however it is cut into batches."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from gcp_accessor.python_values import plain
from gcp_accessor.tabular.streams import check_growth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gcp_accessor.backends import ObjectWriter

# A Parquet row group, and the rows held at a time.
_GROUP_ROWS = 1 << 17
_PIECE_BYTES = 1 << 24
_ROWS_READ = 1 << 12


def reader_of(data: Any) -> pa.RecordBatchReader:
    """Return a DataFrame's, an Arrow table's or another Arrow producer's rows as a stream.

    Raises:
        ValueError: it has no columns, or two of one name.
    """
    kind = type(data).__name__
    if type(data).__module__.partition(".")[0] == "pandas":
        _check_names(kind, [str(name) for name in data.columns])
        data = pa.Table.from_pandas(data, preserve_index=False)
    reader = pa.RecordBatchReader.from_stream(data)
    _check_names(kind, reader.schema.names)
    return reader


def _check_names(kind: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not names:
        found = f"names the column {twice[0]!r} twice" if twice else "has no columns"
        raise ValueError(f"the {kind} {found}")


def reader_of_rows(rows: Iterable[Sequence[object]], names: Sequence[str]) -> pa.RecordBatchReader:
    """Return Python rows as Arrow, their types those of all the values.

    Every row is held, in Arrow's columns: the last one may still decide a type.

    Raises:
        ValueError: a column's values have no type in common, or it has no value.
    """
    tables = []
    remaining = iter(rows)
    while block := list(islice(remaining, _GROUP_ROWS)):
        columns = {
            name: _array(name, [plain(value) for value in values])
            for name, values in zip(names, zip(*block, strict=True), strict=True)
        }
        tables.append(pa.table(columns))
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"the rows' values change their types: {error}") from error
    return table.to_reader()


def write_parquet(reader: pa.RecordBatchReader, sink: ObjectWriter) -> int:
    """Write the rows as Parquet that BigQuery loads; return their number.

    Row groups have a fixed size and the schema carries no notes, so that the bytes depend on
    the rows alone.
    """
    for field in reader.schema:
        if pa.types.is_null(field.type):
            raise ValueError(
                f"the column {field.name!r} has no value, so its type is unknown; give Arrow data "
                "with its schema"
            )
    schema = reader.schema.remove_metadata()
    rows = 0
    with pq.ParquetWriter(
        file_of(sink), schema, compression="zstd", coerce_timestamps="us"
    ) as writer:
        for table in _groups(reader):
            writer.write_table(table.cast(schema), row_group_size=_GROUP_ROWS)
            rows += table.num_rows
    return rows


def records_of(reader: pa.RecordBatchReader) -> Iterator[dict[str, object]]:
    """Yield the rows as mappings from column to Python value."""
    for batch in pieces_of(reader):
        yield from batch.to_pylist()


def read_parquet(file: BinaryIO, where: str, max_bytes: int | None = None) -> pa.Table:
    """Return a Parquet file's rows.

    Raises:
        ValueError: it is not Parquet.
        UnsafeContent: it says that it grows beyond `max_bytes`, by default 4 GiB.
    """
    return _opened(file, where, max_bytes).read()


def parquet_records(
    file: BinaryIO, where: str, max_bytes: int | None = None
) -> Iterator[list[dict[str, object]]]:
    """Yield the records of a Parquet file, a block of rows at a time.

    Raises:
        ValueError: it is not Parquet.
        UnsafeContent: it says that it grows beyond `max_bytes`, by default 4 GiB.
    """
    for batch in _opened(file, where, max_bytes).iter_batches(batch_size=_ROWS_READ):
        yield batch.to_pylist()


def _opened(file: BinaryIO, where: str, max_bytes: int | None) -> pq.ParquetFile:
    try:
        parquet = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{where} is not Parquet: {error}") from error
    groups = map(parquet.metadata.row_group, range(parquet.num_row_groups))
    check_growth(sum(group.total_byte_size for group in groups), where, max_bytes)
    return parquet


def table_of(records: Sequence[dict[str, object]], where: str) -> pa.Table:
    """Return records as a table; a field that a record leaves out is NULL there."""
    names = list(dict.fromkeys(name for record in records for name in record))
    if not names:
        raise ValueError(f"{where} has no records, so that they show no columns")
    columns = {name: [record.get(name) for record in records] for name in names}
    return pa.table({name: _array(name, _floats(values)) for name, values in columns.items()})


def _floats(values: list[object]) -> list[object]:
    """Among numbers, "NaN" and "Infinity" are what NDJSON makes of those floats."""
    texts = {value for value in values if isinstance(value, str)}
    numbers = any(isinstance(value, int | float) for value in values)
    if not numbers or not texts <= {"NaN", "Infinity", "-Infinity"}:
        return values
    return [float(value) if isinstance(value, str) else value for value in values]


def file_of(sink: ObjectWriter) -> pa.PythonFile:
    """Return an object's writer as a file of Arrow's."""
    return pa.PythonFile(_Unseekable(sink), mode="w")


class _Unseekable:
    """An object's writer as Arrow calls it. Arrow closes it; only its block's end publishes."""

    closed = False

    def __init__(self, sink: ObjectWriter) -> None:
        self._sink = sink

    def write(self, data: Any) -> int:
        return self._sink.write(bytes(data))

    def flush(self) -> None:
        """Everything has been handed on."""

    def close(self) -> None:
        """The block that opened the object closes it."""


def pieces_of(
    reader: pa.RecordBatchReader, rows: int = _GROUP_ROWS, size: int = _PIECE_BYTES
) -> Iterator[pa.RecordBatch]:
    """Yield batches of a bounded size: a table's own single batch may be all of it."""
    for batch in reader:
        step = rows
        if batch.nbytes > size:
            step = min(rows, max(1, size * batch.num_rows // batch.nbytes))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Tables of exactly `_GROUP_ROWS` rows but for the last, each in one chunk."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in pieces_of(reader):
        held.append(batch)
        count += batch.num_rows
        if count >= _GROUP_ROWS:
            table = pa.Table.from_batches(held)
            yield table.slice(0, _GROUP_ROWS).combine_chunks()
            held = table.slice(_GROUP_ROWS).to_batches()
            count -= _GROUP_ROWS
    if count:
        yield pa.Table.from_batches(held).combine_chunks()


def _array(name: str, values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise ValueError(f"the values of {name!r} have no type in common: {error}") from error
