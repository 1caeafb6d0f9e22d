"""Files over the wire: how many requests, what the network does to them, what names may do."""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import Forbidden, NotFound
from google.cloud.storage.exceptions import DataCorruption

from gcp_accessor import CloudStorageAccessor, TransferFailed, TransferTimeout, UnsafeContent
from tests.stand_ins.cloud_storage import CloudStorageStandIn, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGE = bytes(range(256)) * (40 << 10)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def get(store: CloudStorageAccessor, by: str, folder: Path) -> object:
    if by == "read":
        return store.read("gs://lessons/a.bin")
    return store.download("gs://lessons/a.bin", folder)


@pytest.fixture
def abandoned(google_store: CloudStorageAccessor) -> Iterator[None]:
    """Wait, once the test is over, for the threads that it did not wait for."""
    yield
    for thread in threading.enumerate():
        if thread.name == "gcp-accessor-transfer":
            thread.join(30)
    gc.collect()


# What they leave is closed by the collector, which says so.
def left_behind(test: Callable[..., None]) -> Callable[..., None]:
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    return ignored(pytest.mark.usefixtures("abandoned")(test))


# --- Requests -----------------------------------------------------------------------------


def test_a_file_down_is_one_request_and_a_file_up_is_one(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")

    google_store.upload(tmp_path / "a.txt", "gs://lessons/a.txt")
    google_store.download("gs://lessons/a.txt", tmp_path / "copy")

    assert cloud_storage.requests == [
        "POST /upload/storage/v1/b/lessons/o",
        "GET /download/storage/v1/b/lessons/o/a.txt",
    ]


def test_a_folder_down_is_a_request_for_each_file_and_one_for_each_page_of_the_list(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    for number in range(5):
        cloud_storage.put("lessons", f"a/{number}.txt", b"text")
    cloud_storage.page_size = 3

    google_store.download("gs://lessons/a/", tmp_path / "copy")

    assert len(cloud_storage.requests) == 2 + 5


def test_what_is_there_already_is_not_sent_again(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    cloud_storage.put("lessons", "a.txt", b"text")
    google_store.download("gs://lessons/*", tmp_path)
    cloud_storage.requests.clear()

    google_store.download("gs://lessons/*", tmp_path, if_exists="refresh")
    google_store.upload(tmp_path / "a.txt", "gs://lessons/", if_exists="refresh")

    assert cloud_storage.requests == [
        "GET /storage/v1/b/lessons/o",
        "GET /storage/v1/b/lessons/o/a.txt",
    ]


# --- Names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a/../../evil.txt",
        "a/..",
        "/etc/evil.txt",
        "a//b.txt",
        "a/./b.txt",
        "a\\..\\evil.txt",
        "a/" + "x" * 256,
    ],
)
def test_a_name_that_no_file_may_have_stops_the_download_before_it_begins(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    tmp_path: Path,
    name: str,
) -> None:
    cloud_storage.put("lessons", "a/good.txt", b"good")
    cloud_storage.put("lessons", name, b"evil")

    with pytest.raises(UnsafeContent, match="cannot become a file in"):
        google_store.download("gs://lessons/", tmp_path / "copy")

    assert names_in(tmp_path) == []


def test_what_marks_a_folder_is_no_file(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    cloud_storage.put("lessons", "a/", b"")
    cloud_storage.put("lessons", "a/b.txt", b"text")

    google_store.download("gs://lessons/", tmp_path)

    assert names_in(tmp_path) == ["b.txt"]


def test_an_object_that_others_need_as_a_folder_is_refused(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    cloud_storage.put("lessons", "a", b"")
    cloud_storage.put("lessons", "a/b.txt", b"text")

    with pytest.raises(ValueError, match="gs://lessons/a would be a file where"):
        google_store.download("gs://lessons/", tmp_path)


# --- Broken streams -----------------------------------------------------------------------


def test_a_download_that_breaks_goes_on_where_it_was(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    cloud_storage.put("lessons", "a.bin", LARGE)
    cloud_storage.queue(Fault("cut", after=1_000_000), Fault("reset"), Fault("cut", after=5_000))

    (path,) = google_store.download("gs://lessons/a.bin", tmp_path)

    assert path.read_bytes() == LARGE
    assert len(cloud_storage.requests) == 4


@pytest.mark.parametrize("by", ["read", "download"])
def test_what_is_damaged_after_a_break_is_noticed(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path, by: str
) -> None:
    cloud_storage.put("lessons", "a.bin", LARGE)
    cloud_storage.queue(Fault("cut", after=1_000_000), Fault("damaged"))

    with pytest.raises(DataCorruption, match="Checksum mismatch"):
        get(google_store, by, tmp_path)

    assert names_in(tmp_path) == []


@pytest.mark.parametrize("by", ["read", "download"])
def test_what_is_replaced_during_a_break_is_a_clear_error_and_not_a_mixture(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path, by: str
) -> None:
    cloud_storage.put("lessons", "a.bin", LARGE)
    cloud_storage.queue(Fault("cut", after=1_000_000), Fault("slow", seconds=0.3))
    other = threading.Thread(
        target=lambda: (_wait_for(cloud_storage, 2), cloud_storage.put("lessons", "a.bin", b"new"))
    )
    other.start()

    with pytest.raises(NotFound) as caught:
        get(google_store, by, tmp_path)
    other.join()

    assert any("was replaced while it was read" in note for note in caught.value.__notes__)
    assert names_in(tmp_path) == []


def _wait_for(service: CloudStorageStandIn, requests: int) -> None:
    while len(service.requests) < requests:
        threading.Event().wait(0.005)


@pytest.mark.parametrize("after", [0, 300_000, 5 << 20])
def test_a_large_upload_that_breaks_goes_on_where_it_was(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    tmp_path: Path,
    after: int,
) -> None:
    (tmp_path / "a.bin").write_bytes(LARGE)
    cloud_storage.queue(
        Fault("broken upload", method="PUT", after=after), Fault("reset", method="PUT")
    )

    google_store.upload(tmp_path / "a.bin", "gs://lessons/a.bin")

    assert cloud_storage.buckets["lessons"]["a.bin"].content == LARGE


# --- Deadlines, Ctrl-C, disks -------------------------------------------------------------


@left_behind
@pytest.mark.parametrize("fault", [Fault("slow", seconds=60), Fault("trickle", seconds=0.1)])
def test_the_deadline_of_a_download_holds_and_leaves_nothing_half_done(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    tmp_path: Path,
    fault: Fault,
) -> None:
    for name in "abc":
        cloud_storage.put("lessons", f"{name}.bin", bytes(100_000))
    cloud_storage.queue(Fault("none"), Fault("none"), fault)

    with pytest.raises(
        TransferTimeout, match=r"2 of 3 files were downloaded; the deadline"
    ) as caught:
        google_store.download("gs://lessons/", tmp_path, max_workers=2, deadline=1)

    assert len(caught.value.finished) == 2
    assert len(caught.value.unfinished) == 1
    assert len(names_in(tmp_path)) == 2


@left_behind
def test_the_deadline_holds_while_the_list_is_waited_for(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    cloud_storage.queue(Fault("slow", seconds=1.5))

    with pytest.raises(TransferTimeout):
        google_store.download("gs://lessons/", tmp_path, deadline=0.3)


@left_behind
def test_the_deadline_holds_while_a_server_says_to_try_again(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    cloud_storage.put("lessons", "a.txt", b"text")
    cloud_storage.queue(*[Fault("status")] * 50)

    with pytest.raises(TimeoutError):
        google_store.download("gs://lessons/a.txt", tmp_path, deadline=0.5)


@left_behind
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_the_deadline_of_an_upload_holds(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    cloud_storage.queue(Fault("slow", seconds=60))

    with pytest.raises(TransferTimeout, match=r"the deadline of 0\.3 s is over"):
        google_store.upload(tmp_path / "a.bin", "gs://lessons/a.bin", deadline=0.3)

    assert "a.bin" not in cloud_storage.buckets["lessons"]


@left_behind
@pytest.mark.parametrize("way", ["up", "down"])
def test_ctrl_c_stops_at_once_and_leaves_nothing_half_done(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path, way: str
) -> None:
    (tmp_path / "a.bin").write_bytes(LARGE)
    cloud_storage.put("lessons", "b.bin", LARGE)
    cloud_storage.queue(Fault("slow", seconds=1.5))
    interrupt = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()

    transfer = {
        "up": lambda: google_store.upload(tmp_path / "a.bin", "gs://lessons/a.bin"),
        "down": lambda: google_store.download("gs://lessons/b.bin", tmp_path),
    }[way]

    with pytest.raises(KeyboardInterrupt):
        transfer()

    assert names_in(tmp_path) == ["a.bin"]
    assert list(cloud_storage.buckets["lessons"]) == ["b.bin"]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let the system refuse more, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("count", [1, 3])
def test_a_full_disk_is_one_clear_error_and_leaves_no_part(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    tmp_path: Path,
    count: int,
) -> None:
    for number in range(count):
        cloud_storage.put("lessons", f"{number}.bin", LARGE)

    with no_file_above(1 << 20), pytest.raises((OSError, TransferFailed)) as caught:
        google_store.download("gs://lessons/", tmp_path, max_workers=1)

    error = caught.value if count == 1 else caught.value.__cause__
    assert isinstance(error, OSError)
    assert "its disk has room" in error.__notes__[0]
    assert names_in(tmp_path) == []
    if isinstance(caught.value, TransferFailed):
        assert list(caught.value.errors) == ["gs://lessons/0.bin"]
        assert caught.value.unfinished == ("gs://lessons/1.bin", "gs://lessons/2.bin")


def test_a_forbidden_bucket_is_asked_once_and_not_for_every_file(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.txt").write_text("text")
    cloud_storage.queue(*[Fault("status", 403)] * 20)

    with pytest.raises(TransferFailed) as caught:
        google_store.upload(tmp_path, "gs://lessons/", max_workers=2)

    assert isinstance(caught.value.__cause__, Forbidden)
    assert len(cloud_storage.requests) < 10


def test_a_file_that_changes_while_it_is_uploaded_is_not_stored(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(LARGE)
    cloud_storage.queue(Fault("slow", seconds=0.3))
    writer = threading.Thread(
        target=lambda: (_wait_for(cloud_storage, 1), path.write_bytes(b"new"))
    )
    writer.start()

    with pytest.raises(ValueError, match=r"a\.bin changed while it was uploaded"):
        google_store.upload(path, "gs://lessons/")
    writer.join()

    assert cloud_storage.buckets["lessons"] == {}


# --- Copies, deletions and buckets --------------------------------------------------------


def test_a_copy_takes_as_many_requests_as_the_service_needs(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.put("lessons", "a.bin", LARGE)
    cloud_storage.rewrite_size = 4 << 20

    google_store.copy("gs://lessons/a.bin", "gs://lessons/b.bin")

    assert sum("rewriteTo" in each for each in cloud_storage.requests) == 3
    assert cloud_storage.buckets["lessons"]["b.bin"].content == LARGE


def test_a_copy_keeps_what_was_said_of_its_source(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    said = {
        "contentType": "text/csv",
        "contentEncoding": "gzip",
        "cacheControl": "no-store",
        "contentDisposition": "attachment",
        "contentLanguage": "de",
        "metadata": {"by": "ana"},
    }
    cloud_storage.put("lessons", "a.csv", b"", **said)

    google_store.copy("gs://lessons/a.csv", "gs://lessons/b.csv")
    google_store.copy("gs://lessons/a.csv", "gs://lessons/c.csv", if_exists="fail")

    held = cloud_storage.buckets["lessons"]
    assert held["b.csv"].properties == said
    assert held["c.csv"].properties["metadata"]["by"] == "ana"


def test_a_conditional_copy_whose_reply_was_lost_has_won(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.put("lessons", "a.bin", b"text")
    cloud_storage.queue(Fault("lost reply", method="POST"))

    stored = google_store.copy("gs://lessons/a.bin", "gs://lessons/b.bin", if_exists="fail")

    assert stored == google_store.stat("gs://lessons/b.bin")


def test_a_deletion_whose_reply_was_lost_is_done(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    generation = cloud_storage.put("lessons", "a.bin", b"text")
    cloud_storage.put("lessons", "b.bin", b"text")
    cloud_storage.queue(Fault("lost reply"))

    google_store.delete("gs://lessons/a.bin", if_generation=generation)
    cloud_storage.queue(Fault("lost reply"))
    google_store.delete("gs://lessons/b.bin")

    assert cloud_storage.buckets["lessons"] == {}
    with pytest.raises(NotFound):
        google_store.delete("gs://lessons/a.bin")


def test_a_bucket_whose_reply_was_lost_is_made(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.queue(Fault("lost reply"))

    google_store.create_bucket("exams")

    assert "exams" in cloud_storage.buckets


def test_a_bucket_gets_the_accessors_labels_and_location(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    store = CloudStorageAccessor(
        client=google_store.storage_client, labels={"team": "exams"}, location="EU"
    )

    store.create_bucket("exams")

    properties = cloud_storage.bucket_properties["exams"]
    assert properties["labels"] == {"team": "exams"}
    assert properties["location"] == "EU"
