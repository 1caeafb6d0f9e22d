"""Arrow's values as Python's, of the types that google-cloud-bigquery gives."""

from __future__ import annotations

from datetime import UTC
from json import loads
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor.schema import Column


def python_values(column: Column, values: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return a column's values as `QueryResult.rows()` gives them."""
    if column.type == "TIMESTAMP" and column.mode != "REPEATED":
        naive = values.cast(pa.timestamp("us")).to_pylist()
        return [None if value is None else value.replace(tzinfo=UTC) for value in naive]
    convert = _conversion(column)
    plain = values.to_pylist()
    return plain if convert is None else [None if v is None else convert(v) for v in plain]


def _conversion(column: Column) -> Callable[[Any], Any] | None:
    """What turns Arrow's Python value into that of Google's client; None if they agree."""
    convert: Callable[[Any], Any] | None = None
    if column.type == "JSON":
        convert = loads
    elif column.type == "TIMESTAMP":
        convert = _in_utc
    elif column.type == "STRUCT":
        inner = {part.name: change for part in column.fields if (change := _conversion(part))}
        if inner:
            convert = _struct_conversion(inner)
    if column.mode == "REPEATED" and convert is not None:
        return _list_conversion(convert)
    return convert


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC)


def _struct_conversion(inner: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def convert(value: dict[str, Any]) -> dict[str, Any]:
        return {
            name: inner[name](item) if name in inner and item is not None else item
            for name, item in value.items()
        }

    return convert


def _list_conversion(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [None if value is None else inner(value) for value in values]
