"""BigQuery's operations on one DuckDB file: the local warehouse."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from google.api_core.exceptions import BadRequest, Conflict, NotFound

from gcp_accessor.backends.duckdb import files
from gcp_accessor.backends.duckdb.bytes_read import bytes_of_table
from gcp_accessor.backends.duckdb.catalog import Details, LocalCatalog, sql_name
from gcp_accessor.backends.duckdb.errors import google_errors
from gcp_accessor.backends.duckdb.file import DatabaseFile
from gcp_accessor.backends.duckdb.finished import asked, run_once
from gcp_accessor.backends.duckdb.load import load_errors, read_files
from gcp_accessor.backends.duckdb.running import bounded
from gcp_accessor.backends.duckdb.statements import Statements
from gcp_accessor.backends.duckdb.views import create_view
from gcp_accessor.backends.duckdb.writes import Write, in_partition, write_rows
from gcp_accessor.backends.folder import FolderBackend
from gcp_accessor.backends.idempotency import job_id_of
from gcp_accessor.errors import UnsupportedLocally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import (
        BucketBackend,
        Cursor,
        FileFormat,
        IfExists,
        LoadSettings,
        Table,
    )
    from gcp_accessor.schema import Column, TableName


class DuckDBWarehouse(Statements):
    """A folder in BigQuery's place; its tables are in `warehouse.duckdb`.

    Every operation is one transaction: done, and on disk, when the call returns, or not
    done at all. The file is open only during an operation, so processes take turns.

    Args:
        buckets: Where `gs://` leads; by default to the folder's own buckets.
    """

    def __init__(
        self, root: Path, project: str | None = None, *, buckets: BucketBackend | None = None
    ) -> None:
        self.root = root
        self.file = DatabaseFile(root)
        self._project = project
        self._buckets: BucketBackend = FolderBackend(root) if buckets is None else buckets

    # --- Files ------------------------------------------------------------------------

    def load_file(self, file: BinaryIO, settings: LoadSettings) -> int:
        """Load a file: all of its rows or none. Returns how many there were."""
        with files.local_copies([file], self.file.scratch) as paths:
            return self._load(paths, settings, ())

    def load_uris(self, uris: Sequence[str], settings: LoadSettings) -> int:
        """Load objects of the local buckets, `*` standing for any letters."""
        with files.local_objects(uris, self._buckets, self.file.scratch) as paths:
            return self._load(paths, settings, uris)

    def _load(self, paths: Sequence[Path], settings: LoadSettings, uris: Sequence[str]) -> int:
        key = settings.idempotency_key
        # What a file holds does not count: who loads it again has perhaps read it again.
        what = asked(settings.table.whole, settings.format, settings.if_exists, list(uris))
        within = settings.timeout
        with self._transaction(within) as (connection, catalog), bounded(connection, within):

            def load() -> int:
                return self._write_rows(connection, catalog, paths, settings)

            count: int = run_once(connection, key and job_id_of(key), what, load)
        return count

    def _write_rows(
        self,
        connection: DuckDBPyConnection,
        catalog: LocalCatalog,
        paths: Sequence[Path],
        settings: LoadSettings,
    ) -> int:
        catalog.require_dataset(settings.table.dataset)
        schema = settings.schema
        if schema is None and settings.if_exists != "replace":
            there = catalog.kind(settings.table) == "table"
            schema = catalog.columns(settings.table) if there else None
        source = read_files(connection, paths, settings, schema)
        where = Write(
            settings.table, settings.if_exists, settings.partition_by, settings.cluster_by
        )
        if settings.expires is not None:
            catalog.drop_expired()
        with load_errors(connection, source):
            count = write_rows(connection, catalog, where, source.sql, source.schema)
        if settings.expires is not None:
            held = catalog.details(settings.table)
            expires = settings.expires.isoformat()
            catalog.set_details(settings.table, replace(held, expires=expires))
        return count

    def export(self, table: TableName, uri: str, format: FileFormat, compress: bool) -> None:
        """Write a table to one object of the local buckets, which appears whole."""
        with self._reading() as (connection, catalog):
            catalog.require(table)
            condition = "TRUE"
            if table.partition is not None:
                condition = _partition_condition(catalog, table)
            schema = catalog.columns(table)
            rows = f"FROM {sql_name(table)} WHERE {condition}"
            with files.exported(connection, rows, schema, format, self.file.scratch) as path:
                files.publish(path, uri, self._buckets, compress=compress)

    def export_rows(self, cursor: Cursor, uri: str, format: FileFormat, compress: bool) -> None:
        """Write a result to one object of the local buckets, which appears whole."""
        with files.rows_exported(cursor, format, self.file.scratch) as path:
            files.publish(path, uri, self._buckets, compress=compress)

    # --- Tables -----------------------------------------------------------------------

    def copy(
        self,
        source: TableName,
        destination: TableName,
        if_exists: IfExists,
        idempotency_key: str | None = None,
    ) -> None:
        """Copy a table, or one partition, in one transaction; its partitioning goes along."""
        key = idempotency_key and job_id_of(idempotency_key)
        with self._transaction() as (connection, catalog):

            def copy() -> int:
                return _copy(connection, catalog, source, destination, if_exists)

            run_once(connection, key, asked("copy", str(source), str(destination), if_exists), copy)

    def table(self, name: TableName) -> Table:
        """A table or view as it stands. Counting a large table's rows takes a moment."""
        with self._reading() as (connection, catalog):
            size = None
            if catalog.require(name) == "table":
                size = bytes_of_table(connection, catalog, name)
            return catalog.describe(name, size=size)

    def exists(self, name: TableName) -> bool:
        """Whether there is such a table or view; its rows are not looked at."""
        try:
            with self._reading() as (_, catalog):
                return catalog.kind(name) is not None
        except NotFound:
            # Of a project that is not here.
            return False

    def tables(self, dataset: str) -> list[str]:
        """The names of a dataset's tables and views."""
        with self._reading() as (_, catalog):
            return catalog.tables(catalog.require_dataset(catalog.dataset(dataset)))

    def datasets(self, project: str | None = None) -> list[str]:
        """The names of the datasets."""
        with self._reading() as (_, catalog):
            catalog.check_project(project)
            return catalog.datasets()

    def create_dataset(
        self,
        dataset: str,
        *,
        location: str | None = None,  # noqa: ARG002 - a folder is where it is
    ) -> None:
        """Make a dataset; Conflict when it is there."""
        with self._transaction() as (_, catalog):
            catalog.create_dataset(catalog.dataset(dataset))

    def delete_dataset(self, dataset: str, *, contents: bool) -> None:
        """Remove a dataset; with tables in it only if they are to go as well."""
        with self._transaction() as (_, catalog):
            catalog.drop_dataset(catalog.dataset(dataset), contents=contents)

    def create_table(
        self,
        name: TableName,
        schema: tuple[Column, ...],
        partition_by: str | None,
        cluster_by: tuple[str, ...],
        *,
        description: str | None = None,
        partition_life: timedelta | None = None,
    ) -> None:
        """Make an empty table; Conflict when it is there."""
        if partition_life is not None:
            raise UnsupportedLocally(
                f"{name} is to have partition_life={partition_life}; a local table keeps its "
                "partitions until they are deleted"
            )
        with self._transaction() as (_, catalog):
            catalog.require_dataset(name.dataset)
            if catalog.kind(name) is not None:
                raise Conflict(f"Already Exists: Table local:{name.whole}")
            catalog.create_table(name, schema, Details(partition_by, cluster_by, description))

    def create_view(
        self, name: TableName, sql: str, *, replace: bool, description: str | None
    ) -> None:
        """Make a view, or give the one that is there another query."""
        with self._transaction() as (connection, catalog):
            create_view(connection, catalog, name, sql, replace=replace, description=description)

    def delete_table(self, name: TableName) -> None:
        """Remove a table, a view, or one partition's rows; NotFound when there is none."""
        with self._transaction() as (connection, catalog):
            if name.partition is None:
                catalog.drop(name)
                return
            catalog.require(name)
            condition = _partition_condition(catalog, name)
            connection.execute(f"DELETE FROM {sql_name(name)} WHERE {condition}")

    def close(self) -> None:
        """Nothing is open between operations."""

    # --- The file ---------------------------------------------------------------------

    @contextmanager
    def _reading(
        self, timeout: float | None = None
    ) -> Iterator[tuple[DuckDBPyConnection, LocalCatalog]]:
        with self.file.open(timeout=timeout) as connection, google_errors():
            yield connection, LocalCatalog(connection, self._project)

    @contextmanager
    def _transaction(
        self, timeout: float | None = None
    ) -> Iterator[tuple[DuckDBPyConnection, LocalCatalog]]:
        with self.file.transaction(timeout) as connection, google_errors():
            yield connection, LocalCatalog(connection, self._project)


def _copy(
    connection: DuckDBPyConnection,
    catalog: LocalCatalog,
    source: TableName,
    destination: TableName,
    if_exists: IfExists,
) -> int:
    if catalog.require(source) == "view":
        raise BadRequest(f"{source} is a view; only tables are copied")
    held = catalog.details(source)
    condition = "TRUE"
    if source.partition is not None:
        condition = _partition_condition(catalog, source)
    partition_by, cluster_by = held.partition_by, held.cluster_by
    if catalog.kind(destination) == "table" and if_exists == "append":
        partition_by, cluster_by = None, ()
    where = Write(destination, if_exists, partition_by, cluster_by)
    rows = f"SELECT * FROM {sql_name(source)} WHERE {condition}"
    return write_rows(connection, catalog, where, rows, catalog.columns(source))


def _partition_condition(catalog: LocalCatalog, name: TableName) -> str:
    by = catalog.details(name).partition_by
    if by is None:
        raise BadRequest(f"{name.whole} is not partitioned, so it has no partition {name}")
    return in_partition(name, by)
