"""Files of the local buckets, and others, as rows of the warehouse; and its rows as files."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from google.api_core.exceptions import NotFound

from gcp_accessor.backends.duckdb.functions import add_functions
from gcp_accessor.backends.duckdb.types import duckdb_type, quoted, text_literal
from gcp_accessor.errors import LoadFailed
from gcp_accessor.tabular.formats import content_type_of
from gcp_accessor.uris import split_object_uri, split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import BucketBackend, Cursor, FileFormat
    from gcp_accessor.schema import Column

_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 20
_EXPORTED_ROWS = 65_536


@contextmanager
def local_copies(opened: Sequence[BinaryIO], scratch: Path) -> Iterator[list[Path]]:
    """Yield plain files that hold what the open ones do, decompressed where they are gzip.

    Raises:
        LoadFailed: one is a broken gzip file.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        paths = []
        for number, file in enumerate(opened):
            path = Path(folder) / str(number)
            with path.open("wb") as copy:
                _copy_plain(file, copy)
            paths.append(path)
        yield paths


def _copy_plain(file: BinaryIO, copy: BinaryIO) -> None:
    start = file.read(_BLOCK)
    if not start.startswith(_GZIP_MAGIC):
        copy.write(start)
        shutil.copyfileobj(file, copy, _BLOCK)
        return
    with tempfile.TemporaryFile() as packed:
        packed.write(start)
        shutil.copyfileobj(file, packed, _BLOCK)
        packed.seek(0)
        try:
            with gzip.GzipFile(fileobj=packed) as unpacked:
                shutil.copyfileobj(unpacked, copy, _BLOCK)
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
                raise
            name = getattr(file, "name", "the file")
            raise LoadFailed(
                f"nothing was loaded: {name} is a broken gzip file: {error}"
            ) from error


@contextmanager
def local_objects(
    uris: Sequence[str], buckets: BucketBackend, scratch: Path
) -> Iterator[list[Path]]:
    """Yield plain files that hold what the objects do; `*` stands for any characters.

    Raises:
        NotFound: a URI names no object.
    """
    with ExitStack() as stack:
        opened: list[BinaryIO] = []
        for uri in uris:
            bucket, pattern = split_uri(uri)
            opened += [
                stack.enter_context(buckets.reader(bucket, name))
                for name in _matching(buckets, bucket, pattern, uri)
            ]
        yield stack.enter_context(local_copies(opened, scratch))


def _matching(buckets: BucketBackend, bucket: str, pattern: str, uri: str) -> list[str]:
    if "*" not in pattern:
        return [pattern]
    before, _, after = pattern.partition("*")
    names = [
        stored.name
        for stored in buckets.list(bucket, before)
        if stored.name.endswith(after) and len(stored.name) >= len(before) + len(after)
    ]
    if not names:
        raise NotFound(f"Not found: URI {uri}: no object matches")
    return sorted(names)


# --- Rows as files ------------------------------------------------------------------------


@contextmanager
def exported(
    connection: DuckDBPyConnection,
    rows: str,
    schema: Sequence[Column],
    format: FileFormat,
    scratch: Path,
) -> Iterator[Path]:
    """Yield a file that holds the rows `FROM ... WHERE ...`, as BigQuery exports them."""
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / "rows"
        target = text_literal(str(path))
        if format == "parquet":
            sql = f"COPY (SELECT * {rows}) TO {target} (FORMAT parquet, COMPRESSION zstd)"
        elif format == "csv":
            values = ", ".join(
                f"{_csv_value(column)} AS {quoted(column.name)}" for column in schema
            )
            # The first line names the columns; NULL is an empty field, "" a quoted one.
            sql = f"COPY (SELECT {values} {rows}) TO {target} (FORMAT csv, HEADER, FORCE_QUOTE *)"
        else:
            values = ", ".join(
                f"{_json_value(column, quoted(column.name))} AS {quoted(column.name)}"
                for column in schema
            )
            sql = f"COPY (SELECT {values} {rows}) TO {target} (FORMAT json)"
        add_functions(connection, sql)
        connection.execute(sql)
        yield path


@contextmanager
def rows_exported(cursor: Cursor, format: FileFormat, scratch: Path) -> Iterator[Path]:
    """Yield a file that holds a finished statement's rows, as BigQuery exports them."""
    import duckdb
    import pyarrow as pa

    from gcp_accessor.arrow import arrow_schema

    reader = pa.RecordBatchReader.from_batches(
        arrow_schema(cursor.schema), cursor.batches(_EXPORTED_ROWS)
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.register("result", reader)
        # Arrow has no JSON of its own.
        typed = ", ".join(
            f"CAST({quoted(column.name)} AS {duckdb_type(column)}) AS {quoted(column.name)}"
            for column in cursor.schema
        )
        rows = f"FROM (SELECT {typed} FROM result)"
        with exported(connection, rows, cursor.schema, format, scratch) as path:
            yield path


def _csv_value(column: Column) -> str:
    name = quoted(column.name)
    if column.mode == "REPEATED" or column.type == "STRUCT":
        raise LoadFailed(
            f"nothing was exported: the column {column.name!r} is nested, which CSV cannot hold; "
            "export NDJSON or Parquet"
        )
    if column.type == "BYTES":
        return f"to_base64({name})"
    if column.type in ("TIME", "JSON"):
        return f"CAST({name} AS VARCHAR)"
    return f"x_cast_string({name})"


def _json_value(column: Column, value: str, depth: int = 0) -> str:
    if column.mode == "REPEATED":
        element = f"e{depth}"
        inner = _json_value(replace(column, mode="NULLABLE"), element, depth + 1)
        return f"list_transform({value}, lambda {element}: {inner})"
    if column.type == "STRUCT":
        fields = ", ".join(
            f"{quoted(field.name)} := {_json_value(field, f'{value}.{quoted(field.name)}', depth)}"
            for field in column.fields
        )
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({fields}) END"
    if column.type == "BYTES":
        return f"to_base64({value})"
    # INT64 as text, as BigQuery exports it: JavaScript's numbers have 53 bits.
    if column.type in ("INT64", "NUMERIC", "TIMESTAMP", "DATETIME"):
        return f"x_cast_string({value})"
    return value


def publish(path: Path, uri: str, buckets: BucketBackend, *, compress: bool) -> None:
    """Make a file an object, which appears whole; compressed with the same bytes each time."""
    # BigQuery numbers the files of a large export; here there is always one.
    bucket, name = split_object_uri(uri.replace("*", "000000000000"))
    packed = compress and not name.endswith(".parquet")
    with (
        path.open("rb") as file,
        buckets.writer(bucket, name, content_type=content_type_of(name)) as writer,
    ):
        if not packed:
            while block := file.read(_BLOCK):
                writer.write(block)
            return
        with (
            tempfile.TemporaryFile(dir=path.parent) as whole,
            gzip.GzipFile(filename="", mode="wb", fileobj=whole, mtime=0) as zipped,
        ):
            shutil.copyfileobj(file, zipped, _BLOCK)
            zipped.close()
            whole.seek(0)
            while block := whole.read(_BLOCK):
                writer.write(block)
