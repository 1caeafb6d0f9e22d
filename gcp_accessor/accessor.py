"""What every accessor is: a recipe for a backend, opened on first use in each process."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

from gcp_accessor.arguments import check_choice, check_seconds
from gcp_accessor.local import local_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials

    from gcp_accessor.backends.operation import Service

Progress = Literal["auto", "on", "off"]


class Backend(Protocol):
    """Whatever an accessor opens, and has to close."""

    def close(self) -> None:
        """Give back what is open."""


B = TypeVar("B", bound=Backend)


class Accessor(ABC, Generic[B]):
    """A place on Google Cloud or in a folder, and the caller's defaults there.

    Making one does no I/O and imports no client: the backend is opened on first use, in each
    process for itself. So an accessor costs no time, can be pickled, survives a fork, and may
    be used by several threads.

    Fork while no thread is inside of a call: DuckDB and gRPC, which Monitoring and large results
    come by, do not go on in a process that was forked in the middle of their work. A spawned
    process has no such moment.
    """

    _service: ClassVar[Service]

    def __init__(
        self,
        project: str | None,
        *,
        location: str | None,
        credentials: Credentials | None,
        impersonate: str | Sequence[str] | None,
        client: Any,
        local: str | os.PathLike[str] | None,
        labels: Mapping[str, str] | None,
        timeout: float | None,
        retry: Retry | None,
        progress: Progress,
    ) -> None:
        if client is not None and (credentials is not None or impersonate is not None):
            raise ValueError(
                "client= acts as whom it was made for; give it without credentials= and "
                "impersonate="
            )
        check_choice("progress", progress, ("auto", "on", "off"))
        check_seconds("timeout", timeout)
        self.project = project
        self.location = location
        self.local = local_folder(local, project, credentials, impersonate, client)
        self.labels = dict(labels or {})
        self.timeout = timeout
        self.retry = retry
        self.progress: Progress = progress
        self.impersonate = _chain(impersonate)
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
            made = self._watched(self._open())
            # Of several threads that come here at once, all get the same one.
            backend = self._backends.setdefault(process, made)
            if backend is not made:
                made.close()
        return backend

    @abstractmethod
    def _open(self) -> B:
        """Open the place: Google's client, or the folder."""

    def _watched(self, backend: B) -> B:
        from gcp_accessor.backends.observed import observed

        return observed(backend, self._service, is_local=self.local is not None)

    def _identity(self) -> Credentials | None:
        """Whom Google's clients act as; None leaves it to them, who take the environment's."""
        if not self.impersonate:
            return self._credentials
        from gcp_accessor.backends.google.credentials import impersonated

        return impersonated(self.impersonate, self._credentials)

    def _place(self) -> str:
        return f"local={str(self.local)!r}" if self.local else f"project={self.project!r}"


def _chain(impersonate: str | Sequence[str] | None) -> tuple[str, ...]:
    chain = (impersonate,) if isinstance(impersonate, str) else tuple(impersonate or ())
    for account in chain:
        if not isinstance(account, str) or "@" not in account:
            raise ValueError(
                f"impersonate names {account!r}; expected a service account's address, such as "
                "'etl@a-project.iam.gserviceaccount.com'"
            )
    if impersonate is not None and not chain:
        raise ValueError("impersonate is empty; name a service account, or leave it out")
    return chain
