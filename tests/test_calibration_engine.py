"""calibrate --set engine=auto: memory up to so many answers, the warehouse beyond."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_jobs.calibrate import job
from etl_jobs.cli import main
from gcp_accessor import CloudStorageAccessor

ROOT = Path(__file__).parents[1]


# LSAT6 has 5,000 answers.
@pytest.mark.parametrize(("most", "engine"), [(5_000, "memory"), (4_999, "warehouse")])
def test_the_number_of_answers_decides_where_they_are_gone_through(
    most: int, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "MOST_ANSWERS_IN_MEMORY", most)
    source = ("--input", f"raw.answers={ROOT}/examples/lsat6.csv.gz", "--as-of", "2024-03-31")

    assert main(["run", "calibrate", "--local", str(tmp_path), *source]) == 0

    publication = CloudStorageAccessor(local=tmp_path).publication("gs://etl/calibrate")
    content = publication.read("item_parameters.json").content
    assert (content["settings"]["engine"], content["engine"]) == ("auto", engine)
    assert content["converged"] is True


def test_the_page_states_the_number() -> None:
    page = (ROOT / "docs/calibration_at_scale.md").read_text(encoding="utf-8")

    assert job.MOST_ANSWERS_IN_MEMORY == 30_000_000
    assert "in memory up to 30 million of them" in page
