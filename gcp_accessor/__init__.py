"""BigQuery, Cloud Storage and Cloud Monitoring without the boilerplate.

Nothing of Google's, pandas' or Arrow's is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcp_accessor.backends import (
        Changes,
        Distribution,
        Estimate,
        QueryStats,
        StoredObject,
        Table,
    )
    from gcp_accessor.bigquery import BigQueryAccessor
    from gcp_accessor.bigquery.budget import Budget
    from gcp_accessor.bigquery.query_job import QueryJob
    from gcp_accessor.errors import (
        CorruptRun,
        CostLimitExceeded,
        LoadFailed,
        MissingExtra,
        QueryTimeout,
        ResultTooLarge,
        SchemaMismatch,
        TransferFailed,
        TransferTimeout,
        UnsafeContent,
        UnsupportedLocally,
    )
    from gcp_accessor.job_metrics import JobMetrics
    from gcp_accessor.monitoring import MonitoringAccessor
    from gcp_accessor.parameters import Typed
    from gcp_accessor.publication import Manifest, Publication, PublicationRun
    from gcp_accessor.query_result import QueryResult
    from gcp_accessor.schema import Column, TableName
    from gcp_accessor.storage import CloudStorageAccessor, GoogleCloudStorageAccessor

_HOMES = {
    "BigQueryAccessor": "bigquery",
    "CloudStorageAccessor": "storage",
    "GoogleCloudStorageAccessor": "storage",
    "MonitoringAccessor": "monitoring",
    "JobMetrics": "job_metrics",
    "QueryResult": "query_result",
    "QueryJob": "bigquery.query_job",
    "Budget": "bigquery.budget",
    "Typed": "parameters",
    "Publication": "publication",
    "PublicationRun": "publication",
    "Manifest": "publication",
    "Column": "schema",
    "TableName": "schema",
    "Changes": "backends",
    "Distribution": "backends",
    "Estimate": "backends",
    "QueryStats": "backends",
    "StoredObject": "backends",
    "Table": "backends",
    "CorruptRun": "errors",
    "CostLimitExceeded": "errors",
    "LoadFailed": "errors",
    "MissingExtra": "errors",
    "QueryTimeout": "errors",
    "ResultTooLarge": "errors",
    "SchemaMismatch": "errors",
    "TransferFailed": "errors",
    "TransferTimeout": "errors",
    "UnsafeContent": "errors",
    "UnsupportedLocally": "errors",
    # What `%load_ext gcp_accessor` and `%unload_ext gcp_accessor` look for.
    "load_ipython_extension": "notebook",
    "unload_ipython_extension": "notebook",
}

__all__ = [
    "__version__",
    "BigQueryAccessor",
    "CloudStorageAccessor",
    "GoogleCloudStorageAccessor",
    "MonitoringAccessor",
    "JobMetrics",
    "QueryResult",
    "QueryJob",
    "Budget",
    "Typed",
    "Publication",
    "PublicationRun",
    "Manifest",
    "Column",
    "TableName",
    "Changes",
    "Distribution",
    "Estimate",
    "QueryStats",
    "StoredObject",
    "Table",
    "CorruptRun",
    "CostLimitExceeded",
    "LoadFailed",
    "MissingExtra",
    "QueryTimeout",
    "ResultTooLarge",
    "SchemaMismatch",
    "TransferFailed",
    "TransferTimeout",
    "UnsafeContent",
    "UnsupportedLocally",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("gcp-accessor")
    elif name in _HOMES:
        value = getattr(import_module(f"gcp_accessor.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'gcp_accessor' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
