"""Threads, forks, pickles and closing: the same for all accessors, on every backend."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor

ROOT = Path(__file__).resolve().parents[2]

# A program that makes an accessor of the kind, and a way to use it, told by a number.
PROGRAM = """
import multiprocessing, os, pickle, sys, threading
from google.auth.credentials import AnonymousCredentials
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor

kind, place = sys.argv[1:]
on_google = {"project": "test-project", "credentials": AnonymousCredentials(), "timeout": 30}
where = on_google if "127.0.0.1" in place else {"local": place}

if kind == "bigquery":
    os.environ["BIGQUERY_EMULATOR_HOST"] = place
    accessor = BigQueryAccessor(**where, labels={"team": "exams"})
    def use(accessor, number):
        assert accessor.query("SELECT @n AS n", {"n": number}).scalar() == number
elif kind == "storage":
    os.environ["STORAGE_EMULATOR_HOST"] = place
    accessor = CloudStorageAccessor(**where, labels={"team": "exams"})
    def use(accessor, number):
        accessor.write(f"gs://lessons/{number}.txt", str(number))
        assert accessor.read(f"gs://lessons/{number}.txt") == str(number)
else:
    if where is on_google:
        import gcp_accessor.backends.google.monitoring as backend
        from tests.stand_ins.monitoring import client_at
        # Only the address and the channel's security differ from what runs on Google Cloud.
        backend.MetricServiceClient = lambda credentials: client_at(place)
    accessor = MonitoringAccessor(**where, labels={"team": "exams"})
    def use(accessor, number):
        accessor.write(f"used_{number}", number)

def elsewhere(held):
    again = pickle.loads(held)
    assert again.labels == {"team": "exams"}
    use(again, 2)
    return os.getpid()

def used_by_child(number):
    use(accessor, number)
    return os.getpid()

if __name__ == "__main__":
    use(accessor, 1)
"""


@pytest.fixture(
    params=[
        (kind, on) for kind in ("bigquery", "storage", "monitoring") for on in ("local", "google")
    ],
    ids="-".join,
)
def program(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[str], tuple[str, list[Any]]]:
    """Run the program above with some lines more; who called the service, if there is one."""
    kind, on = request.param
    callers: list[Any] = []
    if on == "local":
        place = str(tmp_path / "place")
        if kind == "storage":
            request.getfixturevalue("local_store")
    elif kind == "bigquery":
        service = request.getfixturevalue("bigquery_service")
        place, callers = service.url, service.callers
    elif kind == "storage":
        service = request.getfixturevalue("cloud_storage")
        place, callers = service.url, service.callers
    else:
        place = request.getfixturevalue("monitoring").address

    def run(lines: str) -> tuple[str, list[Any]]:
        path = tmp_path / "program.py"
        path.write_text(PROGRAM + lines, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, path, kind, place],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, [port for port, _ in callers]

    return run


@pytest.fixture
def bigquery_service(tmp_path: Path) -> Any:
    from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
    from tests.stand_ins.bigquery import BigQueryStandIn

    with BigQueryStandIn(DuckDBWarehouse(tmp_path / "cloud")) as service:
        yield service


def test_a_used_accessor_can_be_pickled_and_works_in_a_spawned_process(
    program: Callable[[str], tuple[str, list[Any]]],
) -> None:
    program("""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(elsewhere, [pickle.dumps(accessor)]) != os.getpid()
    use(accessor, 3)
""")


def test_a_forked_process_has_connections_of_its_own_and_its_parents_go_on(
    program: Callable[[str], tuple[str, list[Any]]],
) -> None:
    _, ports = program("""
    child = os.fork()
    if not child:
        use(accessor, 2)
        # All of an interpreter's end, where what the parent opened might be closed.
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    use(accessor, 3)
    accessor.close()
""")

    if ports:
        parents, childs = {ports[0], ports[-1]}, set(ports) - {ports[0], ports[-1]}
        assert len(parents) == 1
        assert childs


def test_a_pool_of_forked_workers_uses_the_accessor_of_its_parent(
    program: Callable[[str], tuple[str, list[Any]]],
) -> None:
    program("""
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert os.getpid() not in pool.map(used_by_child, range(10, 19))
    use(accessor, 3)
""")


def test_a_process_forked_while_threads_work_can_work_too(
    program: Callable[[str], tuple[str, list[Any]]], request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.id in ("bigquery-local", "monitoring-google"):
        pytest.skip(
            "DuckDB and gRPC do not survive a fork in the middle of a call; releases of theirs "
            "that do would lift this"
        )
    program("""
    going_on = threading.Event()
    def work(start):
        number = start
        while not going_on.is_set():
            number += 1
            use(accessor, number)
    threads = [threading.Thread(target=work, args=[10_000 * n]) for n in range(1, 4)]
    for thread in threads: thread.start()
    for number in range(2, 5):
        child = os.fork()
        if not child:
            use(accessor, number)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    going_on.set()
    for thread in threads: thread.join()
""")


# --- Threads and closing, in this process -------------------------------------------------


def test_sixteen_threads_use_one_warehouse_at_once(exams: BigQueryAccessor) -> None:
    numbers = range(16)

    with ThreadPoolExecutor(16) as threads:
        found = threads.map(lambda n: exams.query("SELECT @n AS n", {"n": n}).scalar(), numbers)

    assert list(found) == list(numbers)


def test_sixteen_threads_use_one_store_at_once(store: CloudStorageAccessor) -> None:
    def write_and_read(number: int) -> object:
        store.write(f"gs://lessons/{number}.txt", str(number))
        return store.read(f"gs://lessons/{number}.txt")

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(write_and_read, range(64)))

    assert found == [str(number) for number in range(64)]


def test_sixteen_threads_write_metrics_at_once(metrics: MonitoringAccessor) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: metrics.write(f"thread_{n}", n), range(64)))


def test_closing_a_warehouse_is_no_end_and_may_be_repeated(warehouse: BigQueryAccessor) -> None:
    close_and_use(warehouse, lambda: warehouse.query("SELECT 1 AS n").scalar())


def test_closing_a_store_is_no_end_and_may_be_repeated(store: CloudStorageAccessor) -> None:
    close_and_use(store, lambda: store.write("gs://lessons/a.txt", "text"))


def test_closing_metrics_is_no_end_and_may_be_repeated(metrics: MonitoringAccessor) -> None:
    names = (f"use_{number}" for number in itertools.count())

    close_and_use(metrics, lambda: metrics.write(next(names), 1))


def close_and_use(accessor: Any, use: Callable[[], object]) -> None:
    accessor.close()
    use()
    accessor.close()
    accessor.close()
    use()
    with accessor as same:
        use()

    assert same is accessor
    use()
