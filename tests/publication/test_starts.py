"""Executions: which of two runs of a day counts, what a retry works from, what failed for good."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import pytest

from gcp_accessor import CorruptRun
from tests.stand_ins.cloud_storage import Fault

if TYPE_CHECKING:
    from gcp_accessor import CloudStorageAccessor, Publication, PublicationRun
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

DAY = date(2024, 3, 1)
URI = "gs://lessons/items"


@pytest.fixture
def publication(store: CloudStorageAccessor) -> Publication:
    return store.publication(URI)


@pytest.fixture
def execution(monkeypatch: pytest.MonkeyPatch) -> Execution:
    return Execution(monkeypatch)


class Execution:
    """Lets what is begun next be of an execution of Cloud Run."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def __call__(self, name: str) -> None:
        self.patch.setenv("CLOUD_RUN_EXECUTION", name)


def committed(publication: Publication, fingerprint: str, content: str = "a") -> PublicationRun:
    run = publication.run(DAY, fingerprint)
    run.start({})
    if run.committed() is None:
        run.write("items.txt", lambda: content)
        run.commit({})
    return run


def test_a_retry_works_from_the_facts_of_the_first_attempt(publication: Publication) -> None:
    first = publication.run(DAY, "a").start({"read_at": "2024-03-02T02:15:00"})

    again = publication.run(DAY, "a").start({"read_at": "2024-03-02T02:45:00"})

    assert again.facts == first.facts == {"read_at": "2024-03-02T02:15:00"}


def test_attempts_and_tasks_of_an_execution_have_one_order_and_later_executions_a_later_one(
    publication: Publication, execution: Execution
) -> None:
    execution("items-a1")
    first = publication.run(DAY, "a", task=0, tasks=2).start({})
    execution("items-b2")
    second = publication.run(DAY, "a").start({})
    execution("items-a1")
    retried = publication.run(DAY, "a", task=1, tasks=2).start({})

    assert first.order == retried.order < second.order


def test_a_stale_retry_does_not_replace_what_a_newer_execution_of_the_day_made(
    publication: Publication, execution: Execution
) -> None:
    execution("old")
    old = committed(publication, "old settings", "old")
    execution("new")
    assert committed(publication, "new settings", "new").publish() == "published"

    assert old.publish() == "newer is published"

    execution("old")
    assert publication.run(DAY, "old settings").publish() == "newer is published"
    assert publication.read("items.txt").content == "new"


def test_old_settings_that_are_run_again_on_purpose_are_published_again(
    publication: Publication, execution: Execution
) -> None:
    for name, settings in (("one", "old"), ("two", "new"), ("three", "old")):
        execution(name)
        assert committed(publication, settings, settings).publish() == "published"

    assert publication.read("items.txt").content == "old"


def test_a_newer_execution_of_the_published_run_is_not_replaced_by_one_from_in_between(
    publication: Publication, execution: Execution
) -> None:
    execution("one")
    committed(publication, "a", "a").publish()
    execution("two")
    between = committed(publication, "b", "b")
    between.start({})
    execution("three")
    assert committed(publication, "a").publish() == "already published"

    assert between.publish() == "newer is published"

    assert publication.read("items.txt").content == "a"


def test_without_cloud_run_every_object_is_an_execution_of_its_own(
    publication: Publication,
) -> None:
    one, two = publication.run(DAY, "a"), publication.run(DAY, "a")

    assert one.start({}).order < two.start({}).order
    assert one.start({"more": 1}) == one.start({})


def test_an_execution_of_a_name_that_no_object_can_have_is_told_by_its_digest(
    publication: Publication, execution: Execution
) -> None:
    execution("../../latest")

    started = publication.run(DAY, "a").start({})

    assert started.execution.isalnum()
    assert publication.latest() is None


def test_what_failed_for_good_is_told_to_the_execution_alone(
    publication: Publication, execution: Execution
) -> None:
    execution("one")
    run = publication.run(DAY, "a")
    assert run.failed() is None
    run.fail("17 rows break the contract")
    run.fail("something else, later")

    assert publication.run(DAY, "a", task=1, tasks=2).failed() == "17 rows break the contract"
    execution("two")
    assert publication.run(DAY, "a").failed() is None
    publication.run(DAY, "a").fail("18 rows do")
    assert publication.run(DAY, "a").failed() == "18 rows do"
    assert publication.runs()[0].state == "failed"


def test_a_forced_run_is_another_one_and_the_same_for_all_of_its_execution(
    publication: Publication, execution: Execution
) -> None:
    execution("one")
    committed(publication, "a", "old").publish()
    execution("two")
    forced = [publication.run(DAY, "a", task=task, tasks=2, force=True) for task in (0, 1)]
    for run in forced:
        run.start({})
        run.write("items.txt", lambda: "new")
        run.commit({})

    assert forced[0].run_id == forced[1].run_id == publication.run(DAY, "a").run_id + "-1"
    assert forced[1].publish() == "published"
    assert publication.run(DAY, "a", force=True).run_id == forced[0].run_id
    execution("three")
    assert publication.run(DAY, "a", force=True).run_id == publication.run(DAY, "a").run_id + "-2"


def test_a_task_knows_whether_it_is_done(publication: Publication) -> None:
    run = publication.run(DAY, "a", task=1, tasks=2)
    assert not run.is_done()

    run.write("items.txt", lambda: "a")
    run.commit({})

    assert publication.run(DAY, "a", task=1, tasks=2).is_done()
    assert not publication.run(DAY, "a", task=0, tasks=2).is_done()


def test_a_run_is_of_a_day_and_of_a_task_that_there_is(publication: Publication) -> None:
    with pytest.raises(TypeError, match="expected a day"):
        publication.run(datetime(2024, 3, 1, 12), "a")
    with pytest.raises(TypeError, match="expected a day"):
        publication.run("2024-03-01", "a")
    with pytest.raises(ValueError, match="task 2 of 2: expected 0 to 1"):
        publication.run(DAY, "a", task=2, tasks=2)


def test_a_damaged_start_is_named(publication: Publication, store: CloudStorageAccessor) -> None:
    run = publication.run(DAY, "a")
    store.write(f"{run.uri}/start.json", b"{")

    with pytest.raises(CorruptRun, match=r"start\.json is damaged"):
        run.start({})


def test_a_pointer_of_the_first_version_gives_way_to_a_run_of_its_day(
    publication: Publication, store: CloudStorageAccessor
) -> None:
    old = committed(publication, "old", "old")
    old.publish()
    pointer = store.read(f"{URI}/latest.json")
    first_version = {
        name: pointer[name] for name in ("run_id", "as_of", "manifest_sha256", "previous", "hold")
    }
    store.write(f"{URI}/latest.json", {"schema_version": 1, **first_version})
    assert publication.read("items.txt").content == "old"

    assert committed(publication, "new", "new").publish() == "published"

    assert store.read(f"{URI}/latest.json")["previous"] == old.run_id


def test_a_place_is_named_with_or_without_gs(store: CloudStorageAccessor) -> None:
    committed(store.publication("lessons/items"), "a").publish()

    assert store.publication("gs://lessons/items/").read("items.txt").content == "a"
    assert repr(store.publication("lessons/items")) == "Publication('gs://lessons/items')"
    with pytest.raises(ValueError, match="is not a bucket's name"):
        store.publication("Lessons of today/items")


def test_a_run_of_one_number_of_tasks_is_not_mixed_with_one_of_another(
    publication: Publication,
) -> None:
    first = publication.run(DAY, "a", task=0, tasks=2)
    first.write("items.txt", lambda: "half of it")
    first.commit({})

    alone = publication.run(DAY, "a")
    alone.write("items.txt", lambda: "all of it")

    with pytest.raises(ValueError, match=r"of a run of 2 tasks, this one is of 1"):
        alone.commit({})


def test_a_clock_that_is_set_back_does_not_make_an_execution_the_older_one(
    local_store: CloudStorageAccessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication = local_store.publication(URI)
    committed(publication, "old", "old").publish()
    monkeypatch.setattr("gcp_accessor.backends.folder.time.time_ns", lambda: 10**18)

    assert committed(publication, "new", "new").publish() == "published"

    assert publication.read("items.txt").content == "new"


def test_whoever_may_read_and_not_list_is_told_what_is_not_there(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    cloud_storage.queue(Fault("none", method="GET"), Fault("status", 403, method="GET"))

    with pytest.raises(CorruptRun, match=r"no committed run 2024-03-01-000000000000$"):
        google_store.publication(URI).manifest("2024-03-01-000000000000")


def test_a_role_that_may_not_write_is_named(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    from google.api_core.exceptions import Forbidden

    cloud_storage.queue(Fault("status", 403, method="POST"))

    with pytest.raises(Forbidden) as caught:
        google_store.publication(URI).run(DAY, "a").start({})

    assert "roles/storage.objectUser to write" in caught.value.__notes__[0]
