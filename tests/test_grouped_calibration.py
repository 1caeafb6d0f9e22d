"""calibrate --set groups=...: items that do not treat groups alike, and groups of their own."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from google.auth.credentials import AnonymousCredentials

from etl_jobs import irt
from etl_jobs.calibrate.groups import StudentGroups, compare_groups, groups_of
from etl_jobs.cli import main
from etl_jobs.errors import CalibrationError
from etl_jobs.irt import items_from_json
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand_ins.cloud_storage import CloudStorageStandIn

DAY = "2024-03-31"
STUDENTS, ITEMS = 1500, 20
# One item is harder for the second group than for equally able students of the first.
UNEQUAL = "q04"


@dataclass(frozen=True)
class Log:
    """A log with two groups, the second 0.6 less able, and students of none."""

    place: Path
    answers: str
    groups: str


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    place = tmp_path_factory.mktemp("place")
    draw = np.random.default_rng(5)
    group = np.array(["a", "a", "a", "b", "b", ""])[np.arange(STUDENTS) % 6]
    ability = draw.normal(size=STUDENTS) - 0.6 * (group == "b")
    harder = np.zeros((STUDENTS, ITEMS))
    harder[group == "b", 4] = 1.2
    difficulty = draw.normal(0, 0.8, ITEMS)
    right = draw.random((STUDENTS, ITEMS)) < 1 / (
        1 + np.exp(difficulty + harder - ability[:, None])
    )
    asked = draw.random((STUDENTS, ITEMS)) < 0.7
    with (place / "answers.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("answer_id", "student_id", "item_id", "correct", "answered_at"))
        for student, item in np.argwhere(asked):
            answer = int(right[student, item])
            rows.writerow(
                (f"{student}-{item}", f"s{student}", f"q{item:02}", answer, f"{DAY}T08:00:00Z")
            )
    with (place / "groups.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("student_id", "student_group"))
        rows.writerows((f"s{k}", name) for k, name in enumerate(group) if name)
        rows.writerow(("somebody else", "c"))
    return Log(
        place, f"raw.answers={place / 'answers.csv'}", f"raw.student_groups={place / 'groups.csv'}"
    )


def run(place: Path, *arguments: str) -> int:
    return main(["run", "calibrate", "--local", str(place), "--as-of", DAY, *arguments])


@pytest.fixture(scope="module")
def contents(log: Log) -> dict[str, dict[str, Any]]:
    """What is published without groups, with them compared, and as populations."""
    found = {}
    inputs = ("--input", log.answers)
    for groups in ("none", "dif", "populations"):
        assert run(log.place, *inputs, "--set", f"groups={groups}") == 0
        store = CloudStorageAccessor(local=log.place)
        found[groups] = store.publication("gs://etl/calibrate").read("item_parameters.json").content
        inputs = ("--input", log.groups)
    return found


def test_without_groups_their_table_need_not_be_there(contents: dict[str, dict[str, Any]]) -> None:
    plain = contents["none"]

    assert plain["dif_reference"] is None
    assert [each["label"] for each in plain["populations"]] == [None]
    assert not any(name.startswith("dif_") for name in plain["items"][0])


def test_an_item_that_is_harder_for_one_group_is_flagged(
    contents: dict[str, dict[str, Any]],
) -> None:
    compared = contents["dif"]

    assert compared["dif_reference"] == "a"
    flagged = [item for item in compared["items"] if "large_dif" in item["flags"]]
    assert [item["item_id"] for item in flagged] == [UNEQUAL]
    assert (flagged[0]["dif_group"], flagged[0]["dif_class"]) == ("b", "C")
    # 1.2 of the log-odds.
    assert flagged[0]["dif_delta"] == pytest.approx(-2.35 * 1.2, abs=0.8)


def test_comparing_groups_changes_no_parameter(contents: dict[str, dict[str, Any]]) -> None:
    plain, compared = contents["none"], contents["dif"]

    for before, after in zip(plain["items"], compared["items"], strict=True):
        assert {name: after[name] for name in before if name != "flags"} == {
            name: value for name, value in before.items() if name != "flags"
        }


def test_groups_as_populations_have_means_on_the_scale_of_the_largest(
    contents: dict[str, dict[str, Any]],
) -> None:
    apart = contents["populations"]

    first, second, others = apart["populations"]
    assert [each["label"] for each in (first, second, others)] == ["a", "b", None]
    assert (first["mean"], first["deviation"]) == (0.0, 1.0)
    assert second["mean"] == pytest.approx(-0.6, abs=0.2)
    assert others["mean"] == pytest.approx(0.0, abs=0.25)
    assert sum(each["persons"] for each in apart["populations"]) == apart["students"]
    assert apart["scale"] == ("abilities of the students of a have mean 0 and standard deviation 1")


def test_the_table_has_flags_differences_and_all_students_together(
    contents: dict[str, dict[str, Any]], log: Log
) -> None:
    apart = contents["populations"]

    warehouse = BigQueryAccessor(local=log.place, dataset="etl")
    rows = warehouse.query(
        "SELECT item_id, flags, dif_group, dif_class, population_mean, population_deviation "
        "FROM item_parameters WHERE as_of = DATE '2024-03-31' ORDER BY item_id"
    ).records()

    assert [str(row["flags"]).split() for row in rows] == [item["flags"] for item in apart["items"]]
    assert [row["dif_class"] for row in rows] == [item["dif_class"] for item in apart["items"]]
    share = np.array([each["persons"] for each in apart["populations"]]) / apart["students"]
    mean = np.array([each["mean"] for each in apart["populations"]])
    square = np.array([each["deviation"] for each in apart["populations"]]) ** 2 + mean**2
    assert rows[0]["population_mean"] == pytest.approx(share @ mean, abs=1e-5)
    expected = np.sqrt(share @ square - (share @ mean) ** 2)
    assert rows[0]["population_deviation"] == pytest.approx(expected, abs=1e-5)


def test_what_is_published_with_groups_is_read_as_items(log: Log, contents: dict[str, Any]) -> None:
    store = CloudStorageAccessor(local=log.place)
    text = store.publication("gs://etl/calibrate").read("item_parameters.json", as_="text").content

    bank = items_from_json(text)

    assert len(bank.items) == ITEMS
    assert [each.label for each in bank.populations] == ["a", "b", None]


def test_the_report_says_for_whom_an_item_is_harder(log: Log, contents: dict[str, Any]) -> None:
    store = CloudStorageAccessor(local=log.place)

    page = store.publication("gs://etl/calibrate").read("report.html", as_="text").content

    assert "Students of the group b were compared with equally able ones of a: " in page
    assert "below that of a." in page
    assert ">Harder for b</span>" in page


def test_another_group_can_be_the_reference(
    log: Log, contents: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(log.place, "--set", "groups=dif", "--set", "reference=b") == 0

    said = capsys.readouterr().out
    assert "a beside b: 1 item does not treat them alike" in said


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        (("groups=dif", "reference=c"), 1, "a group of no student with answers; there are a, b"),
        (("reference=b",), 2, "no groups are compared; set groups=dif or groups=populations"),
        (("groups=dif", "engine=warehouse"), 2, "a calibration in the warehouse knows no groups"),
        (("groups=every",), 2, "expected none or dif or populations"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: tuple[str, ...],
    code: int,
    said: str,
    log: Log,
    contents: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [part for setting in settings for part in ("--set", setting)]

    assert run(log.place, *arguments) == code

    assert said in capsys.readouterr().err


def test_groups_are_refused_before_answers_go_to_the_warehouse_by_themselves(
    log: Log,
    contents: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("etl_jobs.calibrate.job.MOST_ANSWERS_IN_MEMORY", 10)

    assert run(log.place, "--set", "groups=dif", "--set", "model=1PL") == 1

    assert "answers go to the warehouse" in capsys.readouterr().err
    warehouse = BigQueryAccessor(local=log.place, dataset="etl")
    assert not [name for name in warehouse.tables() if name.startswith("calibration_")]


def test_groups_are_read_from_google_cloud(
    log: Log,
    contents: dict[str, dict[str, Any]],
    tmp_path: Path,
    cloud_storage: CloudStorageStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Google's own clients, with stand-ins at the other end."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    monkeypatch.setattr(
        "google.auth.default", lambda *_, **__: (AnonymousCredentials(), "a-project")
    )
    engine = DuckDBWarehouse(tmp_path / "warehouse")
    for dataset in ("raw", "etl"):
        engine.create_dataset(dataset)
    with BigQueryStandIn(engine) as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)

        place = ("--project", bigquery.project, "--bucket", "lessons", "--as-of", DAY)
        inputs = ("--input", log.answers, "--input", log.groups, "--set", "groups=populations")
        assert main(["run", "calibrate", *place, *inputs]) == 0

    store = CloudStorageAccessor("a-project", credentials=AnonymousCredentials())
    found = store.publication("gs://lessons/calibrate").read("item_parameters.json").content
    assert found["items"] == contents["populations"]["items"]
    assert found["populations"] == contents["populations"]["populations"]


def test_groups_that_nobody_filled_in_are_asked_for(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--input", log.answers, "--set", "groups=dif") == 1

    assert "there is no table raw.student_groups; fill it with --input" in capsys.readouterr().err


# --- in memory ----------------------------------------------------------------------------


def rows_of(*groups: tuple[str, str, int]) -> pa.Table:
    return pa.table(
        {
            "student_id": pa.array([student for student, _, _ in groups], pa.string()),
            "student_group": pa.array([group for _, group, _ in groups], pa.string()),
            "memberships": pa.array([count for _, _, count in groups], pa.int64()),
        }
    )


def few() -> irt.Responses:
    answers = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [np.nan, np.nan]]
    return irt.Responses.from_dense(answers, persons=list("wxyz"))


def test_the_reference_comes_first_and_students_without_answers_do_not_count() -> None:
    rows = rows_of(("w", "south", 1), ("x", "north", 1), ("y", "south", 1), ("z", "west", 1))

    found = groups_of(rows, few(), "largest")

    assert found.names == ("south", "north")
    assert found.group.tolist() == [0, 1, 0, -1]
    labels = found.labels()
    assert [str(label) for label in labels] == [
        "south",
        "north",
        "south",
        "of students of no group",
    ]
    assert sorted(labels.tolist()) == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (rows_of(("w", "a", 2), ("x", "b", 1)), "student 'w' is of 2 groups"),
        (rows_of(("w", "a", 1), ("x", "a", 1)), "that they are of a"),
        (rows_of(("z", "a", 1), ("v", "b", 1)), "that they are of none"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(rows: pa.Table, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        groups_of(rows, few(), "largest")


def test_of_three_groups_an_item_tells_the_one_it_is_most_unequal_for() -> None:
    draw = np.random.default_rng(2)
    group = np.arange(3000) % 3
    ability = draw.normal(size=(3000, 1))
    harder = np.zeros((3000, 12))
    harder[group == 2, 3] = 1.2
    harder[group == 1, 7] = -1.2
    answers = draw.random((3000, 12)) < 1 / (1 + np.exp(np.linspace(-1, 1, 12) + harder - ability))
    responses = irt.Responses.from_dense(answers)
    fitted = irt.calibrate(responses)

    found = compare_groups(fitted, responses, StudentGroups(("a", "b", "c"), group))

    assert found.flags()[3] == found.flags()[7] == "large_dif"
    assert sum(flag is not None for flag in found.flags()) <= 3
    assert (found.group[3], found.group[7]) == ("c", "b")
    assert found.delta[3] < -1.5 < 1.5 < found.delta[7]
    assert [each.focal for each in found.compared] == ["b", "c"]
