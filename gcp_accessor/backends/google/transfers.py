"""Data into BigQuery's tables, out of them and from one to another, by its jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from uuid import uuid4

from google.api_core import exceptions
from google.cloud import bigquery

from gcp_accessor.backends.google.advice import advice
from gcp_accessor.backends.google.jobs import (
    location_in,
    reason_of,
    server_milliseconds,
    wait_for,
)
from gcp_accessor.backends.google.load_errors import wrong_rows
from gcp_accessor.backends.google.once import ASKED_LABEL, asked, ids_for, start_once
from gcp_accessor.backends.google.schema import (
    schema_fields,
    table_reference,
    time_partitioning,
)
from gcp_accessor.backends.time_limit import within
from gcp_accessor.errors import LoadFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gcp_accessor.backends import Cursor, FileFormat, IfExists, LoadSettings
    from gcp_accessor.backends.google.cursor import GoogleCursor
    from gcp_accessor.schema import TableName

WRITE = {"replace": "WRITE_TRUNCATE", "append": "WRITE_APPEND", "fail": "WRITE_EMPTY"}
_FORMATS = {"csv": "CSV", "ndjson": "NEWLINE_DELIMITED_JSON", "parquet": "PARQUET"}
# An upload up to this size is one request; above it, it is resumed where it broke off.
_ONE_REQUEST_BYTES = 8 * 1024 * 1024


class Transfers:
    """What `GoogleWarehouse` does with the rows of tables."""

    client: bigquery.Client

    def load_file(self, file: BinaryIO, settings: LoadSettings) -> int:
        """Send an open file and return the rows it added."""
        size = file.seek(0, 2)
        file.seek(0)
        mine = _asked(settings, ())
        return self._load(
            lambda job_id: self.client.load_table_from_file(
                file,
                table_reference(settings.table, self.client.project),
                size=size if size <= _ONE_REQUEST_BYTES else None,
                job_id=job_id,
                job_config=self._load_config(settings, mine),
            ),
            settings,
            mine,
            file,
        )

    def load_uris(self, uris: Sequence[str], settings: LoadSettings) -> int:
        """Let BigQuery read the objects itself and return the rows they added."""
        mine = _asked(settings, uris)
        return self._load(
            lambda job_id: self.client.load_table_from_uri(
                list(uris),
                table_reference(settings.table, self.client.project),
                job_id=job_id,
                job_config=self._load_config(settings, mine),
            ),
            settings,
            mine,
        )

    def export(self, table: TableName, uri: str, format: FileFormat, compress: bool) -> None:
        """Let BigQuery write the table to Cloud Storage."""
        self._extract(table_reference(table, self.client.project), uri, format, compress)

    def export_rows(self, cursor: Cursor, uri: str, format: FileFormat, compress: bool) -> None:
        """Let BigQuery write a result to Cloud Storage, from the table that it keeps for it."""
        self._extract(cast("GoogleCursor", cursor).table, uri, format, compress)

    def _extract(
        self, table: bigquery.TableReference, uri: str, format: FileFormat, compress: bool
    ) -> None:
        compressions = {"csv": "GZIP", "ndjson": "GZIP", "parquet": "ZSTD"}
        config = bigquery.ExtractJobConfig(
            destination_format=_FORMATS[format],
            compression=compressions[format] if compress else "NONE",
        )
        with advice():
            job = self._once(
                lambda job_id: self.client.extract_table(
                    table, uri, job_id=job_id, job_config=config
                )
            )
            wait_for(job, None)

    def copy(
        self,
        source: TableName,
        destination: TableName,
        if_exists: IfExists,
        idempotency_key: str | None = None,
    ) -> None:
        """Let BigQuery copy the table or partition, at once or not at all."""
        config = bigquery.CopyJobConfig(write_disposition=WRITE[if_exists])
        mine = asked("copy", str(source), str(destination), if_exists)
        if idempotency_key is not None:
            config.labels = {ASKED_LABEL: mine}

        def start(job_id: str) -> Any:
            return self.client.copy_table(
                table_reference(source, self.client.project),
                table_reference(destination, self.client.project),
                job_id=job_id,
                job_config=config,
            )

        with advice():
            if idempotency_key is None:
                job = self._once(start)
            else:
                job = start_once(self.client, ids_for(idempotency_key), mine, start)
            wait_for(job, None)

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

    def _load(
        self,
        start: Callable[[str], bigquery.LoadJob],
        settings: LoadSettings,
        mine: str,
        file: BinaryIO | None = None,
    ) -> int:
        began = time.monotonic()
        with advice():
            with within(settings.timeout):
                self._prepare(settings)
                job = self._load_once(start, settings, mine)
            try:
                wait_for(job, settings.timeout, began)
            except exceptions.GoogleAPICallError as error:
                # Other reasons are not about the rows: a missing table, a role, a full one.
                if reason_of(error) != "invalid":
                    raise
                raise LoadFailed(
                    f"nothing was loaded into {settings.table}: {job.error_result['message']}",
                    wrong_rows(job.error_result, job.errors or (), file),
                ) from error
            return job.output_rows or 0

    def _load_once(
        self, start: Callable[[str], Any], settings: LoadSettings, mine: str
    ) -> bigquery.LoadJob:
        key = settings.idempotency_key
        if key is None:
            job: bigquery.LoadJob = self._once(start, settings.job_id)
        else:
            job = start_once(self.client, ids_for(key), mine, start)
        return job

    def _prepare(self, settings: LoadSettings) -> None:
        """Make the table that is to delete itself, which a load job cannot say of its own."""
        if settings.expires is None:
            return
        # Without a schema it takes the one that the load finds.
        schema = None if settings.schema is None else schema_fields(settings.schema)
        table = bigquery.Table(table_reference(settings.table, self.client.project), schema)
        table.expires = settings.expires
        self.client.create_table(table)

    def _load_config(self, settings: LoadSettings, mine: str) -> bigquery.LoadJobConfig:
        config = bigquery.LoadJobConfig(
            source_format=_FORMATS[settings.format],
            write_disposition=WRITE[settings.if_exists],
            create_disposition="CREATE_IF_NEEDED",
            labels=dict(settings.labels),
            clustering_fields=list(settings.cluster_by) or None,
            time_partitioning=time_partitioning(settings.partition_by, settings.table),
        )
        if settings.idempotency_key is not None:
            config.labels = {**config.labels, ASKED_LABEL: mine}
        if settings.schema is not None:
            config.schema = schema_fields(settings.schema)
        elif settings.format != "parquet":
            config.autodetect = True
        if settings.format == "csv":
            config.skip_leading_rows = settings.skip_leading_rows
            config.allow_quoted_newlines = True
            config.preserve_ascii_control_characters = True
        if settings.format == "parquet":
            parquet = bigquery.ParquetOptions()
            # Without it an Arrow list arrives as STRUCT<list ARRAY<STRUCT<element>>>.
            parquet.enable_list_inference = True
            config.parquet_options = parquet
        if settings.timeout is not None:
            config.job_timeout_ms = server_milliseconds(settings.timeout)
        return config


def _asked(settings: LoadSettings, uris: Sequence[str]) -> str:
    # What a file holds does not count, nor the types that its rows show: who loads again has
    # perhaps read them again.
    return asked(settings.table.whole, settings.format, settings.if_exists, list(uris))
