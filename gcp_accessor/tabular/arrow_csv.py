"""Frames and Arrow as CSV: the same bytes as `csv_text` writes, from Arrow's own engine."""

from __future__ import annotations

import csv
import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as pa_csv

from gcp_accessor.arguments import utf8
from gcp_accessor.arrow import arrow_schema
from gcp_accessor.schema import Column
from gcp_accessor.tabular.arrow_files import file_of, pieces_of, reader_of
from gcp_accessor.tabular.arrow_texts import texts_of
from gcp_accessor.tabular.csv_text import line_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gcp_accessor.backends import ObjectWriter

# What is made of a piece at a time: some megabytes of text, whatever the whole is.
_PIECE_VALUES = 1 << 17
_PIECE_BYTES = 1 << 21


def write_csv(data: Any, sink: ObjectWriter, header: Sequence[str] | None) -> int:
    """Write a frame's or an Arrow stream's rows as `csv_text` does; return their number.

    Raises:
        ValueError: it has no columns, two of one name, or one that CSV cannot hold.
        TypeError: so with a single value.
    """
    if type(data).__module__.partition(".")[0] == "pandas":
        names = [str(name) for name in data.columns]
        batches = _texts(_pieces_of_frame(data), _texts_of_series)
    else:
        reader = reader_of(data)
        names = reader.schema.names
        batches = _texts(_pieces_of_stream(reader), texts_of)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not names:
        found = f"names the column {twice[0]!r} twice" if twice else "has no columns"
        raise ValueError(f"the {type(data).__name__} {found}")
    if header is not None and len(header) != len(names):
        raise ValueError(f"the header has {len(header)} names; the data has {len(names)} columns")
    sink.write(utf8("the header", line_of(names if header is None else header)))
    schema = pa.schema([(f"f{at}", pa.large_string()) for at in range(len(names))])
    options = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
    rows = 0
    with pa_csv.CSVWriter(file_of(sink), schema, write_options=options) as writer:
        for texts in batches:
            batch = pa.record_batch(texts, schema=schema)
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def read_csv(file: BinaryIO, where: str, types: Mapping[str, str] | None = None) -> pa.Table:
    """Return the rows of a CSV file with a header.

    Args:
        types: Columns' types in BigQuery's words. Of each other column the type is the
            narrowest that holds all of its values: "007" is a 7 there.

    Raises:
        ValueError: it is not CSV with a header, or a value is not of its column's type.
    """
    columns = tuple(Column(name, kind) for name, kind in (types or {}).items())
    for column in columns:
        if column.type in ("STRUCT", "BYTES"):
            raise ValueError(f"{column.name!r} is to be {column.type}, which is not read from CSV")
    # Read-ahead for a look at the header; what it wraps is its opener's to close.
    ahead = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("Any", file))
    try:
        table = pa_csv.read_csv(
            ahead,
            parse_options=pa_csv.ParseOptions(
                newlines_in_values=True,
                # Of one column, an empty line is a NULL.
                ignore_empty_lines=_width(ahead.peek(1)) > 1,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=arrow_schema(columns),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{where} is not CSV with a header: {error}") from error
    finally:
        if ahead is not file and not ahead.closed:
            ahead.detach()
    absent = [column.name for column in columns if column.name not in table.column_names]
    if absent:
        raise ValueError(
            f"{where} has no column {absent[0]!r}; it has {', '.join(table.column_names)}"
        )
    if any(map(pa.types.is_binary, table.schema.types)):
        raise ValueError(f"{where} is not UTF-8 text; save it as UTF-8")
    return table


def _width(head: bytes) -> int:
    text = io.StringIO(head.decode(errors="replace"), newline="")
    return len(next(csv.reader(text), ()))


def _pieces_of_stream(reader: pa.RecordBatchReader) -> Iterator[list[pa.Array]]:
    for field in reader.schema:
        if pa.types.is_nested(field.type):
            raise ValueError(
                f"the column {field.name!r} is a {field.type}, which CSV cannot hold; write "
                "NDJSON or Parquet"
            )
    rows = max(1, _PIECE_VALUES // len(reader.schema))
    for batch in pieces_of(reader, rows, _PIECE_BYTES):
        yield batch.columns


def _pieces_of_frame(frame: Any) -> Iterator[list[Any]]:
    rows = max(1, _PIECE_VALUES // frame.shape[1])
    for start in range(0, len(frame), rows):
        piece = frame.iloc[start : start + rows]
        yield [piece.iloc[:, at] for at in range(frame.shape[1])]


def _texts(
    pieces: Iterable[list[Any]], of_column: Callable[[Any], pa.Array]
) -> Iterator[list[pa.Array]]:
    """Each piece's columns as texts, made while those of the one before are written."""

    def made(columns: list[Any]) -> list[pa.Array]:
        return [of_column(column) for column in columns]

    with ThreadPoolExecutor(1) as worker:
        ready = None
        for piece in pieces:
            coming = worker.submit(made, piece)
            if ready is not None:
                yield ready.result()
            ready = coming
        if ready is not None:
            yield ready.result()


def _texts_of_series(series: Any) -> pa.Array:
    try:
        if series.dtype == object:
            return _texts_of_objects(series)
        column = pa.Array.from_pandas(series)
        return texts_of(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    except TypeError as error:
        error.add_note(f"in the column {series.name!r}")
        raise
    except UnicodeEncodeError:
        # It says neither where nor what to do.
        utf8(f"the column {series.name!r}", "\n".join(map(str, series)))
        raise


def _texts_of_objects(series: Any) -> pa.Array:
    # Values of any types, as those of rows; among them a float's NaN is pandas' way to miss one.
    values = cast("list[object]", series.tolist())
    if not {*map(type, values)} <= {str, type(None)}:
        values = [None if _is_nan(value) else text_of(value) for value in values]
    return pa.array(values, pa.large_string())


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value
