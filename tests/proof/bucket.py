"""A bucket in memory behind the real accessor, whose every request may go wrong on its way.

`Bucket` is the service: objects, generations, preconditions and a clock of its own. A `Client` is
one process's connection to it. Before each request the client asks its `decide` what befalls it;
what is decided is what can befall a process that speaks to Cloud Storage.
"""

from __future__ import annotations

import io
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeVar

import google_crc32c
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed, ServiceUnavailable

from gcp_accessor import CloudStorageAccessor
from gcp_accessor.backends import StoredObject
from gcp_accessor.tabular.formats import content_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "lessons"
T = TypeVar("T")

# What befalls a request:
# - "none": nothing
# - "killed before", "killed after": the process dies before it takes effect, or right after
# - "refused": it has no effect, and a transient error is all that ever comes back
# - "reply lost": it took effect, and a transient error is all that ever comes back
# - "sent again": it took effect, the reply was lost, and the client below sends it once more,
#   after whatever the others do meanwhile
Fate = Literal["none", "killed before", "killed after", "refused", "reply lost", "sent again"]
FATES: tuple[Fate, ...] = (
    *("killed before", "killed after", "refused", "reply lost", "sent again"),
)


class Killed(BaseException):
    """The process is no more. Nothing that it would do behind this reaches the service."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request on its way: "write", "read", "stat", "list" or "delete", and of what."""

    verb: str
    name: str

    @property
    def is_write(self) -> bool:
        """Whether it changes anything."""
        return self.verb in {"write", "delete"}


@dataclass(frozen=True, slots=True)
class Version:
    """What an object was from one moment on.

    Attributes:
        content: None where it was deleted.
        client: Whose request it was.
    """

    name: str
    generation: int
    content: bytes | None
    client: Client


@dataclass
class _Held:
    content: bytes
    generation: int
    updated: datetime
    crc32c: str
    client: Client


@dataclass
class Bucket:
    """The service. One request at a time takes effect; the clock moves only by `pass_time`.

    Attributes:
        history: Every change that ever took effect, in order.
    """

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    held: dict[str, _Held] = field(default_factory=dict)
    history: list[Version] = field(default_factory=list)
    _generation: int = 0

    def pass_time(self, time: timedelta) -> None:
        """Let the service's clock go on."""
        self.now += time

    def content(self, name: str) -> bytes | None:
        """Return what is there, as the service's owner sees it: no request, no fault."""
        held = self.held.get(name)
        return None if held is None else held.content

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects, as the service's owner sees them."""
        return sorted(name for name in self.held if name.startswith(prefix))

    def find(self, name: str, generation: int | None = None) -> _Held:
        held = self.held.get(name)
        if held is None or generation not in (None, held.generation):
            raise NotFound(f"No such object: gs://{BUCKET}/{name}")
        return held

    def put(self, client: Client, name: str, content: bytes, expected: int | None) -> _Held:
        self._check(name, expected)
        # As Cloud Storage's: microseconds, larger with every write whatever its name.
        self._generation = max(self._generation + 1, int(self.now.timestamp() * 1_000_000))
        checksum = b64encode(google_crc32c.Checksum(content).digest()).decode()
        held = _Held(content, self._generation, self.now, checksum, client)
        self.held[name] = held
        self.history.append(Version(name, held.generation, content, client))
        return held

    def remove(self, client: Client, name: str, expected: int | None) -> None:
        held = self.find(name)
        self._check(name, expected)
        del self.held[name]
        self.history.append(Version(name, held.generation, None, client))

    def _check(self, name: str, expected: int | None) -> None:
        found = self.held[name].generation if name in self.held else 0
        if expected not in (None, found):
            raise PreconditionFailed(f"gs://{BUCKET}/{name} has generation {found}")


class Client:
    """One process's connection: the operations under `CloudStorageAccessor`.

    Args:
        bucket: The service.
        decide: Asked before each request what befalls it. Where others share the bucket, it
            returns when it is this request's turn.
    """

    def __init__(
        self, bucket: Bucket, decide: Callable[[Request], Fate] = lambda _: "none"
    ) -> None:
        self.bucket = bucket
        self.is_dead = False
        self._decide = decide

    def store(self) -> CloudStorageAccessor:
        """Return the real accessor on this connection."""
        return _Store(self)

    @contextmanager
    def writer(
        self,
        bucket: str,
        name: str,
        *,
        content_type: str,
        if_generation: int | None = None,
        cache_control: str | None = None,
        seconds: float | None = None,
    ) -> Iterator[_Writer]:
        writer = _Writer()
        yield writer
        content = writer.getvalue()

        def again(first: _Held) -> _Held:
            # As the accessor's backend does it: under a precondition the object that this very
            # upload made is known by its mark; without one it is simply written twice.
            if if_generation is None:
                return self.bucket.put(self, name, content, None)
            if self.bucket.held.get(name) is not first:
                raise PreconditionFailed(f"gs://{BUCKET}/{name} is not what was expected")
            return first

        held = self._request(
            Request("write", name),
            lambda: self.bucket.put(self, name, content, if_generation),
            again,
        )
        writer.stored = _described(name, held)

    @contextmanager
    def reader(
        self, bucket: str, name: str, *, generation: int | None = None
    ) -> Iterator[BinaryIO]:
        held = self._request(Request("read", name), lambda: self.bucket.find(name, generation))
        yield io.BytesIO(held.content)

    def download(
        self,
        bucket: str,
        name: str,
        file: BinaryIO,
        *,
        generation: int | None = None,
        seconds: float | None = None,
    ) -> None:
        with self.reader(bucket, name, generation=generation) as content:
            file.write(content.read())

    def stat(self, bucket: str, name: str, *, generation: int | None = None) -> StoredObject:
        return _described(
            name, self._request(Request("stat", name), lambda: self.bucket.find(name, generation))
        )

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        yield from self._request(
            Request("list", prefix),
            lambda: [
                _described(name, self.bucket.held[name]) for name in self.bucket.names(prefix)
            ],
        )

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        def again(_: object) -> None:
            # A repeated request that finds nothing has lost its first reply.
            if name in self.bucket.held:
                self.bucket.remove(self, name, if_generation)

        self._request(
            Request("delete", name), lambda: self.bucket.remove(self, name, if_generation), again
        )

    def copy(self, *_: object, **__: object) -> StoredObject:
        raise NotImplementedError("no publication copies")

    def signed_url(self, *_: object, **__: object) -> str:
        raise NotImplementedError("no publication signs")

    def create_bucket(self, bucket: str) -> None:
        raise Conflict(f"the bucket {bucket} exists already")

    def close(self) -> None:
        """Nothing stays open."""

    def _request(
        self, request: Request, do: Callable[[], T], again: Callable[[T], T] | None = None
    ) -> T:
        fate = self._ask(request)
        if fate == "refused":
            raise ServiceUnavailable(f"{request.verb} {request.name}: 503")
        result = do()
        if fate == "killed after":
            self._die()
        if fate == "reply lost":
            raise ServiceUnavailable(f"{request.verb} {request.name}: the reply was lost")
        if fate == "sent again":
            self._ask(request)
            return result if again is None else again(result)
        return result

    def _ask(self, request: Request) -> Fate:
        # What a dead process would still do, in a `finally` perhaps, it does not do.
        if self.is_dead:
            raise Killed
        fate = self._decide(request)
        if fate == "killed before":
            self._die()
        return fate

    def _die(self) -> None:
        self.is_dead = True
        raise Killed


class _Writer(io.BytesIO):
    stored: StoredObject


class _Store(CloudStorageAccessor):
    """The accessor as it is, but for what it is connected to."""

    def __init__(self, client: Client) -> None:
        super().__init__("a-project")
        self._given = client

    def _open(self) -> Client:
        return self._given


def _described(name: str, held: _Held) -> StoredObject:
    size, kind = len(held.content), content_type_of(name)
    return StoredObject(BUCKET, name, held.generation, size, held.crc32c, kind, held.updated)
