"""CSV, NDJSON and Parquet as queries of DuckDB's that give BigQuery's columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gcp_accessor.backends.duckdb.errors import translated
from gcp_accessor.backends.duckdb.functions import add_functions
from gcp_accessor.backends.duckdb.types import (
    column_of,
    described,
    duckdb_type,
    quoted,
    text_literal,
)
from gcp_accessor.errors import LoadFailed
from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import LoadSettings

MAX_ERRORS = 10
# A value of 100 MB is the most that BigQuery loads.
_MAX_LINE = 100 * 2**20
# For a column without a type: the first of these that every value has.
_DETECTED = ("INT64", "FLOAT64", "BOOL", "DATE", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Source:
    """A query that reads files as typed rows.

    Attributes:
        texts: A query that gives a row's number and each scalar column's text, for messages.
    """

    sql: str
    schema: tuple[Column, ...]
    texts: str | None = None


def is_scalar(column: Column) -> bool:
    """Whether a column's value is one text that a cast reads."""
    return column.mode != "REPEATED" and column.type not in ("STRUCT", "JSON")


def value_of(column: Column, text: str, *, safe: bool = False) -> str:
    """The expression that makes a text a scalar column's value, as BigQuery's loads do."""
    if column.type == "STRING":
        return text
    if column.type == "BYTES":
        return f"TRY(from_base64({text}))" if safe else f"from_base64({text})"
    if column.type == "JSON":
        return f"TRY_CAST({text} AS JSON)" if safe else f"CAST({text} AS JSON)"
    if column.type == "BOOL":
        # A load admits more than a cast does.
        text = (
            f"CASE WHEN lower({text}) IN ('1', 't', 'yes', 'y') THEN 'true' "
            f"WHEN lower({text}) IN ('0', 'f', 'no', 'n') THEN 'false' ELSE {text} END"
        )
    name = column.type.lower()
    duckdb_type(column)
    return f"x_safe_cast_{name}({text})" if safe else f"x_cast_{name}({text})"


def sentence(error: Exception) -> str:
    """What DuckDB says of a file, in one sentence: without the file, which is a copy."""
    text = getattr(translated(error), "message", str(error))
    copy = r"(in )?(file )?[\"'][^\"']*/\.gcp_accessor/[^\"']*[\"'],?"
    text = re.sub(copy, "the file", text, flags=re.IGNORECASE)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if match := re.fullmatch(r"CSV Error on Line: (\d+)", lines[0]):
        said = [line for line in lines[1:4] if not line.startswith(("Original Line:", "Possible"))]
        return f"line {match[1]}: {' '.join(said)}"
    return " ".join(lines[:3])


# --- CSV ----------------------------------------------------------------------------------


def read_csv(
    connection: DuckDBPyConnection,
    listed: str,
    settings: LoadSettings,
    schema: tuple[Column, ...] | None,
    breaks: str = "",
) -> Source:
    """CSV in the dialect that `tabular` writes: an empty field is NULL, a quoted one is ""."""
    if schema is None:
        schema = _detected(connection, listed, settings, breaks)
    for column in schema:
        if column.mode == "REPEATED" or column.type == "STRUCT":
            raise LoadFailed(
                f"nothing was loaded: the column {column.name!r} is nested, which CSV cannot hold"
            )
    table = _csv_texts(listed, settings, [column.name for column in schema], breaks)
    values = ", ".join(
        f"{value_of(column, quoted(column.name))} AS {quoted(column.name)}" for column in schema
    )
    texts = f"SELECT row_number() OVER () AS gcp_accessor_row, * FROM {table}"
    return Source(f"SELECT {values} FROM {table}", schema, texts)


def _csv_texts(listed: str, settings: LoadSettings, names: Sequence[str], breaks: str) -> str:
    columns = ", ".join(f"{text_literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({listed}, columns = {{{columns}}}, auto_detect = false, header = false, "
        f"skip = {int(settings.skip_leading_rows)}, delim = ',', quote = '\"', escape = '\"', "
        f"nullstr = '', allow_quoted_nulls = false, strict_mode = true, "
        f"max_line_size = {_MAX_LINE}, buffer_size = {2 * _MAX_LINE}{breaks})"
    )


def _detected(
    connection: DuckDBPyConnection, listed: str, settings: LoadSettings, breaks: str
) -> tuple[Column, ...]:
    """The columns of a CSV: named by the last line skipped, typed by all of their values."""
    import duckdb

    names = _csv_names(connection, listed, settings)
    table = _csv_texts(listed, settings, names, breaks)
    counts = ", ".join(
        f"count({value_of(Column('c', kind), quoted(name), safe=True)})"
        for name in names
        for kind in _DETECTED
    )
    present = ", ".join(f"count({quoted(name)})" for name in names)
    sql = f"SELECT [{present}], [{counts}] FROM {table}"
    add_functions(connection, sql)
    try:
        (totals, fits) = connection.execute(sql).fetchall()[0]
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise LoadFailed("nothing was loaded", (sentence(error),)) from error
    found = []
    for index, (name, total) in enumerate(zip(names, totals, strict=True)):
        fit = fits[index * len(_DETECTED) : (index + 1) * len(_DETECTED)]
        kinds = [kind for kind, count in zip(_DETECTED, fit, strict=True) if count == total]
        found.append(Column(name, kinds[0] if kinds and total else "STRING"))
    return tuple(found)


def _csv_names(connection: DuckDBPyConnection, listed: str, settings: LoadSettings) -> list[str]:
    skipped = settings.skip_leading_rows
    first = connection.execute(
        f"SELECT * FROM read_csv({listed}[1:1], header = false, all_varchar = true, delim = ',', "
        f"quote = '\"', escape = '\"', skip = {max(skipped - 1, 0)}, auto_detect = true, "
        f"strict_mode = true, null_padding = true) LIMIT 1"
    ).fetchall()
    if not first:
        raise LoadFailed("nothing was loaded: the file is empty and shows no columns; give schema=")
    if not skipped:
        return [f"string_field_{index}" for index in range(len(first[0]))]
    names = [str(name or "").strip() for name in first[0]]
    if "" in names or len({name.lower() for name in names}) < len(names):
        raise LoadFailed(
            f"nothing was loaded: the header {names} has empty or repeated names; give schema="
        )
    return names


# --- NDJSON -------------------------------------------------------------------------------


def read_ndjson(
    connection: DuckDBPyConnection,
    listed: str,
    settings: LoadSettings,  # noqa: ARG001 - a reader's signature
    schema: tuple[Column, ...] | None,
) -> Source:
    """Each line as a JSON object; a field that no column takes is an error."""
    if schema is None:
        rows = described(
            connection,
            f"SELECT * FROM read_json({listed}, format = 'newline_delimited', sample_size = -1)",
        )
        schema = tuple(_json_detected(column_of(name, kind)) for name, kind in rows)
    objects = f"read_ndjson_objects({listed}, maximum_object_size = {_MAX_LINE})"
    names = ", ".join(text_literal(column.name) for column in schema)
    # A field that no column takes is an error, as it is in BigQuery.
    check = (
        f"CASE WHEN json_type(json) <> 'OBJECT' THEN error('a line is no JSON object: ' || json) "
        f"WHEN NOT list_has_all([{names}], json_keys(json)) THEN error('No such field: ' || "
        f"list_filter(json_keys(json), lambda k: k NOT IN ({names}))[1]) ELSE TRUE END"
    )
    values = ", ".join(
        f"{_jsonvalue_of(column, _member('json', column.name))} AS {quoted(column.name)}"
        for column in schema
    )
    texts = ", ".join(
        f"{_text(_member('json', column.name))} AS {quoted(column.name)}"
        for column in schema
        if is_scalar(column)
    )
    numbered = f"SELECT row_number() OVER () AS gcp_accessor_row, {texts} FROM {objects}"
    return Source(
        f"SELECT {values} FROM {objects} WHERE {check}", schema, numbered if texts else None
    )


def _json_detected(column: Column) -> Column:
    """JSON has no TIMESTAMP of its own: DuckDB sees a DATETIME, BigQuery a TIMESTAMP."""
    fields = tuple(map(_json_detected, column.fields))
    kind = "TIMESTAMP" if column.type == "DATETIME" else column.type
    return replace(column, type=kind, fields=fields)


def _member(value: str, name: str) -> str:
    path = '$."' + name.replace('"', '\\"') + '"'
    return f"json_extract({value}, {text_literal(path)})"


def _text(value: str) -> str:
    return f"json_extract_string({value}, '$')"


def _jsonvalue_of(column: Column, value: str, depth: int = 0) -> str:
    if column.mode == "REPEATED":
        element = f"e{depth}"
        inner = _jsonvalue_of(replace(column, mode="NULLABLE"), element, depth + 1)
        items = f"CAST({value} AS JSON[])"
        return _without_nulls(column, f"list_transform({items}, lambda {element}: {inner})")
    if column.type == "STRUCT":
        fields = ", ".join(
            f"{quoted(field.name)} := {_jsonvalue_of(field, _member(value, field.name), depth)}"
            for field in column.fields
        )
        present = f"json_type({value}) = 'OBJECT'"
        return f"CASE WHEN {present} THEN struct_pack({fields}) END"
    if column.type == "JSON":
        return f"CASE WHEN json_type({value}) <> 'NULL' THEN {value} END"
    return value_of(column, _text(value))


def _without_nulls(column: Column, items: str) -> str:
    """The expression of an array as a table holds it: never NULL, nor with a NULL in it."""
    wrong = text_literal(f"the array {column.name!r} holds NULL, which a table's arrays do not")
    has_null = f"len(list_filter({items}, lambda item: item IS NULL)) > 0"
    return f"CASE WHEN {has_null} THEN error({wrong}) ELSE coalesce({items}, []) END"


# --- Parquet ------------------------------------------------------------------------------

# What a Parquet file may hold in the place of another type.
_WIDER = {"FLOAT64": "INT64", "NUMERIC": "INT64", "JSON": "STRING"}


def read_parquet(
    connection: DuckDBPyConnection,
    listed: str,
    settings: LoadSettings,  # noqa: ARG001 - a reader's signature
    schema: tuple[Column, ...] | None,
) -> Source:
    """Parquet, its columns found by name."""
    table = f"read_parquet({listed})"
    held = {
        name: column_of(name, kind)
        for name, kind in described(connection, f"SELECT * FROM {table}")
    }
    if schema is None:
        schema = tuple(held.values())
    problems = [f"No such field: {name}" for name in held if name not in {c.name for c in schema}]
    values = []
    for column in schema:
        found = held.get(column.name)
        target = duckdb_type(column)
        if found is None:
            if column.mode == "REQUIRED":
                problems.append(f"the column {column.name!r} is REQUIRED and not in the file")
            absent = (
                f"CAST([] AS {target})" if column.mode == "REPEATED" else f"CAST(NULL AS {target})"
            )
            values.append(f"{absent} AS {quoted(column.name)}")
            continue
        fits = found.type == column.type or found.type == _WIDER.get(column.type)
        if not fits or (found.mode == "REPEATED") != (column.mode == "REPEATED"):
            problems.append(
                f"the column {column.name!r} is {found.type} in the file, not {column.type}"
            )
        value = f"CAST({quoted(column.name)} AS {target})"
        if column.mode == "REPEATED":
            value = _without_nulls(column, value)
        values.append(f"{value} AS {quoted(column.name)}")
    if problems:
        raise LoadFailed("nothing was loaded", tuple(problems[:MAX_ERRORS]))
    return Source(f"SELECT {', '.join(values)} FROM {table}", schema)
