"""The operations under `BigQueryAccessor`, carried out by google-cloud-bigquery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.auth.exceptions import DefaultCredentialsError

from gcp_accessor.backends.google.client import BoundedClient
from gcp_accessor.backends.google.queries import Queries
from gcp_accessor.backends.google.storage_read import StorageReader
from gcp_accessor.backends.google.tables import Tables
from gcp_accessor.backends.google.transfers import Transfers

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.cloud import bigquery
    from google.cloud.bigquery_storage import BigQueryReadClient


class GoogleWarehouse(Queries, Transfers, Tables):
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
        timeout: float | None = None,
    ) -> None:
        if client is None:
            try:
                client = BoundedClient(
                    patience=retry,
                    seconds=timeout,
                    project=project,
                    location=location,
                    credentials=credentials,
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
        self._reader = StorageReader(client, read_client, retry)

    def close(self) -> None:
        """Close the clients' connections, unless the client was handed in."""
        self._reader.close()
        if self._own_client:
            self.client.close()
