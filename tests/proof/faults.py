"""Every fault at every request of a whole run on Google Cloud's stand-ins.

    nox -s proof -- faults
    nox -s proof -- faults --part 3/40      only every 40th cell, from the third

`etl-jobs run calibrate` runs from beginning to end, each request of it over HTTP. A cell of the
matrix is one fault at one request. The run either succeeds all the same or fails with one sentence,
and then the next one succeeds; what is published in the end, and what the tables hold, is what
an undisturbed run leaves, once.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import shutil
import sys
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from google.auth.credentials import AnonymousCredentials

from etl_jobs.cli import main as etl_jobs
from gcp_accessor.backends import Statement
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins import bigquery
from tests.stand_ins.bigquery import ApiError, BigQueryStandIn
from tests.stand_ins.cloud_storage import CloudStorageStandIn, Fault
from tests.stand_ins.cloud_storage.faults import Faults
from tests.stand_ins.monitoring import MonitoringStandIn
from tests.test_storage_faults import LASTING, PASSING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOG = Path(__file__).resolve().parents[2] / "examples" / "lsat6.csv.gz"
BUCKET = "lessons"
DAY = "2024-03-31"
TABLES = ("answers_latest", "answers_rejected", "item_features", "item_parameters")

STORAGE = {
    **PASSING,
    **{name: [fault] for name, (fault, _) in LASTING.items()},
    "damaged": [Fault("damaged")],
}
# Of requests, what the service answers instead; or what it does before it hangs up.
WAREHOUSE = {
    **{f"{reason}": reason for reason in ("backendError", "internalError", "accessDenied")},
    **{f"{reason}": reason for reason in ("notFound", "invalid", "stopped")},
    "lost reply": None,
}
# Of jobs, how they end.
JOB = {f"job ends: {reason}": reason for reason in ("backendError", "internalError", "stopped")}


class Cell(NamedTuple):
    """One fault at one request, or of one job."""

    service: str
    fault: str
    number: int


@dataclass(frozen=True)
class Ended:
    """How a cell ended.

    Attributes:
        request: What met the fault.
        went: "succeeded", "failed, then succeeded", or what is wrong.
        jobs: How many jobs BigQuery ran more than for an undisturbed run.
    """

    cell: Cell
    request: str
    went: str
    jobs: int


class _Script(Faults):
    """Faults from the n-th request on; notes who met the first one."""

    def __init__(self, faults: Sequence[Fault] = (), number: int = 0) -> None:
        super().__init__()
        self.met: str | None = None
        self.count = 0
        self._script = list(faults)
        self._number = number
        self._counting = threading.Lock()

    def next(self, method: str) -> Fault:
        with self._counting:
            self.count += 1
            place = self.count - self._number
            if not self._number or not 0 <= place < len(self._script):
                return Fault("none")
            self.met = self.met or method
            return self._script[place]


class _Warehouse(BigQueryStandIn):
    """BigQuery, of which the n-th request meets a fault, or whose n-th job fails."""

    def __init__(self, engine: DuckDBWarehouse, cell: Cell | None) -> None:
        super().__init__(engine)
        self.met: str | None = None
        self.count = 0
        self._cell = cell
        self._counting = threading.Lock()

    def take_fault(self, request: str) -> bigquery.Fault | None:
        with self._counting:
            self.count += 1
            if self._cell is None or self._cell[0] != "bigquery" or self._cell[2] != self.count:
                return None
            self.met = request
        reason = WAREHOUSE[self._cell.fault]
        error = None if reason is None else ApiError(reason, f"injected {reason}")
        return bigquery.Fault(mock.ANY, 0, error, reply_lost=reason is None)

    def _run(self, job: bigquery.Job, run: Any, media: bytes | None) -> None:
        cell = self._cell
        if cell is None or cell.service != "jobs" or list(self.jobs).index(job.id) != cell.number:
            return super()._run(job, run, media)
        self.met = f"job {job.kind}"
        job.error = ApiError(JOB[cell.fault], f"injected {JOB[cell.fault]}")
        job.ended = job.created
        job.done.set()
        return None


class Cloud:
    """Google Cloud on this machine, with the log in the warehouse and one fault on its way."""

    def __init__(self, folder: Path, cell: Cell | None = None) -> None:
        self.engine = DuckDBWarehouse(folder)
        self.storage = CloudStorageStandIn()
        self.storage.create_bucket(BUCKET)
        on_storage = cell is not None and cell.service == "storage"
        self.script = _Script(STORAGE[cell.fault], cell.number) if on_storage else _Script()
        self.storage.faults = self.script
        self.warehouse = _Warehouse(self.engine, cell)
        self.monitoring = MonitoringStandIn()

    @property
    def met(self) -> str | None:
        """What met the fault; None while nothing has."""
        if self.script.met is not None:
            return self.storage.requests[self.script._number - 1]
        return self.warehouse.met

    def run(self) -> tuple[int, str]:
        """Run the main job; return its exit code and what it said of what went wrong."""
        said = io.StringIO()
        with self._running(), redirect_stdout(io.StringIO()), redirect_stderr(said):
            code = etl_jobs(
                [
                    *("run", "calibrate", "--project", self.warehouse.project),
                    *("--bucket", BUCKET, "--as-of", DAY),
                ]
            )
        return code, said.getvalue()

    @contextmanager
    def _running(self) -> Iterator[None]:
        hosts = {
            "STORAGE_EMULATOR_HOST": self.storage.url,
            "BIGQUERY_EMULATOR_HOST": self.warehouse.url,
            "MONITORING_EMULATOR_HOST": self.monitoring.address,
        }
        signed_in = AnonymousCredentials(), self.warehouse.project
        # The services are near: nobody needs to wait for them to recover.
        soon = mock.Mock(side_effect=lambda *_, **__: itertools.repeat(0.01))
        waits = "google.api_core.retry.retry_unary.exponential_sleep_generator"
        with (
            mock.patch.dict(os.environ, hosts),
            mock.patch("google.auth.default", return_value=signed_in),
            mock.patch(waits, soon),
        ):
            yield

    def published(self) -> dict[str, bytes]:
        """Return the content of each published file, by its job and name."""
        held = {name: each.content for name, each in self.storage.buckets[BUCKET].items()}
        content = {}
        for name in [name for name in held if name.endswith("/latest.json")]:
            job = name.removesuffix("/latest.json")
            run_id = json.loads(held[name])["run_id"]
            manifest = json.loads(held[f"{job}/runs/{run_id}/manifest.json"])
            for file in manifest["files"]:
                content[f"{job}/{file['name']}"] = held[file["object_name"]]
        return content

    def commits(self) -> int:
        """Return how many runs are committed."""
        return sum(name.endswith("/manifest.json") for name in self.storage.buckets[BUCKET])

    def rows(self) -> dict[str, object]:
        """Return how many rows each table holds."""
        return {
            table: next(
                iter(self.engine.run(Statement(f"SELECT COUNT(*) FROM `etl.{table}`")).rows())
            )[0]
            for table in TABLES
        }


@contextmanager
def cloud(prepared: Path, cell: Cell | None = None) -> Iterator[Cloud]:
    """Give a cloud of its own that begins as `prepared`."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        made = Cloud(Path(folder), cell)
        with made.storage, made.warehouse, made.monitoring:
            yield made


def prepare(folder: Path) -> None:
    """Make a warehouse that holds the log."""
    from etl_jobs.inputs.load import load_input
    from gcp_accessor import BigQueryAccessor

    folder.mkdir()
    with BigQueryAccessor(local=folder) as warehouse:
        for dataset in ("raw", "etl"):
            warehouse.create_dataset(dataset)
        load_input(warehouse, "raw.answers", LOG)


@dataclass(frozen=True)
class Undisturbed:
    """What a run leaves that nothing disturbs, and of how much it consists."""

    published: dict[str, bytes]
    rows: dict[str, object]
    commits: int
    storage_requests: int
    warehouse_requests: int
    jobs: int
    requests: list[str]


def undisturbed(prepared: Path) -> Undisturbed:
    """Run once without a fault."""
    with cloud(prepared) as place:
        code, said = place.run()
        if code:
            raise RuntimeError(f"the undisturbed run failed: {said}")
        return Undisturbed(
            place.published(),
            place.rows(),
            place.commits(),
            place.script.count,
            place.warehouse.count,
            len(place.warehouse.jobs),
            list(place.storage.requests),
        )


def cells(expected: Undisturbed) -> list[Cell]:
    """Return the whole matrix."""
    numbers = range(1, expected.storage_requests + 1)
    asked = range(1, expected.warehouse_requests + 1)
    return [
        *(Cell("storage", fault, number) for number in numbers for fault in STORAGE),
        *(Cell("bigquery", fault, number) for number in asked for fault in WAREHOUSE),
        *(Cell("jobs", fault, number) for number in range(expected.jobs) for fault in JOB),
    ]


def disturb(prepared: Path, cell: Cell, expected: Undisturbed) -> Ended:
    """Run with the fault, once more if that failed, and compare what there is in the end."""
    with cloud(prepared, cell) as place:
        try:
            code, said = place.run()
            went = "succeeded"
            if code:
                went = "failed, then succeeded"
                if wrong := unclear(code, said):
                    return Ended(cell, place.met or "nothing", wrong, 0)
                code, said = place.run()
        except Exception as error:  # whatever comes out of the command line is wrong
            return Ended(cell, place.met or "nothing", f"raised {error!r}", 0)
        more = len(place.warehouse.jobs) - expected.jobs
        if code:
            went = f"the run after it failed: {said}"
        elif place.published() != expected.published:
            went = "other bytes are published"
        elif place.rows() != expected.rows:
            went = f"the tables hold {place.rows()}"
        elif place.commits() != expected.commits:
            went = f"{place.commits()} runs are committed"
        return Ended(cell, place.met or "nothing", went, more)


def unclear(code: int, said: str) -> str | None:
    """Return what is wrong with how the command line said that it failed."""
    if code not in (1, 75) or not said.startswith("etl-jobs: ") or "Traceback" in said:
        return f"ended with {code}, saying {said!r}"
    return None


def main() -> None:
    """Go through the matrix and print it, a line for each fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", default="1/1", help="N/OF: every OF-th cell, from the N-th")
    options = parser.parse_args()
    first, of = map(int, options.part.split("/"))
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        prepared = Path(folder) / "prepared"
        prepare(prepared)
        expected = undisturbed(prepared)
        chosen = cells(expected)[first - 1 :: of]
        print(
            f"{expected.storage_requests} requests to Cloud Storage, "
            f"{expected.warehouse_requests} to BigQuery, {expected.jobs} jobs: "
            f"{len(chosen):,} of {len(cells(expected)):,} cells"
        )
        ended = []
        for cell in chosen:
            ended.append(disturb(prepared, cell, expected))
            if ended[-1].went not in GOOD:
                print(f"WRONG: {ended[-1]}", flush=True)
    print_matrix(ended)
    sys.exit(any(each.went not in GOOD for each in ended))


GOOD = ("succeeded", "failed, then succeeded")


def print_matrix(ended: Sequence[Ended]) -> None:
    """Print how often a run with a fault succeeded by itself, or by the next one."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for each in ended:
        row = counts.setdefault((each.cell.service, each.cell.fault), Counter())
        row[each.went if each.went in GOOD else "wrong"] += 1
        row["more jobs"] += max(each.jobs, 0)
    columns = (*GOOD, "wrong", "more jobs")
    print(f"{'':38}" + "".join(f"{column:>24}" for column in columns))
    for (service, fault), row in counts.items():
        print(f"{service + ': ' + fault:38}" + "".join(f"{row[column]:24,}" for column in columns))


if __name__ == "__main__":
    main()
