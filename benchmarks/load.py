"""The main job under load: time and memory as the answer log grows.

    nox -s bench -- load
    nox -s bench -- load --answers 1000000 --format csv.gz
    GCP_ACCESSOR_LOCAL_MEMORY=1GB nox -s bench -- load --memory-mb 2048

A log is invented row by row, as a service writes it: students in any order, a few questions
answered twice. Then `etl-jobs run calibrate --local` turns it into published parameters, in a
process of its own that is measured from outside: wall-clock seconds, and the peak resident memory.
From the second size on it is told what each further answer takes: if that stays the same, growth
is linear. With `--memory-mb` the exit code says whether every run stayed below that limit.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from gcp_accessor.tabular import write

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
_BLOCK = 1 << 18
_ANSWERS_OF_A_STUDENT = 100
_ITEMS = 2_000
_DAYS_SECONDS = 90 * 86_400
_FIRST_SECOND = 1_704_067_200
_JOB_LINE = re.compile(r"^(\S+): .*\((\d+\.\d) s\)$", re.MULTILINE)


class Measured(NamedTuple):
    """One run: how many answers, its time, its peak memory, and each job's own time."""

    answers: int
    seconds: float
    peak_mb: float
    jobs: dict[str, float]
    disk_mb: float


def main() -> None:
    """Measure each size in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--answers", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000]
    )
    parser.add_argument("--format", choices=("parquet", "csv.gz"), default="parquet")
    parser.add_argument("--memory-mb", type=int, help="the limit that every run has to stay below")
    parser.add_argument(
        "--folder", type=Path, help="where logs and warehouses are made; by default the system's"
    )
    options = parser.parse_args()
    measured: list[Measured] = []
    titles = ("answers", "seconds", "us/further", "peak MB", "B/further", "disk MB")
    print("".join(f"{title:>12}" for title in titles) + "  by job")
    for answers in options.answers:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measured.append(measure(answers, options.format, Path(folder)))
        print_row(measured[-1], measured[-2] if len(measured) > 1 else None)
    if options.memory_mb:
        most = max(each.peak_mb for each in measured)
        print(f"at most {most:,.0f} MB; the limit is {options.memory_mb:,} MB")
        sys.exit(most > options.memory_mb)


def measure(answers: int, kind: str, folder: Path) -> Measured:
    """Run the main job on a log of this size."""
    log = folder / f"answers.{kind}"
    with log.open("wb") as file:
        write(pa.RecordBatchReader.from_batches(SCHEMA, rows(answers)), file, kind)
    program = shutil.which("etl-jobs") or sys.exit("etl-jobs is not installed")
    place = folder / "place"
    command = [
        *(program, "run", "calibrate", "--local", str(place)),
        *("--input", f"raw.answers={log}", "--as-of", "2024-12-31"),
    ]
    # Compiled once and kept, as an installed package is.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=environment | {"TMPDIR": str(folder)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        # What the kernel counted for this process alone.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"the run of {answers:,} answers failed with {process.returncode}")
    jobs = {name: float(taken) for name, taken in _JOB_LINE.findall(said)}
    disk = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return Measured(answers, seconds, usage.ru_maxrss / 1024, jobs, disk / 1e6)


SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("answer_id", "student_id", "item_id")),
        *(pa.field(name, pa.string()) for name in ("item_name", "subject", "exam")),
        pa.field("correct", pa.int64()),
        pa.field("answered_at", pa.timestamp("us", "UTC")),
    ]
)


def rows(answers: int) -> Iterator[pa.RecordBatch]:
    """Yield the log in blocks: 100 answers a student on average, to 2,000 items."""
    source = np.random.default_rng(20240331)
    students = max(answers // _ANSWERS_OF_A_STUDENT, 1)
    ability = source.normal(size=students)
    difficulty = source.normal(size=_ITEMS)
    discrimination = source.lognormal(0.0, 0.3, size=_ITEMS)
    for start in range(0, answers, _BLOCK):
        count = min(_BLOCK, answers - start)
        student = source.integers(students, size=count)
        item = source.integers(_ITEMS, size=count)
        logit = discrimination[item] * (ability[student] - difficulty[item])
        correct = source.random(count) < 1 / (1 + np.exp(-logit))
        moment = _FIRST_SECOND + (start + np.arange(count)) * (_DAYS_SECONDS / answers)
        yield pa.record_batch(
            [
                named("a%09d", start + np.arange(count)),
                named("student-%07d", student),
                named("item-%05d", item),
                named("Question %d", item),
                named("Subject %d", item % 20),
                named("Exam %d", item % 5),
                pa.array(correct.astype(np.int64)),
                pa.array((moment * 1e6).astype(np.int64), pa.timestamp("us", "UTC")),
            ],
            schema=SCHEMA,
        )


def named(form: str, numbers: np.ndarray) -> pa.Array:
    """Each number in words."""
    return pa.array([form % number for number in numbers.tolist()], pa.string())


def print_row(run: Measured, before: Measured | None) -> None:
    """Print one line of the table."""
    further = ("", "")
    if before is not None:
        more = run.answers - before.answers
        further = (
            f"{(run.seconds - before.seconds) / more * 1e6:.2f}",
            f"{(run.peak_mb - before.peak_mb) / more * (1 << 20):.0f}",
        )
    loading = run.seconds - sum(run.jobs.values())
    jobs = ", ".join(f"{name} {seconds:.1f}" for name, seconds in run.jobs.items())
    print(
        f"{run.answers:12,}{run.seconds:12.1f}{further[0]:>12}{run.peak_mb:12,.0f}"
        f"{further[1]:>12}{run.disk_mb:12,.0f}  start and input {loading:.1f}, {jobs}",
        flush=True,
    )


if __name__ == "__main__":
    main()
