"""Files as typed rows, or LoadFailed with the rows that are wrong."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from gcp_accessor.backends.duckdb.functions import add_functions
from gcp_accessor.backends.duckdb.line_breaks import end_in_line_feeds
from gcp_accessor.backends.duckdb.readers import (
    MAX_ERRORS,
    Source,
    is_scalar,
    read_csv,
    read_ndjson,
    read_parquet,
    sentence,
    value_of,
)
from gcp_accessor.backends.duckdb.types import quoted, text_literal
from gcp_accessor.errors import LoadFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import LoadSettings
    from gcp_accessor.schema import Column


def read_files(
    connection: DuckDBPyConnection,
    paths: Sequence[Path],
    settings: LoadSettings,
    schema: tuple[Column, ...] | None,
) -> Source:
    """The rows of files of one format, with the columns of `schema` or those they show.

    Raises:
        LoadFailed: the files are not of the format, or have other columns than the schema.
    """
    import duckdb

    listed = "[" + ", ".join(text_literal(str(path)) for path in paths) + "]"
    reader = {"csv": read_csv, "ndjson": read_ndjson, "parquet": read_parquet}[settings.format]
    try:
        if settings.format == "csv" and end_in_line_feeds(paths):
            reader = partial(read_csv, breaks=", new_line = '\\n'")
        source = reader(connection, listed, settings, schema)
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise LoadFailed("nothing was loaded", (sentence(error),)) from error
    add_functions(connection, source.sql)
    return source


@contextmanager
def load_errors(connection: DuckDBPyConnection, source: Source) -> Iterator[None]:
    """Raise LoadFailed, with the rows that are wrong, where reading `source` fails."""
    import duckdb

    reading = (
        duckdb.ConstraintException,
        duckdb.ConversionException,
        duckdb.InvalidInputException,
        duckdb.OutOfRangeException,
    )
    try:
        yield
    except reading as error:
        # That transaction is over; what is wrong is looked for in another, which ends too.
        connection.rollback()
        connection.begin()
        raise LoadFailed(
            "nothing was loaded: rows do not fit their columns",
            _wrong_rows(connection, source) or (sentence(error),),
        ) from error


def _wrong_rows(connection: DuckDBPyConnection, source: Source) -> tuple[str, ...]:
    import duckdb

    if source.texts is None:
        return ()
    scalars = [column for column in source.schema if is_scalar(column)]
    wrong = [f"({_is_wrong(column)})" for column in scalars]
    if not wrong:
        return ()
    names = ", ".join(quoted(column.name) for column in scalars)
    flags = ", ".join(wrong)
    sql = (
        f"SELECT gcp_accessor_row, [{flags}] AS flags, [{names}] AS texts FROM ({source.texts}) "
        f"WHERE {' OR '.join(wrong)} LIMIT {MAX_ERRORS}"
    )
    add_functions(connection, sql)
    try:
        rows = connection.execute(sql).fetchall()
    except duckdb.Error as error:
        return (sentence(error),)
    return tuple(
        f"row {number}: {column.name} is {_shown(text)}, not {_what(column)}"
        for number, flags, texts in rows
        for column, flag, text in zip(scalars, flags, texts, strict=True)
        if flag
    )[:MAX_ERRORS]


def _is_wrong(column: Column) -> str:
    name = quoted(column.name)
    wrong = f"{name} IS NOT NULL AND {value_of(column, name, safe=True)} IS NULL"
    return f"{wrong} OR {name} IS NULL" if column.mode == "REQUIRED" else wrong


def _shown(text: str | None) -> str:
    if text is None:
        return "NULL"
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _what(column: Column) -> str:
    article = "an" if column.type == "INT64" else "a"
    return f"{article} {column.type}" + (", and REQUIRED" if column.mode == "REQUIRED" else "")
