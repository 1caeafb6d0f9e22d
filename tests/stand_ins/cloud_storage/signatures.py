"""V4 signatures in an address, verified as Cloud Storage verifies them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.stand_ins.cloud_storage.service import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_ALGORITHM = "GOOG4-RSA-SHA256"


def check_signature(
    method: str,
    address: str,
    headers: Mapping[str, str],
    keys: Mapping[str, RSAPublicKey],
    now: datetime | None = None,
) -> None:
    """Refuse an address that is not signed for this request, or no longer valid.

    Args:
        address: Path and query as they came.
        headers: Those of the request, found in any case of their letters.
        keys: Of each account that may sign, by its address.
    """
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    signature = query.pop("X-Goog-Signature", None)
    if signature is None:
        raise Refused(403, "Anonymous caller does not have storage.objects.get access.")
    if query["X-Goog-Algorithm"] != _ALGORITHM:
        raise Refused(400, "Unknown algorithm.")
    account, _, scope = query["X-Goog-Credential"].partition("/")
    begun = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    life = timedelta(seconds=int(query["X-Goog-Expires"]))
    if not begun - timedelta(minutes=15) <= (now or datetime.now(UTC)) <= begun + life:
        raise Refused(400, "The signed address is not valid now.")
    signed = query["X-Goog-SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            method,
            parts.path,
            "&".join(sorted(f"{_quoted(key)}={_quoted(value)}" for key, value in query.items())),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
            "",
            ";".join(signed),
            "UNSIGNED-PAYLOAD",
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    message = "\n".join([_ALGORITHM, query["X-Goog-Date"], scope, digest])
    key = keys.get(account)
    if key is None or not scope.startswith(query["X-Goog-Date"][:8]):
        raise Refused(403, f"No account {account} may do this.")
    try:
        key.verify(bytes.fromhex(signature), message.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise Refused(403, "The request signature we calculated does not match.") from None


def _quoted(text: str) -> str:
    return quote(text, safe="~")
