"""Where objects are: Cloud Storage or a folder."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, get_args

from gcp_accessor.accessor import Accessor
from gcp_accessor.arguments import check_choice, check_count, check_labels
from gcp_accessor.backends import BucketBackend

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.cloud.storage import Client

    from gcp_accessor.accessor import Progress
    from gcp_accessor.backends import ObjectWriter

IfExists = Literal["replace", "fail"]


class Connection(Accessor[BucketBackend]):
    """The way to the buckets. `CloudStorageAccessor` says what its arguments are."""

    _service = "storage"

    def __init__(
        self,
        project: str | None = None,
        *,
        location: str | None = None,
        credentials: Credentials | None = None,
        impersonate: str | Sequence[str] | None = None,
        client: Client | None = None,
        local: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        progress: Progress = "auto",
    ) -> None:
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

    def _open(self) -> BucketBackend:
        if self.local is not None:
            from gcp_accessor.backends.folder import FolderBackend

            return FolderBackend(self.local)
        from gcp_accessor.backends.google.storage import GoogleStorageBackend

        return GoogleStorageBackend(
            self.project,
            self._identity(),
            self._client,
            self.timeout,
            retry=self.retry,
            location=self.location,
            labels=self.labels,
        )

    @contextmanager
    def _writer(
        self,
        bucket: str,
        name: str,
        content_type: str,
        if_exists: IfExists,
        if_generation: int | None,
        seconds: float | None = None,
    ) -> Iterator[ObjectWriter]:
        if_generation, cache_control = precondition(if_exists, if_generation)
        with self._backend.writer(
            bucket,
            name,
            content_type=content_type,
            if_generation=if_generation,
            cache_control=cache_control,
            seconds=seconds,
        ) as writer:
            yield writer


def precondition(if_exists: IfExists, if_generation: int | None) -> tuple[int | None, str | None]:
    """Return the generation that is expected, and how long the object may be cached.

    Raises:
        ValueError: the two contradict each other.
    """
    check_choice("if_exists", if_exists, get_args(IfExists))
    check_count("if_generation", if_generation, at_least=0)
    if if_exists == "replace":
        # What may be replaced must not be served from a cache, from its first version on.
        return if_generation, "no-store"
    if if_generation is not None:
        raise ValueError("if_exists='fail' is if_generation=0; give one of them")
    return 0, None
