"""What holds for files and objects that are moved many at once, on every backend."""

from __future__ import annotations

import os
import pickle
import threading
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed

from gcp_accessor import TransferFailed, TransferTimeout, UnsafeContent

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor import CloudStorageAccessor

# Over the 8 MiB that go in one request.
LARGE = bytes(range(256)) * (40 << 10)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A folder with files in it and below it."""
    folder = tmp_path / "reports"
    (folder / "notes" / "old").mkdir(parents=True)
    (folder / "items.html").write_text("<p>items</p>")
    (folder / "large.bin").write_bytes(LARGE)
    (folder / "notes" / "a.csv").write_text("a\n")
    (folder / "notes" / "old" / "b.csv").write_text("b\n")
    (folder / ".hidden").write_text("")
    return folder


# --- Uploads ------------------------------------------------------------------------------


def test_a_folder_is_uploaded_with_all_that_is_in_it(
    store: CloudStorageAccessor, reports: Path
) -> None:
    stored = store.upload(reports, "gs://lessons/2024")

    assert [each.name for each in stored] == [
        "2024/.hidden",
        "2024/items.html",
        "2024/large.bin",
        "2024/notes/a.csv",
        "2024/notes/old/b.csv",
    ]
    assert list(stored) == list(store.list("gs://lessons/"))
    assert store.read("gs://lessons/2024/large.bin") == LARGE
    assert stored[1].content_type == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("paths", "uri", "expected"),
    [
        ("items.html", "gs://lessons/latest.html", ["latest.html"]),
        ("items.html", "gs://lessons/2024/", ["2024/items.html"]),
        ("items.html", "gs://lessons", ["items.html"]),
        ("notes", "gs://lessons", ["a.csv", "old/b.csv"]),
        ("notes/*.csv", "gs://lessons/x/", ["x/a.csv"]),
        ("**/*.csv", "gs://lessons/x", ["x/notes/a.csv", "x/notes/old/b.csv"]),
        (["items.html", "notes"], "gs://lessons/x/", ["x/a.csv", "x/items.html", "x/old/b.csv"]),
    ],
)
def test_an_upload_takes_a_file_a_folder_a_glob_or_several(
    store: CloudStorageAccessor,
    reports: Path,
    paths: str | list[str],
    uri: str,
    expected: list[str],
) -> None:
    given = str(reports / paths) if isinstance(paths, str) else [reports / each for each in paths]

    store.upload(given, uri)

    assert [each.name for each in store.list("gs://lessons/")] == expected


def test_a_file_whose_name_looks_like_a_glob_is_that_file(
    store: CloudStorageAccessor, tmp_path: Path
) -> None:
    (tmp_path / "a[1].txt").write_text("one")

    store.upload(tmp_path / "a[1].txt", "gs://lessons/")

    assert [each.name for each in store.list("gs://lessons/")] == ["a[1].txt"]


@pytest.mark.parametrize("paths", ["nothing.txt", "*.nothing", "empty", []])
def test_an_upload_of_nothing_is_an_error(
    store: CloudStorageAccessor, tmp_path: Path, paths: str | list[str]
) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(FileNotFoundError):
        store.upload(str(tmp_path / paths) if isinstance(paths, str) else paths, "gs://lessons/x/")


def test_files_that_would_become_one_object_are_refused(
    store: CloudStorageAccessor, reports: Path
) -> None:
    twice = [reports / "items.html", reports / "items.html"]

    with pytest.raises(ValueError, match=r"several of what was named would become gs://lessons/"):
        store.upload(twice, "gs://lessons/")

    assert list(store.list("gs://lessons/")) == []


def test_an_upload_that_may_not_replace_says_which_and_keeps_the_rest(
    store: CloudStorageAccessor, reports: Path
) -> None:
    store.write("gs://lessons/a.csv", "as it was")

    with pytest.raises(TransferFailed, match=r"1 of 2 files were uploaded; 1 failed") as caught:
        store.upload(reports / "notes", "gs://lessons/", if_exists="fail")

    assert list(caught.value.errors) == [str(reports / "notes" / "a.csv")]
    assert isinstance(caught.value.__cause__, PreconditionFailed)
    assert caught.value.finished == (store.stat("gs://lessons/old/b.csv"),)
    assert caught.value.unfinished == ()
    assert store.read("gs://lessons/a.csv", as_="text") == "as it was"


def test_a_refreshing_upload_writes_only_what_differs(
    store: CloudStorageAccessor, reports: Path
) -> None:
    first = store.upload(reports, "gs://lessons/")
    (reports / "items.html").write_text("<p>other</p>")

    second = store.upload(reports, "gs://lessons/", if_exists="refresh")

    changed = [new.name for old, new in zip(first, second, strict=True) if old != new]
    assert changed == ["items.html"]
    assert store.read("gs://lessons/items.html") == "<p>other</p>"


# --- Downloads ----------------------------------------------------------------------------


def test_what_was_uploaded_is_downloaded(
    store: CloudStorageAccessor, reports: Path, tmp_path: Path
) -> None:
    store.upload(reports, "gs://lessons/2024/")

    paths = store.download("gs://lessons/2024/", tmp_path / "new" / "copy")

    assert tree(tmp_path / "new" / "copy") == tree(reports)
    assert list(paths) == [tmp_path / "new" / "copy" / name for name in tree(reports)]


@pytest.mark.parametrize(
    ("uris", "expected"),
    [
        ("gs://lessons/x/a.csv", ["a.csv"]),
        ("gs://lessons/x/", ["a.csv", "old/b.csv"]),
        ("gs://lessons/", ["x/a.csv", "x/old/b.csv", "y.html"]),
        ("gs://lessons", ["x/a.csv", "x/old/b.csv", "y.html"]),
        ("gs://lessons/x/*.csv", ["a.csv"]),
        ("gs://lessons/**/*.csv", ["x/a.csv", "x/old/b.csv"]),
        ("gs://lessons/x/o*/b.csv", ["old/b.csv"]),
        (["gs://lessons/y.html", "gs://lessons/x/old/b.csv"], ["b.csv", "y.html"]),
    ],
)
def test_a_download_takes_an_object_a_folder_a_glob_or_several(
    store: CloudStorageAccessor, tmp_path: Path, uris: str | list[str], expected: list[str]
) -> None:
    for name in ["x/a.csv", "x/old/b.csv", "y.html"]:
        store.write(f"gs://lessons/{name}", name.encode())

    store.download(uris, tmp_path / "copy")

    assert sorted(tree(tmp_path / "copy")) == expected


def test_a_large_object_is_downloaded_whole(store: CloudStorageAccessor, tmp_path: Path) -> None:
    store.write("gs://lessons/a.bin", LARGE)

    (path,) = store.download("gs://lessons/a.bin", tmp_path)

    assert path.read_bytes() == LARGE


@pytest.mark.parametrize("uri", ["gs://lessons/no.txt", "gs://lessons/no/", "gs://lessons/no*"])
def test_a_download_of_nothing_is_not_found(
    store: CloudStorageAccessor, tmp_path: Path, uri: str
) -> None:
    with pytest.raises(NotFound):
        store.download(uri, tmp_path / "copy")

    assert not (tmp_path / "copy").exists() or tree(tmp_path / "copy") == {}


def test_a_download_replaces_refreshes_or_fails(
    store: CloudStorageAccessor, tmp_path: Path
) -> None:
    store.write("gs://lessons/a.txt", "new a")
    store.write("gs://lessons/b.txt", "b")
    (tmp_path / "a.txt").write_text("old a")
    (tmp_path / "b.txt").write_text("b")
    os.utime(tmp_path / "b.txt", (1, 1))
    both = "gs://lessons/*.txt"

    with pytest.raises(FileExistsError, match=r"a\.txt is there already"):
        store.download(both, tmp_path, if_exists="fail")
    assert (tmp_path / "a.txt").read_text() == "old a"

    store.download(both, tmp_path, if_exists="refresh")
    assert (tmp_path / "a.txt").read_text() == "new a"
    assert (tmp_path / "b.txt").stat().st_mtime == 1

    store.download(both, tmp_path)
    assert (tmp_path / "b.txt").stat().st_mtime != 1
    assert store.download(both, tmp_path / "fresh", if_exists="fail")


def test_a_download_that_fails_in_part_says_what_and_keeps_the_rest(
    store: CloudStorageAccessor, tmp_path: Path
) -> None:
    store.write("gs://lessons/a.txt", "a")
    uris = ["gs://lessons/a.txt", "gs://lessons/b.txt"]

    with pytest.raises(TransferFailed, match=r"1 of 2 files were downloaded; 1 failed") as caught:
        store.download(uris, tmp_path / "copy")

    assert list(caught.value.errors) == ["gs://lessons/b.txt"]
    assert isinstance(caught.value.__cause__, NotFound)
    assert caught.value.finished == (tmp_path / "copy" / "a.txt",)
    assert list(tree(tmp_path / "copy")) == ["a.txt"]


@pytest.mark.parametrize("option", [{"max_workers": 0}, {"deadline": 0}, {"if_exists": "skip"}])
def test_options_that_cannot_be_are_refused(
    store: CloudStorageAccessor, tmp_path: Path, option: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        store.download("gs://lessons/a.txt", tmp_path, **option)  # type: ignore[arg-type]


# --- Only ever inside of the folder -------------------------------------------------------


def test_a_folder_that_is_a_link_out_is_refused(
    store: CloudStorageAccessor, tmp_path: Path
) -> None:
    store.write("gs://lessons/sub/a.txt", "a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "sub").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafeContent, match=r"sub is a link to .*elsewhere, outside of"):
        store.download("gs://lessons/", tmp_path / "copy")

    assert tree(tmp_path / "elsewhere") == {}


def test_a_file_that_is_a_link_is_replaced_and_not_followed(
    store: CloudStorageAccessor, tmp_path: Path
) -> None:
    store.write("gs://lessons/a.txt", "new")
    (tmp_path / "precious.txt").write_text("precious")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a.txt").symlink_to(tmp_path / "precious.txt")

    store.download("gs://lessons/a.txt", tmp_path / "copy")

    assert (tmp_path / "precious.txt").read_text() == "precious"
    assert (tmp_path / "copy" / "a.txt").read_text() == "new"


def test_two_objects_of_one_file_name_are_refused(
    store: CloudStorageAccessor, tmp_path: Path
) -> None:
    store.write("gs://lessons/1/a.txt", "1")
    store.write("gs://lessons/2/a.txt", "2")

    with pytest.raises(ValueError, match="several of what was named would become"):
        store.download(["gs://lessons/1/a.txt", "gs://lessons/2/a.txt"], tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


def test_many_files_are_under_way_at_once_and_come_back_in_order(
    store: CloudStorageAccessor, tmp_path: Path
) -> None:
    for number in range(40):
        store.write(f"gs://lessons/{number:02}.txt", str(number))

    paths = store.download("gs://lessons/", tmp_path / "copy", max_workers=16)

    assert [path.read_text() for path in paths] == [str(number) for number in range(40)]
    assert threading.active_count() < 40


# --- Copies -------------------------------------------------------------------------------


def test_a_copy_has_the_content_and_leaves_the_source(store: CloudStorageAccessor) -> None:
    source = store.write("gs://lessons/a.bin", LARGE)

    copied = store.copy("gs://lessons/a.bin", "gs://lessons/b/c.bin")

    assert copied == store.stat("gs://lessons/b/c.bin")
    assert (copied.size, copied.crc32c) == (source.size, source.crc32c)
    assert store.read("gs://lessons/b/c.bin") == LARGE
    assert store.stat("gs://lessons/a.bin") == source


def test_a_copy_keeps_to_its_preconditions(store: CloudStorageAccessor) -> None:
    first = store.write("gs://lessons/a.txt", "first")
    there = store.write("gs://lessons/b.txt", "there")

    for refused in ({"if_exists": "fail"}, {"if_generation": 0}, {"if_generation": 7}):
        with pytest.raises(PreconditionFailed):
            store.copy("gs://lessons/a.txt", "gs://lessons/b.txt", **refused)  # type: ignore[arg-type]
    assert store.read("gs://lessons/b.txt") == "there"

    store.copy("gs://lessons/a.txt", "gs://lessons/b.txt", if_generation=there.generation)
    store.copy("gs://lessons/a.txt", "gs://lessons/c.txt", if_exists="fail")
    store.write("gs://lessons/a.txt", "second")
    with pytest.raises(NotFound):
        store.copy("gs://lessons/a.txt", "gs://lessons/d.txt", source_generation=first.generation)
    assert [store.read(f"gs://lessons/{name}.txt") for name in "bc"] == ["first", "first"]


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("gs://lessons/no.txt", "gs://lessons/b.txt"),
        ("gs://lessons/a.txt", "gs://no-such-bucket/b.txt"),
        ("gs://no-such-bucket/a.txt", "gs://lessons/b.txt"),
    ],
)
def test_a_copy_from_or_to_nowhere_is_not_found(
    store: CloudStorageAccessor, source: str, destination: str
) -> None:
    store.write("gs://lessons/a.txt", "a")

    with pytest.raises(NotFound):
        store.copy(source, destination)


@pytest.mark.parametrize("kind", [TransferFailed, TransferTimeout])
def test_a_failed_transfer_can_be_pickled(kind: type[TransferFailed]) -> None:
    error = kind("1 of 3", {"a.txt": NotFound("gone")}, ("b.txt",), ("c.txt",))

    copy = pickle.loads(pickle.dumps(error))

    assert str(copy) == "1 of 3"
    assert isinstance(copy.errors["a.txt"], NotFound)
    assert (copy.finished, copy.unfinished) == (("b.txt",), ("c.txt",))
    assert isinstance(copy, TimeoutError) is (kind is TransferTimeout)
