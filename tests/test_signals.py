"""Commands that are told to stop: how they end, and what they leave to the next attempt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from etl_jobs.cli import main
from etl_jobs.errors import Terminated
from etl_jobs.stopping import heard, heed, told
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.counting import Counting
from tests.stand_ins.bigquery import BigQueryStandIn, Job

if TYPE_CHECKING:
    from gcp_accessor import CloudStorageAccessor

ROOT = Path(__file__).resolve().parent.parent
LSAT6 = f"raw.answers={ROOT / 'examples' / 'lsat6.csv.gz'}"


def stopped(by: signal.Signals, while_: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the main job in a process that signals itself where `while_` says."""
    typed = ["run", "calibrate", "--local", str(folder), "--input", LSAT6]
    code = f"import os, signal, sys\nby = {by.value}\n{textwrap.dedent(while_)}\n"
    code += f"from etl_jobs.cli import main; sys.exit(main({typed!r}))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


# A library that is imported late in a run, and swallows whatever is raised meanwhile.
SWALLOWED = """
import importlib.abc

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "scipy.special":
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), by)
            except BaseException:
                pass

sys.meta_path.insert(0, Finder())
"""
# The first table that is looked at is asked for by a process that is told to stop.
IN_THE_WORK = """
from etl_jobs import place
opened = place.open_place

def open_place(place):
    opened(place)
    os.kill(os.getpid(), by)

place.open_place = open_place
"""


@pytest.mark.parametrize(
    ("by", "code", "said"),
    [
        (signal.SIGINT, 130, "stopped; what was not finished was not published"),
        (signal.SIGTERM, 143, "told to end (SIGTERM); run again, it goes on where it was"),
    ],
)
@pytest.mark.parametrize("while_", [SWALLOWED, IN_THE_WORK], ids=["in-an-import", "in-the-work"])
def test_a_signal_stops_a_run_with_one_sentence_wherever_it_comes(
    by: signal.Signals, code: int, said: str, while_: str, tmp_path: Path
) -> None:
    ended = stopped(by, while_, tmp_path)

    assert (ended.returncode, ended.stderr) == (code, f"etl-jobs: {said}\n")
    assert not (tmp_path / "buckets/etl/calibrate/latest.json").exists()
    assert main(["run", "calibrate", "--local", str(tmp_path), "--input", LSAT6]) == 0


def test_a_signal_is_remembered_until_it_is_heeded() -> None:
    with heard():
        with pytest.raises(Terminated):
            os.kill(os.getpid(), signal.SIGTERM)

        assert told() is signal.SIGTERM
        with pytest.raises(Terminated):
            heed()


def test_a_command_leaves_the_handlers_as_it_found_them(tmp_path: Path) -> None:
    before = [signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)]

    assert main(["list"]) == 0

    assert [signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_a_shell_had_it_ignore_stays_ignored(tmp_path: Path) -> None:
    ignored = f"signal.signal(by, signal.SIG_IGN)\n{IN_THE_WORK}"

    ended = stopped(signal.SIGINT, ignored, tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(("by", "cancelled"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_sigterm_leaves_the_query_to_the_next_attempt_and_ctrl_c_cancels_it(
    by: signal.Signals,
    cancelled: bool,
    google_store: CloudStorageAccessor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLOUD_RUN_EXECUTION", "night-1")
    with (
        BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service,
        service.accessor(dataset="exams") as warehouse,
    ):
        warehouse.create_dataset("exams")
        counting = Counting(warehouse, google_store, tmp_path / "jobs")
        counting.run()
        service.job_seconds = 2.0

        def queries() -> list[Job]:
            jobs = list(service.jobs.values())
            return [job for job in jobs if "7 + COUNT" in str(job.configuration)]

        def signal_a_query() -> None:
            while not queries():
                time.sleep(0.05)
            os.kill(os.getpid(), by)

        watch = Thread(target=signal_a_query)
        watch.start()
        with heard(), pytest.raises((Terminated, KeyboardInterrupt)):
            counting.run(count="7 + COUNT(*)")
        watch.join()
        asked = any(path.endswith("/cancel") for path in service.requests)
        service.job_seconds = 0.0
        again = counting.run(count="7 + COUNT(*)")

        assert asked is cancelled
        assert len(queries()) == (2 if cancelled else 1)
        assert again.state == "published"
