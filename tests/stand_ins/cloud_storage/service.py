"""The service behind the HTTP: buckets, objects and their versions, uploads on their way."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import google_crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_MULTIPLE = 256 << 10


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@dataclass
class Held:
    """One object: its content and the properties that a caller may set."""

    content: bytes
    generation: int
    properties: dict[str, Any]
    metageneration: int = 1
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def hashes(self) -> dict[str, str]:
        return hashes_of(self.content)


@dataclass
class Session:
    """A resumable upload on its way."""

    bucket: str
    name: str
    query: dict[str, str]
    properties: dict[str, Any]
    received: bytearray = field(default_factory=bytearray)
    finished: Held | None = None


class Service:
    """Its state may be read and prepared directly.

    Attributes:
        page_size: The most objects in one answer to a listing.
        rewrite_size: The most bytes that one request rewrites; 0 is all of them.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Held]] = {}
        self.bucket_properties: dict[str, dict[str, object]] = {}
        self.page_size = 1000
        self.rewrite_size = 0
        self._sessions: dict[str, Session] = {}
        self._rewrites: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._generations = itertools.count(time.time_ns() // 1000)

    def put(self, bucket: str, name: str, content: bytes, **properties: object) -> int:
        """Place an object as somebody else's client would; return its generation."""
        with self._lock:
            return self._store(bucket, name, content, dict(properties)).generation

    # --- Operations, each under the lock --------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self._lock:
            yield

    def create_bucket(self, name: str, **properties: object) -> dict[str, Any]:
        if name in self.buckets:
            already = "Your previous request to create the named bucket succeeded"
            raise Refused(409, f"{already} and you already own it.")
        self.buckets[name] = {}
        self.bucket_properties[name] = properties
        return {**properties, "kind": "storage#bucket", "name": name}

    def list(self, bucket: str, query: dict[str, str]) -> dict[str, Any]:
        """One page. A name with the delimiter after the prefix counts as the folder it is in."""
        prefix, after = query.get("prefix", ""), query.get("pageToken", "")
        size = min(self.page_size, int(query.get("maxResults", self.page_size)))
        objects = self._bucket(bucket)
        delimiter = query.get("delimiter")
        # In the order of UTF-8.
        names = sorted((name for name in objects if name.startswith(prefix)), key=str.encode)
        entries = dict.fromkeys(_folder_or_name(name, prefix, delimiter) for name in names)
        rest = [entry for entry in entries if entry.encode() > after.encode()]
        items, folders = [], []
        for entry in rest[:size]:
            if delimiter and entry.endswith(delimiter) and entry != prefix:
                folders.append(entry)
            else:
                items.append(described(bucket, entry, objects[entry]))
        page: dict[str, Any] = {"kind": "storage#objects", "items": items}
        if folders:
            page["prefixes"] = folders
        return page | ({"nextPageToken": rest[size - 1]} if len(rest) > size else {})

    def find(self, bucket: str, name: str, query: dict[str, str]) -> Held:
        held = self._bucket(bucket).get(name)
        wanted = query.get("generation")
        if held is None or (wanted and held.generation != int(wanted)):
            raise Refused(404, f"No such object: {bucket}/{name}")
        check_preconditions(held, query)
        return held

    def insert(self, bucket: str, name: str, query: dict[str, str], upload: Session) -> Held:
        check_preconditions(self._bucket(bucket).get(name), query)
        content = bytes(upload.received)
        for kind, value in hashes_of(content).items():
            if upload.properties.pop(kind, value) != value:
                raise Refused(400, f"Provided {kind} does not match the content.")
        return self._store(bucket, name, content, upload.properties)

    def delete(self, bucket: str, name: str, query: dict[str, str]) -> None:
        self.find(bucket, name, query)
        del self.buckets[bucket][name]

    def patch(self, bucket: str, name: str, query: dict[str, str], changes: dict[str, Any]) -> Held:
        held = self.find(bucket, name, query)
        held.properties |= changes
        held.metageneration += 1
        return held

    def rewrite(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        query: dict[str, str],
        properties: dict[str, Any],
    ) -> dict[str, Any]:
        """Copy as much as one request may; a token goes on with the version it began with."""
        pinned = {
            name.replace("Source", ""): value
            for name, value in query.items()
            if name.startswith("ifSource")
        }
        held = self.find(*source, pinned | {"generation": query.get("sourceGeneration", "")})
        check_preconditions(self._bucket(target[0]).get(target[1]), query)
        done, begun = self._rewrites.pop(query.get("rewriteToken", ""), (0, held.generation))
        if begun != held.generation:
            raise Refused(404, "The version that this rewrite began with is gone.")
        done = min(len(held.content), done + (self.rewrite_size or len(held.content)))
        answer = {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(done),
            "objectSize": str(len(held.content)),
            "done": done == len(held.content),
        }
        if done < len(held.content):
            token = secrets.token_hex(8)
            self._rewrites[token] = (done, begun)
            return answer | {"rewriteToken": token}
        said = {key: value for key, value in properties.items() if key not in ("bucket", "name")}
        # Whatever is said of the copy is all that it has; if nothing is, it has the source's.
        copy = self._store(*target, held.content, said or dict(held.properties))
        return answer | {"resource": described(*target, copy)}

    def compose(
        self, bucket: str, name: str, query: dict[str, str], request: dict[str, Any]
    ) -> Held:
        parts = request["sourceObjects"]
        if not 1 <= len(parts) <= 32:
            raise Refused(400, "The number of source components is between 1 and 32.")
        check_preconditions(self._bucket(bucket).get(name), query)
        content = bytearray()
        for part in parts:
            expected = part.get("objectPreconditions", {}).get("ifGenerationMatch")
            pinned = {"generation": part.get("generation", "")}
            condition = {"ifGenerationMatch": expected} if expected else {}
            content += self.find(bucket, part["name"], pinned | condition).content
        return self._store(bucket, name, bytes(content), dict(request.get("destination", {})))

    def begin(
        self, bucket: str, name: str, query: dict[str, str], properties: dict[str, Any]
    ) -> str:
        check_preconditions(self._bucket(bucket).get(name), query)
        key = secrets.token_hex(8)
        self._sessions[key] = Session(bucket, name, query, properties)
        return key

    def resume(
        self, key: str, content_range: str, data: bytes, hashes: str, *, is_whole: bool = True
    ) -> Session:
        """Take a chunk; the last one makes the object. A finished upload answers as before.

        Of a chunk that is not whole, what arrived is kept.
        """
        session = self._sessions.get(key)
        if session is None:
            raise Refused(404, "No such upload.")
        if session.finished:
            return session
        span, _, total = content_range.removeprefix("bytes ").partition("/")
        if span != "*":
            start = int(span.partition("-")[0])
            if start > len(session.received):
                raise Refused(400, f"The upload continues at {len(session.received)}.")
            session.received += data[len(session.received) - start :]
        if not is_whole:
            return session
        if total == "*" or int(total) != len(session.received):
            if len(data) % CHUNK_MULTIPLE:
                raise Refused(400, "A chunk's size is a multiple of 256 KiB.")
            return session
        session.properties |= dict(
            item.strip().split("=", 1) for item in hashes.split(",") if "=" in item
        )
        session.finished = self.insert(session.bucket, session.name, session.query, session)
        return session

    def cancel(self, key: str) -> None:
        if self._sessions.pop(key, None) is None:
            raise Refused(404, "No such upload.")

    def _bucket(self, name: str) -> dict[str, Held]:
        if name not in self.buckets:
            raise Refused(404, "The specified bucket does not exist.")
        return self.buckets[name]

    def _store(self, bucket: str, name: str, content: bytes, properties: dict[str, Any]) -> Held:
        held = Held(content, next(self._generations), properties)
        self._bucket(bucket)[name] = held
        return held


def hashes_of(content: bytes) -> dict[str, str]:
    return {
        "crc32c": b64encode(google_crc32c.Checksum(content).digest()).decode(),
        "md5Hash": b64encode(hashlib.md5(content).digest()).decode(),
    }


def check_preconditions(held: Held | None, query: dict[str, str]) -> None:
    generation = held.generation if held else 0
    metageneration = held.metageneration if held else 0
    for name, found in (("Generation", generation), ("Metageneration", metageneration)):
        if int(query.get(f"if{name}Match", found)) != found:
            raise Refused(412, "At least one of the pre-conditions you specified did not hold.")
        if int(query.get(f"if{name}NotMatch", found + 1)) == found:
            raise Refused(304, "")


def described(bucket: str, name: str, held: Held) -> dict[str, Any]:
    moment = held.updated.isoformat().replace("+00:00", "Z")
    return {
        **held.properties,
        **held.hashes,
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "generation": str(held.generation),
        "metageneration": str(held.metageneration),
        "size": str(len(held.content)),
        "timeCreated": moment,
        "updated": moment,
    }


def _folder_or_name(name: str, prefix: str, delimiter: str | None) -> str:
    at = name.find(delimiter, len(prefix)) if delimiter else -1
    return name if at < 0 else name[: at + len(delimiter or "")]
