"""Rows into a csv.gz object and out again, against 0.0.6's way, the csv module and pandas.

    nox -s bench -- csv_gzip
    nox -s bench -- csv_gzip --columns integers --rounds 5

Everything is on this machine: the store is a folder, and peers write one file there. Ways take
turns in one process and medians are shown, with how many times ours each one takes. Memory is
how much the peak of a process of its own grows by the call, beyond its input.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gcp_accessor import CloudStorageAccessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = ["student", "item", "attempt", "seconds"]
URI = "gs://bench/{}.csv.gz"


def main() -> None:
    """Measure every way in turn and print a table of each claim."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", choices=["mixed", "integers"], default="mixed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--grow", nargs=2, metavar=("WAY", "ROWS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = CloudStorageAccessor(local=folder)
        store.create_bucket("bench")
        if options.grow:
            print(growth(store, options.grow[0], int(options.grow[1])))
            return
        # First, since a process begins with the peak of the one that starts it.
        for way in ("generator", "arrow", "frame", "iter_rows"):
            grown = [measured(way, rows) for rows in (options.rows, 10 * options.rows)]
            print(f"{way:16}{grown[0]:6.1f} MB for {options.rows:,} rows,{grown[1]:6.1f} for ten")
        print()
        uploads, downloads = ways(store, Path(folder), options.rows, options.columns)
        print_table("upload", timed(uploads, options.rounds))
        size = store.stat(URI.format("lists")).size
        peer = Path(folder, "0.0.6.gz").stat().st_size
        print(f"MB stored: {size / 1e6:.1f}, as 0.0.6 did {peer / 1e6:.1f}\n")
        # The input itself is no part of what a download allocates.
        uploads.clear()
        print_table("download", timed(downloads, options.rounds))


Ways = dict[str, "Callable[[], object]"]


def ways(store: CloudStorageAccessor, folder: Path, count: int, columns: str) -> tuple[Ways, Ways]:
    """Return the ways to write and to read back, ours before their peers."""
    rows = list(made(count, columns))
    frame = pd.DataFrame(rows, columns=NAMES)
    table = pa.Table.from_pandas(frame, preserve_index=False)

    def ours(name: str, data: object) -> Callable[[], object]:
        return lambda: store.upload_csv_gzip("bench", f"{name}.csv.gz", data)

    def read(as_: Any) -> Callable[[], object]:
        return lambda: store.read(URI.format("frame"), as_=as_)

    uploads: Ways = {
        "lists": ours("lists", rows),
        "  as 0.0.6 did": lambda: like_0_0_6(rows, folder / "0.0.6.gz"),
        "  csv into gzip, level 6": lambda: streamed(rows, folder / "6.gz"),
        "frame": ours("frame", frame),
        "Arrow": ours("arrow", table),
        "  DataFrame.to_csv": lambda: frame.to_csv(
            folder / "pandas.gz", compression="gzip", index=False
        ),
    }
    downloads: Ways = {
        "lists": lambda: store.download_csv_gzip("bench", "lists.csv.gz"),
        "  as 0.0.6 did": lambda: read_like_0_0_6(folder / "0.0.6.gz"),
        "iter_rows": lambda: sum(1 for _ in store.iter_rows(URI.format("lists"))),
        "dataframe": read("dataframe"),
        "arrow": read("arrow"),
        "  pandas.read_csv": lambda: pd.read_csv(folder / "pandas.gz", compression="gzip"),
    }
    return uploads, downloads


def made(count: int, columns: str = "mixed") -> Iterator[list[object]]:
    """Yield rows of answers; a seed makes them the same in every run."""
    draw = random.Random(1)
    for _ in range(count):
        student, item, attempt = draw.randrange(50_000), draw.randrange(1000), draw.randrange(3)
        if columns == "integers":
            yield [student, item, attempt, draw.randrange(60)]
        else:
            yield [f"s{student:06d}", f"q{item:04d}", attempt, round(draw.random() * 60, 3)]


def like_0_0_6(rows: list[list[object]], path: Path) -> None:
    """What version 0.0.6 did, up to the request: all in memory, level 9."""
    with io.StringIO() as text:
        writer = csv.writer(text, quotechar='"', quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows(rows)
        content = text.getvalue()
    with io.BytesIO() as packed:
        with gzip.GzipFile(fileobj=packed, mode="wb") as file:
            file.write(content.encode())
        path.write_bytes(packed.getvalue())


def read_like_0_0_6(path: Path) -> list[list[str]]:
    """What version 0.0.6 did, after the request."""
    packed = io.BytesIO(path.read_bytes())
    with gzip.GzipFile(fileobj=packed, mode="r") as file, io.TextIOWrapper(file, "utf-8") as text:
        return list(csv.reader(text, quotechar='"', quoting=csv.QUOTE_ALL, lineterminator="\n"))


def streamed(rows: list[list[object]], path: Path) -> None:
    """What is written by hand: the csv module into gzip's usual level."""
    with gzip.open(path, "wt", compresslevel=6, encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def timed(each: Ways, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in each}
    for _ in range(rounds):
        for name, way in each.items():
            started = time.perf_counter()
            result = way()
            seconds[name].append(time.perf_counter() - started)
            del result
    return {name: statistics.median(values) for name, values in seconds.items()}


def print_table(title: str, medians: dict[str, float]) -> None:
    """Print seconds, and of each peer how many times those of our ways before it."""
    print(f"{title:34}{'seconds':>8}  times ours")
    before: dict[str, float] = {}
    for name, seconds in medians.items():
        is_peer = name.startswith("  ")
        ratios = "  ".join(f"{seconds / ours:.1f} ({way})" for way, ours in before.items())
        print(f"{name:34}{seconds:8.3f}  {ratios if is_peer else ''}")
        if not is_peer:
            before[name] = seconds
    print()


def measured(way: str, rows: int) -> float:
    """Return by how many MB a way's peak memory grows, in a process of its own."""
    command = [sys.executable, __file__, "--grow", way, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def growth(store: CloudStorageAccessor, way: str, count: int) -> float:
    """Return by how many MB this process's peak grows by one call, all imports before it."""
    data = input_of(way, count)
    store.upload_csv_gzip("bench", "warm.csv.gz", input_of(way, 1000))
    list(store.iter_rows(URI.format("warm")))
    if way == "iter_rows":
        store.upload_csv_gzip("bench", "rows.csv.gz", data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if way == "iter_rows":
        for _ in store.iter_rows(URI.format("rows")):
            pass
    else:
        store.upload_csv_gzip("bench", "rows.csv.gz", data)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def input_of(way: str, count: int) -> Any:
    """Return data whose making leaves no higher peak behind than its own size."""
    if way in ("generator", "iter_rows"):
        return made(count)
    numbers = np.arange(4 * count).reshape(count, 4)
    if way == "frame":
        return pd.DataFrame(numbers, columns=NAMES, copy=False)
    return pa.table(dict(zip(NAMES, numbers.reshape(4, count), strict=True)))


if __name__ == "__main__":
    main()
