"""How a run becomes the truth: on a folder and on Google's client, killed and raced."""

from __future__ import annotations

import json
import os
import threading
from datetime import date
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import CloudStorageAccessor, CorruptRun, Publication

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor.publication import PublicationRun

DAY = date(2024, 3, 1)
URI = "gs://lessons/irt/items"


def publish(publication: Publication, day: date, content: str, fingerprint: str = "x") -> str:
    run = publication.run(day, fingerprint)
    run.write("items.txt", lambda: content)
    run.commit({"job": "items"})
    return run.publish()


@pytest.fixture
def publication(store: CloudStorageAccessor) -> Publication:
    return store.publication(URI)


def test_a_published_run_is_read_back_with_its_facts(publication: Publication) -> None:
    run = publication.run(DAY, "settings")
    run.write("rows.csv.gz", lambda: [["q1", None], ["q2", ""]], rows=2)
    run.commit({"job": "items", "settings": {"attempt": "first"}})

    assert run.publish() == "published"

    manifest = publication.latest()
    assert manifest is not None
    assert manifest.run_id == run.run_id
    assert manifest.as_of == DAY
    assert manifest.facts["settings"] == {"attempt": "first"}
    assert manifest.file("rows.csv.gz").rows == 2
    assert publication.read("rows.csv.gz").content == [["q1", None], ["q2", ""]]


def test_nothing_is_published_before_the_pointer_moves(publication: Publication) -> None:
    run = publication.run(DAY, "settings")
    assert publication.latest() is None

    run.write("items.txt", lambda: "a")
    assert publication.latest() is None
    assert run.committed() is None

    run.commit({})
    assert publication.latest() is None
    assert publication.manifest(run.run_id).run_id == run.run_id

    run.publish()
    assert run.is_published()


def test_reading_before_anything_is_published_says_so(publication: Publication) -> None:
    with pytest.raises(CorruptRun, match=f"nothing is published at {URI}"):
        publication.read("items.txt")


def test_equal_fingerprints_name_the_same_run_and_others_another(
    publication: Publication,
) -> None:
    run = publication.run(DAY, "a")

    assert publication.run(DAY, "a").run_id == run.run_id
    assert publication.run(DAY, "b").run_id != run.run_id
    assert publication.run(date(2024, 3, 2), "a").run_id != run.run_id
    assert run.run_id.startswith("2024-03-01-")


def test_publishing_again_changes_nothing(publication: Publication) -> None:
    publish(publication, DAY, "a")
    run = publication.run(DAY, "x")

    assert run.publish() == "already published"


def test_a_later_day_takes_over_and_an_earlier_one_does_not(publication: Publication) -> None:
    assert publish(publication, DAY, "a") == "published"
    assert publish(publication, date(2024, 3, 2), "b") == "published"

    assert publish(publication, date(2024, 2, 1), "c") == "newer is published"

    assert publication.read("items.txt").content == "b"
    latest = publication.latest()
    assert latest is not None
    assert latest.previous == publication.run(DAY, "x").run_id


def test_of_two_runs_of_one_day_the_one_published_last_counts(publication: Publication) -> None:
    publish(publication, DAY, "a", "one")
    publish(publication, DAY, "b", "two")
    assert publication.read("items.txt").content == "b"

    assert publication.run(DAY, "one").publish() == "published"

    assert publication.read("items.txt").content == "a"


def test_a_pointer_on_hold_is_left_alone(
    publication: Publication, store: CloudStorageAccessor
) -> None:
    publish(publication, DAY, "a")
    pointer = store.read(f"{URI}/latest.json")
    store.write(f"{URI}/latest.json", {**pointer, "hold": True})

    assert publish(publication, date(2024, 3, 2), "b") == "held"

    assert publication.read("items.txt").content == "a"


def test_a_retry_after_a_kill_in_the_parts_takes_a_new_folder(publication: Publication) -> None:
    killed = publication.run(DAY, "x")
    first = killed.write("items.txt", lambda: "a")

    retry = publication.run(DAY, "x")
    second = retry.write("items.txt", lambda: "a")
    retry.commit({})
    retry.publish()

    assert first.object_name != second.object_name
    latest = publication.latest()
    assert latest is not None
    assert latest.files == (second,)


def test_a_retry_after_a_kill_behind_the_marker_keeps_what_the_marker_lists(
    publication: Publication, store: CloudStorageAccessor
) -> None:
    killed = publication.run(DAY, "x")
    first = killed.write("items.txt", lambda: "a")
    killed.commit({})
    store.delete(f"{killed.uri}/manifest.json")

    retry = publication.run(DAY, "x")
    retry.write("items.txt", lambda: "a")
    manifest = retry.commit({})

    assert manifest is not None
    assert manifest.files == (first,)


def test_a_second_writer_accepts_the_manifest_that_is_there(publication: Publication) -> None:
    first = publication.run(DAY, "x")
    first.write("items.txt", lambda: "a")
    second = publication.run(DAY, "x")
    second.write("items.txt", lambda: "a")

    one = first.commit({"writer": 1})
    two = second.commit({"writer": 2})

    assert one == two
    assert two is not None
    assert two.facts == {"writer": 1}


def test_several_tasks_commit_once_all_are_done(publication: Publication) -> None:
    runs = [publication.run(DAY, "x", task=task, tasks=3) for task in range(3)]
    for run in runs:
        run.write("part.txt", lambda run=run: str(run.task))

    assert runs[2].commit({}) is None
    assert runs[0].commit({}) is None
    manifest = runs[1].commit({})

    assert manifest is not None
    assert [file.object_name.split("/")[-2] for file in manifest.files] == ["0-0", "1-0", "2-0"]


def test_a_cloud_run_attempt_writes_into_its_own_folder(
    publication: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_RUN_TASK_ATTEMPT", "2")

    file = publication.run(DAY, "x").write("items.txt", lambda: "a")

    assert "/0-2/items.txt" in file.object_name


def test_of_many_publishers_one_wins_and_none_fails(local_store: CloudStorageAccessor) -> None:
    publication = local_store.publication(URI)
    runs: list[PublicationRun] = []
    for day in range(1, 9):
        run = publication.run(date(2024, 3, day), "x")
        run.write("items.txt", lambda day=day: str(day))
        run.commit({})
        runs.append(run)
    outcomes: list[str] = []
    start = threading.Barrier(len(runs))

    def race(run: PublicationRun) -> None:
        start.wait()
        outcomes.append(run.publish())

    threads = [threading.Thread(target=race, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outcomes) == 8
    assert set(outcomes) <= {"published", "newer is published"}
    assert publication.read("items.txt").content == "8"


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_file_is_told_and_never_read(
    damage: str, publication: Publication, store: CloudStorageAccessor
) -> None:
    publish(publication, DAY, "a")
    latest = publication.latest()
    assert latest is not None
    uri = f"gs://lessons/{latest.files[0].object_name}"
    if damage == "changed":
        store.write(uri, "b")
    else:
        store.delete(uri)

    with pytest.raises(CorruptRun, match=r"items\.txt .*gone"):
        publication.read("items.txt")


def test_a_file_changed_on_the_disk_itself_is_told(
    local_store: CloudStorageAccessor, tmp_path: Path
) -> None:
    publication = local_store.publication(URI)
    publish(publication, DAY, "abc")
    path = next((tmp_path / "place" / "buckets").rglob("items.txt"))
    status = path.stat()
    path.write_text("xyz")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(CorruptRun, match="is not what run"):
        publication.read("items.txt")


def test_another_manifest_in_its_place_is_told(
    publication: Publication, store: CloudStorageAccessor
) -> None:
    publish(publication, DAY, "a")
    uri = f"{publication.run(DAY, 'x').uri}/manifest.json"
    manifest = store.read(uri)
    store.write(uri, {**manifest, "files": []})

    with pytest.raises(CorruptRun, match="not the manifest that was published"):
        publication.latest()


def test_a_file_lost_before_the_commit_stops_it(
    publication: Publication, store: CloudStorageAccessor
) -> None:
    run = publication.run(DAY, "x")
    file = run.write("items.txt", lambda: "a")
    store.delete(f"gs://lessons/{file.object_name}")

    with pytest.raises(CorruptRun, match="gone"):
        run.commit({})

    assert run.committed() is None


@pytest.mark.parametrize("name", ["latest.json", "manifest.json"])
def test_a_newer_schema_is_refused_with_what_to_do(
    name: str, publication: Publication, store: CloudStorageAccessor
) -> None:
    publish(publication, DAY, "a")
    run = publication.run(DAY, "x")
    uri = f"{URI}/latest.json" if name == "latest.json" else f"{run.uri}/manifest.json"
    store.write(uri, {**store.read(uri), "schema_version": 99})

    with pytest.raises(CorruptRun, match=r"schema version 99.*upgrade"):
        publication.latest() if name == "latest.json" else publication.manifest(run.run_id)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema_version": 1}', b"\xff"])
@pytest.mark.parametrize("name", ["latest.json", "manifest.json"])
def test_a_damaged_pointer_or_manifest_is_named(
    name: str, damage: bytes, publication: Publication, store: CloudStorageAccessor
) -> None:
    publish(publication, DAY, "a")
    run = publication.run(DAY, "x")
    uri = f"{URI}/latest.json" if name == "latest.json" else f"{run.uri}/manifest.json"
    store.write(uri, damage)

    with pytest.raises(CorruptRun, match=rf"{name} is damaged"):
        publication.latest() if name == "latest.json" else publication.manifest(run.run_id)


def test_a_damaged_marker_of_a_task_is_named(
    publication: Publication, store: CloudStorageAccessor
) -> None:
    run = publication.run(DAY, "x")
    run.write("items.txt", lambda: "a")
    store.write(f"{run.uri}/tasks/0.json", b"{}")

    with pytest.raises(CorruptRun, match=r"tasks/0\.json is damaged"):
        run.commit({})


def test_an_unknown_run_and_an_unknown_file_are_named(publication: Publication) -> None:
    publish(publication, DAY, "a")

    with pytest.raises(CorruptRun, match="no committed run 2024-03-01-000000000000"):
        publication.manifest("2024-03-01-000000000000")
    with pytest.raises(ValueError, match="is not a run"):
        publication.manifest("../other")
    with pytest.raises(KeyError, match=r"no file 'other.txt'; it has items\.txt"):
        publication.read("other.txt")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 300])
def test_a_file_name_with_a_folder_is_refused(name: str, publication: Publication) -> None:
    with pytest.raises(ValueError, match="is not a file name"):
        publication.run(DAY, "x").write(name, lambda: "a")


def test_the_same_run_leaves_the_same_bytes(
    publication: Publication, store: CloudStorageAccessor
) -> None:
    publish(publication, DAY, "a")

    manifest = json.loads(store.read(f"{publication.run(DAY, 'x').uri}/manifest.json", as_="text"))

    assert set(manifest) == {
        *("schema_version", "run_id", "as_of", "created_at", "previous", "files", "facts"),
    }
