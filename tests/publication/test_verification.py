"""Every damage is found and named."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import CorruptRun
from tests.stand_ins.cloud_storage import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor import CloudStorageAccessor, Publication
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

URI = "gs://lessons/items"
DAY = date(2024, 3, 1)


@pytest.fixture
def publication(store: CloudStorageAccessor) -> Publication:
    publication = store.publication(URI)
    publish(publication, DAY)
    publish(publication, date(2024, 3, 2))
    return publication


def publish(publication: Publication, day: date) -> str:
    run = publication.run(day, "a")
    run.write("items.txt", lambda: f"of {day}")
    run.commit({})
    run.publish()
    return run.run_id


def rewrite(publication: Publication, path: str, change: Callable[[bytes], bytes]) -> None:
    """Change an object behind the accessor's back, its generation kept, as bit rot would."""
    uri = f"{URI}/{path}"
    content = change(publication.store.read(uri, as_="bytes"))
    publication.store.write(uri, content)


def published(publication: Publication) -> str:
    run_id = publication.resolve("latest")
    return f"runs/{run_id}"


def kinds(publication: Publication, run_id: str | None = None) -> list[str]:
    return [damage.kind for damage in publication.verify(run_id)]


def test_what_is_whole_has_no_damage(publication: Publication) -> None:
    publication.pin("exam", publication.resolve("previous"))
    publication.rollback(publication.resolve("previous"))

    assert publication.verify() == []
    assert publication.verify(publication.resolve("latest")) == []
    assert publication.store.publication("lessons/nothing").verify() == []


def test_a_file_that_is_gone_is_named(publication: Publication) -> None:
    uri = publication.files(publication.latest())[0]
    publication.store.delete(uri)

    [damage] = publication.verify()

    assert (damage.kind, damage.uri) == ("gone", uri)
    assert "which is gone" in str(damage)


def test_a_file_that_was_replaced_is_gone(publication: Publication) -> None:
    publication.store.write(publication.files(publication.latest())[0], "other")

    assert kinds(publication) == ["gone"]


@pytest.mark.parametrize(
    ("content", "kind"), [(b"of 2024-03-03", "checksum"), (b"of 2024", "size")]
)
def test_bytes_that_changed_in_place_are_told_by_size_or_checksum(
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    content: bytes,
    kind: str,
) -> None:
    publication = google_store.publication(URI)
    publish(publication, date(2024, 3, 2))
    name = publication.latest().files[0].object_name
    cloud_storage.buckets["lessons"][name].content = content

    assert kinds(publication) == [kind]


def test_bytes_that_come_damaged_are_told(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    publication = google_store.publication(URI)
    publish(publication, DAY)
    manifest = publication.latest()
    cloud_storage.queue(*[Fault("damaged", method="GET")] * 10)

    with (
        pytest.raises(CorruptRun, match="Checksum mismatch"),
        publication.open(manifest, manifest.files[0]),
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": 9}'])
@pytest.mark.parametrize("name", ["latest.json", "manifest.json", "tasks/0.json"])
def test_a_document_that_cannot_be_read_is_named(
    publication: Publication, name: str, content: bytes
) -> None:
    path = name if name == "latest.json" else f"{published(publication)}/{name}"
    publication.store.write(f"{URI}/{path}", content)

    [damage] = publication.verify()

    assert (damage.kind, damage.uri) == ("unreadable", f"{URI}/{path}")


def test_a_truncated_manifest_is_named(publication: Publication) -> None:
    path = f"{published(publication)}/manifest.json"
    rewrite(publication, path, lambda content: content[: len(content) // 2])

    assert kinds(publication) == ["unreadable"]
    with pytest.raises(CorruptRun, match=r"manifest\.json"):
        publication.read("items.txt")


@pytest.mark.parametrize("which", ["latest", "previous"])
def test_a_manifest_that_was_changed_is_told_by_its_digest(
    publication: Publication, which: str
) -> None:
    path = f"runs/{publication.resolve(which)}/manifest.json"
    rewrite(publication, path, lambda content: content.replace(b'"facts": {}', b'"facts": {"a":1}'))

    [damage] = publication.verify()

    assert (damage.kind, damage.uri) == ("digest", f"{URI}/{path}")


def test_a_pointer_without_its_run_is_named(publication: Publication) -> None:
    for stored in list(publication.store.list(f"{URI}/{published(publication)}/")):
        publication.store.delete(stored.uri)

    assert kinds(publication) == ["missing run"]


def test_a_pin_without_its_run_is_named(publication: Publication) -> None:
    run_id = publication.resolve("previous")
    publication.pin("exam", run_id)
    publication.store.delete(f"{URI}/runs/{run_id}/manifest.json")
    publication.store.write(f"{URI}/pins/broken.json", b"{")

    assert sorted(kinds(publication)) == ["missing run", "unreadable"]


def test_an_old_pointer_that_was_put_back_is_told(publication: Publication) -> None:
    old = publication.store.read(f"{URI}/latest.json", as_="bytes")
    newest = publish(publication, date(2024, 3, 3))
    publication.store.write(f"{URI}/latest.json", old)

    [damage] = publication.verify()

    assert damage.kind == "old pointer"
    assert newest in str(damage)


def test_a_pointer_of_the_first_version_that_was_put_back_is_told(
    publication: Publication,
) -> None:
    pointer = publication.store.read(f"{URI}/latest.json")
    old = {name: pointer[name] for name in ("run_id", "as_of", "manifest_sha256", "previous")}
    publication.store.write(f"{URI}/latest.json", {**old, "schema_version": 1, "hold": False})

    assert kinds(publication) == ["old pointer"]


def test_a_pointer_that_is_gone_is_told(publication: Publication) -> None:
    publication.store.delete(f"{URI}/latest.json")

    assert kinds(publication) == ["gone"]


def test_a_kill_before_the_pointer_was_noted_is_no_damage(publication: Publication) -> None:
    *_, noted = publication.store.list(f"{URI}/published/")
    publication.store.delete(noted.uri)

    assert publication.verify() == []


def test_tasks_that_wrote_other_files_than_the_manifest_lists_are_told(
    publication: Publication,
) -> None:
    publication.store.write(
        f"{URI}/{published(publication)}/tasks/0.json", {"schema_version": 1, "files": []}
    )

    assert kinds(publication, publication.resolve("latest")) == ["marker"]


def test_one_run_is_verified_by_itself(publication: Publication) -> None:
    publication.store.delete(publication.files(publication.latest())[0])

    assert kinds(publication, publication.resolve("previous")) == []
    assert kinds(publication, publication.resolve("latest")) == ["gone"]
    with pytest.raises(CorruptRun, match="no committed run"):
        publication.verify("2024-03-01-000000000000")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("run_id", "../secrets"), ("run_id", 1), ("as_of", "yesterday"), ("hold", "no")),
        *(("previous", "../secrets"), ("order", "first"), ("replaces", None)),
        *(("schema_version", 0), ("schema_version", "2"), ("schema_version", True)),
    ],
)
def test_a_pointer_that_says_what_none_can_say_is_damaged(
    publication: Publication, name: str, value: object
) -> None:
    pointer = publication.store.read(f"{URI}/latest.json")
    publication.store.write(f"{URI}/latest.json", {**pointer, name: value})

    with pytest.raises(CorruptRun, match=r"latest\.json is damaged"):
        publication.read("items.txt")
    assert kinds(publication) == ["unreadable"]
