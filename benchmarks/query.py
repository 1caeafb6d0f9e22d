"""What a query costs beyond Google's own client, and a million rows as a DataFrame.

    nox -s bench -- query
    nox -s bench -- query --pairs 40 --rounds 5

Everything is on this machine: BigQuery and its Storage Read API are the tests' stand-ins, in a
process of their own. Ways take turns; a ratio is the median of those of paired runs. Seconds
are of wall clock with the stand-in's in them, which makes JSON of rows as slowly as the client
reads it; CPU seconds are of the asking process alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
COLUMNS = """n AS item, CONCAT('student-', CAST(MOD(n, 5000) AS STRING)) AS student,
  MOD(n, 3) = 0 AS is_correct, n / 7 AS seconds"""
IMPORTS = {
    "import google.cloud.bigquery": "import google.cloud.bigquery",
    "all that a first query imports": (
        "import gcp_accessor.backends.google.bigquery, gcp_accessor.bigquery"
    ),
}


def rows_of(count: int) -> str:
    """Return a query for so many rows of four columns."""
    return f"SELECT {COLUMNS} FROM UNNEST(GENERATE_ARRAY(1, {count})) AS n ORDER BY n"


def main() -> None:
    """Measure, and print a table of each claim."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30, help="runs of each way to query")
    parser.add_argument("--rounds", type=int, default=3, help="frames of each way")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of a frame")
    parser.add_argument("--serve", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    imports(options.pairs // 2)
    with tempfile.TemporaryDirectory() as folder, stand_ins(Path(folder, "cloud")) as addresses:
        for count in (1, 900, 20_000):
            overhead(addresses, count, options.pairs)
        frames(addresses, Path(folder), options.rows, options.rounds)


def imports(rounds: int) -> None:
    """Print what importing takes, each time in a new process."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(rounds):
        for name, code in IMPORTS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[name].append(time.perf_counter() - started)
    print(f"{'imports':44}{'seconds':>10}")
    for name, values in seconds.items():
        print(f"{name:44}{statistics.median(values):10.3f}")


def overhead(addresses: dict[str, str], count: int, pairs: int) -> None:
    """Print what our query takes beyond the client's, run for run."""
    sql = rows_of(count)
    client, accessor = connect(addresses)
    ways: dict[str, Callable[[], object]] = {
        "list(client.query(sql).result())": lambda: list(client.query(sql).result()),
        "warehouse.query(sql).rows()": lambda: accessor.query(sql).rows(),
    }
    requests = {name: requests_of(addresses, way) for name, way in ways.items()}
    runs = in_turn(ways, pairs)
    print(f"\n{f'a query of {count:,} rows':44}{'seconds':>10}{'CPU':>10}{'requests':>10}")
    for name, measured in runs.items():
        wall, cpu = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"{name:44}{wall:10.4f}{cpu:10.4f}{requests[name]:10}")
    raw, ours = runs.values()
    print(f"{'ours to the client, median of pairs':44}{ratio(ours, raw, 0):10.3f}", end="")
    print(f"{ratio(ours, raw, 1):10.3f}")
    accessor.close()
    client.close()


def frames(addresses: dict[str, str], folder: Path, rows: int, rounds: int) -> None:
    """Print how long a DataFrame takes in each way; the query itself is not counted."""
    import pandas

    from gcp_accessor import BigQueryAccessor

    sql = rows_of(rows)
    client, accessor = connect(addresses)
    local = BigQueryAccessor(local=folder / "local")
    job = client.query(sql)
    job.result(page_size=1)
    streamed, here = accessor.query(sql), local.query(sql)
    ways: dict[str, Callable[[], object]] = {
        "DataFrame([list(r.values()) for r in ...])": lambda: pandas.DataFrame(
            [list(row.values()) for row in job.result(page_size=10_000)],
            columns=[field.name for field in job.schema],
        ),
        "over Storage Read": streamed.to_dataframe,
        "on the local backend": here.to_dataframe,
        "on the local backend, with the query": lambda: local.query(sql).to_dataframe(),
    }
    runs = in_turn(ways, rounds)
    raw = next(iter(runs.values()))
    print(
        f"\n{f'{rows:,} rows into a DataFrame':44}{'seconds':>10}{'CPU':>10}{'times':>10}", end=""
    )
    print(f"{'CPU times':>10}")
    for name, measured in runs.items():
        wall, cpu = (statistics.median(values) for values in zip(*measured, strict=True))
        times = f"{ratio(raw, measured, 0):10.1f}{ratio(raw, measured, 1):10.1f}"
        print(f"{name:44}{wall:10.3f}{cpu:10.3f}{times}")
    accessor.close()
    client.close()


def in_turn(
    ways: dict[str, Callable[[], object]], rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Run every way in turn, the first turn uncounted; return seconds of wall clock and CPU."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        # The first of a pair is first and second in turn.
        order = list(ways.items())[:: -1 if turn % 2 else 1]
        for name, way in order:
            started, cpu = time.perf_counter(), time.process_time()
            way()
            if turn:
                runs[name].append((time.perf_counter() - started, time.process_time() - cpu))
    return runs


def ratio(these: list[tuple[float, float]], those: list[tuple[float, float]], at: int) -> float:
    """Return the median ratio of paired runs: of wall clock at 0, of CPU at 1."""
    return statistics.median(a[at] / b[at] for a, b in zip(these, those, strict=True))


def connect(addresses: dict[str, str]) -> tuple[Any, Any]:
    """Return Google's client and an accessor, each with connections of its own."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from gcp_accessor import BigQueryAccessor
    from tests.stand_ins.storage_read import client_at

    client, under = (
        bigquery.Client(
            project="test-project",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": addresses["bigquery"]},
        )
        for _ in range(2)
    )
    return client, BigQueryAccessor(client=under, read_client=client_at(addresses["storage_read"]))


def requests_of(addresses: dict[str, str], way: Callable[[], object]) -> int:
    """Return how many requests the service counts while this runs."""
    before = int(urllib.request.urlopen(addresses["count"]).read())
    way()
    return int(urllib.request.urlopen(addresses["count"]).read()) - before


@contextmanager
def stand_ins(folder: Path) -> Iterator[dict[str, str]]:
    """Start the services in a process of their own; give their addresses."""
    command = [sys.executable, __file__, "--serve", str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout is not None
        yield json.loads(served.stdout.readline())
        served.communicate("")


def serve(folder: Path) -> None:
    """Serve until standard input ends."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
    from tests.stand_ins.bigquery import BigQueryStandIn
    from tests.stand_ins.storage_read import StorageReadStandIn

    class Count(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(bigquery.requests.total()).encode())

        def log_message(self, *_: object) -> None:
            pass

    folder.mkdir()
    with (
        BigQueryStandIn(DuckDBWarehouse(folder)) as bigquery,
        StorageReadStandIn(bigquery) as reads,
    ):
        reads.message_rows = 20_000
        count = HTTPServer(("127.0.0.1", 0), Count)
        Thread(target=count.serve_forever, daemon=True).start()
        addresses = {
            "bigquery": bigquery.url,
            "storage_read": reads.address,
            "count": f"http://127.0.0.1:{count.server_port}",
        }
        print(json.dumps(addresses), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
