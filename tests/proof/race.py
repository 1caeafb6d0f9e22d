"""Eight processes publish at once, round after round, while others read.

    nox -s proof -- race --rounds 100
    nox -s proof -- race --jobs 8

In every other round all of them make the same run; in the others each makes one of its own, of the
same day. One of them wins every time: the pointer is never torn, never skipped, and names the run
of the execution that began last. With `--jobs` it is the main job itself that so many processes
run in one folder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gcp_accessor import CloudStorageAccessor
from tests.proof import kills

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

FIRST_DAY = date(2024, 3, 1)
URI = "gs://etl/calibrate"
PROCESSES = 8
_SECONDS = 120


def main() -> None:
    """Race, and print who won."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=0, help="race the main job instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="race-") as folder:
        if options.jobs:
            print(race_jobs(Path(folder), options.jobs))
        else:
            print(race(Path(folder), options.rounds))


def race(folder: Path, rounds: int) -> str:
    """Let eight processes publish in so many rounds; return what happened.

    Raises:
        AssertionError: something did that must not.
    """
    store = CloudStorageAccessor(local=folder)
    store.create_bucket("etl")
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(PROCESSES)
    ended, read = threading.Event(), [0]
    reader = threading.Thread(target=read_on, args=(folder, ended, read))
    runners = [
        spawn.Process(target=publish, args=(folder, number, rounds, barrier))
        for number in range(PROCESSES)
    ]
    reader.start()
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    ended.set()
    reader.join()
    assert [runner.exitcode for runner in runners] == [0] * PROCESSES
    assert read[0] >= 0, "a reader got half a run, or an older one"
    moves = check_trail(folder)
    check_commits(folder, rounds)
    return (
        f"{PROCESSES} processes, {rounds} rounds: {moves} moves of the pointer, each on top of "
        f"the one before; {read[0]:,} reads meanwhile"
    )


def day_of(round_: int) -> date:
    return FIRST_DAY + timedelta(days=round_)


def is_one_run(round_: int) -> bool:
    """Whether all make the same run."""
    return round_ % 2 == 0


def publish(folder: Path, number: int, rounds: int, barrier: Barrier) -> None:
    """Be one of the processes."""
    publication = CloudStorageAccessor(local=folder).publication(URI)
    for round_ in range(rounds):
        run = publication.run(day_of(round_), "all" if is_one_run(round_) else f"of {number}")
        run.start({})
        run.write("a.json", lambda run=run: {"run_id": run.run_id})
        run.write("b.json", lambda run=run: {"run_id": run.run_id})
        run.commit({})
        # All come to the pointer at once.
        barrier.wait(_SECONDS)
        run.publish()
        barrier.wait(_SECONDS)
        if number == 0:
            pointer = json.loads((folder / "buckets/etl/calibrate/latest.json").read_text())
            newest = max(
                path.stat().st_mtime_ns // 1000
                for path in (folder / "buckets/etl/calibrate/runs").glob(
                    f"{day_of(round_)}-*/starts/*.json"
                )
            )
            assert pointer["as_of"] == str(day_of(round_))
            assert pointer["order"] == newest, "another than the last execution won"
        barrier.wait(_SECONDS)


def read_on(folder: Path, ended: threading.Event, read: list[int]) -> None:
    """Read without a pause; the count is negative once something was wrong."""
    publication = CloudStorageAccessor(local=folder).publication(URI)
    newest = date.min
    while not ended.wait(0.005):
        if publication.latest() is None:
            continue
        content, manifest = publication.read("a.json")
        other = publication.read("b.json", run_id=manifest.run_id).content
        if {content["run_id"], other["run_id"]} != {manifest.run_id} or manifest.as_of < newest:
            read[0] = -1
            return
        newest = manifest.as_of
        read[0] += 1


def check_trail(folder: Path) -> int:
    """Follow the pointers back to the first one; return how many there were."""
    trail = {
        int(path.stem): json.loads(path.read_text())
        for path in (folder / "buckets/etl/calibrate/published").iterdir()
    }
    pointer = folder / "buckets/etl/calibrate/latest.json"
    generation, followed = pointer.stat().st_mtime_ns // 1000, 0
    assert trail[generation] == json.loads(pointer.read_text())
    while generation:
        generation = trail[generation]["replaces"]
        followed += 1
    assert followed == len(trail), "a pointer was put in place of none that was there"
    return followed


def check_commits(folder: Path, rounds: int) -> None:
    """Make sure that each run was committed once, by whomever."""
    for round_ in range(rounds):
        runs = folder / "buckets/etl/calibrate/runs"
        found = list(runs.glob(f"{day_of(round_)}-*/manifest.json"))
        assert len(found) == (1 if is_one_run(round_) else PROCESSES)


def race_jobs(folder: Path, processes: int) -> str:
    """Run the main job of one day in so many processes at once, until all have succeeded.

    Raises:
        AssertionError: another sum of it is there than of one run.
    """
    alone, together = folder / "alone", folder / "together"
    kills.run(alone, kills.FIRST_DAY)
    environment = os.environ | {"GCP_ACCESSOR_LOCAL_WAIT": "300"}
    codes: list[int] = []
    while codes.count(0) < processes:
        started = [
            subprocess.Popen(
                kills.command(together, kills.FIRST_DAY),
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(processes - codes.count(0))
        ]
        for each in started:
            _, said = each.communicate()
            # Two runs met at a day of a table, or the like: the one that says so tries again.
            assert each.returncode in (0, 75), said.decode()
            codes.append(each.returncode)
    days = [kills.FIRST_DAY]
    assert kills.published(together, days) == kills.published(alone, days)
    for job in kills.JOBS:
        commits = list((together / "buckets" / "etl" / job / "runs").glob("*/manifest.json"))
        assert len(commits) == 1, f"{job}: {len(commits)} runs are committed"
    return (
        f"{processes} runs of the main job at once: {codes.count(0)} succeeded, "
        f"{len(codes) - codes.count(0)} had to try again; one run of each job is committed"
    )


if __name__ == "__main__":
    sys.exit(main())
