"""Ctrl-C in the middle of an upload: a real signal to a real process, and nothing half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import Forbidden

from tests.stand_ins.cloud_storage import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcp_accessor import CloudStorageAccessor
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

# Rows that do not get smaller, 24 MB of them; then the caller is told and they stop coming.
UPLOAD = """
import random, sys, time
from gcp_accessor import CloudStorageAccessor

def rows():
    source = random.Random(7)
    for _ in range(48):
        yield [source.randbytes(512 << 10).hex()]
    print("half", flush=True)
    time.sleep(60)

if len(sys.argv) > 1:
    store = CloudStorageAccessor(local=sys.argv[1])
else:
    from google.auth.credentials import AnonymousCredentials
    store = CloudStorageAccessor("a-project", credentials=AnonymousCredentials())
store.upload_csv_gzip("lessons", "a.csv.gz", rows())
"""


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until, "it did not happen within 30 seconds"
        time.sleep(0.01)


def interrupt(upload: subprocess.Popen[str]) -> str:
    """Send Ctrl-C, and return what the process says in the end."""
    upload.send_signal(signal.SIGINT)
    _, said = upload.communicate(timeout=30)
    assert upload.returncode != 0
    return said


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", UPLOAD, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("where", ["between two parts", "within a part"])
def test_ctrl_c_in_an_upload_to_google_cloud_leaves_the_object_as_it_was(
    cloud_storage: CloudStorageStandIn, where: str
) -> None:
    before = cloud_storage.put("lessons", "a.csv.gz", b"kept")
    if where == "within a part":
        cloud_storage.queue(Fault("slow", method="PUT", seconds=3))

    with start(STORAGE_EMULATOR_HOST=cloud_storage.url) as upload:
        assert upload.stdout is not None
        if where == "within a part":
            wait_for(lambda: any(each.startswith("PUT") for each in cloud_storage.requests))
        else:
            assert upload.stdout.readline() == "half\n"
        said = interrupt(upload)

    assert said.rstrip().endswith("KeyboardInterrupt")
    assert list(cloud_storage.buckets["lessons"]) == ["a.csv.gz"]
    held = cloud_storage.buckets["lessons"]["a.csv.gz"]
    assert (held.content, held.generation) == (b"kept", before)
    # What was sent so far is given back at once, not after the week that Cloud Storage keeps it.
    assert cloud_storage.requests[-1].startswith("DELETE /upload/")


def test_ctrl_c_in_an_upload_to_a_folder_leaves_the_object_as_it_was(
    local_store: CloudStorageAccessor, tmp_path: Path
) -> None:
    local_store.upload_csv_gzip("lessons", "a.csv.gz", [["kept"]])
    place = local_store.local
    assert place is not None

    with start(str(place)) as upload:
        assert upload.stdout is not None
        assert upload.stdout.readline() == "half\n"
        said = interrupt(upload)

    assert said.rstrip().endswith("KeyboardInterrupt")
    assert local_store.download_csv_gzip("lessons", "a.csv.gz") == [["kept"]]
    assert [each.name for each in local_store.list("gs://lessons/")] == ["a.csv.gz"]
    assert list((place / ".gcp_accessor" / "tmp").iterdir()) == []


def test_an_object_of_which_a_write_failed_is_never_published(
    cloud_storage: CloudStorageStandIn, google_store: CloudStorageAccessor
) -> None:
    cloud_storage.queue(Fault("status", 403, "PUT"))

    def swallowing() -> None:
        with google_store.open("gs://lessons/a.bin", "wb") as file:
            with suppress(Forbidden):
                file.write(bytes(10 << 20))
            file.write(b"the rest")

    with pytest.raises(ValueError, match=r"'a\.bin' is not published: a write of it failed"):
        swallowing()

    assert cloud_storage.buckets["lessons"] == {}
