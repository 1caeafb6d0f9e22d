"""The same answers give the same published bytes, whatever their order and the threads at work."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gcp_accessor import CloudStorageAccessor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMMAND = """
import os, sys
cores = int(sys.argv.pop(1))
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
from etl_jobs.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def rows() -> list[tuple[object, ...]]:
    """Some answers of 900 students to 60 items: enough for more than one strand."""
    draw = np.random.default_rng(5)
    ability, difficulty = draw.normal(size=900), draw.normal(size=60)
    given = np.argwhere(draw.random((900, 60)) < 0.7)
    right = draw.random(len(given)) < 1 / (
        1 + np.exp(difficulty[given[:, 1]] - ability[given[:, 0]])
    )
    return [
        (number, f"s{student}", f"q{item}", int(correct), "2024-03-30T08:00:00Z")
        for number, ((student, item), correct) in enumerate(zip(given, right, strict=True))
    ]


def published(
    place: Path, rows: Sequence[tuple[object, ...]], cores: int = 2, threads: str = "2"
) -> tuple[bytes, object]:
    """The table of items as it was published, byte by byte, and the items of the document."""
    log = place / "answers.csv"
    place.mkdir()
    with log.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("answer_id", "student_id", "item_id", "correct", "answered_at"))
        table.writerows(rows)
    folder = place / "folder"
    subprocess.run(
        [
            *(sys.executable, "-c", COMMAND, str(cores), "run", "calibrate"),
            *("--local", str(folder), "--input", f"raw.answers={log}", "--as-of", "2024-03-31"),
        ],
        env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        capture_output=True,
        check=True,
    )
    publication = CloudStorageAccessor(local=folder).publication("gs://etl/calibrate")
    manifest = publication.latest()
    assert manifest is not None
    path = folder / "buckets" / "etl" / manifest.file("item_parameters.csv.gz").object_name
    return path.read_bytes(), publication.read("item_parameters.json").content["items"]


@pytest.fixture(scope="module")
def usual(
    rows: list[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, object]:
    return published(tmp_path_factory.mktemp("bytes") / "usual", rows)


def test_neither_the_order_of_rows_nor_threads_change_a_byte(
    rows: list[tuple[object, ...]], usual: tuple[bytes, object], tmp_path: Path
) -> None:
    order = np.random.default_rng(1).permutation(len(rows))

    shuffled = published(tmp_path / "shuffled", [rows[place] for place in order])
    alone = published(tmp_path / "alone", rows, cores=1, threads="1")

    assert shuffled == usual
    assert alone == usual


def test_another_answer_changes_the_bytes(
    rows: list[tuple[object, ...]], usual: tuple[bytes, object], tmp_path: Path
) -> None:
    number, student, item, correct, when = rows[0]
    other = [(number, student, item, 1 - int(str(correct)), when), *rows[1:]]

    assert published(tmp_path / "other", other)[0] != usual[0]
