"""Python values as typed query parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import cast

from gcp_accessor.arguments import check_statement
from gcp_accessor.backends import Parameter
from gcp_accessor.python_values import coerce, infer_column
from gcp_accessor.schema import Column
from gcp_accessor.type_names import column, type_name

# 0.0.6 took (name, type, value) triples.
Parameters = Mapping[str, object] | Sequence[tuple[str, str, object]]

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Whatever can hold an @ that is not a parameter comes first and is skipped. Within strings a
# backslash hides the next character; a raw string's does too, as far as finding its end goes.
_PARAMETER = re.compile(
    r"""
      --[^\n]* | \#[^\n]* | /\*.*?\*/
    | \"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?'''
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`
    | @@[\w.]+
    | @(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A parameter whose type is said, for a value that does not show it.

    Example:
        >>> parameters = {"since": Typed("DATE", None), "items": Typed("ARRAY<STRING>", [])}
    """

    type: str
    value: object


def from_python(params: Parameters | None, sql: str | None = None) -> tuple[Parameter, ...]:
    """Return the parameters with their types: said by `Typed`, otherwise those of the values.

    A naive datetime is a DATETIME, an aware one a TIMESTAMP (turned to UTC), a Decimal a
    NUMERIC or, where that is too small, a BIGNUMERIC; a list or tuple is an ARRAY, a mapping
    or dataclass a STRUCT. A bool is never an INT64.

    Args:
        params: Values by name, or 0.0.6's (name, type, value) triples.
        sql: The statement they are for. Its `@names` and the parameters must be the same.

    Raises:
        ValueError: a value shows no type (None, an empty list), does not fit any, or the
            names differ from the statement's.
        TypeError: BigQuery has no parameter of the value's class.
    """
    if sql is not None:
        check_statement(sql)
    if params is None:
        params = {}
    if isinstance(params, str | bytes | Set) or not isinstance(params, Iterable):
        raise TypeError(
            f"the parameters are {params!r}; expected a mapping of names to values, "
            '{"name": value}'
        )
    if isinstance(params, Mapping):
        parameters = tuple(_parameter(name, value) for name, value in params.items())
    else:
        parameters = tuple(_from_triple(triple) for triple in params)
    if sql is not None:
        _same_names(parameters, sql)
    return parameters


def names_in(sql: str) -> tuple[str, ...]:
    """Return the names of the `@parameters` that a statement uses, in their first order."""
    found = (match["name"] for match in _PARAMETER.finditer(sql))
    return tuple(dict.fromkeys(name for name in found if name))


def _parameter(name: str, value: object) -> Parameter:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a parameter's name; expected letters, digits and _")
    if isinstance(value, Typed):
        said = column(name, value.type)
        coerced = coerce(value.value, said)
        _refuse_nulls(said, coerced)
        return Parameter(said, coerced)
    inferred = infer_column(name, value)
    if inferred is None:
        raise _untyped(name, value)
    return Parameter(inferred, coerce(value, inferred))


def _refuse_nulls(column: Column, value: object) -> None:
    """Refuse the NULLs that BigQuery's API cannot send: a whole array or struct."""
    if value is None:
        if column.mode == "REPEATED" or column.type == "STRUCT":
            raise ValueError(
                f"{column.name!r} is None; BigQuery takes no NULL {type_name(column)} as a "
                "parameter, give an empty list or a mapping of Nones"
            )
    elif column.mode == "REPEATED":
        for item in cast("list[object]", value):
            _refuse_nulls(Column(column.name, column.type, fields=column.fields), item)
    elif column.type == "STRUCT":
        for field in column.fields:
            _refuse_nulls(field, cast("dict[str, object]", value)[field.name])


def _from_triple(triple: tuple[str, str, object]) -> Parameter:
    if not isinstance(triple, Sequence) or isinstance(triple, str) or len(triple) != 3:
        raise TypeError(
            f"a query parameter is (name, type, value), not {triple!r}; or give a mapping of names "
            'to values, {"name": value}'
        )
    name, type_text, value = triple
    # 0.0.6 sent a list with its element's type, as a scalar that BigQuery then refused.
    if isinstance(value, list | tuple) and not type_text.upper().startswith("ARRAY"):
        type_text = f"ARRAY<{type_text}>"
    return _parameter(name, Typed(type_text, value))


def _same_names(parameters: tuple[Parameter, ...], sql: str) -> None:
    # BigQuery's parameter names ignore case.
    used = {name.lower(): name for name in names_in(sql)}
    given = {parameter.column.name.lower(): parameter.column.name for parameter in parameters}
    missing = [f"@{used[name]}" for name in used if name not in given]
    unknown = [given[name] for name in given if name not in used]
    if missing:
        raise ValueError(
            f"the statement uses {', '.join(missing)}, which the parameters do not give; "
            f"they give {', '.join(given.values()) or 'nothing'}"
        )
    if unknown:
        raise ValueError(
            f"the statement does not use the parameter {', '.join(unknown)}; "
            f"it uses {', '.join('@' + name for name in used.values()) or 'none'}"
        )


def _untyped(name: str, value: object) -> ValueError:
    example = "ARRAY<STRING>" if isinstance(value, list | tuple) else "STRING"
    return ValueError(
        f"the parameter {name!r} is {value!r}, which shows no type; "
        f'say it: Typed("{example}", {value!r})'
    )
