"""Cloud Storage, or a folder in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_accessor.storage.contents import Contents
from gcp_accessor.storage.downloads import Downloads
from gcp_accessor.storage.first_names import FirstNames
from gcp_accessor.storage.models import Models
from gcp_accessor.storage.objects import Objects
from gcp_accessor.storage.rows import Rows
from gcp_accessor.storage.uploads import Uploads

if TYPE_CHECKING:
    from gcp_accessor.publication import Publication


class CloudStorageAccessor(Rows, Contents, Objects, Uploads, Downloads, Models, FirstNames):
    """Objects in Cloud Storage, written whole or not at all, read verified.

    Making one does no I/O: clients are built on first use, once per process, so it can be
    pickled and handed to other processes. It is safe to use from several threads.

    Every write takes a precondition. `if_exists="fail"` creates the object only where there
    is none; `if_generation=n` replaces it only while it still is what was read. Of several
    writers that race under one precondition, one wins, and the others get
    `google.api_core.exceptions.PreconditionFailed`.

    Args:
        project: Needed only to create buckets. None takes the environment's.
        location: Of buckets that it creates. None is Google's default, the US.
        credentials: Who asks. None takes the environment's (application default credentials).
        impersonate: The service account to act as, without a key of it; or several, each
            vouching for the next, the last of which acts. The one who asks needs
            roles/iam.serviceAccountTokenCreator on the first.
        client: A `google.cloud.storage.Client` to use as it is.
        local: A folder to work in instead of Google Cloud. If none of project,
            credentials, impersonate, client and local is given, the environment's
            GCP_ACCESSOR_LOCAL is taken, if set.
        labels: Put on every bucket that it creates.
        timeout: Seconds a request, and then its retries altogether, may take. By default
            60 for a request and 120 for its retries.
        retry: How failed requests are repeated: a `google.api_core.retry.Retry`. None is what
            Google's client does by itself.
        progress: Bars for what takes long. "auto" shows them in a terminal and in a notebook,
            never in a job.

    Example:
        >>> store = CloudStorageAccessor(local=folder)
        >>> store.create_bucket("lessons")
        >>> store.upload_csv_gzip("lessons", "items.csv.gz", [["q1", -0.42], ["q2", None]]).uri
        'gs://lessons/items.csv.gz'
        >>> store.download_csv_gzip("lessons", "items.csv.gz")
        [['q1', '-0.42'], ['q2', None]]
    """

    def publication(self, uri: str) -> Publication:
        """Return the place, `gs://bucket/folder`, where one complete run is the published one."""
        from gcp_accessor.publication import Publication

        return Publication(self, uri)

    def __repr__(self) -> str:
        return f"CloudStorageAccessor({self._place()})"


GoogleCloudStorageAccessor = CloudStorageAccessor
