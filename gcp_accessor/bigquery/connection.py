"""Where statements run: BigQuery or a folder, and what holds for every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gcp_accessor.accessor import Accessor
from gcp_accessor.arguments import check_count, check_labels
from gcp_accessor.backends import WarehouseBackend
from gcp_accessor.errors import MissingExtra, UnsupportedLocally
from gcp_accessor.schema import TableName

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.cloud import bigquery
    from google.cloud.bigquery_storage import BigQueryReadClient

    from gcp_accessor.accessor import Progress
    from gcp_accessor.backends.google.bigquery import GoogleWarehouse


class Connection(Accessor[WarehouseBackend]):
    """The way to one warehouse, and the defaults there. `BigQueryAccessor` says what they are."""

    _service = "bigquery"

    def __init__(
        self,
        project: str | None = None,
        *,
        dataset: str | None = None,
        location: str | None = None,
        credentials: Credentials | None = None,
        impersonate: str | Sequence[str] | None = None,
        client: bigquery.Client | None = None,
        read_client: BigQueryReadClient | None = None,
        local: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        progress: Progress = "auto",
        max_bytes_billed: int | None = None,
    ) -> None:
        if client is not None and retry is not None:
            raise ValueError("client= repeats requests as it does itself; give it without retry=")
        check_labels(labels or {})
        super().__init__(
            project,
            location=location,
            credentials=credentials,
            impersonate=impersonate,
            client=client,
            local=local,
            labels=labels,
            timeout=timeout,
            retry=retry,
            progress=progress,
        )
        check_count("max_bytes_billed", max_bytes_billed, at_least=1)
        self.dataset = dataset
        self.max_bytes_billed = max_bytes_billed
        self._read_client = read_client

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
        return cast("GoogleWarehouse", self._backend).client

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
            credentials=self._identity(),
            client=self._client,
            read_client=self._read_client,
            retry=self.retry,
            timeout=self.timeout,
        )

    def _name(self, name: str) -> TableName:
        return TableName.parse(name, default_dataset=self.dataset)

    def _limit(self, max_bytes_billed: int | None) -> int | None:
        check_count("max_bytes_billed", max_bytes_billed, at_least=1)
        return self.max_bytes_billed if max_bytes_billed is None else max_bytes_billed

    def _timeout(self, timeout: float | None) -> float | None:
        return self.timeout if timeout is None else timeout
