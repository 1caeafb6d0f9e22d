"""Statements as BigQuery's query jobs: run, started, and asked what they would read."""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.cloud import bigquery

from gcp_accessor.backends import Estimate, Statement
from gcp_accessor.backends.google.advice import advice
from gcp_accessor.backends.google.cursor import GoogleCursor
from gcp_accessor.backends.google.jobs import (
    left_of,
    out_of_time,
    over_limit,
    reason_of,
    server_milliseconds,
    wait,
    wait_for,
)
from gcp_accessor.backends.google.once import ASKED_LABEL, asked_by_query, ids_for, start_once
from gcp_accessor.backends.google.schema import (
    columns,
    query_parameter,
    table_name,
    table_reference,
    time_partitioning,
)
from gcp_accessor.backends.google.transfers import WRITE
from gcp_accessor.backends.time_limit import within
from gcp_accessor.errors import QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor.backends.google.storage_read import StorageReader

# Options that are arguments of the client's methods, not parts of a job's configuration.
_ARGUMENTS = {"project", "location", "job_id_prefix", "page_size"}


class Queries:
    """What `GoogleWarehouse` does with statements."""

    client: bigquery.Client
    _reader: StorageReader

    def run(self, statement: Statement) -> GoogleCursor:
        """Run one statement to its end, on the server's side cancelled when its time is out."""
        began = time.monotonic()
        with advice(), _limit_in_our_words(statement):
            with within(statement.timeout):
                job = self._start(statement, {})
            wait_for(job, statement.timeout, began)
            return self._cursor(job, statement)

    def submit(self, statement: Statement) -> GoogleQuery:
        """Start one statement."""
        began = time.monotonic()
        with advice(), _limit_in_our_words(statement), within(statement.timeout):
            # A job that the client starts anew has another id, which nobody would know.
            job = self._start(statement, {"job_retry": None})
        return GoogleQuery(self, job, statement, began)

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
            job.statement_type,
        )

    def _cursor(self, job: bigquery.QueryJob, statement: Statement) -> GoogleCursor:
        stored = statement.destination is not None and not statement.returns_stored
        return GoogleCursor(job, stored=stored, reader=self._reader)

    def _start(self, statement: Statement, client_options: dict[str, Any]) -> bigquery.QueryJob:
        options: dict[str, Any] = dict(statement.job_options)
        config = self._query_config(statement)
        project = options.get("project")
        ours: dict[str, Any] = {"job_config": config, "project": project, **client_options}
        if "location" in options:
            ours["location"] = options["location"]
        if statement.job_id is None and statement.idempotency_key is None:
            prefix = options.get("job_id_prefix")
            return self.client.query(statement.sql, job_id_prefix=prefix, **ours)
        ours["job_retry"] = None
        mine = asked_by_query(statement.sql, config)
        config.labels = {**config.labels, ASKED_LABEL: mine}
        key = statement.idempotency_key
        job: bigquery.QueryJob = start_once(
            self.client,
            [str(statement.job_id)] if key is None else ids_for(key),
            mine,
            lambda job_id: self.client.query(statement.sql, job_id=job_id, **ours),
            project=project,
            location=options.get("location"),
        )
        return job

    def _query_config(self, statement: Statement) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            **{
                name: value
                for name, value in statement.job_options.items()
                if name not in _ARGUMENTS
            }
        )
        config.query_parameters = [query_parameter(parameter) for parameter in statement.parameters]
        config.labels = dict(statement.labels)
        if statement.max_bytes_billed is not None:
            config.maximum_bytes_billed = statement.max_bytes_billed
        if statement.default_dataset is not None:
            config.default_dataset = bigquery.DatasetReference.from_string(
                statement.default_dataset, self.client.project
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


class GoogleQuery:
    """A query job that runs, for any number of threads.

    Args:
        queries: Of the warehouse that started it.
        job: The client's own, which takes one thread at a time.
        statement: What it runs, and for how long it may.
        began: When its time began to run, on the monotonic clock.
    """

    def __init__(
        self, queries: Queries, job: bigquery.QueryJob, statement: Statement, began: float
    ) -> None:
        self.job_id: str = job.job_id
        self._queries = queries
        self._job = job
        self._statement = statement
        self._began = began
        self._waiting = Lock()
        self._cursor: GoogleCursor | None = None
        self._has_ended = False

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        if not self._has_ended:
            with advice():
                # Not the job itself: another thread may wait for it.
                now = self._queries.client.get_job(
                    self.job_id, project=self._job.project, location=self._job.location
                )
            self._has_ended = now.state == "DONE"
        return self._has_ended

    def result(self, timeout: float | None = None) -> GoogleCursor:
        """Its rows. TimeoutError if it takes longer than `timeout`, and goes on."""
        if not self._waiting.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError
        try:
            if self._cursor is None:
                with advice(), _limit_in_our_words(self._statement):
                    self._wait(timeout)
                    self._has_ended = True
                    self._cursor = self._queries._cursor(self._job, self._statement)
            return self._cursor
        finally:
            self._waiting.release()

    def cancel(self) -> None:
        """Ask BigQuery to end it."""
        with advice():
            self._queries.client.cancel_job(
                self.job_id, project=self._job.project, location=self._job.location
            )

    def _wait(self, timeout: float | None) -> None:
        allowed = self._statement.timeout
        if allowed is None:
            wait(self._job, timeout)
            return
        left = left_of(allowed, self._began)
        try:
            wait(self._job, left if timeout is None else min(timeout, left))
        except QueryTimeout:
            raise
        except TimeoutError as error:
            if timeout is not None and timeout < left:
                raise
            raise out_of_time(self._job, allowed) from error


@contextmanager
def _limit_in_our_words(statement: Statement) -> Iterator[None]:
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        limit = statement.max_bytes_billed
        if limit is None or reason_of(error) != "bytesBilledLimitExceeded":
            raise
        raise over_limit(error, limit) from error
