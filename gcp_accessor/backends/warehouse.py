"""What is asked of BigQuery, or of DuckDB in its place, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, get_args

from gcp_accessor.arguments import (
    check_choice,
    check_count,
    check_labels,
    check_seconds,
    check_statement,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from pyarrow import RecordBatch

    from gcp_accessor.schema import Column, TableName

# "fail" raises Conflict if the table has rows; an empty one is filled.
IfExists = Literal["replace", "append", "fail"]
FileFormat = Literal["csv", "ndjson", "parquet"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named query parameter: its type as a column, its value as Python holds it."""

    column: Column
    value: object


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement to run, with everything that bounds it."""

    sql: str
    parameters: tuple[Parameter, ...] = ()
    default_dataset: str | None = None
    destination: TableName | None = None
    if_exists: IfExists = "replace"
    partition_by: str | None = None
    cluster_by: tuple[str, ...] = ()
    max_bytes_billed: int | None = None
    timeout: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    job_id: str | None = None
    # The statement takes effect once under this key; a job that failed had none.
    idempotency_key: str | None = None
    # Properties of google-cloud-bigquery's QueryJobConfig that have no place above. A local
    # statement never carries one that would change its rows.
    job_options: Mapping[str, object] = field(default_factory=dict)
    # Whether the cursor gives the destination's rows too, as BigQuery answers and 0.0.6 did.
    returns_stored: bool = False

    def __post_init__(self) -> None:
        check_statement(self.sql)
        check_choice("if_exists", self.if_exists, get_args(IfExists))
        check_seconds("timeout", self.timeout)
        check_labels(self.labels)
        if self.destination is None and (self.partition_by is not None or self.cluster_by):
            raise ValueError("partition_by and cluster_by shape a destination=; there is none")


@dataclass(frozen=True, slots=True)
class Changes:
    """How many of a table's rows a statement inserted, updated and deleted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class QueryStats:
    """What a statement cost. Bytes are None where the engine does not say.

    Attributes:
        changes: What an INSERT, UPDATE, DELETE or MERGE did; None for other statements.
    """

    job_id: str
    seconds: float
    bytes_processed: int | None
    bytes_billed: int | None
    cache_hit: bool = False
    slot_milliseconds: int | None = None
    changes: Changes | None = None

    @property
    def rows_affected(self) -> int | None:
        """The rows that an INSERT, UPDATE, DELETE or MERGE wrote; None for other statements."""
        done = self.changes
        return None if done is None else done.inserted + done.updated + done.deleted


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a statement would read, found out without running it.

    Attributes:
        schema: The columns of its result; none for a statement that is not a query.
        statement_type: "SELECT", "INSERT", "MERGE", "CREATE_TABLE", ...
    """

    bytes_processed: int
    tables: tuple[TableName, ...]
    schema: tuple[Column, ...]
    statement_type: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it stands.

    Attributes:
        version: Changes whenever the rows may have changed; equal versions mean equal rows.
            None for a view or an external table, whose rows change without it.
        partition_by: The DATE or TIMESTAMP column that splits the table by day.
        partition_life: How long after its day a partition is deleted. None keeps it.
    """

    name: TableName
    schema: tuple[Column, ...]
    rows: int | None
    bytes: int | None
    kind: Literal["table", "view"]
    version: str | None
    partition_by: str | None = None
    partition_life: timedelta | None = None
    cluster_by: tuple[str, ...] = ()
    description: str | None = None
    view_sql: str | None = None


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How a file becomes rows of a table. CSV is the dialect that `tabular` writes.

    Attributes:
        schema: None detects it from the file (Parquet carries it).
        expires: When the table, which does not exist yet, is to delete itself.
    """

    table: TableName
    format: FileFormat
    schema: tuple[Column, ...] | None = None
    if_exists: IfExists = "fail"
    partition_by: str | None = None
    cluster_by: tuple[str, ...] = ()
    skip_leading_rows: int = 0
    timeout: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    job_id: str | None = None
    idempotency_key: str | None = None
    expires: datetime | None = None

    def __post_init__(self) -> None:
        check_choice("format", self.format, get_args(FileFormat))
        check_choice("if_exists", self.if_exists, get_args(IfExists))
        check_count("skip_leading_rows", self.skip_leading_rows, at_least=0)
        check_seconds("timeout", self.timeout)
        check_labels(self.labels)


class Cursor(Protocol):
    """A finished statement, whose rows can be read more than once."""

    schema: tuple[Column, ...]
    total_rows: int
    stats: QueryStats

    def rows(self) -> Iterator[list[object]]:
        """Each row as a list of Python values, as google-cloud-bigquery types them."""
        ...

    def batches(self, max_rows: int) -> Iterator[RecordBatch]:
        """The rows in Arrow, at most `max_rows` at a time."""
        ...


class RunningQuery(Protocol):
    """A statement that was started, for any number of threads.

    `result` raises TimeoutError if it has not ended within `timeout` seconds, and goes on;
    QueryTimeout once its own time is out, and Cancelled if it was cancelled.
    """

    @property
    def job_id(self) -> str: ...
    def done(self) -> bool: ...
    def result(self, timeout: float | None = None) -> Cursor: ...
    def cancel(self) -> None: ...


class WarehouseBackend(Protocol):
    """The operations under `BigQueryAccessor`. A dataset is `[project.]dataset`."""

    def run(self, statement: Statement) -> Cursor: ...
    def submit(self, statement: Statement) -> RunningQuery: ...
    def estimate(self, statement: Statement) -> Estimate: ...
    def load_file(self, file: BinaryIO, settings: LoadSettings) -> int: ...
    def load_uris(self, uris: Sequence[str], settings: LoadSettings) -> int: ...
    def export(self, table: TableName, uri: str, format: FileFormat, compress: bool) -> None: ...
    def export_rows(self, cursor: Cursor, uri: str, format: FileFormat, compress: bool) -> None: ...
    def copy(
        self,
        source: TableName,
        destination: TableName,
        if_exists: IfExists,
        idempotency_key: str | None = None,
    ) -> None: ...
    def table(self, name: TableName) -> Table: ...
    def exists(self, name: TableName) -> bool: ...
    def tables(self, dataset: str) -> list[str]: ...
    def datasets(self, project: str | None = None) -> list[str]: ...
    def create_dataset(self, dataset: str, *, location: str | None = None) -> None: ...
    def delete_dataset(self, dataset: str, *, contents: bool) -> None: ...
    def create_table(
        self,
        name: TableName,
        schema: tuple[Column, ...],
        partition_by: str | None,
        cluster_by: tuple[str, ...],
        *,
        description: str | None = None,
        partition_life: timedelta | None = None,
    ) -> None: ...
    def create_view(
        self, name: TableName, sql: str, *, replace: bool, description: str | None
    ) -> None: ...
    def delete_table(self, name: TableName) -> None: ...
    def close(self) -> None: ...
