"""Addresses that are signed: by a key, by IAM, by whoever is impersonated, or by nobody."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google.auth.iam
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from freezegun import freeze_time
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import InvalidOperation, TransportError
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from gcp_accessor import CloudStorageAccessor, UnsupportedLocally
from tests.stand_ins.identity import IdentityStandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.auth.credentials import Credentials

    from tests.stand_ins.cloud_storage import CloudStorageStandIn

ETL = "etl@a-project.iam.gserviceaccount.com"
SIGNER = "signer@a-project.iam.gserviceaccount.com"


class OnCloudRun(AnonymousCredentials):
    """A machine's account: it has a token and an address, and no key."""

    service_account_email = "default"
    token = None

    @property
    def valid(self) -> bool:
        return self.token is not None

    def refresh(self, request: object) -> None:
        self.token = f"token-of-{ETL}"
        self.service_account_email = ETL

    def before_request(
        self, request: object, method: str, url: str, headers: dict[str, str]
    ) -> None:
        if not self.valid:
            self.refresh(request)
        headers["authorization"] = f"Bearer {self.token}"


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityStandIn]:
    with IdentityStandIn() as service:
        monkeypatch.setattr(google.auth.iam, "_IAM_SIGN_ENDPOINT", service.signing_url)
        monkeypatch.setattr(google.auth.iam, "_IAM_ENDPOINT", service.impersonation_url)
        yield service


@pytest.fixture
def store_of(
    cloud_storage: CloudStorageStandIn, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Credentials], CloudStorageAccessor]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    return lambda credentials: CloudStorageAccessor("a-project", credentials=credentials)


@pytest.fixture
def key(tmp_path: Path, cloud_storage: CloudStorageStandIn) -> service_account.Credentials:
    """A service account's own key, which Cloud Storage knows."""
    with IdentityStandIn() as service:
        path = service.key_file(tmp_path, SIGNER)
    private = load_pem_private_key(json.loads(path.read_text())["private_key"].encode(), None)
    cloud_storage.signers[SIGNER] = private.public_key()
    return service_account.Credentials.from_service_account_file(path)


def give_key(identity: IdentityStandIn, cloud_storage: CloudStorageStandIn, account: str) -> None:
    identity.keys[account] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    cloud_storage.signers[account] = identity.keys[account].public_key()


def ask(url: str, method: str = "GET", body: bytes | None = None, kind: str = "") -> bytes:
    headers = {"Content-Type": kind} if kind else {}
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        content: bytes = response.read()
    return content


@pytest.mark.parametrize("name", ["a.txt", "a b/é ~%41+&?.txt"])
def test_a_key_signs_an_address_that_anybody_can_read(
    cloud_storage: CloudStorageStandIn,
    store_of: Callable[[Credentials], CloudStorageAccessor],
    key: service_account.Credentials,
    name: str,
) -> None:
    cloud_storage.put("lessons", name, b"text")

    url = store_of(key).signed_url(f"gs://lessons/{name}")

    assert ask(url) == b"text"
    # Signing with a key takes no request of its own.
    assert len(cloud_storage.requests) == 1


def test_the_code_of_the_page_makes_links_that_work(
    cloud_storage: CloudStorageStandIn,
    store_of: Callable[[Credentials], CloudStorageAccessor],
    key: service_account.Credentials,
) -> None:
    page = Path(__file__).resolve().parent.parent / "docs" / "storage.md"
    [code] = re.findall(r"^```python\n([^`]*signed_url[^`]*)^```", page.read_text(), re.MULTILINE)
    cloud_storage.put("lessons", "2024/items.html", b"<p>items</p>")
    names: dict[str, Any] = {"store": store_of(key)}

    exec(code, names)
    ask(names["upload"], "PUT", b"%PDF", "application/pdf")

    assert ask(names["link"]) == b"<p>items</p>"
    assert cloud_storage.buckets["lessons"]["essay.pdf"].content == b"%PDF"


def test_what_is_signed_for_writing_writes_that_type_and_nothing_else(
    cloud_storage: CloudStorageStandIn,
    store_of: Callable[[Credentials], CloudStorageAccessor],
    key: service_account.Credentials,
) -> None:
    url = store_of(key).signed_url("gs://lessons/a.csv", method="PUT", content_type="text/csv")

    ask(url, "PUT", b"a,b\n", "text/csv")

    assert cloud_storage.buckets["lessons"]["a.csv"].content == b"a,b\n"
    for method, kind in (("PUT", "text/html"), ("GET", "text/csv"), ("DELETE", "text/csv")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            ask(url, method, None, kind)


def test_an_address_that_was_altered_or_is_over_opens_nothing(
    cloud_storage: CloudStorageStandIn,
    store_of: Callable[[Credentials], CloudStorageAccessor],
    key: service_account.Credentials,
) -> None:
    for name in ("a.txt", "b.txt"):
        cloud_storage.put("lessons", name, b"text")
    store = store_of(key)
    url = store.signed_url("gs://lessons/a.txt")

    assert ask(url) == b"text"
    for altered in (url.replace("a.txt", "b.txt"), url.replace("Expires=900", "Expires=9000")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            ask(altered)
    with (
        freeze_time(datetime.now(UTC) + timedelta(hours=1)),
        pytest.raises(urllib.error.HTTPError, match="400"),
    ):
        ask(url)


def test_an_account_without_a_key_is_signed_for_by_iam(
    cloud_storage: CloudStorageStandIn,
    store_of: Callable[[Credentials], CloudStorageAccessor],
    identity: IdentityStandIn,
) -> None:
    give_key(identity, cloud_storage, ETL)
    identity.may_act_as[ETL] = {ETL}
    cloud_storage.put("lessons", "a.txt", b"text")

    url = store_of(OnCloudRun()).signed_url("gs://lessons/a.txt")

    assert ask(url) == b"text"
    assert len(identity.requests) == 1


def test_an_account_that_may_not_sign_for_itself_is_told_the_role(
    store_of: Callable[[Credentials], CloudStorageAccessor], identity: IdentityStandIn
) -> None:
    store = store_of(OnCloudRun())

    with pytest.raises(TransportError) as caught:
        store.signed_url("gs://lessons/a.txt")

    assert "roles/iam.serviceAccountTokenCreator" in caught.value.__notes__[0]


def test_whoever_is_impersonated_signs(
    cloud_storage: CloudStorageStandIn,
    store_of: Callable[[Credentials], CloudStorageAccessor],
    identity: IdentityStandIn,
) -> None:
    give_key(identity, cloud_storage, SIGNER)
    identity.may_act_as[SIGNER] = {ETL}
    cloud_storage.put("lessons", "a.txt", b"text")
    credentials = impersonated_credentials.Credentials(
        OnCloudRun(), SIGNER, ["https://www.googleapis.com/auth/cloud-platform"]
    )

    url = store_of(credentials).signed_url("gs://lessons/a.txt")

    assert ask(url) == b"text"


def test_a_person_cannot_sign_and_is_told_what_to_do(
    store_of: Callable[[Credentials], CloudStorageAccessor],
) -> None:
    store = store_of(user_credentials.Credentials("a-token"))

    with pytest.raises(InvalidOperation, match=r"cannot sign.*impersonate="):
        store.signed_url("gs://lessons/a.txt")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"method": "POST"}, "expected 'GET', 'HEAD', 'PUT' or 'DELETE'"),
        ({"expires": timedelta(days=8)}, "seven days at most"),
        ({"expires": timedelta(0)}, "a second at least"),
    ],
)
def test_what_cannot_be_signed_is_refused(
    google_store: CloudStorageAccessor, option: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        google_store.signed_url("gs://lessons/a.txt", **option)  # type: ignore[arg-type]


def test_a_folder_has_no_addresses(local_store: CloudStorageAccessor) -> None:
    with pytest.raises(UnsupportedLocally, match="which no address leads to"):
        local_store.signed_url("gs://lessons/a.txt")
