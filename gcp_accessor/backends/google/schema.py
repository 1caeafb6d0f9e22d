"""Columns, parameters and table names in the words of google-cloud-bigquery."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from google.cloud import bigquery

from gcp_accessor.schema import Column, TableName
from gcp_accessor.type_names import columns_from_api

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcp_accessor.backends import Parameter

QueryParameter = (
    bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter | bigquery.StructQueryParameter
)

_PARTITION_TYPES = {4: "YEAR", 6: "MONTH", 8: "DAY", 10: "HOUR"}


def schema_fields(columns: Iterable[Column]) -> list[bigquery.SchemaField]:
    """Return the columns as the client's schema."""
    return [bigquery.SchemaField.from_api_repr(_field(column)) for column in columns]


def columns(fields: Iterable[bigquery.SchemaField] | None) -> tuple[Column, ...]:
    """Return the client's schema as columns."""
    return columns_from_api([field.to_api_repr() for field in fields or ()])


def query_parameter(parameter: Parameter) -> QueryParameter:
    """Return the parameter as the client sends it."""
    return _query_parameter(parameter.column, parameter.value)


def table_reference(name: TableName, project: str) -> bigquery.TableReference:
    """Return the table, or with its `$` the partition, as the client addresses it."""
    table = f"{name.table}${name.partition}" if name.partition else name.table
    dataset = bigquery.DatasetReference(name.project or project, name.dataset or "")
    return dataset.table(table)


def table_name(reference: bigquery.TableReference) -> TableName:
    """Return the name of the table that the client addresses."""
    return TableName(reference.table_id, reference.dataset_id, reference.project)


def time_partitioning(
    partition_by: str | None, table: TableName | None = None
) -> bigquery.TimePartitioning | None:
    """Return a partitioning by the column's day, or by the unit that the table's `$` names."""
    if partition_by is None:
        return None
    unit = _PARTITION_TYPES[len(table.partition)] if table and table.partition else "DAY"
    return bigquery.TimePartitioning(type_=unit, field=partition_by)


def partition_life(partitioning: bigquery.TimePartitioning | None) -> timedelta | None:
    """Return how long after its day a partition is deleted, None for never."""
    if partitioning is None or not partitioning.expiration_ms:
        return None
    # "Never" is also written as the largest number there is.
    longest = timedelta.max // timedelta(milliseconds=1)
    return timedelta(milliseconds=min(partitioning.expiration_ms, longest))


def _field(column: Column) -> dict[str, Any]:
    field = {
        "name": column.name,
        "type": column.type,
        "mode": column.mode,
        "description": column.description,
        "fields": [_field(part) for part in column.fields],
    }
    # BigQuery refuses fields of a scalar, and reads a null as "leave it".
    return {key: value for key, value in field.items() if value}


def _query_parameter(column: Column, value: Any) -> QueryParameter:
    name = column.name
    if column.mode == "REPEATED":
        element = Column(column.name, column.type, fields=column.fields)
        if column.type == "STRUCT":
            items = [_query_parameter(element, item) for item in value]
            # The client takes the struct's type from the first item, if there is one.
            return bigquery.ArrayQueryParameter(
                name, "STRUCT" if items else _struct_type(element), items
            )
        return bigquery.ArrayQueryParameter(
            name, column.type, [_scalar(column, item) for item in value]
        )
    if column.type == "STRUCT":
        return bigquery.StructQueryParameter(
            name, *(_query_parameter(field, value.get(field.name)) for field in column.fields)
        )
    return bigquery.ScalarQueryParameter(name, column.type, _scalar(column, value))


def _scalar(column: Column, value: Any) -> Any:
    # The client writes the year 861 with three digits, where BigQuery reads four.
    return value.isoformat() if column.type == "DATETIME" and value is not None else value


def _struct_type(column: Column) -> bigquery.StructQueryParameterType:
    kinds = []
    for field in column.fields:
        kind: Any = (
            _struct_type(field)
            if field.type == "STRUCT"
            else bigquery.ScalarQueryParameterType(field.type)
        )
        if field.mode == "REPEATED":
            kind = bigquery.ArrayQueryParameterType(kind)
        kind.name = field.name
        kinds.append(kind)
    return bigquery.StructQueryParameterType(*kinds)
