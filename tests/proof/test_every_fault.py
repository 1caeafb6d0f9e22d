"""Every request of what is done at a publication, and every fate that it may meet, one by one.

Whatever befalls one attempt, readers see one whole run at any moment, and the next attempt leaves
what an undisturbed one would have left.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import ServiceUnavailable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proof import plays
from tests.proof.bucket import FATES, Killed
from tests.proof.plays import Work
from tests.proof.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.proof.bucket import Fate
    from tests.proof.plays import Play
    from tests.proof.stage import Actor

DAY = date(2024, 3, 1)
BEFORE = Work(DAY - timedelta(days=1), "before")


def disturb(stage: Stage, play: Play, step: int, fate: Fate) -> Actor:
    """Play it with this fate for one of its requests, if it makes as many."""
    actor = stage.enter(play, CLOUD_RUN_EXECUTION="an-execution")
    for _ in range(step):
        if actor.is_alive:
            actor.step()
    if actor.is_alive:
        actor.step(fate)
    while actor.is_alive:
        actor.step()
    assert actor.error is None or isinstance(actor.error, Killed | ServiceUnavailable), actor.error
    return actor


def each_request(prepared: Callable[[], Stage], play: Play) -> Iterator[tuple[Stage, int]]:
    """Yield a stage for each request that the play makes when nothing disturbs it."""
    with prepared() as stage:
        actor = stage.enter(play, CLOUD_RUN_EXECUTION="an-execution")
        requests = 0
        while actor.is_alive:
            actor.step()
            requests += 1
        assert actor.error is None, actor.error
    assert requests > 0
    for step in range(requests):
        with prepared() as stage:
            yield stage, step


def with_a_run_of_the_day_before() -> Stage:
    stage = Stage()
    assert stage.play(BEFORE.publish(), CLOUD_RUN_EXECUTION="yesterdays") == "published"
    return stage


def runs_seen(stage: Stage) -> list[str]:
    """Return the runs that the pointer named, in turn."""
    return [each["run_id"] for each in plays.pointers(stage.bucket)]


@pytest.mark.parametrize("variant", ["the same", "other bytes"])
@pytest.mark.parametrize("fate", FATES)
def test_a_publisher_who_is_disturbed_anywhere_publishes_once_when_retried(
    fate: Fate, variant: str
) -> None:
    work = Work(DAY, "a")
    for stage, step in each_request(with_a_run_of_the_day_before, work.publish()):
        disturb(stage, work.publish(), step, fate)
        before = stage.play(plays.read)

        outcome = stage.play(
            work.publish(variant=variant),
            CLOUD_RUN_EXECUTION="an-execution",
            CLOUD_RUN_TASK_ATTEMPT="1",
        )

        after = stage.play(plays.read)
        assert outcome in {"published", "already published"}
        assert after.as_of == DAY
        assert before.as_of in {BEFORE.day, DAY}
        assert before.as_of == BEFORE.day or before == after
        assert (before.as_of == DAY) == (outcome == "already published")
        # One manifest, and one move of the pointer.
        assert len(plays.committed(stage.bucket)) == 2
        assert len(runs_seen(stage)) == 2
        assert plays.damage(stage.bucket, after.run_id) is None


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("last", [0, 1])
def test_one_of_two_tasks_who_is_disturbed_anywhere_commits_once_when_retried(
    last: int, fate: Fate
) -> None:
    work = Work(DAY, "a", tasks=2)

    def prepared() -> Stage:
        stage = Stage()
        stage.play(work.publish(task=1 - last), CLOUD_RUN_EXECUTION="an-execution")
        return stage

    for stage, step in each_request(prepared, work.publish(task=last)):
        disturb(stage, work.publish(task=last), step, fate)

        stage.play(
            work.publish(task=last, variant="other bytes"), CLOUD_RUN_EXECUTION="an-execution"
        )

        manifest = stage.play(plays.read)
        assert [file.name for file in manifest.files] == ["part-0.json", "part-1.json"]
        assert len(plays.committed(stage.bucket)) == 1
        assert len(runs_seen(stage)) == 1


@settings(deadline=None, max_examples=300)
@given(
    attempts=st.lists(st.tuples(st.integers(0, 25), st.sampled_from(FATES)), min_size=2, max_size=6)
)
def test_any_number_of_attempts_may_be_disturbed(attempts: list[tuple[int, Fate]]) -> None:
    work = Work(DAY, "a")
    with with_a_run_of_the_day_before() as stage:
        for number, (step, fate) in enumerate(attempts):
            disturb(stage, work.publish(variant=f"attempt {number}"), step, fate)
            assert stage.play(plays.read).as_of in {BEFORE.day, DAY}

        stage.play(work.publish(variant="the last"), CLOUD_RUN_EXECUTION="an-execution")

        assert stage.play(plays.read).as_of == DAY
        assert len(plays.committed(stage.bucket)) == 2
        assert len(runs_seen(stage)) == 2
