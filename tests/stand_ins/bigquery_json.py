"""Values, schemas and parameters in the JSON of BigQuery's REST API."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gcp_accessor.backends import Parameter
from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from collections.abc import Iterable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The API still answers with the names of legacy SQL.
_LEGACY = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def schema_resource(columns: Iterable[Column]) -> dict[str, Any]:
    fields = []
    for column in columns:
        field: dict[str, Any] = {
            "name": column.name,
            "type": _LEGACY.get(column.type, column.type),
            "mode": column.mode,
        }
        if column.description is not None:
            field["description"] = column.description
        if column.fields:
            field["fields"] = schema_resource(column.fields)["fields"]
        fields.append(field)
    return {"fields": fields}


def cell(value: Any, column: Column, micros: bool) -> Any:
    """Return a value as a row's `v` holds it; `micros` is formatOptions.useInt64Timestamp."""
    if column.mode == "REPEATED":
        element = replace(column, mode="NULLABLE")
        return [{"v": cell(item, element, micros)} for item in value or ()]
    if value is None:
        return None
    match column.type:
        case "STRUCT":
            return {"f": [{"v": cell(value[f.name], f, micros)} for f in column.fields]}
        case "BOOL":
            return "true" if value else "false"
        case "BYTES":
            return base64.b64encode(value).decode()
        case "FLOAT64":
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(
                str(value), repr(value)
            )
        case "NUMERIC" | "BIGNUMERIC":
            return format(value, "f")
        case "DATE" | "DATETIME" | "TIME":
            return value.isoformat()
        case "TIMESTAMP":
            count = (value - _EPOCH) // timedelta(microseconds=1)
            return str(count) if micros else str(count / 1e6)
        case "JSON":
            return json.dumps(value)
    return str(value)


def parameter(resource: dict[str, Any]) -> Parameter:
    """Return a query parameter as jobs.insert receives it."""
    column = _column(resource["name"], resource["parameterType"])
    return Parameter(column, _value(resource["parameterValue"], column))


def _column(name: str, kind: dict[str, Any]) -> Column:
    if kind["type"] == "ARRAY":
        return replace(_column(name, kind["arrayType"]), mode="REPEATED")
    fields = tuple(_column(item["name"], item["type"]) for item in kind.get("structTypes", ()))
    return Column(name, kind["type"], fields=fields)


def _value(value: dict[str, Any], column: Column) -> Any:
    if column.mode == "REPEATED":
        element = replace(column, mode="NULLABLE")
        return [_value(item, element) for item in value.get("arrayValues", ())]
    if column.type == "STRUCT":
        return {f.name: _value(value["structValues"][f.name], f) for f in column.fields}
    text = value.get("value")
    if text is None:
        return None
    match column.type:
        case "INT64":
            return int(text)
        case "FLOAT64":
            return float(text)
        case "NUMERIC" | "BIGNUMERIC":
            return Decimal(text)
        case "BOOL":
            return text in {True, "true"}
        case "BYTES":
            return base64.b64decode(text)
        case "DATE":
            return date.fromisoformat(text)
        case "DATETIME":
            return datetime.fromisoformat(text)
        case "TIMESTAMP":
            return datetime.fromisoformat(text).astimezone(UTC)
        case "TIME":
            return time.fromisoformat(text)
    return text
