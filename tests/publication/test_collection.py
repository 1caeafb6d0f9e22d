"""What is deleted, what stays, and what is spared at the last moment."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import CorruptRun
from gcp_accessor.publication.claims import tombstone_path
from tests.proof.bucket import Bucket, Client, Killed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor import CloudStorageAccessor, Publication
    from tests.proof.bucket import Fate, Request

URI = "gs://lessons/items"
MONTH = timedelta(days=30)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def publication(bucket: Bucket) -> Publication:
    return Client(bucket).store().publication(URI)


def publish(publication: Publication, day: int, settings: str = "a") -> str:
    run = publication.run(date(2024, 3, day), settings)
    run.start({})
    run.write("items.txt", lambda: f"of {day}")
    run.commit({})
    run.publish()
    return run.run_id


def collect(publication: Publication, keep: int = 1) -> tuple[str, ...]:
    return publication.collect(keep, dry_run=False).removed


def names(publication: Publication) -> list[str]:
    return [run.run_id for run in publication.runs()]


def test_the_published_the_previous_the_newest_and_the_pinned_stay(
    bucket: Bucket, publication: Publication
) -> None:
    runs = [publish(publication, day) for day in range(1, 8)]
    publication.pin("exam", runs[0])
    publication.rollback(runs[1])
    bucket.pass_time(MONTH)

    found = publication.collect(2, dry_run=False)

    # Newest first: two committed ones, of which one is the previous; the one held; the pinned.
    assert found.kept == (runs[6], runs[5], runs[1], runs[0])
    assert found.removed == (runs[4], runs[3], runs[2])
    assert names(publication) == list(found.kept)
    assert publication.verify() == []


def test_a_dry_run_says_what_would_go_and_changes_nothing(
    bucket: Bucket, publication: Publication
) -> None:
    bucket.now -= MONTH
    runs = [publish(publication, day) for day in range(1, 5)]
    before = dict(bucket.held)

    found = publication.collect(1)

    assert found.removed == (runs[1], runs[0])
    assert bucket.held == before
    bucket.pass_time(MONTH)
    assert publication.collect(1, dry_run=False) == found


def test_what_is_young_by_the_clock_of_the_bucket_stays_whatever_this_machine_says(
    bucket: Bucket, publication: Publication
) -> None:
    # The bucket's clock is years behind ours: by ours, everything is old.
    bucket.now -= timedelta(days=3000)
    runs = [publish(publication, day) for day in range(1, 5)]

    assert collect(publication) == ()
    assert len(names(publication)) == len(runs)


def test_dead_attempts_go_and_those_that_may_be_alive_stay(
    bucket: Bucket, publication: Publication
) -> None:
    publish(publication, 9)
    dead = publication.run(date(2024, 3, 1), "dead")
    dead.start({})
    dead.write("items.txt", lambda: "a")
    bucket.pass_time(MONTH)
    alive = publication.run(date(2024, 3, 1), "alive")
    alive.start({})

    assert collect(publication) == (dead.run_id,)

    assert not bucket.names(f"items/runs/{dead.run_id}/")
    assert bucket.names(f"items/runs/{alive.run_id}/")


def test_what_dead_attempts_left_at_a_committed_run_goes(
    bucket: Bucket, publication: Publication
) -> None:
    orphan = publication.run(date(2024, 3, 1), "a").write("items.txt", lambda: "an orphan")
    run_id = publish(publication, 1)
    bucket.pass_time(MONTH)

    found = publication.collect(dry_run=False)

    assert (found.objects, found.bytes) == (1, len("an orphan"))
    assert bucket.content(orphan.object_name) is None
    assert publication.read("items.txt", run_id=run_id).content == "of 1"
    assert publication.verify() == []


def test_an_age_that_a_live_task_may_have_is_refused(publication: Publication) -> None:
    with pytest.raises(ValueError, match=r"5 days.*would delete work in progress"):
        publication.collect(older_than=timedelta(days=4))
    with pytest.raises(ValueError, match="keep is 0"):
        publication.collect(0)

    publication.collect(older_than=timedelta(hours=2), longest_task=timedelta(hours=1))


def test_a_pointer_that_cannot_be_read_stops_it(bucket: Bucket, publication: Publication) -> None:
    for day in range(1, 5):
        publish(publication, day)
    bucket.pass_time(MONTH)
    publication.store.write(f"{URI}/latest.json", b"{")

    with pytest.raises(CorruptRun, match=r"latest\.json is damaged"):
        collect(publication)

    assert len(bucket.names("items/runs/")) == 4 * 5


def meanwhile(
    bucket: Bucket,
    verb: str,
    name: str,
    act: Callable[[CloudStorageAccessor], object],
    number: int = 1,
) -> Publication:
    """Return the publication to somebody before whose first such request others act."""
    left = [number]

    def decide(request: Request) -> Fate:
        if (request.verb, name in request.name) == (verb, True):
            left[0] -= 1
            if left[0] == 0:
                act(Client(bucket).store())
        return "none"

    return Client(bucket, decide).store().publication(URI)


# Before which request of a collection others act: a verb, a part of a name, the how manieth.
STEPS = [
    ("list", "items/runs/", 1),
    ("write", "{run}/collected.json", 1),
    ("stat", "{run}/collected.json", 1),
    ("list", "{run}/", 1),
    ("write", "{run}/collected.json", 2),
    ("stat", "{run}/collected.json", 2),
    ("delete", "{run}/", 1),
    ("delete", "{run}/", 3),
    ("delete", "{run}/collected.json", 1),
]


@pytest.mark.parametrize(("verb", "name", "number"), STEPS)
@pytest.mark.parametrize("what", ["pin", "rollback", "start"])
def test_whoever_wants_a_run_has_it_or_begins_it_anew_but_never_half_of_it(
    bucket: Bucket, publication: Publication, what: str, verb: str, name: str, number: int
) -> None:
    run_id, *_ = [publish(publication, day) for day in range(1, 5)]
    bucket.pass_time(MONTH)
    outcome = []

    def wanted(store: CloudStorageAccessor) -> None:
        other = store.publication(URI)
        try:
            if what == "pin":
                other.pin("exam", run_id)
            elif what == "rollback":
                other.rollback(run_id)
            else:
                run = other.run(date(2024, 3, 1), "a")
                run.start({})
                if run.committed() is None:
                    run.write("items.txt", lambda: "of 1")
                    run.commit({})
            outcome.append("had")
        except CorruptRun:
            outcome.append("too late")

    removed = collect(meanwhile(bucket, verb, name.format(run=run_id), wanted, number))

    assert len(outcome) == 1
    # What is begun anew was removed before.
    assert outcome == ["too late"] or what == "start" or run_id not in removed
    if outcome == ["had"]:
        assert publication.read("items.txt", run_id=run_id).content == "of 1"
    else:
        assert what != "start"
        assert run_id not in names(publication)
        assert not publication.pins()
    assert publication.verify() == []
    assert bucket.content(f"items/{tombstone_path(run_id)}") is None


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        *(("write", "pins/exam.json"), ("stat", "collected.json"), ("stat", "manifest.json")),
        *(("write", "/claims/"), ("write", "/starts/"), ("write", "start.json")),
        *(("read", "manifest.json"), ("write", "0-0/items.txt"), ("write", "latest.json")),
    ],
)
@pytest.mark.parametrize("what", ["pin", "rollback", "start"])
def test_whoever_is_overtaken_by_a_collection_is_told_or_begins_anew(
    bucket: Bucket, publication: Publication, what: str, verb: str, name: str
) -> None:
    run_id, *_ = [publish(publication, day) for day in range(1, 5)]
    bucket.pass_time(MONTH)
    person = meanwhile(bucket, verb, name, lambda store: collect(store.publication(URI)))

    try:
        if what == "pin":
            person.pin("exam", run_id)
        elif what == "rollback":
            person.rollback(run_id)
        else:
            run = person.run(date(2024, 3, 1), "a")
            run.start({})
            if run.committed() is None:
                run.write("items.txt", lambda: "of 1")
                run.commit({})
    except CorruptRun:
        assert what != "start"
        assert run_id not in names(publication)
        assert not publication.pins()
    else:
        assert publication.read("items.txt", run_id=run_id).content == "of 1"
    assert publication.verify() == []


@pytest.mark.parametrize("requests", range(12))
@pytest.mark.parametrize("finisher", ["collection", "start", "rollback"])
def test_a_half_collected_run_is_whole_or_gone_for_whoever_comes_next(
    bucket: Bucket, publication: Publication, finisher: str, requests: int
) -> None:
    run_id, *_ = [publish(publication, day) for day in range(1, 4)]
    bucket.pass_time(MONTH)
    left = [requests]

    def decide(request: Request) -> Fate:
        left[0] -= run_id in request.name
        return "killed before" if left[0] < 0 else "none"

    with pytest.raises(Killed):
        collect(Client(bucket, decide).store().publication(URI))

    # Nobody takes what is left for a whole run.
    assert publication.verify() == []
    if finisher == "collection":
        collect(publication)
        assert not bucket.names(f"items/runs/{run_id}/")
    elif finisher == "start":
        run = publication.run(date(2024, 3, 1), "a")
        run.start({})
        if run.committed() is None:
            run.write("items.txt", lambda: "of 1")
            run.commit({})
        assert publication.read("items.txt", run_id=run_id).content == "of 1"
    else:
        try:
            publication.rollback(run_id)
            assert publication.read("items.txt").content == "of 1"
        except CorruptRun:
            assert run_id not in names(publication) or not publication.runs()[-1].rows
    assert publication.verify() == []


def test_two_collections_at_once_delete_what_one_would(
    bucket: Bucket, publication: Publication
) -> None:
    for verb, name, number in STEPS:
        runs = [publish(publication, day, f"{name} {number}") for day in range(1, 5)]
        bucket.pass_time(MONTH)

        collect(
            meanwhile(
                bucket,
                verb,
                name.format(run=runs[0]),
                lambda store: collect(store.publication(URI)),
                number,
            )
        )

        assert set(names(publication)) >= {runs[3]}
        assert runs[0] not in names(publication)
        assert publication.verify() == []


def test_a_folder_and_google_are_collected_alike(store: CloudStorageAccessor) -> None:
    publication = store.publication(URI)
    for day in range(1, 4):
        publish(publication, day)

    found = publication.collect(1, timedelta(0), dry_run=False, longest_task=timedelta(0))

    assert len(found.removed) == 1
    assert len(names(publication)) == 2
    assert publication.verify() == []
