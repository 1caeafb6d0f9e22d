"""What only a folder in place of a bucket promises: files, processes, kills, disks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from freezegun import freeze_time
from google.api_core.exceptions import NotFound

from gcp_accessor import CloudStorageAccessor, UnsupportedLocally

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(local_store: CloudStorageAccessor) -> Path:
    """The folder of the bucket `lessons`."""
    assert local_store.local is not None
    return local_store.local / "buckets" / "lessons"


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process, which waits for a line on its standard input before it begins."""
    begin = "import sys\nfrom gcp_accessor import CloudStorageAccessor\n"
    begin += "import google.api_core.exceptions as errors\n"
    begin += "store = CloudStorageAccessor(local=sys.argv[1])\nlist(store.list('gs://lessons/'))\n"
    begin += "print('ready', flush=True)\nsys.stdin.readline()\n"
    return subprocess.Popen(
        [sys.executable, "-c", begin + textwrap.dedent(program), *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def let_go(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Start all of them together; return what each printed."""
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0] for process in processes]


# --- Several processes --------------------------------------------------------------------


def test_of_eight_creating_processes_one_wins(local_store: CloudStorageAccessor) -> None:
    program = """
        won = []
        for number in range(20):
            try:
                store.write(f"gs://lessons/{number}.txt", sys.argv[2], if_exists="fail")
                won.append(number)
            except errors.PreconditionFailed:
                pass
        print(won)
    """

    printed = let_go([start(program, local_store.local, each) for each in range(8)])

    winners = {number: who for who, text in enumerate(printed) for number in json.loads(text)}
    assert sum(len(json.loads(text)) for text in printed) == 20
    for number, who in winners.items():
        assert local_store.read(f"gs://lessons/{number}.txt") == str(who)


def test_processes_that_compare_and_swap_lose_no_update(local_store: CloudStorageAccessor) -> None:
    local_store.write("gs://lessons/count.json", 0)
    program = """
        added = 0
        while added < 25:
            try:
                found = store.stat("gs://lessons/count.json").generation
                count = store.read("gs://lessons/count.json", generation=found)
                store.write("gs://lessons/count.json", count + 1, if_generation=found)
                added += 1
            except (errors.NotFound, errors.PreconditionFailed):
                pass
    """

    let_go([start(program, local_store.local) for _ in range(4)])

    assert local_store.read("gs://lessons/count.json") == 100


def test_kill_leaves_the_old_content_or_the_new_and_no_rubbish(
    local_store: CloudStorageAccessor,
) -> None:
    uri = "gs://lessons/model.bin"
    local_store.write(uri, b"0" * 3_000_000)
    program = """
        for number in range(10_000):
            with store.open("gs://lessons/model.bin", "wb") as file:
                for _ in range(3):
                    file.write(b"%d" % (number % 10) * 1_000_000)
    """
    assert local_store.local is not None

    for milliseconds in (1, 7, 20, 45):
        process = start(program, local_store.local)
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(0.05 + milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
        process.communicate()

        content = local_store.read(uri)
        assert len(content) == 3_000_000
        assert len(set(content)) == 1

    CloudStorageAccessor(local=local_store.local).write("gs://lessons/next.txt", "sweeps")
    assert list((local_store.local / ".gcp_accessor" / "tmp").iterdir()) == []


def test_a_sweep_leaves_the_files_of_living_writers_alone(
    local_store: CloudStorageAccessor,
) -> None:
    with local_store.open("gs://lessons/slow.txt", "wb") as file:
        file.write(b"slowly ")
        CloudStorageAccessor(local=local_store.local).write("gs://lessons/a.txt", "sweeps")
        file.write(b"written")

    assert local_store.read("gs://lessons/slow.txt") == "slowly written"


# --- Generations --------------------------------------------------------------------------


def test_generations_grow_even_if_the_clock_does_not(local_store: CloudStorageAccessor) -> None:
    generations = []
    for moment in ("2024-03-02", "2024-03-02", "2024-03-01", "2024-03-01"):
        with freeze_time(moment):
            generations.append(local_store.write("gs://lessons/a.txt", "a").generation)
    local_store.delete("gs://lessons/a.txt")
    with freeze_time("2024-03-01"):
        generations.append(local_store.write("gs://lessons/a.txt", "a").generation)

    assert generations == sorted(set(generations))


def test_a_file_dropped_in_by_hand_is_an_object(
    local_store: CloudStorageAccessor, folder: Path
) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "answers.csv").write_text('q1,1\nq2,""\n')

    stored = local_store.stat("gs://lessons/logs/answers.csv")

    assert local_store.read(stored.uri) == [["q1", "1"], ["q2", ""]]
    assert [each.name for each in local_store.list("gs://lessons/logs/")] == ["logs/answers.csv"]
    replaced = local_store.write(stored.uri, [["q3", 0]], if_generation=stored.generation)
    assert replaced.generation > stored.generation


def test_an_edit_by_hand_is_another_generation_with_another_checksum(
    local_store: CloudStorageAccessor, folder: Path
) -> None:
    before = local_store.write("gs://lessons/a.txt", "before")
    local_store.stat("gs://lessons/a.txt")
    (folder / "a.txt").write_text("after!")

    after = local_store.stat("gs://lessons/a.txt")

    assert after.generation != before.generation
    assert after.crc32c != before.crc32c


def test_a_person_finds_the_report_as_a_file(
    local_store: CloudStorageAccessor, folder: Path
) -> None:
    local_store.write("gs://lessons/irt/report.html", "<p>ok</p>")

    assert (folder / "irt" / "report.html").read_text() == "<p>ok</p>"


def test_delete_removes_the_folders_it_empties(
    local_store: CloudStorageAccessor, folder: Path
) -> None:
    local_store.write("gs://lessons/a/b/1.txt", "1")
    local_store.write("gs://lessons/a/2.txt", "2")

    local_store.delete("gs://lessons/a/b/1.txt")
    assert [path.name for path in (folder / "a").iterdir()] == ["2.txt"]
    local_store.delete("gs://lessons/a/2.txt")

    assert list(folder.iterdir()) == []


# --- What a file system cannot hold -------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a//b", "a/", "/a", "a/../../../b", "./a", "../a", "a/" + "x" * 256, "é" * 128]
)
def test_a_name_that_no_file_can_have_is_refused_by_name(
    local_store: CloudStorageAccessor, name: str, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(UnsupportedLocally, match="a folder cannot hold gs://lessons/"):
        local_store.write(f"gs://lessons/{name}", b"")

    assert sorted(tmp_path.rglob("*")) == before
    assert not local_store.exists(f"gs://lessons/{name}")
    with pytest.raises(NotFound):
        local_store.read(f"gs://lessons/{name}")


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a", "a/b/c"), ("a/b", "a")])
def test_a_name_beside_its_own_folder_is_refused_by_name(
    local_store: CloudStorageAccessor, first: str, second: str
) -> None:
    local_store.write(f"gs://lessons/{first}", b"1")

    with pytest.raises(UnsupportedLocally, match="both an object and the folder of another"):
        local_store.write(f"gs://lessons/{second}", b"2")

    assert [stored.name for stored in local_store.list("gs://lessons/")] == [first]
    assert not local_store.exists(f"gs://lessons/{second}")


def test_googles_client_is_refused_by_name(local_store: CloudStorageAccessor) -> None:
    with pytest.raises(UnsupportedLocally, match=r"has no google\.cloud\.storage client"):
        local_store.get_blob("lessons", "a.txt")


# --- Disks --------------------------------------------------------------------------------


def test_a_full_disk_leaves_what_was_there_and_says_so(local_store: CloudStorageAccessor) -> None:
    local_store.write("gs://lessons/a.bin", b"as it was")
    program = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.write("gs://lessons/a.bin", bytes(200_000))
        except OSError as error:
            print(error.__notes__[0])
    """

    printed = let_go([start(program, local_store.local)])

    assert printed[0].startswith("gs://lessons/a.bin was not written, what was there is untouched")
    assert local_store.read("gs://lessons/a.bin") == b"as it was"
    assert local_store.local
    assert list((local_store.local / ".gcp_accessor" / "tmp").iterdir()) == []


@pytest.fixture
def read_only(local_store: CloudStorageAccessor) -> Iterator[Path]:
    """A folder in which nothing can be created, with an object in it."""
    assert local_store.local
    local_store.write("gs://lessons/a.txt", "as it was")
    folders = [local_store.local, *filter(Path.is_dir, local_store.local.rglob("*"))]
    for each in folders:
        each.chmod(0o555)
    yield local_store.local
    for each in folders:
        each.chmod(0o755)


def test_a_read_only_folder_can_be_read_and_says_why_it_cannot_be_written(read_only: Path) -> None:
    # The superuser may write anywhere: the other process gives that up first.
    program = """
        import os
        from pathlib import Path
        store.read("gs://lessons/a.txt")  # all that is imported later, while it can be
        if os.geteuid() == 0:
            os.chdir(sys.argv[1])
            os.seteuid(65534)
            # The way to it may be closed to others, but not what is here.
            store = CloudStorageAccessor(local=".")
            store.local = Path()
        print(store.read("gs://lessons/a.txt"))
        try:
            store.write("gs://lessons/a.txt", "b")
        except OSError as error:
            print(type(error).__name__, error.__notes__[0])
    """

    printed = let_go([start(program, read_only)])[0].splitlines()

    assert printed[0] == "as it was"
    assert printed[1].startswith("PermissionError gs://lessons/a.txt was not written")


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    store = CloudStorageAccessor(local=tmp_path)
    (tmp_path / "buckets" / "lessons").mkdir(parents=True)
    (tmp_path / "buckets" / "lessons" / "a.txt").write_text("a")
    before = sorted(tmp_path.rglob("*"))

    assert store.read("gs://lessons/a.txt") == "a"
    assert len(list(store.list("gs://lessons/"))) == 1

    assert sorted(tmp_path.rglob("*")) == before


def test_the_environment_may_name_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", os.fspath(tmp_path))

    assert CloudStorageAccessor().local == tmp_path
    assert CloudStorageAccessor("a-project").local is None
    with pytest.raises(ValueError, match="give it without project="):
        CloudStorageAccessor("a-project", local=tmp_path)
