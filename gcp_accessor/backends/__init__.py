"""The few operations under the accessors, once for Google and once for a local folder.

An accessor turns what a caller says into these values and calls; a backend alone knows how
Google, DuckDB or a folder carries them out. Both raise `google.api_core.exceptions`.
"""

from __future__ import annotations

from gcp_accessor.backends.buckets import (
    BucketBackend,
    ObjectWriter,
    StoredObject,
)
from gcp_accessor.backends.metrics import (
    Distribution,
    MetricKind,
    MetricsBackend,
    Point,
    Task,
)
from gcp_accessor.backends.warehouse import (
    Changes,
    Cursor,
    Estimate,
    FileFormat,
    IfExists,
    LoadSettings,
    Parameter,
    QueryStats,
    RunningQuery,
    Statement,
    Table,
    WarehouseBackend,
)

__all__ = [
    "Changes",
    "Cursor",
    "Estimate",
    "FileFormat",
    "IfExists",
    "LoadSettings",
    "Parameter",
    "QueryStats",
    "RunningQuery",
    "Statement",
    "Table",
    "WarehouseBackend",
    "BucketBackend",
    "ObjectWriter",
    "StoredObject",
    "Distribution",
    "MetricKind",
    "MetricsBackend",
    "Point",
    "Task",
]
