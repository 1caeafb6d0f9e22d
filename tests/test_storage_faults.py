"""Each fault of the network in the way of each operation: it succeeds, or fails and leaves no half.

What a client can do about a fault, it does; what it cannot, it says. Never is an object, or a file
of this machine, neither what it was before nor what was meant.
"""

from __future__ import annotations

import gc
import gzip
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import (
    BadGateway,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
)
from google.cloud.storage.exceptions import DataCorruption

from tests.stand_ins.cloud_storage import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gcp_accessor import CloudStorageAccessor
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

# Google's client leaves the connection of a failed download to the collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

OLD = b"as it was"
SMALL = b"as it shall be"
LARGE = bytes(range(256)) * (40 << 10)
CSV = gzip.compress(b'"q1",\n', mtime=0)

# They pass if the request is sent again, and whatever came of the first one is recognised.
PASSING = {
    "503": [Fault("status")],
    "503 five times": [Fault("status")] * 5,
    "429": [Fault("status", 429)],
    "408": [Fault("status", 408)],
    "reset": [Fault("reset")],
    "reset three times": [Fault("reset")] * 3,
    "lost reply": [Fault("lost reply")],
    "slow": [Fault("slow", seconds=0.05)],
    "cut at once": [Fault("cut")],
    "cut later": [Fault("cut", after=7)],
    "cut, and again": [Fault("cut", after=3), Fault("cut", after=2)],
    "upload broken": [Fault("broken upload", after=300_000)],
    "503 to the last part": [Fault("none"), Fault("none"), Fault("status")],
    "reset of the last part": [Fault("none"), Fault("none"), Fault("reset")],
    "reply to the last part lost": [Fault("none"), Fault("none"), Fault("lost reply")],
    "last part broken": [Fault("none"), Fault("none"), Fault("broken upload", after=1 << 20)],
}
# They do not pass: this is what the caller gets.
LASTING = {
    "403": (Fault("status", 403), Forbidden),
    "404": (Fault("status", 404), NotFound),
    "412": (Fault("status", 412), PreconditionFailed),
    "400": (Fault("status", 400), GoogleAPICallError),
    "501": (Fault("status", 501), GoogleAPICallError),
    "a proxy's page": (Fault("page"), BadGateway),
}

Operation = tuple["Callable[[CloudStorageAccessor, Path], object]", object]


def open_and_write(store: CloudStorageAccessor, data: bytes) -> None:
    with store.open("gs://lessons/a.bin", "wb") as file:
        for start in range(0, len(data), 1_000_000):
            file.write(data[start : start + 1_000_000])


def open_and_read(store: CloudStorageAccessor) -> bytes:
    with store.open("gs://lessons/large.bin") as file:
        content: bytes = file.read()
    return content


def up(store: CloudStorageAccessor, folder: Path, data: bytes) -> object:
    (folder / "up.bin").write_bytes(data)
    return store.upload(folder / "up.bin", "gs://lessons/a.bin")


def down(store: CloudStorageAccessor, folder: Path, uri: str) -> bytes:
    (path,) = store.download(uri, folder / "down")
    return path.read_bytes()


# Each operation, with what it returns (None: that is not looked at).
READS: dict[str, Operation] = {
    "read": (lambda store, _: store.read("gs://lessons/small.bin"), SMALL),
    "read large": (lambda store, _: store.read("gs://lessons/large.bin"), LARGE),
    "open": (lambda store, _: open_and_read(store), LARGE),
    "download_csv_gzip": (
        lambda store, _: store.download_csv_gzip("lessons", "rows.csv.gz"),
        [["q1", None]],
    ),
    "stat": (lambda store, _: store.stat("gs://lessons/small.bin").size, len(SMALL)),
    "list": (lambda store, _: [each.name for each in store.list("gs://lessons/s*")], ["small.bin"]),
    "download": (lambda store, folder: down(store, folder, "gs://lessons/small.bin"), SMALL),
    "download large": (lambda store, folder: down(store, folder, "gs://lessons/l*.bin"), LARGE),
}
WRITES: dict[str, Operation] = {
    "write": (lambda store, _: store.write("gs://lessons/a.bin", SMALL), SMALL),
    "write large": (lambda store, _: store.write("gs://lessons/a.bin", LARGE), LARGE),
    "write if": (
        lambda store, _: store.write(
            "gs://lessons/a.bin", SMALL, if_generation=store.stat("gs://lessons/a.bin").generation
        ),
        SMALL,
    ),
    "write new": (
        lambda store, _: store.write("gs://lessons/new.bin", SMALL, if_exists="fail"),
        SMALL,
    ),
    "write new large": (
        lambda store, _: store.write("gs://lessons/new.bin", LARGE, if_exists="fail"),
        LARGE,
    ),
    "open": (lambda store, _: open_and_write(store, LARGE), LARGE),
    "upload": (lambda store, folder: up(store, folder, SMALL), SMALL),
    "upload large": (lambda store, folder: up(store, folder, LARGE), LARGE),
    "copy": (
        lambda store, _: store.copy("gs://lessons/small.bin", "gs://lessons/a.bin"),
        SMALL,
    ),
    "copy new": (
        lambda store, _: store.copy(
            "gs://lessons/small.bin", "gs://lessons/new.bin", if_exists="fail"
        ),
        SMALL,
    ),
    "delete": (lambda store, _: store.delete("gs://lessons/a.bin"), None),
}


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def service(cloud_storage: CloudStorageStandIn) -> CloudStorageStandIn:
    """The service with an object to replace, and some to read."""
    cloud_storage.put("lessons", "a.bin", OLD)
    cloud_storage.put("lessons", "small.bin", SMALL)
    cloud_storage.put("lessons", "large.bin", LARGE)
    cloud_storage.put("lessons", "rows.csv.gz", CSV)
    return cloud_storage


def target(operation: str) -> str:
    return "new.bin" if "new" in operation else "a.bin"


def held(service: CloudStorageStandIn, name: str) -> bytes | None:
    found = service.buckets["lessons"].get(name)
    return None if found is None else found.content


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.part")]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("operation", READS)
def test_a_passing_fault_does_not_change_what_is_read(
    google_store: CloudStorageAccessor,
    service: CloudStorageStandIn,
    tmp_path: Path,
    operation: str,
    fault: str,
) -> None:
    service.queue(*PASSING[fault])
    run, expected = READS[operation]

    assert run(google_store, tmp_path) == expected
    assert parts(tmp_path) == []


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("operation", WRITES)
def test_a_passing_fault_does_not_change_what_is_written(
    google_store: CloudStorageAccessor,
    service: CloudStorageStandIn,
    tmp_path: Path,
    operation: str,
    fault: str,
) -> None:
    service.queue(*PASSING[fault])
    run, expected = WRITES[operation]

    run(google_store, tmp_path)

    assert held(service, target(operation)) == expected


@pytest.mark.parametrize("fault", LASTING)
@pytest.mark.parametrize("operation", READS)
def test_a_lasting_fault_is_said_and_leaves_no_file(
    google_store: CloudStorageAccessor,
    service: CloudStorageStandIn,
    tmp_path: Path,
    operation: str,
    fault: str,
) -> None:
    met, error = LASTING[fault]
    service.queue(met)
    run, _ = READS[operation]

    with pytest.raises(error):
        run(google_store, tmp_path)

    assert parts(tmp_path) == []
    assert not list((tmp_path / "down").glob("*.bin"))


@pytest.mark.parametrize("request_number", [1, 2, 3])
@pytest.mark.parametrize("fault", LASTING)
@pytest.mark.parametrize("operation", WRITES)
def test_a_lasting_fault_in_any_request_of_a_write_leaves_what_was_there(
    google_store: CloudStorageAccessor,
    service: CloudStorageStandIn,
    tmp_path: Path,
    operation: str,
    fault: str,
    request_number: int,
) -> None:
    met, error = LASTING[fault]
    service.queue(*[Fault("none")] * (request_number - 1), met)
    run, expected = WRITES[operation]
    before = held(service, target(operation))

    with suppress(error):
        run(google_store, tmp_path)
        # Over in fewer requests, before the fault.
        assert len(service.requests) < request_number
        before = expected

    assert held(service, target(operation)) == before


@pytest.mark.parametrize("operation", ["read", "read large", "open", "download", "download large"])
def test_damaged_content_is_never_handed_on(
    google_store: CloudStorageAccessor,
    service: CloudStorageStandIn,
    tmp_path: Path,
    operation: str,
) -> None:
    # A download by a glob asks for the list first.
    before = [Fault("none")] if operation == "download large" else []
    service.queue(*before, Fault("damaged"))
    run, _ = READS[operation]

    with pytest.raises(DataCorruption):
        run(google_store, tmp_path)

    assert not list((tmp_path / "down").glob("*"))


def test_existence_is_not_guessed(
    google_store: CloudStorageAccessor, service: CloudStorageStandIn
) -> None:
    service.queue(Fault("status", 403), Fault("page"))

    with pytest.raises(Forbidden):
        google_store.exists("gs://lessons/a.bin")
    with pytest.raises(BadGateway):
        google_store.exists("gs://lessons/a.bin")
