"""Whatever happens to the objects of a real run, its readers get what was published or an error."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_jobs.cli import main
from gcp_accessor import CorruptRun
from tests.proof.shelf import FolderShelf, ServiceShelf, copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gcp_accessor import CloudStorageAccessor, Publication
    from tests.proof.shelf import Shelf

LOG = Path(__file__).resolve().parents[2] / "examples" / "lsat6.csv.gz"
URI = "gs://lessons/calibrate"
POINTER = "calibrate/latest.json"


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def truncate(content: bytes, place: int) -> bytes:
    return content[:place]


def double(content: bytes, place: int) -> bytes:
    return content[:place] + content


DAMAGES: dict[str, Callable[[bytes, int], bytes]] = {
    "a byte is another": flip,
    "the end is missing": truncate,
    "something is there twice": double,
}


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The calibration of two days, as the main job published it."""
    folder = tmp_path_factory.mktemp("two_days")
    for day in ("2024-03-30", "2024-03-31"):
        source = f"raw.answers={LOG}"
        command = ["run", "calibrate", "--local", str(folder), "--input", source, "--as-of", day]
        assert main(command) == 0
    whole = FolderShelf(folder / "buckets" / "etl")
    other = [name for name in whole.names() if not name.startswith("calibrate/")]
    for name in other:
        whole.remove(name)
    return whole


@pytest.fixture
def shelf(store: CloudStorageAccessor, two_days: Shelf, request: pytest.FixtureRequest) -> Shelf:
    """The same objects behind each backend, to be damaged."""
    if store.local is not None:
        made: Shelf = FolderShelf(store.local / "buckets" / "lessons")
    else:
        made = ServiceShelf(request.getfixturevalue("cloud_storage"), "lessons")
    copy(two_days, made)
    return made


@pytest.fixture
def publication(store: CloudStorageAccessor, shelf: Shelf) -> Publication:
    return store.publication(URI)


def published(shelf: Shelf) -> tuple[str, dict[str, str], dict[str, bytes]]:
    """Return the manifest's name, and the objects and bytes of the published files."""
    run_id = json.loads(shelf.content(POINTER))["run_id"]
    manifest = f"calibrate/runs/{run_id}/manifest.json"
    files = json.loads(shelf.content(manifest))["files"]
    objects = {file["name"]: file["object_name"] for file in files}
    return manifest, objects, {name: shelf.content(objects[name]) for name in objects}


def places(content: bytes, most: int) -> Iterator[int]:
    """Places all over the content, the first and the last among them."""
    step = max(len(content) // most, 1)
    yield from range(0, len(content), step)
    yield len(content) - 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_the_others_are_read(
    damage: str, publication: Publication, shelf: Shelf
) -> None:
    _, objects, contents = published(shelf)
    assert set(contents) == {"item_parameters.json", "item_parameters.csv.gz", "report.html"}

    for name, object_name in objects.items():
        generation = shelf.generation(object_name)
        for place in places(contents[name], 8):
            if (damaged := DAMAGES[damage](contents[name], place)) == contents[name]:
                continue
            shelf.put(object_name, damaged, generation)
            with pytest.raises(CorruptRun, match=f"{object_name} is not what run .* wrote"):
                publication.read(name, as_="bytes")
        for other in set(objects) - {name}:
            assert publication.read(other, as_="bytes").content == contents[other]
        shelf.put(object_name, contents[name], generation)

    assert publication.verify() == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_is_named_by_every_reader(
    damage: str, publication: Publication, shelf: Shelf
) -> None:
    manifest, _, contents = published(shelf)
    whole, generation = shelf.content(manifest), shelf.generation(manifest)

    for place in places(whole, 40):
        if (damaged := DAMAGES[damage](whole, place)) == whole:
            continue
        shelf.put(manifest, damaged, generation)
        for name in contents:
            with pytest.raises(CorruptRun, match=rf"{manifest} is not the manifest"):
                publication.read(name, as_="bytes")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_pointer_leads_to_what_was_published_or_to_an_error(
    damage: str, publication: Publication, shelf: Shelf
) -> None:
    _, _, contents = published(shelf)
    whole, generation = shelf.content(POINTER), shelf.generation(POINTER)
    refused = 0

    for place in range(len(whole)):
        shelf.put(POINTER, DAMAGES[damage](whole, place), generation)
        try:
            read = publication.read("item_parameters.csv.gz", as_="bytes").content
        except CorruptRun:
            refused += 1
        else:
            assert read == contents["item_parameters.csv.gz"]

    assert refused > len(whole) // 3


def test_every_object_of_the_run_that_is_gone_is_named_or_not_needed(
    publication: Publication, shelf: Shelf
) -> None:
    manifest, objects, contents = published(shelf)
    run = manifest.removesuffix("manifest.json")
    needed = {manifest, *objects.values()}

    for gone in [name for name in shelf.names() if name.startswith(run)]:
        content, generation = shelf.content(gone), shelf.generation(gone)
        shelf.remove(gone)
        for name, object_name in objects.items():
            if gone in {manifest, object_name}:
                with pytest.raises(CorruptRun, match=r"gone|no committed run"):
                    publication.read(name)
            else:
                assert publication.read(name, as_="bytes").content == contents[name]
        assert gone not in needed or publication.verify(), gone
        shelf.put(gone, content, generation)

    assert publication.verify() == []


def test_a_file_written_anew_is_not_taken_for_the_published_one(
    publication: Publication, shelf: Shelf
) -> None:
    _, objects, contents = published(shelf)

    for name, object_name in objects.items():
        generation = shelf.generation(object_name)
        # The same bytes, but another object: nobody vouches for them.
        shelf.put(object_name, contents[name], generation + 1)
        with pytest.raises(CorruptRun, match="which is gone"):
            publication.read(name)
        shelf.put(object_name, contents[name], generation)


def test_without_a_pointer_nothing_is_published(publication: Publication, shelf: Shelf) -> None:
    shelf.remove(POINTER)

    with pytest.raises(CorruptRun, match="nothing is published"):
        publication.read("report.html")


def test_an_old_pointer_put_back_leads_to_one_whole_run_and_is_found(
    publication: Publication, shelf: Shelf
) -> None:
    trail = [name for name in shelf.names() if name.startswith("calibrate/published/")]
    now = shelf.generation(POINTER)
    old = shelf.content(trail[0])

    shelf.put(POINTER, old, now + 1)

    content, manifest = publication.read("item_parameters.json")
    assert str(manifest.as_of) == content["as_of"] == "2024-03-30"
    assert publication.verify()


# What no reader goes by: notes of who worked when, and on what.
NOTES = re.compile(r"calibrate/(days/.*|runs/[^/]+/(start\.json|starts/.*))")


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_names_every_object_that_is_not_what_it_was(
    damage: str, publication: Publication, shelf: Shelf
) -> None:
    looked_at = [name for name in shelf.names() if not NOTES.fullmatch(name)]
    assert len(looked_at) == 2 * 5 + 1 + 2

    for name in looked_at:
        content, generation = shelf.content(name), shelf.generation(name)
        shelf.put(name, DAMAGES[damage](content, len(content) // 2), generation)
        named = {found.uri for found in publication.verify()}
        # Of two digests that differ, either may be the one that is wrong.
        is_of_trail = name.startswith("calibrate/published/")
        assert named if is_of_trail else f"gs://lessons/{name}" in named, name
        shelf.put(name, content, generation)

    assert publication.verify() == []


def test_verify_finds_every_byte_of_the_pointer_that_is_another(
    publication: Publication, shelf: Shelf
) -> None:
    whole, generation = shelf.content(POINTER), shelf.generation(POINTER)

    for place in range(0, len(whole), 7):
        shelf.put(POINTER, flip(whole, place), generation)
        assert publication.verify(), whole[place - 10 : place + 10]


def test_the_command_names_what_is_damaged_and_fails(
    two_days: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = FolderShelf(tmp_path / "buckets" / "etl")
    copy(two_days, shelf)
    _, objects, contents = published(shelf)
    page = objects["report.html"]
    command = ["verify", "calibrate", "--local", str(tmp_path)]
    assert main(command) == 0

    shelf.put(page, flip(contents["report.html"], 100), shelf.generation(page))

    assert main(command) == 1
    assert f"checksum: gs://etl/{page} is not what run" in capsys.readouterr().out
