"""Many days of one job: each a run, whatever becomes of the others."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from etl_jobs.cli import main
from etl_jobs.errors import JobError, Misuse, TryAgain
from etl_jobs.run.backfill import DayEnd, Processes, days_of, raise_failures
from etl_jobs.tasks import ALONE, Tasks
from gcp_accessor import CloudStorageAccessor

ROOT = Path(__file__).resolve().parent.parent
LSAT6 = f"raw.answers={ROOT / 'examples' / 'lsat6.csv.gz'}"
JOB = "answers/latest"
DAYS = [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder in which the job has run for a late day; its answers begin on 2 January."""
    folder = tmp_path / "place"
    typed = ["run", JOB, "--local", str(folder), "--as-of", "2024-03-31", "--input", LSAT6]
    assert main(typed) == 0
    capsys.readouterr()
    return folder


def backfill(place: Path, first: str, last: str, *more: str) -> int:
    return main(["backfill", JOB, "--local", str(place), "--from", first, "--to", last, *more])


def committed(place: Path) -> list[str]:
    """The days of the runs that were committed."""
    manifests = (place / "buckets" / "etl" / JOB / "runs").glob("*/manifest.json")
    return sorted(path.parent.name[:10] for path in manifests)


def first_day(place: Path) -> date:
    """The first day of which an answer counts."""
    from gcp_accessor import BigQueryAccessor

    found = BigQueryAccessor(local=place).query("SELECT DATE(MIN(answered_at)) FROM raw.answers")
    day = found.scalar()
    assert isinstance(day, date)
    return day


def test_every_day_is_a_run_and_the_published_one_stays(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publication = CloudStorageAccessor(local=place).publication(f"gs://etl/{JOB}")
    before = publication.latest()

    assert backfill(place, "2024-04-01", "2024-04-02") == 0
    later = publication.latest()
    assert backfill(place, "2024-03-30", "2024-03-31") == 0

    assert before is not None
    assert later is not None
    assert later.as_of == date(2024, 4, 2)
    latest = publication.latest()
    assert latest is not None
    assert latest.run_id == later.run_id
    days = ["2024-03-30", "2024-03-31", "2024-04-01", "2024-04-02"]
    assert committed(place) == days
    said = capsys.readouterr().out
    assert "2024-03-30  answers/latest: made and kept; what is published is newer" in said
    assert "2024-03-31  answers/latest: nothing to do" in said


def test_a_day_that_fails_holds_up_no_other_and_is_told_at_the_end(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = first_day(place)
    before = date.fromordinal(first.toordinal() - 1)

    assert backfill(place, str(before), str(first)) == 1

    assert committed(place) == [str(first), "2024-03-31"]
    said = capsys.readouterr().err
    assert "etl-jobs: 1 day of 2 failed; run again, what is done stays done\n" in said
    assert f"  {before}: answers/latest returned no rows" in said


def test_a_folder_takes_its_days_in_turn_and_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backfill(place, "2024-03-30", "2024-03-31", "--parallel", "2") == 0

    assert "a folder has one writer at a time" in capsys.readouterr().out


def test_days_in_processes_of_their_own_are_told_as_they_end(place: Path) -> None:
    typed = ["run", JOB, "--local", str(place)]
    first = first_day(place)
    before = date.fromordinal(first.toordinal() - 1)

    ends = {end.day: end for end in Processes(typed, 2).run([before, first])}

    assert [ends[day].code for day in (before, first)] == [1, 0]
    assert "returned no rows" in str(ends[before].failure)
    assert ends[first].lines[0].startswith("answers/latest: ")


@pytest.mark.parametrize(
    ("codes", "kind"), [([75, 75], TryAgain), ([75, 1], JobError), ([0, 2], JobError)]
)
def test_it_is_worth_another_attempt_if_every_failure_may_pass(
    codes: list[int], kind: type[Exception]
) -> None:
    ends = [
        DayEnd(day, code, (), "it failed" if code else None)
        for day, code in zip(DAYS, codes, strict=False)
    ]

    with pytest.raises(JobError) as caught:
        raise_failures(ends)

    assert type(caught.value) is kind


def test_tasks_share_the_days() -> None:
    dealt = [days_of(DAYS[0], DAYS[-1], Tasks(index, 2)) for index in range(2)]

    assert dealt == [[DAYS[0], DAYS[2]], [DAYS[1]]]
    assert days_of(DAYS[0], DAYS[-1], ALONE) == DAYS
    with pytest.raises(Misuse, match="--to 2024-02-28 is before --from 2024-03-01"):
        days_of(DAYS[-1], DAYS[0], ALONE)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--from", "2024-03-01"], "the following arguments are required: --to"),
        (["--from", "2024-03-02", "--to", "2024-03-01"], "is before --from"),
        (["--from", "2024-03-01", "--to", "9024-03-01"], "--to 9024-03-01 is in the future"),
        (["--from", "2024-03-01", "--to", "2024-03-02", "--parallel", "0"], "expected 1 to 64"),
        (
            ["--from", "2024-03-01", "--to", "2024-03-02", "--parallel", "2", "--anchor", "latest"],
            "each day waits for the one before",
        ),
    ],
    ids=["no-end", "backwards", "future", "no-process", "a-chain-of-anchors"],
)
def test_what_cannot_be_meant_is_refused(
    typed: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["backfill", "calibrate", "--local", str(tmp_path / "place"), *typed])
    except SystemExit as ended:
        code = int(str(ended.code))

    assert code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "place").exists()
