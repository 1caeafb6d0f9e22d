"""Google's sign-in and the front of its services on a loopback port: who may do what.

Tokens are given for a service account's signed claim or a person's sign-in, and each request
is allowed or refused as Google does it: without a token, with an API that is off, without the
permission.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.stand_ins.identity import write_key
from tests.stand_ins.loopback import LoopbackServer

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "robot@lessons-123.iam.gserviceaccount.com"
PERSON = "ana@example.org"
TOKEN = "a-token"
# Google takes a claim that was made this long ago, or that far ahead.
_CLAIM_SECONDS = 600


@dataclass
class FrontDoor:
    """The services, and what the one account may do there.

    Attributes:
        permissions: As IAM names them: "bigquery.jobs.create".
        disabled: Hosts of APIs that are switched off: "bigquery.googleapis.com".
        deleted: Whether the account is gone.
        clock_ahead: Seconds by which the services' clock is ahead of this machine's.
        html: Whether a login page answers in Google's place.
    """

    permissions: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    datasets: set[str] = field(default_factory=set)
    buckets: set[str] = field(default_factory=set)
    deleted: bool = False
    clock_ahead: float = 0.0
    html: bool = False

    def __enter__(self) -> Self:
        front = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate((timestamp or time.time()) + front.clock_ahead, usegmt=True)

            def do_GET(self) -> None:
                self.answer("")

            def do_POST(self) -> None:
                self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def answer(self, body: str) -> None:
                signed_in = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                status, said = front.respond(self.path, body, signed_in)
                kind = "application/json; charset=UTF-8"
                content = json.dumps(said).encode()
                if front.html:
                    status, kind, content = 200, "text/html", b"<html>Welcome to the hotel</html>"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = LoopbackServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def write_key(self, folder: Path) -> Path:
        """Write a key of the account, which gets its tokens here."""
        return write_key(folder / "key.json", ACCOUNT, "lessons-123", f"{self.url}/token")

    def respond(self, path: str, body: str, signed_in: bool) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON of an answer."""
        url = urlsplit(path)
        if url.path == "/token":
            return self._token(parse_qs(body))
        if not signed_in:
            return _error(401, "Request is missing required authentication credential.")
        match url.path.strip("/").split("/"):
            case ["bigquery", "v2", "projects", _, "jobs"]:
                permission, host = "bigquery.jobs.create", "bigquery.googleapis.com"
            case ["bigquery", "v2", "projects", project, "datasets", dataset]:
                permission, host = "bigquery.datasets.get", "bigquery.googleapis.com"
                if dataset not in self.datasets:
                    return _error(404, f"Not found: Dataset {project}:{dataset}", "notFound")
            case ["storage", "v1", "b", bucket, "iam", "testPermissions"]:
                if bucket not in self.buckets:
                    return _error(404, "The specified bucket does not exist.", "notFound")
                asked = parse_qs(url.query)["permissions"]
                held = [each for each in asked if each in self.permissions]
                return 200, {"permissions": held} if held else {}
            case ["v1", "userinfo"]:
                return 200, {"sub": "1", "email": PERSON, "email_verified": True}
            case ["v3", "projects", _, "metricDescriptors"]:
                permission = "monitoring.metricDescriptors.list"
                host = "monitoring.googleapis.com"
            case _:
                return _error(404, "Not found")
        if host in self.disabled:
            return _error(
                403,
                f"{host} has not been used in project lessons-123 before or it is disabled.",
                "accessNotConfigured",
                "SERVICE_DISABLED",
            )
        if permission not in self.permissions:
            return _error(
                403, f"Access Denied: User does not have {permission} permission.", "accessDenied"
            )
        return 200, {"location": "EU"}

    def _token(self, asked: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        given = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
        if self.deleted:
            return 400, {
                "error": "invalid_grant",
                "error_description": "Invalid grant: account not found",
            }
        if "refresh_token" in asked:
            return 200, given
        [assertion] = asked["assertion"]
        claim = assertion.split(".")[1]
        made_at = json.loads(base64.urlsafe_b64decode(claim + "=" * (-len(claim) % 4)))["iat"]
        if abs(time.time() + self.clock_ahead - made_at) > _CLAIM_SECONDS:
            return 400, {
                "error": "invalid_grant",
                "error_description": (
                    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a "
                    "reasonable timeframe. Check your iat and exp values in the JWT claim."
                ),
            }
        return 200, given


def _error(
    status: int, message: str, reason: str = "required", detail: str | None = None
) -> tuple[int, dict[str, Any]]:
    error: dict[str, Any] = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }
    if detail is not None:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail}]
    return status, {"error": error}
