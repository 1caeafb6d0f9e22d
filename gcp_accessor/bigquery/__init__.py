"""BigQuery, or a folder in its place."""

from __future__ import annotations

from gcp_accessor.bigquery.exports import Exports
from gcp_accessor.bigquery.first_names import FirstNames
from gcp_accessor.bigquery.tables import Tables
from gcp_accessor.bigquery.upsert import Upserts


class BigQueryAccessor(FirstNames, Upserts, Exports, Tables):
    """BigQuery in a few calls: query, load, export, and the tables themselves.

    Making one does nothing yet: the client, or the folder, is opened on first use, in each
    process for itself. So an accessor costs no time, can be pickled, and survives a fork
    that happens between two calls. It is safe to use from several threads.

    Args:
        project: Who pays. None takes the environment's.
        dataset: Where a table named without a dataset is.
        location: Of jobs and of new datasets. None lets BigQuery find it from the tables.
        credentials: Who asks. None takes the environment's (application default credentials).
        impersonate: The service account to act as, without a key of it; or several, each
            vouching for the next, the last of which acts. The one who asks needs
            roles/iam.serviceAccountTokenCreator on the first.
        client: A `google.cloud.bigquery.Client` to use as it is.
        read_client: A `BigQueryReadClient` of google-cloud-bigquery-storage to read large
            results with. None makes one beside BigQuery's own endpoint; a `client` of another
            endpoint reads them through REST.
        local: A folder to work on instead of Google Cloud. If none of project,
            credentials, impersonate, client and local is given, the environment's
            GCP_ACCESSOR_LOCAL is taken, if set.
        labels: Put on every job.
        timeout: Seconds a job may take unless the call says otherwise. None: no limit.
        retry: How failed requests are repeated: a `google.api_core.retry.Retry`. None is what
            Google's client does by itself, for up to ten minutes. A client that is given has
            its own.
        progress: Bars for what takes long. "auto" shows them in a terminal and in a notebook,
            never in a job.
        max_bytes_billed: A query that would bill more is refused, unless the call says
            otherwise.

    Example:
        >>> warehouse = BigQueryAccessor(local=folder, dataset="exams")
        >>> warehouse.create_dataset("exams")
        >>> warehouse.query("SELECT @n + 1 AS n", {"n": 1}).scalar()
        2
    """

    def __repr__(self) -> str:
        return f"BigQueryAccessor({self._place()}, dataset={self.dataset!r})"
