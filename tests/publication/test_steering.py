"""Rolling back, releasing and pinning."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import CorruptRun

if TYPE_CHECKING:
    from gcp_accessor import CloudStorageAccessor, Publication

URI = "gs://lessons/items"


@pytest.fixture
def publication(store: CloudStorageAccessor) -> Publication:
    return store.publication(URI)


def publish(publication: Publication, day: int, content: str, settings: str = "a") -> str:
    run = publication.run(date(2024, 3, day), settings)
    run.write("items.txt", lambda: content)
    run.commit({})
    run.publish()
    return run.run_id


def test_a_rollback_holds_until_it_is_released(publication: Publication) -> None:
    first = publish(publication, 1, "first")
    second = publish(publication, 2, "second")

    assert publication.rollback(first).run_id == first

    assert publication.read("items.txt").content == "first"
    run = publication.run(date(2024, 3, 3), "a")
    run.write("items.txt", lambda: "third")
    run.commit({})
    assert run.publish() == "held"
    assert [each.state for each in publication.runs()] == ["committed", "previous", "held"]
    assert publication.read("items.txt").content == "first"
    assert second != run.run_id

    assert publication.release().run_id == run.run_id

    assert publication.read("items.txt").content == "third"
    assert run.publish() == "already published"


def test_a_rollback_and_a_release_may_be_repeated(publication: Publication) -> None:
    first, second = (publish(publication, day, str(day)) for day in (1, 2))

    assert [publication.rollback(first).run_id for _ in range(2)] == [first, first]
    assert [publication.release().run_id for _ in range(2)] == [second, second]


def test_a_release_publishes_the_run_of_the_execution_that_began_last(
    publication: Publication,
) -> None:
    publish(publication, 1, "a", "a")
    publish(publication, 1, "b", "b")
    third = publish(publication, 1, "a again", "a")
    publish(publication, 1, "c", "c")
    publication.rollback(third)
    publish(publication, 1, "b again", "b")

    publication.release()

    assert publication.read("items.txt").content == "b"


def test_a_rollback_to_what_is_damaged_moves_nothing(publication: Publication) -> None:
    first = publish(publication, 1, "first")
    publish(publication, 2, "second")
    publication.store.delete(publication.files(publication.manifest(first))[0])

    with pytest.raises(CorruptRun, match=r"items\.txt .*is gone"):
        publication.rollback(first)

    assert publication.read("items.txt").content == "second"


def test_a_release_to_what_is_damaged_keeps_the_hold(publication: Publication) -> None:
    first = publish(publication, 1, "first")
    second = publish(publication, 2, "second")
    publication.rollback(first)
    publication.store.delete(publication.files(publication.manifest(second))[0])

    with pytest.raises(CorruptRun, match=r"items\.txt .*is gone"):
        publication.release()

    assert publication.runs()[1].state == "held"


def test_an_unknown_run_is_refused_with_those_that_are_near(publication: Publication) -> None:
    publish(publication, 1, "first")
    second = publish(publication, 2, "second")
    unknown = "2024-03-02-000000000000"

    with pytest.raises(CorruptRun, match=rf"no committed run {unknown} .*near it are {second}$"):
        publication.rollback(unknown)
    with pytest.raises(CorruptRun, match="it holds none"):
        publication.store.publication("lessons/other").rollback(unknown)
    with pytest.raises(ValueError, match="is not a run"):
        publication.rollback("yesterday")
    assert not list(publication.store.list(f"{URI}/runs/{unknown}/"))


def test_a_rollback_mends_a_pointer_that_cannot_be_read(publication: Publication) -> None:
    first = publish(publication, 1, "first")
    publication.store.write(f"{URI}/latest.json", b"{")

    with pytest.raises(CorruptRun, match=r"latest\.json is damaged.*roll back"):
        publication.read("items.txt")
    publication.rollback(first)

    assert publication.read("items.txt").content == "first"
    assert publication.release().run_id == first


def test_a_rollback_leaves_the_pointer_of_a_newer_version(publication: Publication) -> None:
    first = publish(publication, 1, "first")
    pointer = publication.store.read(f"{URI}/latest.json")
    publication.store.write(f"{URI}/latest.json", {**pointer, "schema_version": 9})

    with pytest.raises(CorruptRun, match=r"newer gcp-accessor.*upgrade"):
        publication.rollback(first)


def test_nothing_is_released_where_nothing_was_published(publication: Publication) -> None:
    with pytest.raises(CorruptRun, match="nothing is published"):
        publication.release()


def test_pins_are_listed_and_removed(publication: Publication) -> None:
    first, second = (publish(publication, day, str(day)) for day in (1, 2))

    publication.pin("b", second)
    publication.pin("a", first)
    publication.pin("a", first)

    assert publication.pins() == {"a": first, "b": second}
    assert [run.pins for run in publication.runs()] == [("b",), ("a",)]
    publication.unpin("b")
    publication.unpin("b")
    assert publication.pins() == {"a": first}


def test_a_pin_names_one_run_that_there_is(publication: Publication) -> None:
    first, second = (publish(publication, day, str(day)) for day in (1, 2))
    publication.pin("exam", first)

    with pytest.raises(ValueError, match=f"'exam' of {URI} is of run {first}"):
        publication.pin("exam", second)
    with pytest.raises(CorruptRun, match="no committed run"):
        publication.pin("other", "2024-03-02-000000000000")
    for name in ("", "../x", "a/b", ".a", "x" * 101):
        with pytest.raises(ValueError, match="is not a pin's name"):
            publication.pin(name, first)
    for name in ("latest", "previous", second):
        with pytest.raises(ValueError, match="is the name of another run"):
            publication.pin(name, first)
    assert publication.pins() == {"exam": first}


def test_a_run_is_meant_by_its_name_its_place_or_its_pin(publication: Publication) -> None:
    with pytest.raises(CorruptRun, match="no latest run"):
        publication.resolve("latest")
    first = publish(publication, 1, "first")
    with pytest.raises(CorruptRun, match="no previous run"):
        publication.resolve("previous")
    second = publish(publication, 2, "second")
    publication.pin("exam", first)

    assert publication.resolve("latest") == second
    assert publication.resolve("previous") == publication.resolve("exam") == first
    assert publication.resolve(first) == first
    with pytest.raises(ValueError, match=r"'exams' is not a run; .* or a pin: exam"):
        publication.resolve("exams")


def test_every_pointer_there_was_is_noted(publication: Publication) -> None:
    first, second = (publish(publication, day, str(day)) for day in (1, 2))
    publication.rollback(first)
    publication.release()

    trail = [
        publication.store.read(each.uri) for each in publication.store.list(f"{URI}/published/")
    ]

    assert [each["run_id"] for each in trail] == [first, second, first, second]
    assert [each["hold"] for each in trail] == [False, False, True, False]


def test_who_was_killed_before_noting_the_pointer_notes_it_when_retried(
    publication: Publication,
) -> None:
    publish(publication, 1, "first")
    [noted] = publication.store.list(f"{URI}/published/")
    publication.store.delete(noted.uri)

    assert publication.run(date(2024, 3, 1), "a").publish() == "already published"

    assert len(list(publication.store.list(f"{URI}/published/"))) >= 1
