"""Google's token service and IAM's credentials service over local HTTP."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode, b64encode, urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.stand_ins.loopback import LoopbackServer

if TYPE_CHECKING:
    from pathlib import Path

_IMPERSONATION = re.compile(
    r"/v1/projects/-/serviceAccounts/([^/:]+):(generateAccessToken|signBlob)"
)


def write_key(path: Path, account: str, project: str, token_uri: str) -> Path:
    """Write a key of a service account, as the console gives it out."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    held = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": account,
        "token_uri": token_uri,
    }
    path.write_text(json.dumps(held), encoding="utf-8")
    return path


class IdentityStandIn:
    """Gives the token "token-of-<account>" to a key of the account, and to who may act as it.

    Attributes:
        may_act_as: For each account, the accounts that may ask for its tokens.
        requests: What was asked for, by path, with the headers and the body.
        refusal: What a key is answered with instead of a token.
        keys: What signs for each account that has no key of its own to give out.
    """

    def __init__(self) -> None:
        self.may_act_as: dict[str, set[str]] = {}
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.refusal: dict[str, str] | None = None
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        handler = type("Handler", (_Handler,), {"service": self})
        self._server = LoopbackServer(("127.0.0.1", 0), handler)
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

    @property
    def impersonation_url(self) -> str:
        """Where tokens of other accounts are asked for, with a place for the account."""
        return f"{self.url}/v1/projects/-/serviceAccounts/{{}}:generateAccessToken"

    @property
    def signing_url(self) -> str:
        """Where signatures of other accounts are asked for, with a place for the account."""
        return f"{self.url}/v1/projects/-/serviceAccounts/{{}}:signBlob"

    def key_file(self, folder: Path, account: str, project: str = "a-project") -> Path:
        """Write a key of a service account, which gets its tokens here."""
        path = folder / f"{account.partition('@')[0]}.json"
        return write_key(path, account, project, f"{self.url}/token")

    def answer(self, path: str, headers: dict[str, str], body: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer to one request."""
        if path == "/token":
            return self._token(body)
        found = _IMPERSONATION.fullmatch(path)
        if found is None:
            return 404, {"error": {"code": 404, "message": f"no {path} here"}}
        return self._act_as(found[1], headers, json.loads(body), found[2])

    def _token(self, body: str) -> tuple[int, dict[str, Any]]:
        if self.refusal is not None:
            return 400, self.refusal
        claims = re.search(r"assertion=[\w-]+\.([\w-]+)\.", body)
        assert claims is not None
        assert "jwt-bearer" in body
        account = json.loads(urlsafe_b64decode(claims[1] + "=="))["iss"]
        return 200, {
            "access_token": f"token-of-{account}",
            "expires_in": 3600,
            "token_type": "Bearer",
        }

    def _act_as(
        self, account: str, headers: dict[str, str], body: dict[str, Any], verb: str
    ) -> tuple[int, dict[str, Any]]:
        delegates = [
            each.partition("projects/-/serviceAccounts/")[2] for each in body.get("delegates") or ()
        ]
        if not all(delegates):
            return 400, {"error": {"code": 400, "message": "Invalid delegate format."}}
        asking = headers.get("authorization", "").removeprefix("Bearer token-of-")
        chain = [asking, *delegates, account]
        for asks, acts in pairwise(chain):
            if asks not in self.may_act_as.get(acts, set()):
                message = (
                    "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it "
                    "may not exist)."
                )
                return 403, {
                    "error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}
                }
        if verb == "signBlob":
            message = b64decode(body["payload"])
            signed = self.keys[account].sign(message, padding.PKCS1v15(), hashes.SHA256())
            return 200, {"keyId": "1", "signedBlob": b64encode(signed).decode()}
        expires = datetime.now(UTC) + timedelta(hours=1)
        return 200, {
            "accessToken": f"token-of-{account}",
            "expireTime": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class _Handler(BaseHTTPRequestHandler):
    service: IdentityStandIn
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.service.requests.append((self.path, headers, body))
        status, answer = self.service.answer(self.path, headers, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
