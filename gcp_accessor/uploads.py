"""Data of any form as one file that a warehouse loads."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from gcp_accessor.errors import LoadFailed, MissingExtra, SchemaMismatch
from gcp_accessor.python_values import coerce, common_column, infer_column, plain
from gcp_accessor.type_names import type_name

if TYPE_CHECKING:
    import pyarrow as pa

    from gcp_accessor.backends import FileFormat
    from gcp_accessor.schema import Column

_FORMATS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
}
_MAX_ERRORS = 10


@dataclass(frozen=True, slots=True)
class Upload:
    """An open file, and what is known of its rows."""

    file: BinaryIO
    format: FileFormat
    schema: tuple[Column, ...] | None


def is_uri(data: object) -> bool:
    """Return whether the data is the address of objects in Cloud Storage."""
    return isinstance(data, str) and data.startswith("gs://")


def format_of(name: str, format: Literal["infer", "csv", "ndjson", "parquet"]) -> FileFormat:
    """Return the format that was said, or the one that the name ends in."""
    if format != "infer":
        return format
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(
            f"{name!r} does not show its format; give format=, or a name that ends in "
            f"{', '.join(_FORMATS)}, with .gz if compressed"
        )
    return _FORMATS[suffix]


@contextmanager
def upload(
    data: Any,
    format: Literal["infer", "csv", "ndjson", "parquet"],
    schema: tuple[Column, ...] | None,
    table_schema: Callable[[], tuple[Column, ...] | None],
) -> Iterator[Upload]:
    """Open the data as a file to load; a temporary one is gone when the block ends.

    Args:
        data: A path, a DataFrame, an Arrow table or reader, records or rows.
        format: Of a path.
        schema: None takes what the data says of itself.
        table_schema: Called for records without a schema; None if there is no table yet.
    """
    if isinstance(data, str | os.PathLike):
        with Path(data).open("rb") as file:
            yield Upload(file, format_of(str(data), format), schema)
        return
    with tempfile.TemporaryFile() as file:
        if _is_from(data, "pandas", "DataFrame") or _is_from(data, "pyarrow"):
            written = _write_parquet(file, data, schema)
            kind: FileFormat = "parquet"
        else:
            written = _write_ndjson(file, data, schema, table_schema)
            kind = "ndjson"
        file.seek(0)
        yield Upload(file, kind, written)


def _is_from(data: object, package: str, name: str | None = None) -> bool:
    kind = type(data)
    return kind.__module__.partition(".")[0] == package and name in {None, kind.__name__}


def _write_parquet(
    file: BinaryIO, data: Any, schema: tuple[Column, ...] | None
) -> tuple[Column, ...]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from gcp_accessor.arrow import arrow_schema, columns_of
    except ImportError as error:
        raise MissingExtra("loading a DataFrame or Arrow", "pandas") from error
    try:
        if _is_from(data, "pandas"):
            data = pa.Table.from_pandas(data, preserve_index=False)
        columns = columns_of(data.schema) if schema is None else schema
        target = arrow_schema(columns)
        if set(target.names) != set(data.schema.names):
            raise SchemaMismatch(
                f"the data's columns are {', '.join(data.schema.names)}; "
                f"expected {', '.join(target.names)}"
            )
        with pq.ParquetWriter(file, target, compression="zstd") as writer:
            for batch in _batches(data):
                ordered = batch.select(target.names)
                writer.write_batch(ordered.cast(target))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        if isinstance(error, SchemaMismatch):
            raise
        raise SchemaMismatch(f"{error}; say the columns with schema=") from error
    return columns


def _batches(data: pa.Table | pa.RecordBatch | pa.RecordBatchReader) -> Iterable[pa.RecordBatch]:
    if hasattr(data, "to_batches"):
        batches: Iterable[pa.RecordBatch] = data.to_batches()
        return batches
    # A record batch is its own only one.
    return [data] if hasattr(data, "num_rows") else data


def _write_ndjson(
    file: BinaryIO,
    data: Any,
    schema: tuple[Column, ...] | None,
    table_schema: Callable[[], tuple[Column, ...] | None],
) -> tuple[Column, ...]:
    if isinstance(data, bytes | Mapping) or not isinstance(data, Iterable):
        raise TypeError(
            f"load() takes rows, records, a DataFrame, Arrow, a path or a gs:// URI, not a "
            f"{type(data).__name__}"
        )
    items = iter(data)
    head = next(items, None)
    rows = items if head is None else chain([head], items)
    if schema is None and (head is None or isinstance(head, Mapping)):
        schema = table_schema()
    if schema is not None:
        _write_typed(file, rows, schema)
        return schema
    if head is None:
        raise ValueError("there are no rows, so that they show no columns; give schema=")
    if not isinstance(head, Mapping):
        raise ValueError("rows do not name their columns; give schema=, or load records")
    return _write_inferred(file, rows)


def _write_typed(file: BinaryIO, rows: Iterable[object], schema: tuple[Column, ...]) -> None:
    names = [column.name for column in schema]
    columns = {column.name: column for column in schema}
    errors = []
    for number, row in enumerate(rows, start=1):
        try:
            record = _record(row, names)
            line = {name: _json(coerce(value, columns[name])) for name, value in record.items()}
            for column in schema:
                if column.mode == "REQUIRED" and line.get(column.name) is None:
                    raise ValueError(f"{column.name!r} is None, but REQUIRED")
        except ValueError as error:
            errors.append(f"row {number}: {error}")
            if len(errors) == _MAX_ERRORS:
                break
            continue
        for column in schema:
            if column.type == "JSON" and column.mode != "REPEATED" and column.name in line:
                line[column.name] = json.loads(str(line[column.name] or "null"))
        _write_line(file, line)
    if errors:
        raise LoadFailed("nothing was loaded: rows do not fit their columns", tuple(errors))


def _write_inferred(file: BinaryIO, rows: Iterable[Any]) -> tuple[Column, ...]:
    found: dict[str, Column | None] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise SchemaMismatch(f"row {number} is a {type(row).__name__}; expected a mapping")
        for name, value in row.items():
            try:
                column = infer_column(name, value)
            except (TypeError, ValueError) as error:
                raise SchemaMismatch(f"row {number}: {error}") from error
            earlier = found.setdefault(name, column)
            if column is None or earlier is None:
                found[name] = column or earlier
                continue
            common = common_column(earlier, column)
            if common is None:
                raise SchemaMismatch(
                    f"row {number}: {name!r} is {value!r}, a {type_name(column)}; the rows before "
                    f"hold {type_name(earlier)}"
                )
            found[name] = common
        _write_line(file, {name: _json(plain(value)) for name, value in row.items()})
    untyped = [name for name, column in found.items() if column is None]
    if untyped:
        raise SchemaMismatch(
            f"no record shows the type of {', '.join(untyped)}; say the columns with schema="
        )
    return tuple(column for column in found.values() if column is not None)


def _record(row: object, names: Sequence[str]) -> Mapping[str, object]:
    if isinstance(row, Mapping):
        unknown = [str(name) for name in row if name not in names]
        if unknown:
            raise ValueError(f"the table has no column {', '.join(unknown)}")
        return row
    if isinstance(row, str | bytes) or not isinstance(row, Sequence):
        raise ValueError(f"a row is a sequence of values or a mapping, not {row!r}")
    if len(row) != len(names):
        raise ValueError(f"it has {len(row)} values; the table has {len(names)} columns")
    return dict(zip(names, row, strict=True))


def _write_line(file: BinaryIO, record: Mapping[str, object]) -> None:
    file.write(json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _json(value: object) -> object:
    """Return the value as BigQuery reads it from JSON."""
    match value:
        case list():
            return [_json(item) for item in value]
        case dict():
            return {key: _json(item) for key, item in value.items()}
        case float() if value != value or value in {float("inf"), float("-inf")}:
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
    return value
