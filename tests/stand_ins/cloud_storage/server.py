"""Cloud Storage's addresses, on a local port."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.stand_ins.cloud_storage.faults import Fault, Faults
from tests.stand_ins.cloud_storage.service import (
    CHUNK_MULTIPLE,
    Held,
    Refused,
    Service,
    Session,
    described,
)
from tests.stand_ins.cloud_storage.signatures import check_signature
from tests.stand_ins.loopback import LoopbackServer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Answer = tuple[int, bytes, dict[str, str]]

_API = re.compile(
    r"(?P<kind>/upload|/download|)/storage/v1/b"
    r"(?:/(?P<bucket>[^/]+)(?P<o>/o(?:/(?P<name>[^/]+)(?:/(?P<verb>[a-zA-Z]+)(?P<rest>/.+)?)?)?)?)?"
)
_PAGE = b"<html><title>Sign in to the network</title></html>"
_PIECE = 1024


class CloudStorageStandIn(Service):
    """The service at `url`.

    Attributes:
        requests: "METHOD path" of each request so far.
        callers: Of each request, the connection's port and its Authorization.
        signers: The keys of the accounts that may sign an address, by their addresses.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.callers: list[tuple[int, str | None]] = []
        self.signers: dict[str, RSAPublicKey] = {}
        self.faults = Faults()
        self._server = LoopbackServer(("127.0.0.1", 0), _handler(self))
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
        self.faults.add(*faults)


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
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = urlsplit(self.path).path
            self.service.requests.append(f"{self.command} {path}")
            caller = self.client_address[1], self.headers.get("Authorization")
            self.service.callers.append(caller)
            fault = self.service.faults.next(self.command)
            try:
                answer = self._met(fault, path, body)
            except Refused as refused:
                error = {"code": refused.status, "message": refused.message}
                answer = refused.status, json.dumps({"error": error}).encode(), {}
            self._send(*answer, fault)
        except (_Dropped, ConnectionError):
            # Ours, or the caller hung up.
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def _met(self, fault: Fault, path: str, body: bytes) -> Answer:
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        match fault.kind:
            case "reset":
                raise _Dropped
            case "status":
                raise Refused(fault.status, f"The stand-in was asked for a {fault.status}.")
            case "page":
                return 200, _PAGE, {"Content-Type": "text/html"}
            case "broken upload":
                self._keep(query, body[: fault.after])
                raise Refused(fault.status, "The upload broke off.")
            case "slow":
                time.sleep(fault.seconds)
        with self.service.locked():
            answer = self._route(path, query, body)
        if fault.kind == "lost reply":
            raise _Dropped
        if fault.kind == "damaged":
            status, content, headers = answer
            return status, bytes([content[0] ^ 1]) + content[1:], headers
        return answer

    def _route(self, path: str, query: dict[str, str], body: bytes) -> Answer:
        match = _API.fullmatch(path)
        if match is None:
            return self._signed(path, body)
        bucket, name = match["bucket"], unquote(match["name"] or "")
        if match["kind"] == "/upload":
            return self._upload(bucket, query, body)
        if not match["o"]:
            return self._bucket(bucket, query, body)
        if not name:
            return _json(self.service.list(bucket, query))
        if match["verb"]:
            return self._combined(bucket, name, match["verb"], match["rest"], query, body)
        if self.command == "GET" and (match["kind"] or query.get("alt") == "media"):
            return self._media(self.service.find(bucket, name, query))
        if self.command == "DELETE":
            self.service.delete(bucket, name, query)
            return 204, b"", {}
        if self.command == "PATCH":
            held = self.service.patch(bucket, name, query, json.loads(body or b"{}"))
        else:
            held = self.service.find(bucket, name, query)
        return _json(described(bucket, name, held))

    def _bucket(self, bucket: str, query: dict[str, str], body: bytes) -> Answer:
        seen = self.service.bucket_properties.get(bucket, {})
        if self.command == "GET" and "softDeletePolicy" in seen:
            # As an account sees it that may: the others, here as there, may not.
            return _json({**seen, "kind": "storage#bucket", "name": bucket})
        if self.command != "POST":
            raise Refused(403, "Permission 'storage.buckets.get' denied on the bucket.")
        # With an emulator's address, the client writes "<none>" where it knows none.
        if query.get("project", "<none>") == "<none>":
            raise Refused(400, "Required parameter: project")
        return _json(self.service.create_bucket(**json.loads(body)))

    def _combined(
        self, bucket: str, name: str, verb: str, rest: str, query: dict[str, str], body: bytes
    ) -> Answer:
        properties = json.loads(body or b"{}")
        if verb == "compose":
            return _json(
                described(bucket, name, self.service.compose(bucket, name, query, properties))
            )
        target = re.fullmatch(r"/b/([^/]+)/o/([^/]+)", rest or "")
        if verb not in ("rewriteTo", "copyTo") or target is None:
            raise Refused(404, f"Not an address of the API: {self.path}")
        answer = self.service.rewrite(
            (bucket, name), (target[1], unquote(target[2])), query, properties
        )
        return _json(answer["resource"] if verb == "copyTo" else answer)

    def _signed(self, path: str, body: bytes) -> Answer:
        check_signature(self.command, self.path, self.headers, self.service.signers)
        bucket, _, name = unquote(path).removeprefix("/").partition("/")
        if self.command == "PUT":
            kind = self.headers.get("Content-Type", "application/octet-stream")
            session = Session(bucket, name, {}, {"contentType": kind}, bytearray(body))
            self.service.insert(bucket, name, {}, session)
            return 200, b"", {}
        if self.command == "DELETE":
            self.service.delete(bucket, name, {})
            return 204, b"", {}
        return self._media(self.service.find(bucket, name, {}))

    def _upload(self, bucket: str, query: dict[str, str], body: bytes) -> Answer:
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

    def _keep(self, query: dict[str, str], arrived: bytes) -> None:
        """Of a chunk that broke off, the service keeps what it had written, in whole 256 KiB."""
        if self.command == "PUT" and "upload_id" in query:
            kept = arrived[: len(arrived) // CHUNK_MULTIPLE * CHUNK_MULTIPLE]
            span = self.headers.get("Content-Range", "bytes 0-/*")
            with self.service.locked():
                self.service.resume(query["upload_id"], span, kept, "", is_whole=False)

    def _media(self, held: Held) -> Answer:
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

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: Fault) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault.kind == "cut":
            self.wfile.write(body[: fault.after])
            raise _Dropped
        if fault.kind == "trickle":
            for start in range(0, len(body), _PIECE):
                self.wfile.write(body[start : start + _PIECE])
                time.sleep(fault.seconds)
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output its own."""


def _json(value: dict[str, Any]) -> Answer:
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
