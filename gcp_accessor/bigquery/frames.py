"""Frames and Arrow data as a Parquet file of BigQuery's types."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from gcp_accessor.errors import LoadFailed, MissingExtra, SchemaMismatch
from gcp_accessor.type_names import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from gcp_accessor.backends import ObjectWriter
    from gcp_accessor.schema import Column


def is_frame(data: object) -> bool:
    """Return whether the data is a DataFrame, or hands itself out as Arrow."""
    return hasattr(data, "__arrow_c_stream__") or type(data).__name__ == "DataFrame"


def write_frame(file: BinaryIO, data: Any, schema: tuple[Column, ...] | None) -> tuple[Column, ...]:
    """Write a frame's rows, each column in BigQuery's type, and return the columns.

    Raises:
        SchemaMismatch: a column has no type in BigQuery, or not the one that was promised.
        LoadFailed: an array holds NULL, which a table's arrays do not.
    """
    try:
        import pyarrow as pa

        from gcp_accessor.arrow import arrow_schema, columns_of
        from gcp_accessor.tabular import arrow_files
    except ImportError as error:
        raise MissingExtra("loading a DataFrame or Arrow", "pandas") from error
    # Arrow's own errors are ValueErrors, TypeErrors and NotImplementedErrors.
    ours = (ValueError, TypeError, NotImplementedError)
    try:
        reader = arrow_files.reader_of(data)
        columns = columns_of(reader.schema) if schema is None else schema
    except ours as error:
        advice = "; say the columns with schema=" if schema is None else ""
        raise SchemaMismatch(f"{_sentence(error)}{advice}") from error
    _check_names(reader.schema.names, columns)
    target = arrow_schema(columns)
    typed = pa.RecordBatchReader.from_batches(target, _typed(reader, columns, target))
    arrow_files.write_parquet(typed, cast("ObjectWriter", file))
    return columns


def _check_names(found: list[str], columns: tuple[Column, ...]) -> None:
    counts = Counter(name.lower() for name in found)
    twice = [name for name in found if counts[name.lower()] > 1]
    if twice:
        raise SchemaMismatch(
            f"the data has the columns {', '.join(map(repr, twice))}; BigQuery's names ignore "
            "case, and each is there once"
        )
    expected = [column.name for column in columns]
    if set(expected) != set(found):
        raise SchemaMismatch(
            f"the data's columns are {', '.join(found)}; expected {', '.join(expected)}"
        )


def _typed(
    reader: pa.RecordBatchReader, columns: tuple[Column, ...], target: pa.Schema
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    rows = 0
    for batch in reader:
        values = []
        for column, field in zip(columns, target, strict=True):
            given = batch.column(column.name)
            try:
                cast_values = given.cast(field.type)
            except (ValueError, TypeError, NotImplementedError) as error:
                raise SchemaMismatch(
                    f"{column.name!r} holds Arrow's {given.type}, which does not fit "
                    f"{type_name(column)}: {_sentence(error)}"
                ) from error
            _check_nulls(cast_values, column, rows)
            values.append(cast_values)
        rows += batch.num_rows
        yield pa.RecordBatch.from_arrays(values, schema=target)


def _check_nulls(values: pa.Array, column: Column, rows: int) -> None:
    """Raise LoadFailed for a NULL where the column admits none; `rows` went before these."""
    import pyarrow.compute as pc

    if column.mode == "REPEATED":
        holders = pc.list_parent_indices(values).filter(pc.list_flatten(values).is_null())
        found = holders.to_pylist()[:1]
        what = "holds None, but a table's arrays hold no NULL"
    elif column.mode == "REQUIRED":
        found = pc.indices_nonzero(values.is_null()).to_pylist()[:1]
        what = "is None, but REQUIRED"
    else:
        return
    if found:
        raise LoadFailed(
            "nothing was loaded: rows do not fit their columns",
            (f"row {rows + found[0] + 1}: {column.name!r} {what}",),
        )


def _sentence(error: Exception) -> str:
    # pandas' columns are told of by a second argument.
    return "; ".join(map(str, error.args)) or type(error).__name__
