"""How long the start takes: of the package, of the accessors, and of the command line.

    nox -s bench -- start

Each is a process of its own, in turn with bare Python; medians, and what they take beyond it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

WAYS = {
    "bare Python": ["-c", "pass"],
    "import gcp_accessor": ["-c", "import gcp_accessor"],
    "two accessors made": [
        "-c",
        "from gcp_accessor import BigQueryAccessor, CloudStorageAccessor as C\n"
        "BigQueryAccessor('p'), C('p')",
    ],
    "import google.cloud.bigquery": ["-c", "import google.cloud.bigquery"],
    "etl-jobs --help": ["-m", "etl_jobs.cli", "--help"],
    "etl-jobs list": ["-m", "etl_jobs.cli", "list"],
}


def main(rounds: int = 15) -> None:
    """Measure every way in turn and print medians in milliseconds."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(rounds + 1):
        for name, arguments in WAYS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
            if turn:  # The first turn fills the file cache.
                seconds[name].append(time.perf_counter() - started)
    bare = statistics.median(seconds["bare Python"])
    print(f"{'what':32}{'ms':>8}{'beyond bare Python':>20}")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:32}{median * 1000:8.0f}{(median - bare) * 1000:20.0f}")


if __name__ == "__main__":
    main()
