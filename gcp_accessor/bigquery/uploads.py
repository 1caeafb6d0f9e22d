"""Data of any form as one file that a warehouse loads."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from gcp_accessor.bigquery.frames import is_frame, write_frame
from gcp_accessor.errors import LoadFailed, SchemaMismatch
from gcp_accessor.python_values import coerce, common_column, infer_column, plain
from gcp_accessor.tabular.json_text import line_of
from gcp_accessor.type_names import type_name
from gcp_accessor.uris import split_object_uri

if TYPE_CHECKING:
    from gcp_accessor.backends import FileFormat
    from gcp_accessor.schema import Column

_FORMATS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
}
_ADDRESS = re.compile(r"[a-z][a-z0-9]+:", re.IGNORECASE)
_MAX_ERRORS = 10


@dataclass(frozen=True, slots=True)
class Upload:
    """An open file, and what is known of its rows.

    Attributes:
        present: The columns that records name; None if the rows cannot lack any.
    """

    file: BinaryIO
    format: FileFormat
    schema: tuple[Column, ...] | None
    present: frozenset[str] | None = None


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


def objects_format(
    uris: Sequence[str], format: Literal["infer", "csv", "ndjson", "parquet"]
) -> FileFormat:
    """Return the one format of objects that are loaded together.

    Raises:
        ValueError: an address is none, has more than the one `*` that BigQuery takes, or the
            names show several formats.
    """
    found: dict[FileFormat, str] = {}
    for uri in uris:
        split_object_uri(uri)
        if uri.count("*") > 1:
            raise ValueError(
                f"{uri!r} has more than one *, and BigQuery takes one, which stands for any "
                f"letters; list the objects and load their addresses: "
                f"[each.uri for each in CloudStorageAccessor().list({uri!r})]"
            )
        found.setdefault(format_of(uri, format), uri)
    if len(found) > 1:
        shown = " and ".join(map(repr, found.values()))
        raise ValueError(f"one load takes files of one format; {shown} show several")
    return next(iter(found))


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
        if _ADDRESS.match(str(data)):
            # What else begins so is no file, but an address with a slip in it.
            split_object_uri(str(data))
        with Path(data).open("rb") as file:
            yield Upload(file, format_of(str(data), format), schema)
        return
    with tempfile.TemporaryFile() as file:
        if is_frame(data):
            ready = Upload(file, "parquet", write_frame(file, data, schema))
        else:
            ready = Upload(file, "ndjson", *_write_ndjson(file, data, schema, table_schema))
        file.seek(0)
        yield ready


def _write_ndjson(
    file: BinaryIO,
    data: Any,
    schema: tuple[Column, ...] | None,
    table_schema: Callable[[], tuple[Column, ...] | None],
) -> tuple[tuple[Column, ...], frozenset[str]]:
    if isinstance(data, bytes | Mapping) or not isinstance(data, Iterable):
        raise TypeError(
            f"load() takes rows, records, a DataFrame, Arrow, a path or a gs:// URI, not a "
            f"{type(data).__name__}"
        )
    items = iter(data)
    head = next(items, None)
    if isinstance(head, str | os.PathLike):
        raise TypeError(
            f"load() takes one local file, or rows; this begins with {head!r}. Load the files one "
            'by one, with if_exists="append"'
        )
    rows = items if head is None else chain([head], items)
    if _is_object(head):
        head, rows = plain(head), map(plain, rows)
    if schema is None and (head is None or isinstance(head, Mapping)):
        schema = table_schema()
    if schema is not None:
        return schema, _write_typed(file, rows, schema)
    if head is None:
        raise ValueError("there are no rows, so that they show no columns; give schema=")
    if not isinstance(head, Mapping):
        raise ValueError("rows do not name their columns; give schema=, or load records")
    inferred = _write_inferred(file, rows)
    return inferred, frozenset(column.name for column in inferred)


def _is_object(row: object) -> bool:
    """Whether the row names its values as a dataclass or a named tuple does."""
    return hasattr(type(row), "__dataclass_fields__") or hasattr(type(row), "_fields")


def _write_typed(
    file: BinaryIO, rows: Iterable[object], schema: tuple[Column, ...]
) -> frozenset[str]:
    """Write rows of known columns and return the columns that any of them names."""
    present: set[str] = set()
    columns = {column.name: column for column in schema}
    required = [column.name for column in schema if column.mode == "REQUIRED"]
    errors = []
    for number, row in enumerate(rows, start=1):
        try:
            record = _record(row, list(columns))
            line = {name: _typed(value, columns[name]) for name, value in record.items()}
            for name in required:
                if line.get(name) is None:
                    raise ValueError(f"{name!r} is None, but REQUIRED")
            text = line_of(line).encode()
        except ValueError as error:
            errors.append(f"row {number}: {error}")
            if len(errors) == _MAX_ERRORS:
                break
        else:
            present.update(line)
            file.write(text)
    if errors:
        raise LoadFailed("nothing was loaded: rows do not fit their columns", tuple(errors))
    return frozenset(present or columns)


def _typed(value: object, column: Column) -> object:
    """Return the value as a line of NDJSON holds it: JSON as itself, not as its text."""
    coerced = coerce(value, column)
    if coerced is None:
        return None
    if column.mode == "REPEATED":
        items = cast("list[object]", coerced)
        if None in items:
            raise ValueError(f"{column.name!r} holds None, but a table's arrays hold no NULL")
        if column.type in {"JSON", "STRUCT"}:
            element = replace(column, mode="NULLABLE")
            return [_typed(item, element) for item in items]
    elif column.type == "STRUCT":
        record = cast("dict[str, object]", coerced)
        return {field.name: _typed(record[field.name], field) for field in column.fields}
    elif column.type == "JSON":
        return json.loads(str(coerced))
    return coerced


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
        file.write(line_of(row).encode())
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
