"""A team's own log, in its own format and words, as the rows of a table our jobs read."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs.errors import InputError, JobError, nearest
from etl_jobs.inputs.conversion import BadValue, convert
from etl_jobs.inputs.logs import LogFile, open_log
from etl_jobs.inputs.mapping import ROW, Copied, LogMapping, columns_read
from etl_jobs.sources import Source, load_sources

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import pyarrow as pa

    from gcp_accessor.bigquery import BigQueryAccessor
    from gcp_accessor.schema import Column


@dataclass(frozen=True, slots=True)
class LoadedInput:
    """What became of a file.

    Attributes:
        rows: All its rows; loading leaves none out.
        ignored_columns: The columns that the table does not have.
        notes: Sentences for the person who handed the file in.
    """

    table: str
    rows: int
    ignored_columns: tuple[str, ...]
    notes: tuple[str, ...]


def load_input(
    warehouse: BigQueryAccessor,
    table: str,
    path: Path,
    mapping: LogMapping | None = None,
    *,
    sources: Mapping[str, Source] | None = None,
) -> LoadedInput:
    """Fill a table with the rows of a file, in place of those it had.

    All rows arrive or none: the whole file is read and converted before the first is loaded.
    Memory stays flat. The converted rows need room in the temporary folder (`TMPDIR`), about
    as much as the compressed file.

    Args:
        warehouse: Where the table is. Its dataset has to exist.
        table: One of the sources.
        path: CSV, NDJSON or Parquet, the text formats also gzipped.
        mapping: How the file's columns and values become the table's. Without one they bear
            the table's names.
        sources: The tables that can be filled; by default those of `sql/sources.yaml`.

    Raises:
        InputError: the file or the mapping cannot be used; the message says where and why.
        JobError: the temporary folder cannot be written.
    """
    with _room():
        folder = tempfile.TemporaryDirectory(prefix="etl-jobs-")
    with folder:
        parquet = Path(folder.name) / "rows.parquet"
        with _room():
            loaded = convert_file(path, table, mapping, parquet, sources=sources)
        warehouse.load(parquet, table, schema=_source(table, sources).columns, if_exists="replace")
    return loaded


def convert_file(
    path: Path,
    table: str,
    mapping: LogMapping | None,
    parquet: Path,
    *,
    sources: Mapping[str, Source] | None = None,
) -> LoadedInput:
    """Write a file's rows to Parquet, as the table will hold them.

    Memory stays flat. What stands in `parquet` after an error is of no use.

    Raises:
        InputError: the file or the mapping cannot be used; the message says where and why.
    """
    source = _source(table, sources)
    mapping = mapping or LogMapping(table)
    if mapping.table != table:
        raise InputError(f"the mapping is for {mapping.table}; expected one for {table}")
    with closing(open_log(path)) as log:
        read = _columns_read(source, mapping, log, path.name)
        # The batches end before the log is closed: a thread may be reading ahead.
        with closing(_converted(log, read, source, mapping, path.name)) as batches:
            rows = _write(batches, source, parquet)
        if rows == 0:
            raise InputError(f"{path.name} has no rows, only the header {_listed(log.columns)}")
        ignored = tuple(name for name in log.columns if name not in read)
        return LoadedInput(table, rows, ignored, tuple(_notes(source, mapping, log, ignored)))


@contextmanager
def _room() -> Iterator[None]:
    """Say what to do when the temporary folder is full or cannot be written."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise JobError(
            f"the converted rows cannot be written to {tempfile.gettempdir()}: {reason}; set "
            "TMPDIR to a folder with room"
        ) from error


def _source(table: str, sources: Mapping[str, Source] | None) -> Source:
    sources = sources or load_sources()
    if table not in sources:
        raise InputError(
            f"no job reads a table {table!r} from outside; expected {' or '.join(sources)}"
            f"{nearest(table, sources)}"
        )
    return sources[table]


# --- Columns -------------------------------------------------------------------------------


def _columns_read(source: Source, mapping: LogMapping, log: LogFile, name: str) -> tuple[str, ...]:
    """Return the columns of the log that the rules read, each once.

    Raises:
        InputError: one that has to be there is not.
    """
    wanted: dict[str, None] = {}
    for column in source.columns:
        for each in columns_read(mapping.rule(column.name)):
            absent = each != ROW and each not in log.columns
            if absent and (column.name in mapping.rules or column.name in source.required):
                raise _missing(each, column, source, mapping, log, name)
            wanted[each] = None
    return tuple(wanted)


def _missing(
    column: str, ours: Column, source: Source, mapping: LogMapping, log: LogFile, name: str
) -> InputError:
    if len(log.columns) == 1 and name.lower().endswith((".csv", ".csv.gz")):
        for separator, spelt in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if separator in log.columns[0]:
                return InputError(f"{name} separates its columns by {spelt}; expected ','")
    purpose = f" for {ours.name}" if ours.name in mapping.rules else ""
    # A column that bears one of our names is that one, however alike they are.
    taken = {each.name for each in source.columns}
    hint = nearest(column, [each for each in log.columns if each not in taken])
    advice = "" if mapping.rules else f"; a mapping can say what {ours.name} is called or made of"
    return InputError(
        f"{name} has no column {column!r}{purpose}; it has {_listed(log.columns)}{advice}{hint}"
    )


def _notes(
    source: Source, mapping: LogMapping, log: LogFile, ignored: Sequence[str]
) -> Iterator[str]:
    if ignored:
        yield f"columns of the file that are not used: {_listed(ignored)}"
    absent = [
        column.name
        for column in source.columns
        if mapping.rule(column.name) == Copied(column.name) and column.name not in log.columns
    ]
    if absent:
        yield f"columns of {source.table} that stay NULL, the file has none: {_listed(absent)}"


def _listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(name[:60] for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


# --- Rows ----------------------------------------------------------------------------------


def _converted(
    log: LogFile, read: Sequence[str], source: Source, mapping: LogMapping, name: str
) -> Generator[pa.RecordBatch, None, None]:
    import pyarrow as pa

    first_row = 1
    schema = _arrow_schema(source)
    with closing(log.batches([column for column in read if column != ROW])) as batches:
        for batch in batches:
            rows = batch.num_rows
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            if ROW in read:
                columns[ROW] = pa.array(range(first_row, first_row + rows), pa.int64())
            arrays = []
            for column in source.columns:
                try:
                    rule = mapping.rule(column.name)
                    arrays.append(convert(column, rule, columns, rows, mapping.missing))
                except BadValue as error:
                    raise InputError(
                        f"{name} row {first_row + error.index}: {column.name} is "
                        f"{_shown(error.value)}; expected {error.expected}"
                    ) from error
            yield pa.record_batch(arrays, schema=schema)
            first_row += rows


def _arrow_schema(source: Source) -> pa.Schema:
    import pyarrow as pa

    types = {"STRING": pa.string(), "INT64": pa.int64(), "TIMESTAMP": pa.timestamp("us", "UTC")}
    for column in source.columns:
        if column.type not in types:
            raise InputError(
                f"{source.table}: {column.name} is declared as {column.type}; a file fills "
                "STRING, INT64 and TIMESTAMP columns: load the table another way"
            )
    return pa.schema([(column.name, types[column.type]) for column in source.columns])


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _write(batches: Iterator[pa.RecordBatch], source: Source, path: Path) -> int:
    """Write the batches to a Parquet file and return how many rows there were."""
    from pyarrow import parquet

    rows = 0
    with parquet.ParquetWriter(path, _arrow_schema(source), compression="zstd") as writer:
        for batch in batches:
            # A row group for each batch, so that nothing of it stays in memory.
            writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))
            rows += batch.num_rows
    return rows
