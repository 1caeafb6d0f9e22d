"""calibrate --set engine=warehouse: the answers stay where they are, the result is the same."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.auth.credentials import AnonymousCredentials

from etl_jobs.cli import main
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from tests.stand_ins.cloud_storage import CloudStorageStandIn
    from tests.stand_ins.monitoring import MonitoringStandIn

LSAT6 = f"raw.answers={Path(__file__).parents[1]}/examples/lsat6.csv.gz"
DAY = "2024-03-31"
# A calibration whose sample is so small that the warehouse has to do the work.
SMALL_SAMPLE = """
import sys
import etl_jobs.calibrate.warehouse
from etl_jobs.cli import main
etl_jobs.calibrate.warehouse.SAMPLE_ANSWERS = 500
sys.exit(main(sys.argv[1:]))
"""


def calibrate(folder: Path, source: str, *arguments: str) -> int:
    return main(
        ["run", "calibrate", "--local", str(folder), "--input", source, "--as-of", DAY, *arguments]
    )


def published(folder: Path) -> dict:
    store = CloudStorageAccessor(local=folder)
    return store.publication("gs://etl/calibrate").read("item_parameters.json").content


def numbers(content: dict, name: str) -> np.ndarray:
    return np.array([item[name] for item in content["items"]], float)


@pytest.fixture(scope="module")
def sparse_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Answers of 600 students to some of 40 items."""
    draw = np.random.default_rng(8)
    path = tmp_path_factory.mktemp("log") / "answers.csv"
    ability, difficulty = draw.normal(size=600), draw.normal(size=40)
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("answer_id", "student_id", "item_id", "correct", "answered_at"))
        for number, (student, item) in enumerate(np.argwhere(draw.random((600, 40)) < 0.4)):
            chance = 1 / (1 + np.exp(difficulty[item] - ability[student]))
            right = int(draw.random() < chance)
            rows.writerow((number, f"s{student}", f"q{item}", right, "2024-03-30T08:00:00Z"))
    return f"raw.answers={path}"


@pytest.mark.parametrize("model", ["2PL", "1PL"])
def test_both_engines_give_the_same_parameters(
    model: str, sparse_log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_jobs.calibrate.warehouse.SAMPLE_ANSWERS", 5000)
    folders = {engine: tmp_path / engine for engine in ("memory", "warehouse")}

    for engine, folder in folders.items():
        settings = ("--set", f"engine={engine}", "--set", f"model={model}")
        assert calibrate(folder, sparse_log, *settings) == 0

    memory, warehouse = (published(folder) for folder in folders.values())
    assert (memory["engine"], warehouse["engine"]) == ("memory", "warehouse")
    assert warehouse["log_likelihood"] == pytest.approx(memory["log_likelihood"], abs=1e-3)
    for name in ("discrimination", "intercept"):
        np.testing.assert_allclose(numbers(warehouse, name), numbers(memory, name), atol=1e-4)
    errors = numbers(warehouse, "intercept_error") / numbers(memory, "intercept_error")
    # What single students tell of them comes from a sample of every other one.
    assert np.median(errors) == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(errors, 1, atol=0.25)


def test_blocks_of_items_that_nobody_joins_are_flagged_by_both_engines(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    path = tmp_path / "answers.csv"
    # Items 0 to 11 and 12 to 19 have no student in common; item 20 nobody but one student's.
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("answer_id", "student_id", "item_id", "correct", "answered_at"))
        for student in range(400):
            asked = draw.permutation(12)[:5] if student % 3 else 12 + draw.permutation(8)[:4]
            for item in [20, 20, 20] if student == 7 else asked:
                right = int(draw.random() < 0.6)
                rows.writerow(
                    (f"{student}-{item}", f"s{student}", f"q{item:02}", right, f"{DAY}T08:00:00Z")
                )
    folders = {engine: tmp_path / engine for engine in ("memory", "warehouse")}

    for engine, folder in folders.items():
        assert calibrate(folder, f"raw.answers={path}", "--set", f"engine={engine}") == 0

    memory, warehouse = (published(folder)["items"] for folder in folders.values())
    unconnected = [item["item_id"] for item in memory if "unconnected" in item["flags"]]
    assert unconnected == [f"q{item:02}" for item in range(12, 21)]
    assert [item["flags"] for item in warehouse] == [item["flags"] for item in memory]


def test_the_answers_stay_in_google_cloud(
    tmp_path: Path,
    cloud_storage: CloudStorageStandIn,
    monitoring: MonitoringStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Google's own clients, with stand-ins at the other end."""
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", monitoring.address)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    monkeypatch.setattr(
        "google.auth.default", lambda *_, **__: (AnonymousCredentials(), "a-project")
    )
    engine = DuckDBWarehouse(tmp_path / "warehouse")
    for dataset in ("raw", "etl"):
        engine.create_dataset(dataset)
    with BigQueryStandIn(engine) as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)

        place = ("--project", bigquery.project, "--bucket", "lessons")
        settings = ("--input", LSAT6, "--as-of", DAY, "--set", "engine=warehouse")
        assert main(["run", "calibrate", *place, *settings]) == 0

    assert calibrate(tmp_path / "folder", LSAT6, "--set", "engine=memory") == 0
    store = CloudStorageAccessor("a-project", credentials=AnonymousCredentials())
    found = store.publication("gs://lessons/calibrate").read("item_parameters.json").content
    expected = published(tmp_path / "folder")
    np.testing.assert_allclose(
        numbers(found, "intercept"), numbers(expected, "intercept"), atol=1e-4
    )


def test_nothing_is_left_of_a_finished_calibration(tmp_path: Path) -> None:
    assert calibrate(tmp_path, LSAT6, "--set", "engine=warehouse") == 0

    tables = BigQueryAccessor(local=tmp_path, dataset="etl").tables()
    store = CloudStorageAccessor(local=tmp_path)
    assert not [name for name in tables if name.startswith("calibration_")]
    assert not list(store.list("gs://etl/calibrate/warehouse/"))


def test_a_killed_calibration_goes_on_where_it_was(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"

    def command(folder: Path) -> list[str]:
        options = ("--local", str(folder), "--input", LSAT6, "--as-of", DAY)
        return [
            *(sys.executable, "-c", SMALL_SAMPLE),
            *("run", "calibrate", *options, "--set", "engine=warehouse"),
        ]

    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if list(killed.glob("buckets/etl/calibrate/warehouse/*/pass-0003.npz")):
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in killed.glob("**/pass-*.npz")}
    assert len(kept) >= 3

    again = subprocess.run(command(killed), capture_output=True, text=True, check=False)
    subprocess.run(command(whole), stdout=subprocess.DEVNULL, check=True)

    assert again.returncode == 0, again.stderr
    assert published(killed)["items"] == published(whole)["items"]
    assert published(killed)["iterations"] == published(whole)["iterations"] > 3


def test_a_calibration_beyond_its_budget_is_refused_before_its_first_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = calibrate(tmp_path, LSAT6, "--set", "engine=warehouse", "--max-bytes", "900 KB")

    assert code == 1
    assert "calibrate: a pass over the answers reads" in capsys.readouterr().err
    assert not list(tmp_path.glob("**/pass-*.npz"))
    assert not list(tmp_path.glob("buckets/etl/calibrate/latest.json"))
