"""The Cloud Storage stand-in does what Google's own client, used by hand, sees the service do."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import (
    Forbidden,
    NotFound,
    PreconditionFailed,
    RequestRangeNotSatisfiable,
)
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.storage import Bucket
    from requests import Response

    from tests.stand_ins.cloud_storage import CloudStorageStandIn

QUARTER = 256 << 10
CONTENT = bytes(range(256)) * (4 << 10)


@pytest.fixture
def bucket(cloud_storage: CloudStorageStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    client = Client("a-project", AnonymousCredentials())
    yield client.bucket("lessons")
    client.close()


@pytest.fixture
def session() -> Iterator[AuthorizedSession]:
    with AuthorizedSession(AnonymousCredentials()) as session:
        yield session


def begin(session: AuthorizedSession, url: str, name: str, condition: str = "") -> Response:
    address = f"{url}/upload/storage/v1/b/lessons/o?uploadType=resumable{condition}"
    return session.post(address, json={"name": name})


def send(session: AuthorizedSession, address: str, data: bytes, span: str) -> Response:
    return session.put(address, data, headers={"Content-Range": f"bytes {span}"})


# --- Generations --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 9 << 20], ids=["in one request", "in parts"])
def test_of_eight_racing_creators_one_wins(bucket: Bucket, size: int) -> None:
    start = threading.Barrier(8)

    def create(number: int) -> bool:
        blob = bucket.blob("lock", chunk_size=QUARTER * 8 if size > 10 else None)
        start.wait()
        try:
            blob.upload_from_string(bytes([number]) * size, if_generation_match=0)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))

    assert won.count(True) == 1
    assert bucket.blob("lock").download_as_bytes() == bytes([won.index(True)]) * size


def test_generations_grow_and_conditions_are_of_the_live_one(bucket: Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string(b"1")
    first = blob.generation
    blob.upload_from_string(b"2")

    assert blob.generation > first
    for condition in (
        {"if_generation_match": first},
        {"if_generation_match": 0},
        {"if_metageneration_match": 7},
    ):
        with pytest.raises(PreconditionFailed):
            bucket.blob("a").reload(**condition)
    with pytest.raises(NotFound):
        bucket.blob("a", generation=first).reload()


def test_what_is_said_of_an_object_has_a_version_of_its_own(bucket: Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string(b"1")
    generation = blob.generation

    blob.metadata = {"by": "ana"}
    blob.patch()

    assert blob.metageneration == 2
    assert blob.generation == generation
    with pytest.raises(PreconditionFailed):
        blob.patch(if_metageneration_match=1)


# --- Uploads in parts ---------------------------------------------------------------------


def test_an_upload_in_parts_can_be_asked_how_far_it_is_and_goes_on(
    bucket: Bucket, cloud_storage: CloudStorageStandIn, session: AuthorizedSession
) -> None:
    address = begin(session, cloud_storage.url, "a").headers["Location"]

    empty = send(session, address, b"", "*/*")
    first = send(session, address, CONTENT[:QUARTER], f"0-{QUARTER - 1}/*")
    asked = send(session, address, b"", "*/*")
    overlapping = send(session, address, CONTENT[1000:], f"1000-{len(CONTENT) - 1}/{len(CONTENT)}")
    again = send(session, address, b"", f"*/{len(CONTENT)}")

    assert [each.status_code for each in (empty, first, asked, overlapping, again)] == [
        308,
        308,
        308,
        200,
        200,
    ]
    assert "Range" not in empty.headers
    assert asked.headers["Range"] == f"bytes=0-{QUARTER - 1}"
    assert overlapping.json()["generation"] == again.json()["generation"]
    assert bucket.blob("a").download_as_bytes() == CONTENT


def test_a_part_of_another_size_a_gap_and_a_cancelled_upload_are_refused(
    bucket: Bucket, cloud_storage: CloudStorageStandIn, session: AuthorizedSession
) -> None:
    address = begin(session, cloud_storage.url, "a").headers["Location"]

    assert send(session, address, CONTENT[:1000], "0-999/*").status_code == 400
    assert send(session, address, CONTENT, f"{QUARTER}-{QUARTER * 2 - 1}/*").status_code == 400
    assert session.delete(address).status_code == 499
    assert send(session, address, b"", "*/*").status_code == 404
    assert not bucket.blob("a").exists()


def test_a_condition_is_checked_again_when_the_last_part_is_there(
    bucket: Bucket, cloud_storage: CloudStorageStandIn, session: AuthorizedSession
) -> None:
    address = begin(session, cloud_storage.url, "a", "&ifGenerationMatch=0").headers["Location"]
    bucket.blob("a").upload_from_string(b"first")

    last = send(session, address, b"second", "0-5/6")

    assert last.status_code == 412
    assert bucket.blob("a").download_as_bytes() == b"first"
    assert begin(session, cloud_storage.url, "a", "&ifGenerationMatch=0").status_code == 412


def test_a_wrong_checksum_is_refused(
    bucket: Bucket, cloud_storage: CloudStorageStandIn, session: AuthorizedSession
) -> None:
    address = f"{cloud_storage.url}/upload/storage/v1/b/lessons/o?uploadType=resumable"
    location = session.post(address, json={"name": "a", "crc32c": "AAAAAA=="}).headers["Location"]

    assert send(session, location, b"text", "0-3/4").status_code == 400
    assert not bucket.blob("a").exists()


# --- Downloads ----------------------------------------------------------------------------


def test_ranges_are_served_and_impossible_ones_refused(bucket: Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string(CONTENT)

    assert blob.download_as_bytes(start=1000, end=1999) == CONTENT[1000:2000]
    assert blob.download_as_bytes(start=len(CONTENT) - 5) == CONTENT[-5:]
    with pytest.raises(RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=len(CONTENT))


def test_what_is_said_to_be_gzip_is_unpacked_for_whoever_does_not_take_it(
    bucket: Bucket, cloud_storage: CloudStorageStandIn, session: AuthorizedSession
) -> None:
    stored = gzip.compress(b"text" * 1000)
    cloud_storage.put("lessons", "a", stored, contentEncoding="gzip")
    address = f"{cloud_storage.url}/download/storage/v1/b/lessons/o/a?alt=media"

    unpacked = session.get(
        address, headers={"Accept-Encoding": "identity", "Range": "bytes=0-9"}, stream=True
    )

    assert unpacked.status_code == 200
    assert unpacked.raw.read() == b"text" * 1000
    assert unpacked.headers["X-Goog-Stored-Content-Encoding"] == "gzip"
    assert bucket.blob("a").download_as_bytes(raw_download=True) == stored
    assert bucket.blob("a").download_as_bytes() == b"text" * 1000


# --- Lists, copies, compositions ----------------------------------------------------------


def test_a_list_with_a_delimiter_has_folders_and_takes_pages(
    bucket: Bucket, cloud_storage: CloudStorageStandIn
) -> None:
    for name in ["a", "b/1", "b/2", "c", "d/e/1", "é"]:
        cloud_storage.put("lessons", name, b"")
    cloud_storage.page_size = 2

    pages = bucket.list_blobs(delimiter="/")
    names = [blob.name for blob in pages]

    assert names == ["a", "c", "é"]
    assert pages.prefixes == {"b/", "d/"}
    assert [blob.name for blob in bucket.list_blobs(prefix="b/", delimiter="/")] == ["b/1", "b/2"]


def test_a_rewrite_takes_several_requests_and_one_version(
    bucket: Bucket, cloud_storage: CloudStorageStandIn
) -> None:
    source = bucket.blob("a")
    source.upload_from_string(CONTENT)
    cloud_storage.rewrite_size = len(CONTENT) // 2

    copy = bucket.blob("b")
    token, done, size = copy.rewrite(source)
    assert (done, size) == (len(CONTENT) // 2, len(CONTENT))
    assert copy.rewrite(source, token=token)[0] is None
    assert copy.download_as_bytes() == CONTENT

    token, _, _ = copy.rewrite(bucket.blob("a"))
    source.upload_from_string(b"other")
    with pytest.raises(NotFound):
        copy.rewrite(bucket.blob("a"), token=token)


def test_a_composition_is_its_parts_in_order(bucket: Bucket) -> None:
    for name in ("one", "two"):
        bucket.blob(name).upload_from_string(name)

    both = bucket.blob("both")
    both.compose([bucket.blob("two"), bucket.blob("one")], if_generation_match=0)

    assert both.download_as_bytes() == b"twoone"
    with pytest.raises(PreconditionFailed):
        both.compose([bucket.blob("one")], if_generation_match=0)
    with pytest.raises(NotFound):
        both.compose([bucket.blob("three")])


def test_an_account_with_object_roles_does_not_see_the_bucket(bucket: Bucket) -> None:
    with pytest.raises(Forbidden, match=r"storage\.buckets\.get"):
        bucket.reload()


def test_an_address_that_nobody_signed_opens_nothing(
    cloud_storage: CloudStorageStandIn, session: AuthorizedSession
) -> None:
    cloud_storage.put("lessons", "a", b"text")

    assert session.get(f"{cloud_storage.url}/lessons/a").status_code == 403
