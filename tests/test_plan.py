"""What `etl-jobs plan` foretells of a run, and that it leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_jobs.cli import main
from etl_jobs.run import parse_settings
from etl_jobs.run.preview import preview
from tests.counting import DAY, Counting

if TYPE_CHECKING:
    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

ROOT = Path(__file__).resolve().parent.parent
LSAT6 = f"raw.answers={ROOT / 'examples' / 'lsat6.csv.gz'}"


@pytest.fixture
def counting(exams: BigQueryAccessor, store: CloudStorageAccessor, tmp_path: Path) -> Counting:
    return Counting(exams, store, tmp_path / "jobs")


def foretold(counting: Counting, count: str = "COUNT(*)") -> dict[str, object]:
    plan = counting.plan("totals", count=count)
    settings = parse_settings(plan, {}, DAY)
    return {each.job.name: each for each in preview(plan, counting.place, settings)}


def test_a_plan_foretells_the_runs_that_are_made(counting: Counting) -> None:
    before = foretold(counting)
    ended = counting.run("totals")
    after = foretold(counting)
    other = foretold(counting, "10 + COUNT(*)")

    assert [each.state for each in before.values()] == ["to be made", "to be made"]
    assert before["totals"].run_id == ended.run_id
    [counts], [totals] = before["counts"].costs, before["totals"].costs
    assert counts.bytes
    # The table that it reads is still to be made.
    assert totals.bytes is None
    assert [each.state for each in after.values()] == ["nothing to do", "nothing to do"]
    assert (other["counts"].state, other["counts"].rows_replaced) == ("to be made", 2)
    assert other["counts"].replaced_run == after["counts"].run_id
    assert other["totals"].run_id != ended.run_id


def test_a_plan_writes_nothing_in_its_place(counting: Counting) -> None:
    foretold(counting)

    assert counting.warehouse.tables() == ["raw_answers"]
    assert list(counting.store.list("gs://lessons/")) == []


def test_a_run_that_was_committed_and_no_more_is_to_be_published(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("gcp_accessor.PublicationRun.publish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            counting.run()

    assert foretold(counting)["counts"].state == "committed, to be published"


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_command_says_what_it_costs_and_what_it_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    day = ["--as-of", "2024-03-31"]
    place = ["--local", str(tmp_path / "place")]
    assert main(["run", "answers/latest", *place, *day, "--input", LSAT6]) == 0
    capsys.readouterr()

    assert main(["plan", "features/items", *place, *day, "--budget", "1KB"]) == 0
    said = capsys.readouterr().out

    assert "as of 2024-03-31\n" in said
    assert ": nothing to do\n" in said
    assert "sql/features/items.sql: 5" in said
    assert "of at most" in said
    assert "of a budget of 1000 bytes, which does not suffice\n" in said
    changed = ["--set", "attempt=latest"]
    assert main(["plan", "answers/latest", *place, *day, *changed]) == 0
    assert "5,000 rows of 2024-03-31 in answers_latest (of run" in capsys.readouterr().out


def test_without_a_place_a_plan_is_of_the_jobs_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GCP_ACCESSOR_LOCAL", raising=False)

    assert main(["plan", "features/items"]) == 0

    assert "run " not in capsys.readouterr().out


def test_a_parameter_that_no_job_has_is_told_without_a_place_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GCP_ACCESSOR_LOCAL", raising=False)

    assert main(["plan", "features/items", "--set", "attemt=latest"]) == 2
    assert "there is no parameter 'attemt'" in capsys.readouterr().err
    assert main(["plan", "features/items", "--set", "attempt=latest"]) == 0


def test_a_folder_that_holds_nothing_yet_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "features/items", "--local", str(tmp_path / "none")]) == 1

    assert "holds no warehouse yet; fill one with `etl-jobs run`" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
