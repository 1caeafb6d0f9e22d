"""Real processes, killed and raced: a few of what `nox -s proof` does hundreds of times."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.proof import kills, race

if TYPE_CHECKING:
    from pathlib import Path


def test_a_main_job_that_is_killed_and_run_again_publishes_the_same_and_readers_notice_nothing(
    tmp_path: Path,
) -> None:
    tally = kills.Tally()

    kills.prove(tmp_path, kills=3, days=3, source=random.Random(7), tally=tally)

    assert tally.wrong == []
    assert sum(tally.hit.values()) == 3
    assert tally.reads > 0


def test_of_eight_processes_at_once_the_last_one_to_begin_is_published(tmp_path: Path) -> None:
    said = race.race(tmp_path, rounds=6)

    assert said.startswith("8 processes, 6 rounds")
