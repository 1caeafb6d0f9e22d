"""Which column a Python value belongs to, and values as a column's Python type."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

from gcp_accessor.arguments import check_text
from gcp_accessor.schema import Column
from gcp_accessor.type_names import type_name

# What nothing is to be done about; looked up by identity, for there are many of them.
_PLAIN = frozenset(
    {type(None), bool, int, float, str, bytes, date, datetime, time, Decimal, list, dict}
)
# The classes whose every value is one of the column's type.
_EXACT = {"STRING": str, "FLOAT64": float, "BOOL": bool, "BYTES": bytes, "DATE": date}


def infer_column(name: str, value: object) -> Column | None:
    """Return the column whose type `value` shows; None if it shows none, as None does."""
    value = plain(value)
    if value is None:
        return None
    if isinstance(value, list):
        return _infer_array(name, value)
    if isinstance(value, dict):
        fields = []
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{name!r} has the field {key!r}; a field's name is a str")
            field = infer_column(key, item)
            if field is None:
                raise ValueError(
                    f"the field {name}.{key} is {item!r}, which shows no type; "
                    f"say the whole type of {name!r}"
                )
            fields.append(field)
        return Column(name, "STRUCT", fields=tuple(fields))
    return Column(name, _scalar_type(name, value))


def common_column(first: Column, second: Column) -> Column | None:
    """Return the column that holds both columns' values, None if there is none."""
    if first.type == second.type and first.mode == second.mode:
        if first.type != "STRUCT":
            return first
        # A mapping's order is nothing: its values are found by their names.
        others = {field.name: field for field in second.fields}
        if {field.name for field in first.fields} != others.keys():
            return None
        fields = [common_column(field, others[field.name]) for field in first.fields]
        if None in fields:
            return None
        return dataclasses.replace(first, fields=tuple(field for field in fields if field))
    for widening in (("INT64", "FLOAT64"), ("INT64", "NUMERIC", "BIGNUMERIC")):
        if first.mode == second.mode and {first.type, second.type} <= set(widening):
            wider = max(first.type, second.type, key=widening.index)
            return dataclasses.replace(first, type=wider)
    return None


def coerce(value: object, column: Column) -> object:
    """Return `value` as the Python value of the column's type, read from text if it is text.

    Raises:
        ValueError: it is not a value of that type.
    """
    # Most values are right as they are, and there are many of them.
    if type(value) is _EXACT.get(column.type) and column.mode != "REPEATED":
        if isinstance(value, str) and not value.isascii():
            check_text(repr(column.name), value)
        return value
    value = plain(value)
    if value is None:
        return None
    if column.mode == "REPEATED":
        if not isinstance(value, list):
            raise _wrong(value, column)
        element = dataclasses.replace(column, mode="NULLABLE")
        return [coerce(item, element) for item in value]
    if column.type == "STRUCT":
        fields = {field.name: field for field in column.fields}
        if not isinstance(value, dict) or value.keys() - fields.keys():
            raise _wrong(value, column)
        return {key: coerce(value.get(key), field) for key, field in fields.items()}
    if isinstance(value, str):
        check_text(repr(column.name), value)
    try:
        return _coerce_scalar(value, column.type)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise _wrong(value, column) from error


def plain(value: object) -> object:
    """Return a value of another library's, or of a class of the caller's, as plain Python's.

    numpy's and pandas' values are what they stand for, a member of an enum is its value, a
    UUID its text, a tuple a list; a mapping, dataclass or named tuple is a dict.

    Raises:
        ValueError: a moment has nanoseconds, which BigQuery does not keep.
    """
    if type(value) in _PLAIN:
        return value
    if type(value).__module__.partition(".")[0] in {"numpy", "pandas"}:
        return _of_numpy_or_pandas(cast("Any", value))
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return list(value)
    if isinstance(value, tuple):
        return cast("Any", value)._asdict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return value


def _of_numpy_or_pandas(value: Any) -> object:
    if type(value).__module__.startswith("numpy"):
        # numpy gives nanoseconds as a bare number.
        fine = value.dtype.kind in "Mm" and value.dtype.name.endswith("[ns]")
        return (_without_nanoseconds(value) if fine else value).tolist()
    if hasattr(value, "tolist"):
        return value.tolist()
    # NaT and pandas.NA are not equal to themselves in a way that is True.
    if repr(value) in {"NaT", "<NA>"}:
        return None
    if getattr(value, "nanosecond", 0):
        raise _too_fine(value)
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value


def _without_nanoseconds(value: Any) -> Any:
    micros = value.astype(f"{value.dtype.kind}8[us]")
    # NaT differs from itself.
    if ((micros != value) & (value == value)).any():
        raise _too_fine(value)
    return micros


def _too_fine(value: object) -> ValueError:
    return ValueError(f"{value} has nanoseconds, and BigQuery keeps microseconds; round it")


def _infer_array(name: str, values: list[object]) -> Column | None:
    common: Column | None = None
    for value in values:
        found = infer_column(name, value)
        if found is None:
            continue
        if found.mode == "REPEATED":
            raise ValueError(f"{name!r} is an array of arrays; put a mapping between the two")
        if common is None:
            common = found
            continue
        both = common_column(common, found)
        if both is None:
            raise ValueError(
                f"the array {name!r} holds both {type_name(common)} and {type_name(found)} "
                f"({value!r}); expected one type"
            )
        common = both
    return None if common is None else dataclasses.replace(common, mode="REPEATED")


def _scalar_type(name: str, value: object) -> str:
    match value:
        case bool():
            return "BOOL"
        case int():
            if not -(2**63) <= value < 2**63:
                raise ValueError(
                    f"{name!r} is {value}, beyond INT64's 64 bits; give a decimal.Decimal"
                )
            return "INT64"
        case float():
            return "FLOAT64"
        case str():
            check_text(repr(name), value)
            return "STRING"
        case bytes():
            return "BYTES"
        case datetime():
            return "DATETIME" if value.tzinfo is None else "TIMESTAMP"
        case date():
            return "DATE"
        case time() if value.tzinfo is None:
            return "TIME"
        case Decimal():
            return _decimal_type(name, value)
    raise TypeError(
        f"{name!r} is a {type(value).__name__}, which no BigQuery type holds; expected str, int, "
        "float, Decimal, bool, bytes, date, datetime, naive time, list, mapping or dataclass"
    )


def _decimal_type(name: str, value: Decimal) -> str:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{name!r} is {value}; NUMERIC has finite values only, give a float")
    # Zeros at the end take no place.
    while exponent < 0 and digits[-1:] == (0,):
        digits, exponent = digits[:-1], exponent + 1
    if not any(digits):
        return "NUMERIC"
    scale = max(-exponent, 0)
    whole = max(len(digits) + exponent, 0)
    if scale <= 9 and whole <= 29:
        return "NUMERIC"
    if scale <= 38 and whole <= 38:
        return "BIGNUMERIC"
    raise ValueError(
        f"{name!r} has {whole} digits before the point and {scale} after it; "
        "BIGNUMERIC holds at most 38 and 38"
    )


def _coerce_scalar(value: object, type_text: str) -> object:
    match type_text, value:
        case "INT64", int() if not isinstance(value, bool):
            _scalar_type("", value)
            return value
        case "INT64", str():
            return _coerce_scalar(int(value), "INT64")
        case "FLOAT64", float() | int() | str() if not isinstance(value, bool):
            return float(value)
        case "NUMERIC" | "BIGNUMERIC", Decimal() | int() | str() if not isinstance(value, bool):
            number = Decimal(value)
            if type_text == "NUMERIC" and _decimal_type("", number) != "NUMERIC":
                raise ValueError
            return number
        case "BOOL", bool():
            return value
        case "BOOL", str() if value.lower() in {"true", "false"}:
            return value.lower() == "true"
        case "BYTES", bytes():
            return value
        case "DATE", date() if not isinstance(value, datetime):
            return value
        case "DATE", str():
            return date.fromisoformat(value)
        case "DATETIME", datetime() if value.tzinfo is None:
            return value
        case "DATETIME", str():
            return _coerce_scalar(datetime.fromisoformat(value), "DATETIME")
        case "TIMESTAMP", datetime() if value.tzinfo is not None:
            return value.astimezone(UTC)
        case "TIMESTAMP", str():
            # BigQuery reads a timestamp without a zone as UTC.
            moment = datetime.fromisoformat(value.removesuffix(" UTC"))
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        case "TIME", time() if value.tzinfo is None:
            return value
        case "TIME", str():
            return _coerce_scalar(time.fromisoformat(value), "TIME")
        case "JSON", list() | dict() | int() | float():
            return json.dumps(value, allow_nan=False)
        case "JSON", str():
            json.loads(value)
            return value
        case "STRING" | "GEOGRAPHY" | "INTERVAL", str():
            value.encode()
            return value
    raise TypeError


def _wrong(value: object, column: Column) -> ValueError:
    return ValueError(f"{column.name!r} is {value!r}, which is not a {type_name(column)}")
