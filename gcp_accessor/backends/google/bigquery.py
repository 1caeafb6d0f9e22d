"""The operations under `BigQueryAccessor`, carried out by google-cloud-bigquery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery

from gcp_accessor.backends import (
    Estimate,
    Statement,
)
from gcp_accessor.backends.google.advice import advice
from gcp_accessor.backends.google.client import BoundedClient
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
    query_parameter,
    table_name,
    table_reference,
    time_partitioning,
)
from gcp_accessor.backends.google.storage_read import StorageReader
from gcp_accessor.backends.google.tables import Tables
from gcp_accessor.backends.google.transfers import WRITE, Transfers

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.cloud.bigquery_storage import BigQueryReadClient


class GoogleWarehouse(Transfers, Tables):
    """BigQuery itself. The client is made by the constructor, with a session of its own."""

    def __init__(
        self,
        project: str | None = None,
        *,
        location: str | None = None,
        credentials: Credentials | None = None,
        client: bigquery.Client | None = None,
        read_client: BigQueryReadClient | None = None,
        retry: Retry | None = None,
    ) -> None:
        if client is None:
            try:
                client = BoundedClient(
                    patience=retry, project=project, location=location, credentials=credentials
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
        self._reader = StorageReader(client, read_client)

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
            stored = statement.destination is not None and not statement.returns_stored
            return GoogleCursor(job, stored=stored, reader=self._reader)

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

    def close(self) -> None:
        """Close the clients' connections, unless the client was handed in."""
        self._reader.close()
        if self._own_client:
            self.client.close()

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
            config.write_disposition = WRITE[statement.if_exists]
            config.clustering_fields = list(statement.cluster_by) or None
            if statement.partition_by is not None:
                config.time_partitioning = time_partitioning(
                    statement.partition_by, statement.destination
                )
        return config
