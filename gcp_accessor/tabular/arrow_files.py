"""Arrow data as CSV and Parquet files: the same bytes however it is cut into batches."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from gcp_accessor.python_values import plain
from gcp_accessor.tabular.csv_text import line_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gcp_accessor.backends import ObjectWriter

# A Parquet row group, and the rows held at a time.
_GROUP_ROWS = 1 << 17


def reader_of(data: Any) -> pa.RecordBatchReader:
    """Return a DataFrame's, an Arrow table's or another Arrow producer's rows as a stream."""
    if type(data).__module__.partition(".")[0] == "pandas":
        data = pa.Table.from_pandas(data, preserve_index=False)
    return pa.RecordBatchReader.from_stream(data)


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


def write_csv(
    reader: pa.RecordBatchReader, sink: ObjectWriter, header: Sequence[str] | None
) -> int:
    """Write the rows as `csv_text` does, only faster; return their number."""
    for field in reader.schema:
        if pa.types.is_nested(field.type):
            raise ValueError(
                f"the column {field.name!r} is a {field.type}, which CSV cannot hold; write "
                "NDJSON or Parquet"
            )
    sink.write(line_of(reader.schema.names if header is None else header).encode())
    options = arrow_csv.WriteOptions(include_header=False, quoting_style="all_valid")
    texts = pa.schema([(f"f{at}", pa.large_string()) for at in range(len(reader.schema))])
    rows = 0
    with arrow_csv.CSVWriter(_file(sink), texts, write_options=options) as writer:
        for batch in _pieces(reader):
            writer.write_batch(
                pa.record_batch([_texts(column) for column in batch.columns], schema=texts)
            )
            rows += batch.num_rows
    return rows


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
        _file(sink), schema, compression="zstd", coerce_timestamps="us"
    ) as writer:
        for table in _groups(reader):
            writer.write_table(table.cast(schema), row_group_size=_GROUP_ROWS)
            rows += table.num_rows
    return rows


def records_of(reader: pa.RecordBatchReader) -> Iterator[dict[str, object]]:
    """Yield the rows as mappings from column to Python value."""
    for batch in _pieces(reader):
        yield from batch.to_pylist()


def read_parquet(file: BinaryIO, where: str) -> pa.Table:
    """Return a Parquet file's rows.

    Raises:
        ValueError: it is not Parquet.
    """
    try:
        return pq.read_table(file)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{where} is not Parquet: {error}") from error


def read_csv(file: BinaryIO, where: str) -> pa.Table:
    """Return the rows of a CSV file with a header, each column's type found from its values.

    Raises:
        ValueError: it is not CSV with a header.
    """
    try:
        return arrow_csv.read_csv(
            file,
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{where} is not CSV with a header: {error}") from error


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


def _file(sink: ObjectWriter) -> pa.PythonFile:
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


def _pieces(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Batches of a bounded size: a table's own single batch may be all of it."""
    for batch in reader:
        for start in range(0, batch.num_rows, _GROUP_ROWS):
            yield batch.slice(start, _GROUP_ROWS)


def _groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Tables of exactly `_GROUP_ROWS` rows but for the last, each in one chunk."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in _pieces(reader):
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


def _texts(column: pa.Array) -> pa.Array:
    """A column as CSV fields. What Arrow writes exactly as `text_of` does, it writes itself."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _texts(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        # Refuses nanoseconds, which BigQuery does not keep.
        column = column.cast(pa.timestamp("us", kind.tz))
    exact = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_date32, _is_text)
    if any(is_kind(kind) for is_kind in exact):
        return column.cast(pa.large_string())
    values = cast("list[object]", column.to_pylist())
    return pa.array([text_of(value) for value in values], pa.large_string())


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
