"""Addresses that let whoever has them read or write one object for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from google.auth.credentials import Signing
from google.auth.exceptions import InvalidOperation, RefreshError, TransportError
from google.auth.iam import Signer
from google.auth.transport.requests import Request

if TYPE_CHECKING:
    from datetime import timedelta

    from google.auth.credentials import Credentials
    from google.cloud.storage import Blob

_MAY_SIGN = (
    "signing without a key takes roles/iam.serviceAccountTokenCreator on the service account "
    "that signs, for the account that asks, even if both are the same; and the IAM Service "
    "Account Credentials API switched on in the project"
)


def signed_url(blob: Blob, *, method: str, expires: timedelta, content_type: str | None) -> str:
    """Return the object's address with a V4 signature of the client's account.

    A key signs here; an account without one is signed for by IAM, in one request.

    Raises:
        google.auth.exceptions.InvalidOperation: the account is a person's, who cannot sign.
        google.auth.exceptions.TransportError: IAM refuses to sign.
    """
    credentials = blob.client._credentials
    signer = credentials if isinstance(credentials, Signing) else _SignedForByIam(credentials)
    try:
        return cast(
            "str",
            blob.generate_signed_url(
                version="v4",
                expiration=expires,
                method=method,
                content_type=content_type,
                credentials=signer,
            ),
        )
    except (TransportError, RefreshError) as error:
        error.add_note(_MAY_SIGN)
        raise


class _SignedForByIam(Signing):
    """A service account without a key, as on Cloud Run, whose signatures IAM makes."""

    def __init__(self, credentials: Credentials) -> None:
        request = Request()
        if not getattr(credentials, "valid", True):
            # Where the machine knows the account, its address comes with the first token.
            credentials.refresh(request)
        account = getattr(credentials, "service_account_email", None)
        if not account or "@" not in account:
            raise InvalidOperation(
                f"{type(credentials).__name__} cannot sign: only service accounts can; give the "
                "accessor impersonate='NAME@PROJECT.iam.gserviceaccount.com', or run as one"
            )
        self._account = str(account)
        self._signer = Signer(request, credentials, self._account)

    def sign_bytes(self, message: bytes) -> bytes:
        return cast("bytes", self._signer.sign(message))

    @property
    def signer_email(self) -> str:
        return self._account

    @property
    def signer(self) -> Signer:
        return self._signer
