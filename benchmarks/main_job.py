"""The whole main job against the research way of doing it, on one answer log.

    nox -s bench -- main_job
    nox -s bench -- main_job LOG.csv.gz --map MAP.yaml

Without a log it is assist2009, where its file stands in `shared/data/irt` beside the checkout.

The research way: pandas reads the log, `drop_duplicates` keeps the first attempt, `pivot` makes
a matrix of it, a Python IRT package fits the two-parameter model, `json` stores the result.
Each way is a process of its own, measured from outside: wall-clock seconds and peak resident
memory. They take turns, and medians and the ratio of medians are printed. A peer that takes
longer than `--timeout` is stopped and reported as such.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Measure every way in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "log",
        type=Path,
        nargs="?",
        default=HERE.parent.parent / "shared" / "data" / "irt" / "assist2009_pid.csv.gz",
        help="a csv.gz of user_id, seq, item_id, skill_id, correct",
    )
    parser.add_argument(
        "--map", type=Path, default=HERE.parent / "examples" / "assist2009.yaml", help="its mapping"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one run of a peer")
    options = parser.parse_args()
    if not options.log.exists():
        sys.exit(f"{options.log} is not there; name a log")
    ways = {"etl-jobs run calibrate": None, "pandas + mirt": "mirt", "pandas + girth": "girth"}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    unfinished: dict[str, str] = {}
    for _ in range(options.rounds):
        for name, package in ways.items():
            if name in unfinished:
                continue
            with tempfile.TemporaryDirectory() as folder:
                command = (
                    ours(options, folder) if package is None else peer(package, options, folder)
                )
                try:
                    runs[name].append(measure(command, options.timeout))
                except subprocess.TimeoutExpired:
                    unfinished[name] = f"did not finish in {options.timeout:.0f} s"
                except subprocess.CalledProcessError as error:
                    unfinished[name] = error.stderr.strip().splitlines()[-1][:90]
    print_table(runs, unfinished)


def ours(options: argparse.Namespace, folder: str) -> list[str]:
    """The command of the main job."""
    program = shutil.which("etl-jobs") or sys.exit("etl-jobs is not installed")
    return [
        *(program, "run", "calibrate", "--local", f"{folder}/local"),
        *("--input", f"raw.answers={options.log}", "--map", str(options.map)),
    ]


def peer(package: str, options: argparse.Namespace, folder: str) -> list[str]:
    """The command of the research way."""
    script = str(HERE / "research_way.py")
    return [sys.executable, script, package, str(options.log), f"{folder}/items.json"]


def measure(command: list[str], timeout: float) -> tuple[float, float]:
    """Return the seconds and the peak MB of one process."""
    # Compiled once and kept, as an installed package is.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, str(HERE / "peak_memory.py"), *command],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    seconds = time.perf_counter() - started
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)
    return seconds, float(errors.strip().splitlines()[-1])


def print_table(runs: dict[str, list[tuple[float, float]]], unfinished: dict[str, str]) -> None:
    """Print the medians, and each peer's ratio to ours."""
    medians = {
        name: tuple(statistics.median(values) for values in zip(*each, strict=True))
        for name, each in runs.items()
        if each and name not in unfinished
    }
    base = medians[next(iter(runs))]
    print(f"{'way':26}{'seconds':>9}{'times':>8}{'peak MB':>9}{'times':>8}")
    for name in runs:
        if name in unfinished:
            print(f"{name:26}{unfinished[name]}")
            continue
        seconds, memory = medians[name]
        print(
            f"{name:26}{seconds:9.2f}{seconds / base[0]:8.1f}{memory:9.0f}{memory / base[1]:8.1f}"
        )


if __name__ == "__main__":
    main()
