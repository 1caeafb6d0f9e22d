"""calibrate --anchor: the items of an earlier run keep their parameters, and the scale stays."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from etl_jobs.cli import main
from etl_jobs.irt import items_from_json
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = "2024-03-30", "2024-03-31"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days: 400 students and 20 items, then 400 abler ones, to whom 5 more items are put."""
    place = tmp_path_factory.mktemp("place")
    draw = np.random.default_rng(4)
    difficulty = draw.normal(size=25)
    path = place / "answers.csv"
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("answer_id", "student_id", "item_id", "correct", "answered_at"))
        for day, mean, items in ((FIRST, 0.0, 20), (SECOND, 1.0, 25)):
            ability = draw.normal(mean, 1, 400)
            right = draw.random((400, items)) < 1 / (
                1 + np.exp(difficulty[:items] - ability[:, None])
            )
            for (student, item), value in np.ndenumerate(right):
                answer = f"{day}-{student}-{item}"
                rows.writerow(
                    (answer, f"{day}-{student}", f"q{item:02}", int(value), f"{day}T08:00:00Z")
                )
    assert run(place, FIRST, "--input", f"raw.answers={path}") == 0
    assert run(place, SECOND, "--anchor", "latest") == 0
    return place


def run(place: Path, day: str, *arguments: str) -> int:
    return main(["run", "calibrate", "--local", str(place), "--as-of", day, *arguments])


def contents(place: Path) -> tuple[dict, dict]:
    """What the two days published."""
    publication = CloudStorageAccessor(local=place).publication("gs://etl/calibrate")
    second = publication.read("item_parameters.json").content
    return publication.read("item_parameters.json", run_id=second["anchor_run"]).content, second


def test_successive_runs_are_on_one_scale(folder: Path) -> None:
    first, second = contents(folder)

    known = {item["item_id"]: item for item in first["items"]}
    new = {item["item_id"]: item for item in second["items"]}
    assert first["anchor_run"] is None
    assert (len(known), len(new)) == (20, 25)
    for item, row in new.items():
        assert row["is_anchor"] == (item in known)
        if item in known:
            assert row["discrimination"] == known[item]["discrimination"]
            assert row["intercept"] == known[item]["intercept"]
    # Half of the students have mean 0, half mean 1.
    (students,) = second["populations"]
    assert students["mean"] == pytest.approx(0.5, abs=0.15)
    assert students["deviation"] == pytest.approx(np.sqrt(1.25), abs=0.15)
    assert second["anchors"] == 20


def test_the_table_of_a_day_has_its_parameters_and_its_students(folder: Path) -> None:
    _, second = contents(folder)

    warehouse = BigQueryAccessor(local=folder, dataset="etl")
    rows = warehouse.query(
        "SELECT item_id, discrimination, is_anchor, population_mean FROM item_parameters "
        "WHERE as_of = DATE '2024-03-31' ORDER BY item_id"
    ).records()

    assert [row["discrimination"] for row in rows] == [
        item["discrimination"] for item in second["items"]
    ]
    assert sum(row["is_anchor"] for row in rows) == 20
    assert {row["population_mean"] for row in rows} == {second["populations"][0]["mean"]}


def test_the_same_day_again_finds_the_same_anchor(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, SECOND, "--anchor", "latest") == 0

    assert "calibrate: nothing to do, 25 rows" in capsys.readouterr().out


def test_what_is_published_is_read_as_items(folder: Path) -> None:
    store = CloudStorageAccessor(local=folder)
    publication = store.publication("gs://etl/calibrate")
    text = publication.read("item_parameters.json", as_="text").content

    bank = items_from_json(text)

    assert len(bank.items) == 25
    assert (
        bank.populations[0].mean
        == publication.read("item_parameters.json").content["populations"][0]["mean"]
    )


@pytest.mark.parametrize(
    ("day", "anchor", "said"),
    [
        (FIRST, "latest", "no run of calibrate before 2024-03-30 is published"),
        (SECOND, "yesterday", "'yesterday' is not a run"),
        (SECOND, "2024-01-01-0123456789ab", "holds no committed run 2024-01-01-0123456789ab"),
    ],
)
def test_an_anchor_that_is_not_there_is_said_so(
    day: str, anchor: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, day, "--anchor", anchor) != 0

    assert said in capsys.readouterr().err
