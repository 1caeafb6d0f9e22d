"""BigQuery's columns as Arrow's, and back: the types its Storage Read API answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from collections.abc import Iterable

_ARROW_TYPES = {
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "DATETIME": pa.timestamp("us"),
    "TIME": pa.time64("us"),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "JSON": pa.string(),
    "GEOGRAPHY": pa.string(),
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema in which these columns' values are held."""
    return pa.schema([_field(column) for column in columns])


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch with this schema, of the same columns; what fits is not copied."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [
        values if values.type.equals(field.type) else values.cast(field.type)
        for values, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def least_bytes(schema: pa.Schema) -> float:
    """Return the bytes that a row takes at least, whatever its values."""
    return sum(_least_bytes(field.type) for field in schema)


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns that hold what an Arrow schema holds.

    Raises:
        ValueError: a field's type has no place in BigQuery.
    """
    return tuple(_column(field) for field in schema)


def _field(column: Column) -> pa.Field:
    if column.type == "STRUCT":
        kind = pa.struct([_field(field) for field in column.fields])
    elif column.type in _ARROW_TYPES:
        kind = _ARROW_TYPES[column.type]
    else:
        raise ValueError(f"{column.name!r} is an {column.type}, which Arrow has no type for")
    return pa.field(column.name, pa.list_(kind) if column.mode == "REPEATED" else kind)


def _least_bytes(kind: pa.DataType) -> float:
    if pa.types.is_struct(kind):
        return sum(_least_bytes(part.type) for part in kind)
    # A text, a binary and a list each keep where they end, in 32 bits.
    return kind.bit_width / 8 if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) else 4


def _column(field: pa.Field) -> Column:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        element = _column(pa.field(field.name, kind.value_type))
        if element.mode == "REPEATED":
            raise ValueError(f"{field.name!r} is a list of lists, which BigQuery does not have")
        return Column(field.name, element.type, "REPEATED", fields=element.fields)
    if pa.types.is_struct(kind):
        return Column(field.name, "STRUCT", fields=tuple(_column(part) for part in kind))
    return Column(field.name, _type_name(field.name, kind))


def _type_name(name: str, kind: pa.DataType) -> str:
    types = pa.types
    if types.is_decimal(kind):
        fits = kind.scale <= 9 and kind.precision - kind.scale <= 29
        return "NUMERIC" if fits else "BIGNUMERIC"
    if types.is_timestamp(kind):
        return "DATETIME" if kind.tz is None else "TIMESTAMP"
    for is_kind, type_name in (
        (types.is_boolean, "BOOL"),
        (types.is_integer, "INT64"),
        (types.is_floating, "FLOAT64"),
        (types.is_string, "STRING"),
        (types.is_large_string, "STRING"),
        (types.is_string_view, "STRING"),
        (types.is_binary, "BYTES"),
        (types.is_large_binary, "BYTES"),
        (types.is_fixed_size_binary, "BYTES"),
        (types.is_date, "DATE"),
        (types.is_time, "TIME"),
    ):
        if is_kind(kind):
            return type_name
    raise ValueError(f"{name!r} holds Arrow's {kind}, which no BigQuery type holds")
