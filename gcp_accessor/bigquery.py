"""BigQuery, or a folder in its place."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from gcp_accessor.backends import Estimate, LoadSettings, Statement
from gcp_accessor.bigquery_first_names import FirstNames
from gcp_accessor.errors import MissingExtra, UnsupportedLocally
from gcp_accessor.local import local_folder
from gcp_accessor.parameters import Parameters, from_python
from gcp_accessor.query_result import QueryResult
from gcp_accessor.schema import Column, TableName
from gcp_accessor.type_names import columns
from gcp_accessor.uploads import format_of, is_uri, upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.auth.credentials import Credentials
    from google.cloud import bigquery

    from gcp_accessor.backends import IfExists, Table, WarehouseBackend


class BigQueryAccessor(FirstNames):
    """BigQuery in a few calls: query, load, export, and the tables themselves.

    Making one does nothing yet: the client, or the folder, is opened on first use, in each
    process for itself. So an accessor costs no time, can be pickled, and survives a fork.

    Args:
        project: Who pays. None takes the environment's.
        dataset: Where a table named without a dataset is.
        location: Of jobs and of new datasets. None lets BigQuery find it from the tables.
        credentials: None takes the environment's (application default credentials).
        client: A google-cloud-bigquery client to use as it is.
        local: A folder to work on instead of Google Cloud. If neither this nor project,
            client or credentials is given, GCP_ACCESSOR_LOCAL names it.
        labels: Put on every job.
        timeout: Seconds a job may take unless the call says otherwise. None: no limit.
        max_bytes_billed: A query that would bill more is refused, unless the call says
            otherwise.

    Example:
        >>> warehouse = BigQueryAccessor(local="data", dataset="exams")
        >>> warehouse.create_dataset("exams")  # doctest: +SKIP
        >>> warehouse.query("SELECT @n + 1 AS n", {"n": 1}).scalar()  # doctest: +SKIP
        2
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        dataset: str | None = None,
        location: str | None = None,
        credentials: Credentials | None = None,
        client: bigquery.Client | None = None,
        local: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
        max_bytes_billed: int | None = None,
    ) -> None:
        self.project = project
        self.dataset = dataset
        self.location = location
        self.local = local_folder(local, project, credentials, client)
        self.labels = dict(labels or {})
        self.timeout = timeout
        self.max_bytes_billed = max_bytes_billed
        self._credentials = credentials
        self._client = client
        self._opened: tuple[int, WarehouseBackend] | None = None

    # --- queries --------------------------------------------------------------------------

    def query(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        destination: str | None = None,
        if_exists: IfExists = "replace",
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
        max_bytes_billed: int | None = None,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> QueryResult:
        """Run one statement and return its result, whose rows a destination keeps to itself.

        A destination is written at once or not at all, and a table or partition that is
        replaced is readable throughout. Ctrl-C and a timeout cancel the job.

        Args:
            sql: GoogleSQL. Values belong in `params`, as `@name`.
            params: By name; the values' types are inferred, or said by `Typed`.
            destination: A table to write, or with `$YYYYMMDD` one of its days.
            if_exists: What happens to the destination's rows.
            partition_by: A DATE or TIMESTAMP column that splits a new destination by day.
            cluster_by: Columns that order a new destination.
            max_bytes_billed: A query that would bill more is not run.
            timeout: Seconds of wall clock, from now to the job's end.
            labels: Put on this job, beside the accessor's.

        Raises:
            ValueError: the parameters are not those that the statement uses, or show no type.
            CostLimitExceeded: it would bill more than `max_bytes_billed`.
            QueryTimeout: it took longer than `timeout`.
            google.api_core.exceptions.BadRequest: the SQL is wrong.
            google.api_core.exceptions.NotFound: a table or dataset does not exist.

        Example:
            >>> warehouse.query(
            ...     "SELECT item_id FROM answers WHERE event_date = @day", {"day": date(2024, 3, 1)}
            ... ).to_dataframe()  # doctest: +SKIP
        """
        return self._run(
            Statement(
                sql,
                from_python(params, sql),
                default_dataset=self.dataset,
                destination=None if destination is None else self._name(destination),
                if_exists=if_exists,
                partition_by=partition_by,
                cluster_by=tuple(cluster_by),
                max_bytes_billed=self._limit(max_bytes_billed),
                timeout=self._timeout(timeout),
                labels={**self.labels, **(labels or {})},
            )
        )

    def estimate(self, sql: str, params: Parameters | None = None) -> Estimate:
        """Return what a statement would read, without running it and for free."""
        return self._backend.estimate(
            Statement(
                sql,
                from_python(params, sql),
                default_dataset=self.dataset,
                labels=self.labels,
            )
        )

    # --- data in and out ------------------------------------------------------------------

    def load(
        self,
        data: Any,
        table: str,
        *,
        format: Literal["infer", "csv", "ndjson", "parquet"] = "infer",
        schema: Sequence[Column] | Mapping[str, str] | None = None,
        if_exists: IfExists = "fail",
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
        skip_leading_rows: int = 0,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> int:
        """Load data into a table and return how many rows were added.

        All rows arrive or none. Frames and Arrow travel as Parquet, rows and records as
        newline-delimited JSON through a temporary file, so that memory stays flat.

        Args:
            data: A DataFrame (its index is left out), an Arrow table or reader, records
                (mappings), rows (sequences, which need a schema), the path of a local file, a
                `gs://` URI with at most one `*`, or a list of such URIs.
            table: Made if it does not exist; with `$YYYYMMDD` one of its days.
            format: Of a file; "infer" goes by its name: .csv, .csv.gz, .ndjson, .jsonl,
                .json, each also .gz, and .parquet.
            schema: Columns, or a mapping of names to types. Without one, Parquet, frames and
                Arrow say their own, records show theirs (or take an existing table's), and a
                CSV or JSON file is looked at by the engine.
            if_exists: What happens to the table's rows; "fail" admits an empty table.
            partition_by: A DATE or TIMESTAMP column that splits a new table by day.
            cluster_by: Columns that order a new table.
            skip_leading_rows: Lines of a CSV before its data, 1 for a header.
            timeout: Seconds of wall clock.
            labels: Put on this job, beside the accessor's.

        Raises:
            LoadFailed: rows do not fit their columns; it names them, as far as the engine does.
            SchemaMismatch: records disagree about a column's type, or show none.
            FileNotFoundError: there is no such file.
            google.api_core.exceptions.Conflict: the table has rows and if_exists is "fail".
        """
        name = self._name(table)
        settings = partial(
            LoadSettings,
            name,
            if_exists=if_exists,
            partition_by=partition_by,
            cluster_by=tuple(cluster_by),
            skip_leading_rows=skip_leading_rows,
            timeout=self._timeout(timeout),
            labels={**self.labels, **(labels or {})},
        )
        known = None if schema is None else columns(schema)
        uris = [data] if is_uri(data) else data
        if isinstance(uris, list) and uris and all(is_uri(uri) for uri in uris):
            return self._backend.load_uris(
                uris, settings(format=format_of(uris[0], format), schema=known)
            )

        def table_schema() -> tuple[Column, ...] | None:
            return None if if_exists == "replace" else self._schema_of(name)

        with upload(data, format, known, table_schema) as ready:
            return self._backend.load_file(
                ready.file, settings(format=ready.format, schema=ready.schema)
            )

    def export(
        self,
        table: str,
        uri: str,
        *,
        format: Literal["infer", "csv", "ndjson", "parquet"] = "infer",
    ) -> None:
        """Write a table to one object, or with a `*` in `uri` to as many as it takes.

        Args:
            table: The whole of it, or with `$YYYYMMDD` one day.
            uri: `gs://bucket/name`; ending in .gz, or in .parquet, it is compressed.
            format: "infer" goes by the name's ending.
        """
        if not is_uri(uri):
            raise ValueError(f"{uri!r} is not a gs:// URI; a table is exported to Cloud Storage")
        kind = format_of(uri, format)
        compress = kind == "parquet" or uri.endswith(".gz")
        self._backend.export(self._name(table), uri, kind, compress)

    def copy(self, source: str, destination: str, *, if_exists: IfExists = "fail") -> None:
        """Copy a table or, named with its `$YYYYMMDD`, one day; at once or not at all."""
        self._backend.copy(self._name(source), self._name(destination), if_exists)

    # --- datasets and tables --------------------------------------------------------------

    def table(self, name: str) -> Table:
        """Return a table's schema, size and version.

        Raises:
            google.api_core.exceptions.NotFound: there is no such table.
        """
        return self._backend.table(self._name(name))

    def tables(self, dataset: str | None = None) -> list[str]:
        """Return the names of a dataset's tables and views; None means the default dataset."""
        dataset = dataset or self.dataset
        if dataset is None:
            raise ValueError("name a dataset, or give the accessor dataset=")
        return self._backend.tables(dataset)

    def datasets(self) -> list[str]:
        """Return the names of the project's datasets."""
        return self._backend.datasets()

    def create_dataset(self, name: str) -> None:
        """Make an empty dataset.

        Raises:
            google.api_core.exceptions.Conflict: there is one already.
        """
        self._backend.create_dataset(name)

    def create_table(
        self,
        name: str,
        schema: Sequence[Column] | Mapping[str, str],
        *,
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
    ) -> None:
        """Make an empty table.

        Args:
            name: Its dataset must exist.
            schema: Columns, or a mapping of names to types like `{"tags": "ARRAY<STRING>"}`.
            partition_by: A DATE or TIMESTAMP column that splits the table by day.
            cluster_by: Columns that order it.

        Raises:
            google.api_core.exceptions.Conflict: there is one already.
        """
        self._backend.create_table(
            self._name(name), columns(schema), partition_by, tuple(cluster_by)
        )

    def delete_table(self, name: str, *, if_missing: Literal["fail", "ignore"] = "fail") -> None:
        """Delete a table, a view, or with `$YYYYMMDD` one day of a table."""
        from google.api_core.exceptions import NotFound

        try:
            self._backend.delete_table(self._name(name))
        except NotFound:
            if if_missing == "fail":
                raise

    # --- the accessor itself --------------------------------------------------------------

    @property
    def bq_client(self) -> bigquery.Client:
        """The google-cloud-bigquery client underneath, for what the accessor does not offer.

        Raises:
            UnsupportedLocally: the accessor works on a folder.
        """
        if self.local is not None:
            raise UnsupportedLocally(
                f"this accessor works on the folder {self.local}, without a client of Google's"
            )
        from gcp_accessor.backends.google.bigquery import GoogleWarehouse

        backend = self._backend
        if not isinstance(backend, GoogleWarehouse):
            raise TypeError(f"{type(backend).__name__} has no client of Google's")
        return backend.client

    def close(self) -> None:
        """Close what is open; the next call opens it again."""
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[1].close()
        self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}

    def __repr__(self) -> str:
        place = f"local={str(self.local)!r}" if self.local else f"project={self.project!r}"
        return f"BigQueryAccessor({place}, dataset={self.dataset!r})"

    @property
    def _backend(self) -> WarehouseBackend:
        # A forked process must not share its parent's connections.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), self._open())
        return self._opened[1]

    def _open(self) -> WarehouseBackend:
        if self.local is not None:
            try:
                from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
            except ImportError as error:
                raise MissingExtra("working on a folder", "local") from error
            local: WarehouseBackend = DuckDBWarehouse(self.local)
            return local
        from gcp_accessor.backends.google.bigquery import GoogleWarehouse

        return GoogleWarehouse(
            self.project,
            location=self.location,
            credentials=self._credentials,
            client=self._client,
        )

    def _run(self, statement: Statement) -> QueryResult:
        return QueryResult(self._backend.run(statement), statement.sql)

    def _name(self, name: str) -> TableName:
        return TableName.parse(name, default_dataset=self.dataset)

    def _schema_of(self, name: TableName) -> tuple[Column, ...] | None:
        from google.api_core.exceptions import NotFound

        try:
            return self._backend.table(name.whole).schema
        except NotFound:
            return None

    def _limit(self, max_bytes_billed: int | None) -> int | None:
        return self.max_bytes_billed if max_bytes_billed is None else max_bytes_billed

    def _timeout(self, timeout: float | None) -> float | None:
        return self.timeout if timeout is None else timeout
