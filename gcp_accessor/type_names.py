"""GoogleSQL's type names, `ARRAY<STRUCT<item STRING, score FLOAT64>>`, read into columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gcp_accessor.schema import Column, Mode

# A length or precision, as in NUMERIC(10, 2), bounds the values; it is not another type.
_TOKEN = re.compile(r"\s*(?:(\w+)(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?|([<>,]))")


def column(name: str, type_name: str) -> Column:
    """Return the column `name` of the GoogleSQL type `type_name`.

    Raises:
        ValueError: it is not a type, or an array of arrays, which BigQuery does not have.

    Example:
        >>> column("tags", "ARRAY<STRING>").mode
        'REPEATED'
    """
    tokens = _tokens(name, type_name)
    parsed = _parse(name, type_name, tokens)
    if tokens:
        raise _malformed(name, type_name)
    return parsed


def columns(schema: Sequence[Column] | Mapping[str, str]) -> tuple[Column, ...]:
    """Return a schema that was given as columns, or as a mapping from name to type name."""
    if isinstance(schema, Mapping):
        return tuple(column(name, type_name) for name, type_name in schema.items())
    if not all(isinstance(item, Column) for item in schema):
        raise TypeError(
            "a schema is a sequence of Column, or a mapping of names to types like "
            '{"student_id": "STRING"}'
        )
    return tuple(schema)


def columns_from_api(schema: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Return a schema that is written as BigQuery's API and `bq --schema` write it.

    Raises:
        KeyError, TypeError, ValueError: it is not such a list of objects.
    """
    if isinstance(schema, Mapping):
        raise TypeError("expected a list, found one object")
    return tuple(
        Column(
            field["name"],
            field["type"],
            _mode(field.get("mode")),
            field.get("description"),
            columns_from_api(field.get("fields", ())),
        )
        for field in schema
    )


def type_name(column: Column) -> str:
    """Return the column's type as GoogleSQL writes it: what `column()` reads."""
    if column.type == "STRUCT":
        fields = ", ".join(f"{field.name} {type_name(field)}" for field in column.fields)
        name = f"STRUCT<{fields}>"
    else:
        name = column.type
    return f"ARRAY<{name}>" if column.mode == "REPEATED" else name


def _mode(mode: str | None) -> Mode:
    match (mode or "NULLABLE").upper():
        case "NULLABLE":
            return "NULLABLE"
        case "REQUIRED":
            return "REQUIRED"
        case "REPEATED":
            return "REPEATED"
    raise ValueError(f"the mode {mode!r} is none of NULLABLE, REQUIRED and REPEATED")


def _tokens(name: str, text: str) -> list[str]:
    tokens = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise _malformed(name, text)
        tokens.append(match[1] or match[2])
        position = match.end()
    # Read from the end of the list: `pop()` takes the next token.
    return tokens[::-1]


def _parse(name: str, text: str, tokens: list[str]) -> Column:
    word = tokens.pop().upper() if tokens else ""
    if word == "ARRAY":
        _expect("<", name, text, tokens)
        element = _parse(name, text, tokens)
        _expect(">", name, text, tokens)
        if element.mode == "REPEATED":
            raise ValueError(f"{name!r} is an array of arrays; put a STRUCT between the two")
        return Column(name, element.type, "REPEATED", fields=element.fields)
    if word == "STRUCT":
        _expect("<", name, text, tokens)
        fields = []
        while True:
            if not tokens or not tokens[-1].isidentifier():
                raise _malformed(name, text)
            fields.append(_parse(tokens.pop(), text, tokens))
            if not tokens or tokens[-1] != ",":
                break
            tokens.pop()
        _expect(">", name, text, tokens)
        return Column(name, "STRUCT", fields=tuple(fields))
    return Column(name, word)


def _expect(token: str, name: str, text: str, tokens: list[str]) -> None:
    if not tokens or tokens.pop() != token:
        raise _malformed(name, text)


def _malformed(name: str, text: str) -> ValueError:
    return ValueError(
        f"{name!r} has the unknown type {text!r}; expected a name like INT64, ARRAY<STRING> or "
        "STRUCT<item STRING, score FLOAT64>"
    )
