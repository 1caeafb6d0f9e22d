"""Values, rows, records, frames and Arrow  <->  text, JSON, CSV, NDJSON and Parquet streams.

Rows, JSON, CSV and NDJSON need Python alone; a frame, Arrow and Parquet need the pandas extra.
"""

from __future__ import annotations

import gc
import io
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast, get_args

from gcp_accessor.arguments import utf8
from gcp_accessor.errors import MissingExtra
from gcp_accessor.tabular import csv_rows, csv_text, json_text
from gcp_accessor.tabular.formats import format_of
from gcp_accessor.tabular.row_blocks import RowBlocks, values_of
from gcp_accessor.tabular.streams import compressed, decompressed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from gcp_accessor.backends import ObjectWriter
    from gcp_accessor.tabular.formats import Format

As = Literal["bytes", "text", "json", "rows", "records", "dataframe", "arrow"]

_BLOCK = 1 << 18
_LINES_HELD = 256
_DEFAULT_AS: dict[Format, As] = {
    "text": "text",
    "bytes": "bytes",
    "json": "json",
    "csv": "rows",
    "csv.gz": "rows",
    "ndjson": "records",
    "ndjson.gz": "records",
    "parquet": "arrow",
}


# --- Writing ------------------------------------------------------------------------------


def choose_format(data: object, name: str) -> Format:
    """Return the format in which `data` goes into an object of that name.

    Raises:
        ValueError: the name does not say one, or says one that takes no text.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        return "bytes"
    named = format_of(name)
    if isinstance(data, str):
        if named == "parquet" or name.endswith(".gz"):
            raise ValueError(f"{name!r} is no place for a str; give rows, or encoded bytes")
        return "text"
    if named is None:
        raise ValueError(
            f"{name!r} does not say its format; give format=, or a name that ends in .json, .csv, "
            ".csv.gz, .ndjson, .ndjson.gz or .parquet"
        )
    return named


def write(
    data: object, sink: ObjectWriter, format: Format, header: Sequence[str] | None = None
) -> int | None:
    """Write the data in a format. Return the number of rows, None if it has no rows.

    Equal data gives equal bytes. Rows are consumed once and in blocks, so that memory stays
    flat; only Parquet from Python values holds them all, in Arrow's columns.

    Args:
        data: bytes for "bytes", str for "text", JSON values for "json"; for the others rows
            (any iterable of sequences) or records (of mappings), a DataFrame, or whatever
            has `__arrow_c_stream__`.
        header: The columns' names. Records, frames and Arrow have their own.

    Raises:
        ValueError: the rows are a string or a mapping, are none, or are ragged; or a value
            has no place in the format. What was written so far is to be thrown away.
        MissingExtra: pyarrow is needed and is not installed.
    """
    if format in ("text", "bytes", "json"):
        if header is not None:
            raise ValueError(f"header= is for rows; the format here is {format!r}")
        sink.write(_encoded(data, format))
        return None
    if format.endswith(".gz"):
        with compressed(sink) as packed:
            return _write_rows(data, cast("ObjectWriter", packed), format, header)
    return _write_rows(data, sink, format, header)


def _encoded(data: object, format: Format) -> bytes:
    if format == "json":
        return utf8("the document", json_text.document_of(data))
    if format == "text" and isinstance(data, str):
        return utf8("the text", data)
    if format == "bytes" and isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    wanted = "a str" if format == "text" else "bytes"
    raise ValueError(f"the format {format!r} takes {wanted}, not a {type(data).__name__}")


def _write_rows(
    data: object, sink: ObjectWriter, format: Format, header: Sequence[str] | None
) -> int:
    if _is_arrow(data):
        arrow_files = _arrow_files("writing a frame or Arrow")
        if format.startswith("csv"):
            from gcp_accessor.tabular import arrow_csv

            return arrow_csv.write_csv(data, sink, header)
        reader = arrow_files.reader_of(data)
        if format == "parquet":
            return cast("int", arrow_files.write_parquet(reader, sink))
        return _write_lines(map(json_text.line_of, arrow_files.records_of(reader)), sink)
    rows = RowBlocks(data, header)
    if format.startswith("csv"):
        return _write_csv(rows, sink)
    names = rows.names
    if names is None:
        raise ValueError(f"{format} names its columns and plain rows do not; give header=")
    if format == "parquet":
        arrow_files = _arrow_files("writing Parquet")
        return cast("int", arrow_files.write_parquet(arrow_files.reader_of_rows(rows, names), sink))
    return _write_lines(
        (json_text.line_of(dict(zip(names, row, strict=True))) for row in rows), sink
    )


def _write_csv(rows: RowBlocks, sink: ObjectWriter) -> int:
    if rows.names is not None:
        sink.write(utf8("the header", csv_text.line_of(rows.names)))
    count = 16
    while block := rows.take(count):
        content = csv_text.block_of(block, first=rows.taken - len(block) + 1)
        sink.write(content)
        # Blocks of about one size, also where a row is megabytes long.
        count = max(1, min(count * 4, len(block) * _BLOCK // len(content)))
    return rows.taken


def _write_lines(lines: Iterator[str], sink: ObjectWriter) -> int:
    held: list[bytes] = []
    size = rows = 0
    try:
        for line in lines:
            held.append(utf8(f"row {rows + 1}", line))
            size += len(line)
            rows += 1
            if size >= _BLOCK:
                sink.write(b"".join(held))
                held.clear()
                size = 0
    except TypeError as error:
        error.add_note(f"in row {rows + 1}")
        raise
    sink.write(b"".join(held))
    return rows


# --- Reading ------------------------------------------------------------------------------


def read(
    file: BinaryIO,
    format: Format | None,
    as_: As | Literal["infer"] = "infer",
    *,
    where: str,
    max_bytes: int | None = None,
    types: Mapping[str, str] | None = None,
) -> Any:
    """Return a file's content in one of the forms of `As`.

    Args:
        format: What the file holds; None if it is not known, which gives bytes or text.
        where: The object's address, for messages.
        types: For CSV as a frame or Arrow, columns' types in BigQuery's words.
        max_bytes: As for `streams.decompressed`.

    Raises:
        ValueError: the content is not of its format, or has no such form.
        UnsafeContent: it grows beyond its limit when decompressed.
        MissingExtra: pyarrow or pandas is needed and is not installed.
    """
    kind = format or "bytes"
    form = _DEFAULT_AS[kind] if as_ == "infer" else as_
    if form not in get_args(As):
        raise ValueError(f"as_ is {as_!r}; expected 'infer' or one of {', '.join(get_args(As))}")
    if types is not None and not (kind.startswith("csv") and form in ("arrow", "dataframe")):
        raise ValueError(
            f"types= is for CSV as 'dataframe' or 'arrow'; {where} is read as {form!r}"
        )
    if form == "bytes":
        return file.read()
    if kind == "parquet":
        table = _arrow_files("reading Parquet").read_parquet(file, where, max_bytes)
        return _of_table(table, form, where)
    unpacked = decompressed(file, where=where, required=kind.endswith(".gz"), max_bytes=max_bytes)
    if form in ("text", "json"):
        with _text(unpacked, where) as text:
            return text.read() if form == "text" else json_text.value_of(text.read(), where)
    if kind.startswith("csv"):
        if form in ("rows", "records"):
            with _collector_paused():
                return [row for block in _csv_blocks(unpacked, form, where, None) for row in block]
        _arrow_files("reading into a frame or Arrow")
        from gcp_accessor.tabular import arrow_csv

        return _of_table(arrow_csv.read_csv(unpacked, where, types), form, where)
    if kind.startswith("ndjson"):
        with _text(unpacked, where) as text:
            return _of_records(list(json_text.records_of(text, where)), form, where)
    raise ValueError(f"{where} has no rows: its name says neither CSV, NDJSON nor Parquet")


def blocks(
    file: BinaryIO,
    format: Format | None,
    form: Literal["rows", "records"],
    *,
    where: str,
    header: Sequence[str] | None = None,
    max_bytes: int | None = None,
) -> Iterator[list[Any]]:
    """Yield a file's rows or records in blocks, as `read` returns them all at once.

    Args:
        header: The names of the columns of CSV whose first row does not say them.

    Raises:
        ValueError: the format has no such rows.
        MissingExtra: pyarrow is needed and is not installed.
    """
    kind = format or "bytes"
    if header is not None and not kind.startswith("csv"):
        raise ValueError(f"{where} is not CSV, and names its columns itself; leave header= out")
    if kind == "parquet" and form == "records":
        yield from _arrow_files("reading Parquet").parquet_records(file, where, max_bytes)
        return
    unpacked = decompressed(file, where=where, required=kind.endswith(".gz"), max_bytes=max_bytes)
    if kind.startswith("csv"):
        yield from _csv_blocks(unpacked, form, where, header)
    elif kind.startswith("ndjson") and form == "records":
        with _text(unpacked, where) as text:
            records = json_text.records_of(text, where)
            while block := list(islice(records, _LINES_HELD)):
                yield block
    else:
        wanted = "CSV" if form == "rows" else "CSV, NDJSON or Parquet"
        raise ValueError(f"{where} has no {form} to go through: its name does not say {wanted}")


def _csv_blocks(
    file: BinaryIO, form: As, where: str, header: Sequence[str] | None
) -> Iterator[list[Any]]:
    found = csv_rows.blocks_of(file, where)
    return found if form == "rows" else csv_rows.records_of(found, where, header)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Spare Python's cycle collector its walks over a million lists that hold no cycle.

    They take as long as the reading itself. Other threads lose nothing by the pause.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _of_records(records: list[dict[str, object]], form: As, where: str) -> Any:
    if form == "records":
        return records
    if form == "rows":
        names = list(records[0]) if records else []
        return [values_of(record, names, number) for number, record in enumerate(records, start=1)]
    arrow_files = _arrow_files("reading into a frame or Arrow")
    return _of_table(arrow_files.table_of(records, where), form, where)


def _of_table(table: Any, form: As, where: str) -> Any:
    if form == "arrow":
        return table
    if form == "records":
        return table.to_pylist()
    if form == "rows":
        return [list(row.values()) for row in table.to_pylist()]
    if form == "dataframe":
        try:
            return table.to_pandas()
        except ImportError as error:
            raise MissingExtra("a DataFrame", "pandas") from error
    raise ValueError(f"{where} is Parquet, which has no form as {form!r}")


@contextmanager
def _text(file: BinaryIO, where: str) -> Iterator[io.TextIOWrapper]:
    """Lines with their ends as they are; a byte order mark, as Excel writes it, is dropped."""
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    try:
        yield text
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 text: {error}; save it as UTF-8") from error
    finally:
        # The file is its opener's to close.
        text.detach()


def _is_arrow(data: object) -> bool:
    return hasattr(data, "__arrow_c_stream__") or type(data).__name__ == "DataFrame"


def _arrow_files(purpose: str) -> ModuleType:
    try:
        from gcp_accessor.tabular import arrow_files
    except ImportError as error:
        raise MissingExtra(purpose, "pandas") from error
    return arrow_files
