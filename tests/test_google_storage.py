"""What the storage accessor asks of Cloud Storage itself, and how it takes its faults."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import Forbidden, PreconditionFailed, RetryError
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud.storage.exceptions import DataCorruption

from gcp_accessor import CloudStorageAccessor
from tests.stand_ins.cloud_storage import CloudStorageStandIn, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = bytes(range(256)) * (40 << 10)
BOTH_SIZES = pytest.mark.parametrize("data", [b"mine", LARGE], ids=["small", "large"])


@pytest.mark.parametrize(
    "operation",
    [
        lambda store: store.upload_csv_gzip("lessons", "new.csv.gz", [["q1", 1]]),
        lambda store: store.write("gs://lessons/new.json", {}, if_exists="fail"),
        lambda store: store.read("gs://lessons/there.txt"),
        lambda store: store.stat("gs://lessons/there.txt"),
        lambda store: store.exists("gs://lessons/there.txt"),
        lambda store: store.delete("gs://lessons/there.txt"),
        lambda store: list(store.list("gs://lessons/")),
        lambda store: store.get_uris_list("lessons"),
    ],
)
def test_an_operation_on_a_small_object_is_one_request(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    operation: Callable[[CloudStorageAccessor], object],
) -> None:
    cloud_storage.put("lessons", "there.txt", b"text")

    operation(google_store)

    assert len(cloud_storage.requests) == 1


def test_a_large_object_goes_in_parts_of_8_mib(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    with google_store.open("gs://lessons/a.bin", "wb") as file:
        for start in range(0, len(LARGE), 100_000):
            file.write(LARGE[start : start + 100_000])

    assert [request.partition(" ")[0] for request in cloud_storage.requests] == [
        "POST",
        "PUT",
        "PUT",
    ]
    assert cloud_storage.buckets["lessons"]["a.bin"].content == LARGE


@BOTH_SIZES
@pytest.mark.parametrize(
    # 429 is what more than one update a second of one object, the pointer, is answered with.
    "fault",
    [Fault("status"), Fault("status", 429), Fault("reset")],
    ids=["503", "429", "reset"],
)
def test_a_passing_fault_is_retried(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    fault: Fault,
    data: bytes,
) -> None:
    cloud_storage.queue(fault)

    google_store.write("gs://lessons/a.bin", data, if_exists="fail")

    assert google_store.read("gs://lessons/a.bin") == data


def test_a_lasting_fault_is_raised_when_the_timeout_is_over(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.queue(*[Fault("status")] * 20)
    impatient = CloudStorageAccessor(client=google_store.storage_client, timeout=0.5)

    with pytest.raises(RetryError) as caught:
        impatient.write("gs://lessons/a.bin", b"")

    assert "give a longer timeout=" in caught.value.__notes__[0]


# --- A write whose reply was lost ---------------------------------------------------------


@BOTH_SIZES
@pytest.mark.parametrize("generation", ["new", "replaced"])
def test_a_conditional_write_whose_reply_was_lost_has_won(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    generation: str,
    data: bytes,
) -> None:
    found = cloud_storage.put("lessons", "a.bin", b"older") if generation == "replaced" else 0
    # The large one's last request is its third.
    before = [Fault("none")] * 2 if data == LARGE else []
    cloud_storage.queue(*before, Fault("lost reply"))

    stored = google_store.write("gs://lessons/a.bin", data, if_generation=found)

    assert google_store.read("gs://lessons/a.bin") == data
    assert stored == google_store.stat("gs://lessons/a.bin")


def test_a_part_whose_reply_was_lost_is_not_written_twice(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.queue(Fault("none"), Fault("lost reply"))

    google_store.write("gs://lessons/a.bin", LARGE)

    assert google_store.read("gs://lessons/a.bin") == LARGE


def test_equal_content_by_somebody_else_is_not_my_write(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.put("lessons", "lock.json", b"{}\n")
    cloud_storage.queue(Fault("status"))

    with pytest.raises(PreconditionFailed):
        google_store.write("gs://lessons/lock.json", {}, if_exists="fail")


def test_equal_content_by_another_accessor_is_not_my_write(
    google_store: CloudStorageAccessor,
) -> None:
    first = google_store.write("gs://lessons/lock.json", {}, if_exists="fail")

    with pytest.raises(PreconditionFailed):
        google_store.write("gs://lessons/lock.json", {}, if_exists="fail")

    assert google_store.stat("gs://lessons/lock.json") == first


# --- Reading ------------------------------------------------------------------------------


def test_a_damaged_answer_is_never_handed_on(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.put("lessons", "a.txt", b"text")
    cloud_storage.queue(Fault("damaged"))

    with pytest.raises(DataCorruption, match="Checksum mismatch"):
        google_store.read("gs://lessons/a.txt")


def test_an_object_that_is_served_unpacked_is_read_as_stored(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    content = gzip.compress(b'"q1",\n')
    cloud_storage.put("lessons", "rows.csv.gz", content, contentEncoding="gzip")
    cloud_storage.put("lessons", "rows.csv", content, contentEncoding="gzip")

    assert google_store.download_csv_gzip("lessons", "rows.csv.gz") == [["q1", None]]
    assert google_store.read("gs://lessons/rows.csv") == [["q1", None]]
    assert google_store.read("gs://lessons/rows.csv", as_="bytes") == content


# --- Errors and properties ----------------------------------------------------------------


def test_a_forbidden_request_names_the_role_it_needs(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.queue(Fault("status", 403))

    with pytest.raises(Forbidden) as caught:
        google_store.write("gs://lessons/a.txt", "a")

    assert "roles/storage.objectUser" in caught.value.__notes__[0]


def test_missing_credentials_are_an_error_that_says_how_to_sign_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", "GCP_ACCESSOR_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")

    with pytest.raises(DefaultCredentialsError) as caught:
        CloudStorageAccessor("a-project").stat("gs://lessons/a.txt")

    assert "gcloud auth application-default login" in caught.value.__notes__[0]


def test_credentials_that_have_expired_are_an_error_that_says_how_to_sign_in(
    google_store: CloudStorageAccessor,
) -> None:
    class Expired(Credentials):
        def refresh(self, request: object) -> None:
            raise RefreshError("Reauthentication is needed.")

    store = CloudStorageAccessor("a-project", credentials=Expired())

    for operation in (store.read, store.stat, store.exists):
        with pytest.raises(RefreshError) as caught:
            operation("gs://lessons/a.txt")
        assert "gcloud auth application-default login" in caught.value.__notes__[0]
    store.close()


def test_a_bucket_is_made_in_the_project_of_the_environment(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def environment(project: str | None) -> None:
        monkeypatch.setattr("google.auth.default", lambda: (AnonymousCredentials(), project))

    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with CloudStorageAccessor(credentials=AnonymousCredentials()) as store:
        environment(None)
        with pytest.raises(ValueError, match="name it with project= or GOOGLE_CLOUD_PROJECT"):
            store.create_bucket("new-bucket")

        environment("a-project")
        store.create_bucket("new-bucket")

    assert "new-bucket" in cloud_storage.buckets


def test_what_may_be_replaced_is_not_cached(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    google_store.write("gs://lessons/latest.json", {})
    google_store.write("gs://lessons/first.json", {}, if_generation=0)
    google_store.write("gs://lessons/part.json", {}, if_exists="fail")

    held = cloud_storage.buckets["lessons"]
    assert held["latest.json"].properties["cacheControl"] == "no-store"
    assert held["first.json"].properties["cacheControl"] == "no-store"
    assert held["part.json"].properties.get("cacheControl") is None


def test_the_first_names_give_googles_own_objects(google_store: CloudStorageAccessor) -> None:
    google_store.write("gs://lessons/a/b.txt", "text")

    blob = google_store.get_blob("lessons", "a/b.txt")

    assert blob.download_as_text() == "text"
    assert [each.name for each in google_store.get_blob_list("lessons", "a/", "/")] == ["a/b.txt"]
