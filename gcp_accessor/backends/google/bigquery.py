"""The operations under `BigQueryAccessor`, carried out by google-cloud-bigquery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery

from gcp_accessor.backends import (
    Estimate,
    FileFormat,
    IfExists,
    LoadSettings,
    Statement,
    Table,
)
from gcp_accessor.backends.google.advice import advice
from gcp_accessor.backends.google.cursor import GoogleCursor
from gcp_accessor.backends.google.jobs import (
    asks_the_same,
    location_in,
    over_limit,
    reason_of,
    server_milliseconds,
    wait_for,
)
from gcp_accessor.backends.google.schema import (
    columns,
    partition_life,
    query_parameter,
    schema_fields,
    table_name,
    table_reference,
    time_partitioning,
)
from gcp_accessor.errors import LoadFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.auth.credentials import Credentials

    from gcp_accessor.schema import Column, TableName

_WRITE = {"replace": "WRITE_TRUNCATE", "append": "WRITE_APPEND", "fail": "WRITE_EMPTY"}
_LOAD_FORMATS = {"csv": "CSV", "ndjson": "NEWLINE_DELIMITED_JSON", "parquet": "PARQUET"}
# An upload up to this size is one request; above it, it is resumed where it broke off.
_ONE_REQUEST_BYTES = 8 * 1024 * 1024


class GoogleWarehouse:
    """BigQuery itself. The client is made by the constructor, with a session of its own."""

    def __init__(
        self,
        project: str | None = None,
        *,
        location: str | None = None,
        credentials: Credentials | None = None,
        client: bigquery.Client | None = None,
    ) -> None:
        if client is None:
            try:
                client = bigquery.Client(
                    project=project, location=location, credentials=credentials
                )
            except (DefaultCredentialsError, OSError) as error:
                error.add_note(
                    "Sign in with `gcloud auth application-default login`, name the project "
                    "with project= or GOOGLE_CLOUD_PROJECT, or work on a folder with local=."
                )
                raise
            self._own_client = True
        else:
            self._own_client = False
        self.client: bigquery.Client = client

    def run(self, statement: Statement) -> GoogleCursor:
        """Run one statement to its end, on the server's side cancelled when its time is out."""
        with advice():
            try:
                job = self._start(statement)
                wait_for(job, statement.timeout)
            except exceptions.GoogleAPICallError as error:
                limit = statement.max_bytes_billed
                if limit is not None and reason_of(error) == "bytesBilledLimitExceeded":
                    raise over_limit(error, limit) from error
                raise
            return GoogleCursor(job, stored=statement.destination is not None)

    def estimate(self, statement: Statement) -> Estimate:
        """Ask BigQuery for a dry run: free, and it reads nothing."""
        config = self._query_config(statement)
        config.dry_run = True
        config.use_query_cache = False
        with advice():
            job = self.client.query(statement.sql, job_config=config)
        return Estimate(
            job.total_bytes_processed or 0,
            tuple(table_name(reference) for reference in job.referenced_tables),
            columns(job.schema),
        )

    def load_file(self, file: BinaryIO, settings: LoadSettings) -> int:
        """Send an open file and return the rows it added."""
        size = file.seek(0, 2)
        file.seek(0)
        with advice():
            job = self._once(
                lambda job_id: self.client.load_table_from_file(
                    file,
                    table_reference(settings.table, self.client.project),
                    size=size if size <= _ONE_REQUEST_BYTES else None,
                    job_id=job_id,
                    job_config=self._load_config(settings),
                ),
                settings.job_id,
            )
            return self._loaded(job, settings)

    def load_uris(self, uris: Sequence[str], settings: LoadSettings) -> int:
        """Let BigQuery read the objects itself and return the rows they added."""
        with advice():
            job = self._once(
                lambda job_id: self.client.load_table_from_uri(
                    list(uris),
                    table_reference(settings.table, self.client.project),
                    job_id=job_id,
                    job_config=self._load_config(settings),
                ),
                settings.job_id,
            )
            return self._loaded(job, settings)

    def export(self, table: TableName, uri: str, format: FileFormat, compress: bool) -> None:
        """Let BigQuery write the table to Cloud Storage."""
        compressions = {"csv": "GZIP", "ndjson": "GZIP", "parquet": "ZSTD"}
        config = bigquery.ExtractJobConfig(
            destination_format=_LOAD_FORMATS[format],
            compression=compressions[format] if compress else "NONE",
        )
        with advice():
            job = self._once(
                lambda job_id: self.client.extract_table(
                    table_reference(table, self.client.project),
                    uri,
                    job_id=job_id,
                    job_config=config,
                )
            )
            wait_for(job, None)

    def copy(self, source: TableName, destination: TableName, if_exists: IfExists) -> None:
        """Let BigQuery copy the table or partition, at once or not at all."""
        config = bigquery.CopyJobConfig(write_disposition=_WRITE[if_exists])
        with advice():
            job = self._once(
                lambda job_id: self.client.copy_table(
                    table_reference(source, self.client.project),
                    table_reference(destination, self.client.project),
                    job_id=job_id,
                    job_config=config,
                )
            )
            wait_for(job, None)

    def table(self, name: TableName) -> Table:
        """Return the table as BigQuery describes it."""
        with advice():
            found = self.client.get_table(table_reference(name.whole, self.client.project))
        is_view = found.table_type in {"VIEW", "MATERIALIZED_VIEW"}
        # What an external table holds is not BigQuery's, which sees no change of it.
        is_stored = found.table_type in {"TABLE", "SNAPSHOT"}
        partitioning = found.time_partitioning
        return Table(
            name=table_name(found.reference),
            schema=columns(found.schema),
            rows=found.num_rows if is_stored else None,
            bytes=found.num_bytes if is_stored else None,
            kind="view" if is_view else "table",
            version=_version(found) if is_stored else None,
            partition_by=partitioning.field if partitioning else None,
            partition_life=partition_life(partitioning),
            cluster_by=tuple(found.clustering_fields or ()),
            description=found.description,
            view_sql=(found.view_query or found.mview_query) if is_view else None,
        )

    def tables(self, dataset: str) -> list[str]:
        """Return the names of the dataset's tables and views."""
        with advice():
            return [table.table_id for table in self.client.list_tables(dataset)]

    def datasets(self) -> list[str]:
        """Return the names of the project's datasets."""
        with advice():
            return [dataset.dataset_id for dataset in self.client.list_datasets()]

    def create_dataset(self, dataset: str) -> None:
        """Create a dataset in the client's location."""
        with advice():
            self.client.create_dataset(dataset)

    def create_table(
        self,
        name: TableName,
        schema: tuple[Column, ...],
        partition_by: str | None,
        cluster_by: tuple[str, ...],
    ) -> None:
        """Create an empty table."""
        table = bigquery.Table(table_reference(name, self.client.project), schema_fields(schema))
        if partition_by is not None:
            table.time_partitioning = time_partitioning(partition_by)
        if cluster_by:
            table.clustering_fields = list(cluster_by)
        with advice():
            self.client.create_table(table)

    def delete_table(self, name: TableName) -> None:
        """Delete a table, a view or, named with its `$`, one partition."""
        with advice():
            self.client.delete_table(table_reference(name, self.client.project))

    def close(self) -> None:
        """Close the client's connections, unless the client was handed in."""
        if self._own_client:
            self.client.close()

    def _once(self, start: Callable[[str], Any], job_id: str | None = None) -> Any:
        """Start a job other than a query, and return it also where the reply to that is lost.

        The client then asks again and is refused: there is such a job. An id that was made up
        here can only be this job's. Of queries the client knows this itself.
        """
        made_up = str(uuid4())
        try:
            return start(job_id or made_up)
        except exceptions.Conflict as conflict:
            location = location_in(conflict, made_up)
            if location is None:
                raise
            return self.client.get_job(made_up, location=location)

    def _start(self, statement: Statement) -> bigquery.QueryJob:
        options: dict[str, Any] = dict(statement.job_options)
        config = self._query_config(statement)
        ours: dict[str, Any] = {"job_config": config, "project": options.get("project")}
        if "location" in options:
            ours["location"] = options["location"]
        if statement.job_id is None:
            prefix = options.get("job_id_prefix")
            return self.client.query(statement.sql, job_id_prefix=prefix, **ours)
        try:
            return self.client.query(statement.sql, job_id=statement.job_id, job_retry=None, **ours)
        except exceptions.Conflict as conflict:
            return self._attach(statement, config, conflict)

    def _attach(
        self, statement: Statement, config: bigquery.QueryJobConfig, conflict: exceptions.Conflict
    ) -> bigquery.QueryJob:
        """Return the job that already has this id, if it is this very statement.

        So a retried task finds its own job, and its reply lost on the way costs no second run.
        """
        options: dict[str, Any] = dict(statement.job_options)
        job_id = str(statement.job_id)
        # Outside of the US and EU multi-regions no job is found without its location.
        location = options.get("location") or location_in(conflict, job_id)
        job = self.client.get_job(job_id, project=options.get("project"), location=location)
        if not isinstance(job, bigquery.QueryJob) or not asks_the_same(job, statement.sql, config):
            conflict.add_note(
                f"The job id {statement.job_id!r} belongs to another statement; use another id."
            )
            raise conflict
        if job.error_result is not None:
            conflict.add_note(
                f"The job {statement.job_id!r} failed, and BigQuery never runs an id twice; use "
                f"another id. It failed with: {job.error_result.get('message')}"
            )
            raise conflict
        return job

    def _query_config(self, statement: Statement) -> bigquery.QueryJobConfig:
        elsewhere = {"project", "location", "job_id_prefix", "page_size"}
        config = bigquery.QueryJobConfig(
            **{
                name: value
                for name, value in statement.job_options.items()
                if name not in elsewhere
            }
        )
        config.query_parameters = [query_parameter(parameter) for parameter in statement.parameters]
        config.labels = dict(statement.labels)
        if statement.max_bytes_billed is not None:
            config.maximum_bytes_billed = statement.max_bytes_billed
        if statement.default_dataset is not None:
            config.default_dataset = bigquery.DatasetReference(
                self.client.project, statement.default_dataset
            )
        if statement.timeout is not None:
            config.job_timeout_ms = server_milliseconds(statement.timeout)
        if statement.destination is not None:
            config.destination = table_reference(statement.destination, self.client.project)
            config.write_disposition = _WRITE[statement.if_exists]
            config.clustering_fields = list(statement.cluster_by) or None
            if statement.partition_by is not None:
                config.time_partitioning = time_partitioning(
                    statement.partition_by, statement.destination
                )
        return config

    def _load_config(self, settings: LoadSettings) -> bigquery.LoadJobConfig:
        config = bigquery.LoadJobConfig(
            source_format=_LOAD_FORMATS[settings.format],
            write_disposition=_WRITE[settings.if_exists],
            create_disposition="CREATE_IF_NEEDED",
            labels=dict(settings.labels),
            clustering_fields=list(settings.cluster_by) or None,
            time_partitioning=time_partitioning(settings.partition_by, settings.table),
        )
        if settings.schema is not None:
            config.schema = schema_fields(settings.schema)
        elif settings.format != "parquet":
            config.autodetect = True
        if settings.format == "csv":
            config.skip_leading_rows = settings.skip_leading_rows
            config.allow_quoted_newlines = True
        if settings.format == "parquet":
            parquet = bigquery.ParquetOptions()
            # Without it an Arrow list arrives as STRUCT<list ARRAY<STRUCT<element>>>.
            parquet.enable_list_inference = True
            config.parquet_options = parquet
        if settings.timeout is not None:
            config.job_timeout_ms = server_milliseconds(settings.timeout)
        return config

    def _loaded(self, job: bigquery.LoadJob, settings: LoadSettings) -> int:
        try:
            wait_for(job, settings.timeout)
        except exceptions.GoogleAPICallError as error:
            # Other reasons are not about the rows: a missing table, a role, a full one.
            if reason_of(error) != "invalid":
                raise
            messages = dict.fromkeys(str(item.get("message", item)) for item in job.errors or ())
            raise LoadFailed(
                f"nothing was loaded into {settings.table}: {job.error_result['message']}",
                tuple(messages),
            ) from error
        return job.output_rows or 0


def _version(table: bigquery.Table) -> str:
    streamed = table.streaming_buffer.estimated_rows if table.streaming_buffer else 0
    return f"{table.modified.isoformat()}/{table.num_rows}/{table.num_bytes}/{streamed}"
