"""Any number of processes at one publication, in any order, with any fault, for weeks.

Hypothesis decides who comes, whose request happens next and what befalls it, and when the clock
goes on. What has to be true is looked at after every step. `PROOF_EXAMPLES=2000` looks longer.
"""

from __future__ import annotations

import os
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gcp_accessor.errors import CorruptRun
from tests.proof import plays
from tests.proof.bucket import FATES
from tests.proof.plays import Work
from tests.proof.stage import Actor, Stage, died

if TYPE_CHECKING:
    from tests.proof.bucket import Fate, Version

DAYS = [date(2024, 3, day) for day in (1, 2, 3)]
# How many tasks publish under these settings.
SETTINGS = {"a": 1, "b": 1, "c": 2, "d": 3}
# What is collected is older than any task lives.
TASK_LIFE = timedelta(hours=30)
OLDER_THAN = timedelta(hours=48)
EXAMPLES = int(os.environ.get("PROOF_EXAMPLES", "150"))
# How far somebody comes before the next one does.
COMES_FAR = st.sampled_from([0, 0, 5, 1_000, 1_000])
MOST_ALIVE = 5
LOOKED = settings(
    max_examples=EXAMPLES,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Publications(RuleBasedStateMachine):
    """The play and what has to be true of it."""

    older_than = OLDER_THAN
    task_life = TASK_LIFE

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.bucket = self.stage.bucket
        # What each actor is, and of a publisher its work, its task and its execution.
        self.kinds: dict[Actor, str] = {}
        self.tasks: dict[Actor, tuple[Work, int, str]] = {}
        self.pins: dict[str, str] = {}
        self.pinning: dict[Actor, tuple[str, str]] = {}
        self.unpinning: dict[Actor, str] = {}
        self.reading: dict[Actor, int] = {}
        self.executions = 0
        self.looked = 0

    def teardown(self) -> None:
        self.stage.close()

    # --- Who comes ------------------------------------------------------------------------

    @initialize()
    def one_run_is_published(self) -> None:
        self.starts(DAYS[0], "a", "the same", 1_000)

    @precondition(lambda self: self.has_room())
    @rule(
        day=st.sampled_from(DAYS),
        name=st.sampled_from(sorted(SETTINGS)),
        variant=st.sampled_from(["the same", "other bytes"]),
        far=COMES_FAR,
    )
    def starts(self, day: date, name: str, variant: str, far: int) -> None:
        """An execution begins, all its tasks at once."""
        self.executions += 1
        work = Work(day, name, SETTINGS[name])
        for task in range(work.tasks):
            self.enters_task((work, task, f"execution-{self.executions}"), variant, far)

    @precondition(lambda self: self.has_room() and self.dead_tasks())
    @rule(data=st.data(), variant=st.sampled_from(["the same", "other bytes"]), far=COMES_FAR)
    def retries(self, data: st.DataObject, variant: str, far: int) -> None:
        """Cloud Run starts a failed task again."""
        self.enters_task(data.draw(st.sampled_from(self.dead_tasks())), variant, far)

    @precondition(lambda self: self.has_room())
    @rule(far=COMES_FAR)
    def reads(self, far: int) -> None:
        self.enters("reader", plays.read, far)

    @precondition(lambda self: self.has_room())
    @rule(keep=st.integers(1, 2), far=COMES_FAR)
    def collects(self, keep: int, far: int) -> None:
        self.enters("collector", plays.collect(keep, self.older_than), far)

    @precondition(lambda self: self.has_room())
    @rule(data=st.data(), far=COMES_FAR)
    def rolls_back(self, data: st.DataObject, far: int) -> None:
        self.enters("rollback", plays.roll_back(self.some_run(data)), far)

    @precondition(lambda self: self.has_room())
    @rule(far=COMES_FAR)
    def releases(self, far: int) -> None:
        self.enters("release", plays.release, far)

    @precondition(lambda self: self.has_room() and self.free_pins())
    @rule(data=st.data(), far=COMES_FAR)
    def pins_a_run(self, data: st.DataObject, far: int) -> None:
        name, run_id = data.draw(st.sampled_from(self.free_pins())), self.some_run(data)
        self.enters("pin", plays.pin(name, run_id), far, pins=(name, run_id))

    @precondition(lambda self: self.has_room() and self.pins)
    @rule(data=st.data(), far=COMES_FAR)
    def unpins(self, data: st.DataObject, far: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.pins)))
        del self.pins[name]
        self.enters("unpin", plays.unpin(name), far)
        self.unpinning[self.stage.actors[-1]] = name

    # --- What happens ---------------------------------------------------------------------

    @precondition(lambda self: self.stage.alive())
    @rule(data=st.data(), requests=st.integers(1, 12))
    def goes_on(self, data: st.DataObject, requests: int) -> None:
        self.plays_on(data.draw(st.sampled_from(self.stage.alive())), requests)

    @precondition(lambda self: self.stage.alive())
    @rule(data=st.data())
    def plays_to_the_end(self, data: st.DataObject) -> None:
        self.plays_on(data.draw(st.sampled_from(self.stage.alive())), 1_000)

    @precondition(lambda self: self.stage.alive())
    @rule(data=st.data(), fate=st.sampled_from(FATES))
    def meets_a_fate(self, data: st.DataObject, fate: Fate) -> None:
        data.draw(st.sampled_from(self.stage.alive())).step(fate)
        self.looks()

    @rule(hours=st.sampled_from([1, 10, 29, 49, 200]))
    def time_passes(self, hours: int) -> None:
        """Nobody lives longer than a task may."""
        self.bucket.pass_time(timedelta(hours=hours))
        for actor in self.stage.alive():
            if self.bucket.now - actor.began > self.task_life:
                actor.kill()

    @rule()
    def settles(self) -> None:
        """Everybody comes to an end, and every failed task is started again until it succeeds."""
        for actor in self.stage.alive():
            self.plays_on(actor, 1_000)
        for task in self.dead_tasks():
            self.enters_task(task, "other bytes", 1_000)
        pointer = plays.pointer(self.bucket)
        if not pointer["hold"]:
            newest = max(plays.rank(self.bucket, run) for run in plays.committed(self.bucket))
            assert (pointer["as_of"], pointer["order"]) == newest, "the newest is not published"

    # --- What has to be true ----------------------------------------------------------------

    @invariant()
    def what_is_rooted_stays_readable(self) -> None:
        pointer = plays.pointer(self.bucket)
        if pointer is None:
            return
        for run_id in {pointer["run_id"], pointer["previous"], *self.pins.values()} - {None}:
            damage = plays.damage(self.bucket, run_id)
            assert damage is None, damage

    @invariant()
    def whoever_reads_gets_one_whole_run(self) -> None:
        pointer = plays.pointer(self.bucket)
        manifest = plays.read(self.stage.owner.store())
        assert (manifest and manifest.run_id) == (pointer and pointer["run_id"])

    def looks(self) -> None:
        """Look at what has ended, and at what has changed since the last look."""
        for actor in [each for each in self.pinning if not each.is_alive]:
            name, run_id = self.pinning.pop(actor)
            if actor.error is None:
                self.pins[name] = run_id
        for actor in [each for each in self.reading if not each.is_alive]:
            self.looks_at_what_was_read(actor, self.reading.pop(actor))
        for version in self.bucket.history[self.looked :]:
            if version.name == plays.POINTER:
                self.looks_at_the_pointer(version)
            if version.content is None:
                self.looks_at_what_was_deleted(version)
        self.looked = len(self.bucket.history)

    def looks_at_what_was_read(self, reader: Actor, began: int) -> None:
        """A reader gets what was published at some moment between its first request and its last.

        So of two readers the later one never gets an older run, unless somebody rolled back.
        """
        if died(reader) or type(reader.error).__name__ == "ServiceUnavailable":
            return
        assert reader.error is None, f"a reader got {reader.error!r}"
        before = [v for v in self.bucket.history[:began] if v.name == plays.POINTER][-1:]
        during = [v for v in self.bucket.history[began:] if v.name == plays.POINTER]
        possible = [plays.parsed(version)["run_id"] for version in before + during]
        found = reader.result and reader.result.run_id
        assert found in possible or (found is None and not before), (found, possible)

    def looks_at_the_pointer(self, version: Version) -> None:
        """It falls by a rollback alone, and a run is published again by a new execution alone."""
        history = [v for v in self.bucket.history if v.name == plays.POINTER]
        place = history.index(version)
        if place == 0:
            return
        before, now = (plays.parsed(each) for each in history[place - 1 : place + 1])
        kind = self.kind_of(version)
        if kind == "rollback":
            return
        assert (now["as_of"], now["order"]) >= (before["as_of"], before["order"]), (before, now)
        assert not before["hold"] or kind == "release", f"{kind} moved a pointer on hold"
        if now["run_id"] == before["run_id"] and kind != "release":
            assert now["order"] > before["order"], "it was published twice"

    def looks_at_what_was_deleted(self, version: Version) -> None:
        """It was not what a live task had made."""
        made = next(
            each.client
            for each in self.bucket.history
            if (each.name, each.generation) == (version.name, version.generation)
        )
        maker = next((each for each in self.stage.actors if each.client is made), None)
        if maker in self.tasks and version.client is not made:
            assert not maker.is_alive, f"{version.name} of a live task was collected"

    # --- How ------------------------------------------------------------------------------

    def has_room(self) -> bool:
        return len(self.stage.alive()) < MOST_ALIVE

    def some_run(self, data: st.DataObject) -> str:
        # The first one is never lost: there is always a published one.
        return data.draw(st.sampled_from(plays.committed(self.bucket)))

    def free_pins(self) -> list[str]:
        unpinned = [name for actor, name in self.unpinning.items() if actor.is_alive]
        taken = {*self.pins, *unpinned, *(name for name, _ in self.pinning.values())}
        return [name for name in ("exam", "paper") if name not in taken]

    def enters(
        self,
        kind: str,
        play: Any,
        far: int,
        *,
        task: tuple[Work, int, str] | None = None,
        pins: tuple[str, str] | None = None,
        **environment: str,
    ) -> None:
        began = len(self.bucket.history)
        actor = self.stage.enter(play, **environment)
        self.kinds[actor] = kind
        if task is not None:
            self.tasks[actor] = task
        if pins is not None:
            self.pinning[actor] = pins
        if kind == "reader":
            self.reading[actor] = began
        self.plays_on(actor, far)

    def enters_task(self, task: tuple[Work, int, str], variant: str, far: int) -> None:
        work, number, execution = task
        attempt = sum(each == task for each in self.tasks.values())
        self.enters(
            "publisher",
            work.publish(task=number, variant=variant),
            far,
            task=task,
            CLOUD_RUN_EXECUTION=execution,
            CLOUD_RUN_TASK_ATTEMPT=str(attempt),
        )

    def dead_tasks(self) -> list[tuple[Work, int, str]]:
        """Return the tasks of which every attempt has failed."""
        ended = {task for actor, task in self.tasks.items() if actor.is_alive or not actor.error}
        return list(dict.fromkeys(each for each in self.tasks.values() if each not in ended))

    def plays_on(self, actor: Actor, requests: int) -> None:
        for _ in range(requests):
            if not actor.is_alive:
                break
            actor.step()
            self.looks()
        self.refuses_nothing_that_is_right(actor)

    def refuses_nothing_that_is_right(self, actor: Actor) -> None:
        """Nobody fails who was not disturbed, but for a person who asks for what is gone."""
        if actor.is_alive or actor.error is None or died(actor):
            return
        if type(actor.error).__name__ == "ServiceUnavailable":
            return
        if self.kinds[actor] in {"rollback", "pin", "release"}:
            # The run is gone, or an unfinished pin has the name.
            assert isinstance(actor.error, CorruptRun | ValueError), actor.error
            return
        raise AssertionError(f"a {self.kinds[actor]} failed: {actor.error!r}") from actor.error

    def kind_of(self, version: Version) -> str:
        return next(
            (kind for actor, kind in self.kinds.items() if actor.client is version.client), "owner"
        )


def test_whatever_happens_readers_get_one_whole_published_run() -> None:
    run_state_machine_as_test(Publications, settings=LOOKED)


def test_collection_that_does_not_wait_for_tasks_is_found_out() -> None:
    class Impatient(Publications):
        """Collects what is older than two days, while tasks live for a year."""

        task_life = timedelta(days=365)

        @precondition(lambda self: self.stage.alive())
        @rule()
        def collects_beside_what_is_alive(self) -> None:
            self.time_passes(hours=49)
            self.collects(keep=1, far=1_000)

    found = settings(
        LOOKED,
        max_examples=2_000,
        database=None,
        # The first way to break it will do.
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Impatient, settings=found)
