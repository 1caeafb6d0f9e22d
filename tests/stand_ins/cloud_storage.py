"""Cloud Storage's JSON API on 127.0.0.1: generations, preconditions, uploads, ranges, paging.

It answers as the service answers an account with object roles: the bucket itself may be
created, but not read. Faults are queued from outside and met by whoever calls next.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
import secrets
import threading
import time
from base64 import b64encode
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import google_crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_MULTIPLE = 256 << 10


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Fault:
    """What befalls one request.

    "reset" drops the connection before the request takes effect, "lost reply" after it;
    "damaged" alters the first byte of the answer; "none" lets the request through, so that
    the next one meets the next fault.
    """

    kind: Literal["status", "reset", "lost reply", "damaged", "none"]
    status: int = 503
    method: str | None = None


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


class CloudStorageStandIn:
    """The service. Its state may be read and prepared directly; `url` is where it listens.

    Attributes:
        requests: "METHOD path" of each request so far.
        page_size: The most objects in one answer to a listing.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Held]] = {}
        self.requests: list[str] = []
        self.page_size = 1000
        self._faults: deque[Fault] = deque()
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._generations = itertools.count(time.time_ns() // 1000)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def queue(self, *faults: Fault) -> None:
        """Let the next requests meet these faults, each of the method that the fault names."""
        with self._lock:
            self._faults.extend(faults)

    def put(self, bucket: str, name: str, content: bytes, **properties: object) -> int:
        """Place an object as somebody else's client would; return its generation."""
        with self._lock:
            return self._store(bucket, name, content, dict(properties)).generation

    def next_fault(self, method: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.method in (None, method):
                    self._faults.remove(fault)
                    return fault
        return None

    # --- Operations, each under the lock --------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self._lock:
            yield

    def create_bucket(self, name: str) -> dict[str, Any]:
        if name in self.buckets:
            raise Refused(409, "The requested bucket name is not available.")
        self.buckets[name] = {}
        return {"kind": "storage#bucket", "name": name}

    def list(self, bucket: str, query: dict[str, str]) -> dict[str, Any]:
        prefix, after = query.get("prefix", ""), query.get("pageToken", "")
        size = min(self.page_size, int(query.get("maxResults", self.page_size)))
        objects = self._bucket(bucket)
        names = sorted(name for name in objects if name.startswith(prefix) and name > after)
        delimiter = query.get("delimiter")
        if delimiter:
            names = [name for name in names if delimiter not in name[len(prefix) :]]
        page = {"items": [described(bucket, name, objects[name]) for name in names[:size]]}
        return page | ({"nextPageToken": names[size - 1]} if len(names) > size else {})

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

    def begin(
        self, bucket: str, name: str, query: dict[str, str], properties: dict[str, Any]
    ) -> str:
        check_preconditions(self._bucket(bucket).get(name), query)
        key = secrets.token_hex(8)
        self._sessions[key] = Session(bucket, name, query, properties)
        return key

    def resume(self, key: str, content_range: str, data: bytes, hashes: str) -> Session:
        """Take a chunk; the last one makes the object. A finished upload answers as before."""
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
        if total == "*" or int(total) != len(session.received):
            if len(data) % _CHUNK_MULTIPLE:
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


# --- HTTP ---------------------------------------------------------------------------------


class _Dropped(Exception):
    """The connection ends without an answer."""


def _handler(service: CloudStorageStandIn) -> type[BaseHTTPRequestHandler]:
    class Bound(_Handler):
        pass

    Bound.service = service
    return Bound


class _Handler(BaseHTTPRequestHandler):
    service: CloudStorageStandIn
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        self.service.requests.append(f"{self.command} {parts.path}")
        fault = self.service.next_fault(self.command)
        try:
            if fault and fault.kind == "reset":
                raise _Dropped
            if fault and fault.kind == "status":
                raise Refused(fault.status, f"The stand-in was asked for a {fault.status}.")
            with self.service.locked():
                answer = self._route(parts.path, dict(parse_qsl(parts.query)), body)
            if fault and fault.kind == "damaged":
                status, content, headers = answer
                answer = status, bytes([content[0] ^ 1]) + content[1:], headers
            elif fault and fault.kind == "lost reply":
                raise _Dropped
        except Refused as refused:
            error = {"code": refused.status, "message": refused.message}
            self._send(refused.status, json.dumps({"error": error}).encode(), {})
        except _Dropped:
            self.close_connection = True
        else:
            self._send(*answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def _route(
        self, path: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        match = re.fullmatch(
            r"(?P<kind>/upload|/download|)/storage/v1/b(?:/(?P<bucket>[^/]+)(?P<o>/o(?:/(?P<name>.+))?)?)?",
            path,
        )
        if match is None:
            raise Refused(404, f"Not an address of the API: {path}")
        bucket, name = match["bucket"], unquote(match["name"] or "")
        if match["kind"] == "/upload":
            return self._upload(bucket, query, body)
        if not match["o"]:
            if self.command == "POST":
                # With an emulator's address, the client writes "<none>" where it knows none.
                if query.get("project", "<none>") == "<none>":
                    raise Refused(400, "Required parameter: project")
                return _json(self.service.create_bucket(json.loads(body)["name"]))
            raise Refused(403, "Permission 'storage.buckets.get' denied on the bucket.")
        if not name:
            return _json(self.service.list(bucket, query))
        if match["kind"] == "/download" or query.get("alt") == "media":
            return self._media(self.service.find(bucket, name, query))
        if self.command == "DELETE":
            self.service.delete(bucket, name, query)
            return 204, b"", {}
        if self.command == "PATCH":
            held = self.service.patch(bucket, name, query, json.loads(body))
        else:
            held = self.service.find(bucket, name, query)
        return _json(described(bucket, name, held))

    def _upload(
        self, bucket: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        key = query.get("upload_id", "")
        if self.command == "DELETE":
            self.service.cancel(key)
            return 499, b"", {}
        if self.command == "PUT":
            span = self.headers.get("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
            hashes = self.headers.get("X-Goog-Hash", "")
            session = self.service.resume(key, span, body, hashes)
            if session.finished:
                return _json(described(session.bucket, session.name, session.finished))
            received = len(session.received)
            return 308, b"", {"Range": f"bytes=0-{received - 1}"} if received else {}
        if query["uploadType"] == "resumable":
            properties = json.loads(body)
            kind = self.headers.get("X-Upload-Content-Type")
            properties = ({"contentType": kind} if kind else {}) | properties
            key = self.service.begin(bucket, properties.pop("name"), query, properties)
            location = f"{self.service.url}{self.path}&upload_id={key}"
            return 200, b"", {"Location": location}
        properties, content = _multipart(self.headers["Content-Type"], body)
        name = properties.pop("name")
        session = Session(bucket, name, query, properties, bytearray(content))
        return _json(described(bucket, name, self.service.insert(bucket, name, query, session)))

    def _media(self, held: Held) -> tuple[int, bytes, dict[str, str]]:
        content, encoding = held.content, held.properties.get("contentEncoding", "identity")
        crc32c, md5 = held.hashes["crc32c"], held.hashes["md5Hash"]
        headers = {
            "Content-Type": held.properties.get("contentType", "application/octet-stream"),
            "X-Goog-Generation": str(held.generation),
            "X-Goog-Hash": f"crc32c={crc32c},md5={md5}",
            "X-Goog-Stored-Content-Encoding": encoding,
            "X-Goog-Stored-Content-Length": str(len(content)),
        }
        if encoding == "gzip":
            if "gzip" not in self.headers.get("Accept-Encoding", ""):
                # Decompressive transcoding: whole, and no longer what the hashes are of.
                return 200, gzip.decompress(content), headers
            headers["Content-Encoding"] = "gzip"
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            return 200, content, headers
        start, end = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
        if start >= len(content):
            raise Refused(416, "The requested range cannot be satisfied.")
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return 206, content[start : end + 1], headers

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output its own."""


def _json(value: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps(value).encode(), {}


def _multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    assert boundary, content_type
    _, first, second = body.split(b"--" + boundary[1].encode(), 2)
    second = second[: second.rindex(b"\r\n--" + boundary[1].encode() + b"--")]
    metadata = first.partition(b"\r\n\r\n")[2]
    head, _, content = second.partition(b"\r\n\r\n")
    kind = re.search(rb"content-type: *([^\r\n]+)", head, re.IGNORECASE)
    properties = {"contentType": kind[1].decode()} if kind else {}
    return properties | json.loads(metadata), content
