"""CAST and SAFE_CAST in DuckDB's terms."""

from __future__ import annotations

from typing import cast

from google.api_core.exceptions import BadRequest
from sqlglot import exp

from gcp_accessor.backends.duckdb.sql import macro, raw, sql_of
from gcp_accessor.backends.duckdb.types import quoted
from gcp_accessor.backends.googlesql.parser import GoogleSQL, refused

_CASTS = {
    exp.DType.TEXT: "string",
    exp.DType.VARCHAR: "string",
    exp.DType.BIGINT: "int64",
    exp.DType.DOUBLE: "float64",
    exp.DType.DECIMAL: "numeric",
    exp.DType.BOOLEAN: "bool",
    exp.DType.DATE: "date",
    exp.DType.TIMESTAMPTZ: "timestamp",
    exp.DType.TIMESTAMP: "datetime",
    exp.DType.DATETIME: "datetime",
    exp.DType.TIME: "time",
    exp.DType.BINARY: "bytes",
    exp.DType.VARBINARY: "bytes",
}
_DUCKDB_TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "numeric": "DECIMAL(38,9)",
    "bool": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "datetime": "TIMESTAMP",
    "time": "TIME",
    "bytes": "BLOB",
}


def cast_call(node: exp.Expr) -> exp.Expr:
    """CAST or SAFE_CAST as the macro of its target's type."""
    source, target = node.this, cast("exp.DataType", node.args["to"])
    safe = isinstance(node, exp.TryCast)
    if isinstance(source, exp.Literal) and not source.is_string and source.name.isdigit():
        return node
    if target.this in (exp.DType.ARRAY, exp.DType.STRUCT):
        constructors = (exp.Array, exp.Struct, exp.Null, exp.Anonymous)
        if safe or not isinstance(source, constructors):
            raise refused(f"CAST of a value to {target.sql(GoogleSQL)}")
        if isinstance(source, exp.Struct):
            _name_fields(source, target)
        return raw(f"CAST({sql_of(source)} AS {_nested_type(target)})")
    name = _CASTS.get(cast("exp.DType", target.this))
    if name is None or target.expressions:
        raise refused(f"CAST to {target.sql(GoogleSQL)}")
    if isinstance(source, exp.Null):
        return raw(f"CAST(NULL AS {_DUCKDB_TYPES[name]})")
    return macro(f"x_safe_cast_{name}" if safe else f"x_cast_{name}", source)


def _name_fields(struct: exp.Struct, target: exp.DataType) -> None:
    """STRUCT<a INT64>(1): the values take the type's names by their position."""
    if len(struct.expressions) != len(target.expressions):
        raise BadRequest(f"{target.sql(GoogleSQL)} is given {len(struct.expressions)} values")
    for value, field in zip(struct.expressions, target.expressions, strict=True):
        if isinstance(field, exp.ColumnDef):
            value.set("this", exp.to_identifier(field.name, quoted=True))


def _nested_type(target: exp.DataType) -> str:
    if target.this == exp.DType.ARRAY:
        return f"{_nested_type(cast('exp.DataType', target.expressions[0]))}[]"
    if target.this == exp.DType.STRUCT:
        fields = []
        for index, field in enumerate(target.expressions):
            if isinstance(field, exp.ColumnDef):
                kind = cast("exp.DataType", field.args["kind"])
                fields.append(f"{quoted(field.name)} {_nested_type(kind)}")
            else:
                fields.append(f'"_field_{index + 1}" {_nested_type(field)}')
        return f"STRUCT({', '.join(fields)})"
    name = _CASTS.get(cast("exp.DType", target.this))
    if name is None or target.expressions:
        raise refused(f"the type {target.sql(GoogleSQL)}")
    return _DUCKDB_TYPES[name]
