"""What every accessor is: a recipe for a backend, opened on first use in each process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from gcp_accessor.local import local_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.auth.credentials import Credentials


class Backend(Protocol):
    """Whatever an accessor opens, and has to close."""

    def close(self) -> None:
        """Give back what is open."""


B = TypeVar("B", bound=Backend)


class Accessor(Generic[B]):
    """A place on Google Cloud or in a folder, and the caller's defaults there.

    Making one does no I/O and imports no client: the backend is opened on first use, in each
    process for itself. So an accessor costs no time, can be pickled, survives a fork, and may
    be used by several threads.
    """

    def __init__(
        self,
        project: str | None,
        *,
        credentials: Credentials | None,
        client: Any,
        local: str | os.PathLike[str] | None,
        labels: Mapping[str, str] | None,
        timeout: float | None,
    ) -> None:
        self.project = project
        self.local = local_folder(local, project, credentials, client)
        self.labels = dict(labels or {})
        self.timeout = timeout
        self._credentials = credentials
        self._client = client
        self._backends: dict[int, B] = {}

    def close(self) -> None:
        """Close what is open; the next call opens it again."""
        backend = self._backends.pop(os.getpid(), None)
        if backend is not None:
            backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_backends": {}}

    @property
    def _backend(self) -> B:
        # By process: a forked one must not share its parent's connections.
        process = os.getpid()
        backend = self._backends.get(process)
        if backend is None:
            made = self._open()
            # Of several threads that come here at once, all get the same one.
            backend = self._backends.setdefault(process, made)
            if backend is not made:
                made.close()
        return backend

    def _open(self) -> B:
        raise NotImplementedError

    def _place(self) -> str:
        return f"local={str(self.local)!r}" if self.local else f"project={self.project!r}"
