"""A real test of matrix reasoning, calibrated by the main job, and whether the result makes sense.

MaRs-IB (Chierchia et al. 2019): an item's dimension is how many relations change at once, which
makes it harder.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from etl_jobs.cli import main
from gcp_accessor import CloudStorageAccessor

ROOT = Path(__file__).resolve().parents[1]
LOG = ROOT / "../shared/data/irt/mars_ib_calibration.csv.gz"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of the items, and the report's text."""
    if not LOG.exists():
        pytest.skip(f"the real log {LOG.name} is not here; put it into shared/data/irt")
    folder = tmp_path_factory.mktemp("mars")
    source = ("--input", f"raw.answers={LOG}", "--map", str(ROOT / "examples/mars_ib.yaml"))
    run = ["run", "calibrate", "--local", str(folder), *source, "--as-of", "2024-03-31"]
    assert main(run) == 0
    publication = CloudStorageAccessor(local=folder).publication("gs://etl/calibrate")
    content = publication.read("item_parameters.json").content
    manifest = publication.latest()
    assert manifest is not None
    page = folder / "buckets" / "etl" / manifest.file("report.html").object_name
    text = re.sub(r"<(script|style|svg).*?</\1>", " ", page.read_text("utf-8"), flags=re.DOTALL)
    return {**content, "report": re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))}


def dimensions() -> dict[str, int]:
    with gzip.open(LOG, "rt", newline="") as file:
        return {row["item_id"]: int(row["dimension"]) for row in csv.DictReader(file)}


def test_all_items_are_calibrated_from_the_trials_that_were_scored(
    published: dict[str, Any],
) -> None:
    assert published["converged"] is True
    assert published["score"] <= 0.01
    assert (published["students"], published["answers"]) == (1_584, 25_344 - 477)
    assert len(published["items"]) == 384
    for item in published["items"]:
        assert np.isfinite([item["difficulty"], item["difficulty_error"]]).all()
        assert item["difficulty_error"] > 0


def test_items_with_more_changes_are_harder(published: dict[str, Any]) -> None:
    changes = dimensions()
    difficulty = np.array([item["difficulty"] for item in published["items"]])
    dimension = np.array([changes[item["item_id"]] for item in published["items"]])

    together = stats.spearmanr(dimension, difficulty).statistic

    # Of 384 items a rank correlation errs by 0.05.
    assert together > 0.4


def test_the_report_says_what_the_document_does(published: dict[str, Any]) -> None:
    report, flagged = published["report"], published["flagged_items"]

    assert "1,584 students gave 24,867 answers to 384 items" in report
    assert flagged == sum(bool(item["flags"]) for item in published["items"])
    assert f"{flagged} of 384 items need a look" in report
    assert 0 < flagged < 40
    right = sum(item["answers"] * item["share_correct"] for item in published["items"])
    assert f"{100 * right / published['answers']:.0f}% of the answers are right" in report


def test_what_is_published_is_json_without_nan(published: dict[str, Any]) -> None:
    assert json.loads(json.dumps(published, allow_nan=False)) == published
