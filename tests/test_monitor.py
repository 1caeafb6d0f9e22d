"""Predictions against the answers that came after them, and drift: the SQL beside other ways."""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow
import pytest
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_jobs.cli import main
from etl_jobs.job import Jobs
from etl_jobs.monitor.job import FEWEST_ANSWERS
from etl_jobs.telemetry.metrics import METRICS, PREFIX
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, Column, MonitoringAccessor
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand_ins.cloud_storage import CloudStorageStandIn
    from tests.stand_ins.monitoring import MonitoringStandIn

QUERIES = Jobs().queries
DAY = date(2024, 4, 4)
RUN_DAY = date(2024, 3, 28)
DAY_LONG = np.timedelta64(1, "D")
# Enough for what is asked here, and a shorter statement.
FEW_NODES = ("--set", "nodes=41")
# The first day of the log; the run knows 28 of its days, and the last seven come after it.
BEGIN = datetime(2024, 3, 1, tzinfo=UTC)


def columns_of(query: str) -> tuple[Column, ...]:
    return tuple(Column(each.name, each.type) for each in QUERIES[query].columns)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> BigQueryAccessor:
    warehouse = BigQueryAccessor(local=tmp_path_factory.mktemp("monitor"), dataset="etl")
    warehouse.create_dataset("etl")
    return warehouse


def fill(warehouse: BigQueryAccessor, query: str, rows: list[dict[str, object]]) -> None:
    """Put rows into the table that a query makes, in the place of what it had."""
    table, columns = QUERIES[query].output, columns_of(query)
    assert table is not None
    whole = [{column.name: row.get(column.name) for column in columns} for row in rows]
    warehouse.load(whole, table, schema=columns, if_exists="replace")


# --- The figures beside scikit-learn's and numpy's ------------------------------------------

# Of a few probabilities, so that many are alike; and of any that there are.
PROBABILITIES = st.sampled_from([0.1, 0.25, 0.5, 0.5000000005, 0.9]) | st.floats(1e-9, 1 - 1e-9)
PREDICTIONS = st.lists(
    st.tuples(st.sampled_from(["algebra", "logic", None]), st.booleans(), PROBABILITIES),
    min_size=1,
    max_size=60,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(PREDICTIONS)
def test_accuracy_is_what_scikit_learn_makes_of_the_same_predictions(
    warehouse: BigQueryAccessor, predictions: list[tuple[str | None, bool, float]]
) -> None:
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    rows = [
        {
            "as_of": DAY,
            "run_as_of": RUN_DAY,
            "student_id": str(number),
            "item_id": "q1",
            "subject": subject,
            "correct": int(correct),
            "predicted": predicted,
        }
        for number, (subject, correct, predicted) in enumerate(predictions)
    ]
    fill(warehouse, "monitor/predictions", rows)

    found = warehouse.query(QUERIES["monitor/accuracy"].sql, {"as_of": DAY}).records()

    names = {"all", *(each for each, *_ in predictions if each)}
    assert {row["name"] for row in found} == names
    for row in found:
        mine = [each for each in predictions if row["name"] in ("all", each[0])]
        right = np.array([correct for _, correct, _ in mine], int)
        given = np.array([predicted for *_, predicted in mine])
        assert row["answers"] == len(mine)
        assert row["brier"] == pytest.approx(brier_score_loss(right, given), abs=2e-9)
        assert row["log_loss"] == pytest.approx(
            log_loss(right, given, labels=[0, 1]), rel=1e-9, abs=2e-9
        )
        if 0 < right.sum() < len(right):
            assert row["auc"] == pytest.approx(roc_auc_score(right, given), abs=2e-9)
            share = right.mean()
            skill = 1 - np.mean((right - given) ** 2) / np.mean((right - share) ** 2)
            assert row["brier_skill"] == pytest.approx(skill, rel=1e-9, abs=2e-9)
        else:
            assert row["auc"] is None
            assert row["brier_skill"] is None


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(PREDICTIONS)
def test_ten_bins_hold_every_prediction_once(
    warehouse: BigQueryAccessor, predictions: list[tuple[str | None, bool, float]]
) -> None:
    rows = [
        {
            "as_of": DAY,
            "student_id": str(number),
            "correct": int(correct),
            "predicted": predicted,
        }
        for number, (_, correct, predicted) in enumerate(predictions)
    ]
    fill(warehouse, "monitor/predictions", rows)

    found = warehouse.query(QUERIES["monitor/calibration"].sql, {"as_of": DAY}).records()

    right = np.array([correct for _, correct, _ in predictions], float)
    given = np.array([predicted for *_, predicted in predictions])
    bins = np.floor(given * 10).astype(int) + 1
    assert {row["bin"]: row["answers"] for row in found} == {
        int(each): int(np.sum(bins == each)) for each in np.unique(bins)
    }
    for row in found:
        mine = bins == row["bin"]
        assert row["mean_predicted"] == pytest.approx(given[mine].mean(), abs=2e-9)
        assert row["share_correct"] == pytest.approx(right[mine].mean(), abs=2e-9)
        spread = np.sqrt(np.sum(given[mine] * (1 - given[mine]))) / np.sum(mine)
        assert row["share_error"] == pytest.approx(spread, abs=2e-9)


ANSWERS = st.lists(
    st.tuples(st.sampled_from(["q1", "q2", "q3"]), st.integers(0, 20), st.booleans()),
    min_size=1,
    max_size=60,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ANSWERS)
def test_drift_is_the_population_stability_index(
    warehouse: BigQueryAccessor, answers: list[tuple[str, int, bool]]
) -> None:
    rows = [
        {
            "as_of": DAY,
            "student_id": str(number),
            "item_id": item,
            "correct": int(correct),
            "answered_at": datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
            - timedelta(days=age),
        }
        for number, (item, age, correct) in enumerate(answers)
    ]
    fill(warehouse, "answers/latest", rows)

    found = warehouse.query(
        QUERIES["monitor/drift"].sql, {"as_of": DAY, "horizon_days": 3, "reference_days": 10}
    ).records()

    new = [each for each in answers if each[1] < 3]
    before = [each for each in answers if 3 <= each[1] < 13]
    items = sorted({item for item, *_ in (*new, *before)})
    by_item = {row["name"]: row for row in found if row["dimension"] == "item"}
    assert sorted(by_item) == items
    old_shares, new_shares = (
        shares([sum(each[0] == item for each in side) for item in items]) for side in (before, new)
    )
    for item, p, q in zip(items, old_shares, new_shares, strict=True):
        expected = psi([p], [q]) if new and before else None
        assert by_item[item]["answers_psi"] == pytest.approx(expected, abs=2e-9)
        then, now = ([each for each in side if each[0] == item] for side in (before, new))
        if then and now:
            sides = [
                shares([sum(each[2] for each in side), sum(not each[2] for each in side)])
                for side in (then, now)
            ]
            assert by_item[item]["right_psi"] == pytest.approx(psi(*sides), abs=2e-9)
        else:
            assert by_item[item]["right_psi"] is None


def shares(counts: list[int]) -> list[float]:
    """The shares of categories, each with half an answer more than it has."""
    return [(count + 0.5) / (sum(counts) + 0.5 * len(counts)) for count in counts]


def psi(before: list[float], now: list[float]) -> float:
    return sum((q - p) * math.log(q / p) for p, q in zip(before, now, strict=True))


def test_as_much_drift_as_chance_makes_is_expected(warehouse: BigQueryAccessor) -> None:
    """Over many logs of one population, the PSI is on average what the query says of chance."""
    random = np.random.default_rng(5)
    logs, answers = 12, 1200
    number = np.arange(logs * answers)
    noon = np.datetime64(DAY, "us") + np.timedelta64(12, "h")
    table = pyarrow.table(
        {
            "as_of": np.datetime64(DAY, "D") + number // answers,
            "student_id": number.astype(str),
            "item_id": random.integers(20, size=len(number)).astype(str),
            "subject": pyarrow.nulls(len(number), pyarrow.string()),
            "correct": (random.random(len(number)) < 0.6).astype(int),
            "answered_at": pyarrow.array(
                noon + (number // answers - random.integers(8, size=len(number))) * DAY_LONG,
                pyarrow.timestamp("us", "UTC"),
            ),
        }
    )
    warehouse.load(table, "answers_latest", if_exists="replace")

    found = [
        row
        for log in range(logs)
        for row in warehouse.query(
            QUERIES["monitor/drift"].sql,
            {"as_of": DAY + timedelta(days=log), "horizon_days": 4, "reference_days": 4},
        ).records()
    ]

    of_items = [row for row in found if row["dimension"] == "item"]
    for name in ("answers_psi", "right_psi"):
        mean = np.mean([float(str(row[name])) for row in of_items])
        expected = np.mean([float(str(row[f"{name}_by_chance"])) for row in of_items])
        assert mean == pytest.approx(expected, rel=0.3)


# --- Whole jobs ----------------------------------------------------------------------------


def write_log(
    path: Path, *, shift: float = 0.0, flipped: bool = False, students: int = 500
) -> None:
    """Write an answer log of five weeks by a Rasch model.

    Args:
        shift: How much abler the students of the last week are; half of them are new.
        flipped: Whether what is right after the run is wrong instead.
    """
    random = np.random.default_rng(3)
    difficulty = np.linspace(-2, 2, 24)
    with gzip.open(path, "wt", newline="") as file:
        log = csv.writer(file)
        log.writerow(["answer_id", "student_id", "item_id", "subject", "correct", "answered_at"])
        for student in range(students):
            # The last students are new in the last week, the first ones come back in it.
            is_new = student >= 0.8 * students
            ability = random.normal()
            for item in random.choice(24, 12, replace=False):
                is_late = is_new or (student < 0.3 * students and random.random() < 0.4)
                day = random.integers(28, 35) if is_late else random.integers(28)
                log_odds = ability + (shift if is_late else 0.0) - difficulty[item]
                correct = random.random() < 1 / (1 + math.exp(-log_odds))
                at = BEGIN + timedelta(days=int(day), hours=int(random.integers(24)))
                log.writerow(
                    [
                        f"{student}-{item}",
                        f"s{student:03}",
                        f"q{item:02}",
                        ("algebra", "logic")[item % 2],
                        int(correct != (flipped and is_late)),
                        at.isoformat(),
                    ]
                )


def monitored(folder: Path, **log: float) -> dict[str, object]:
    """What `monitor` publishes of a log, after a run that knew its first four weeks."""
    folder.mkdir()
    write_log(folder / "log.csv.gz", **log)  # type: ignore[arg-type]
    source = f"raw.answers={folder / 'log.csv.gz'}"
    place = ("--local", str(folder / "place"), *FEW_NODES)
    before = ("run", "abilities/students", *place, "--as-of", str(RUN_DAY), "--input", source)
    assert main(before) == 0
    assert main(["run", "monitor", *place, "--as-of", str(DAY)]) == 0
    publication = CloudStorageAccessor(local=folder / "place").publication("gs://etl/monitor")
    manifest = publication.latest()
    assert manifest is not None
    path = folder / "place" / "buckets" / "etl" / manifest.file("monitor.json").object_name
    content: dict[str, object] = json.loads(path.read_text())
    return content


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A folder in which a steady population was monitored, and what came of it."""
    folder = tmp_path_factory.mktemp("steady") / "log"
    return folder / "place", monitored(folder)


def test_a_steady_population_is_predicted_and_does_not_drift(
    steady: tuple[Path, dict[str, object]],
) -> None:
    _, content = steady

    figures = content["figures"]
    assert figures["run_as_of"] == str(RUN_DAY)
    assert figures["predicted_answers"] == figures["new_answers"] >= FEWEST_ANSWERS
    assert figures["brier_skill"] > 0.1
    assert figures["auc"] > 0.68
    assert abs(figures["share_correct"] - figures["mean_predicted"]) < 0.03
    assert figures["right_psi"] < 0.01
    assert figures["items_moved"] == 0
    assert content["alarming"] == []


def test_monitoring_gets_the_sums_and_no_series_for_an_item(
    steady: tuple[Path, dict[str, object]],
) -> None:
    folder, content = steady
    metrics = MonitoringAccessor(local=folder, prefix=PREFIX)

    written = {
        metric: metrics.read(metric.path, since=datetime(2024, 1, 1, tzinfo=UTC))
        for metric in METRICS
        if metric.of == "monitor"
    }

    for metric, records in written.items():
        [record] = records
        assert record["value"] == content["figures"][metric.figure]
        assert record["job"] == "monitor"
        assert set(record) == {"at", "value", "job", "task"}


def test_a_population_that_has_become_abler_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = monitored(tmp_path / "log", shift=2.0)

    figures = content["figures"]
    assert figures["share_correct"] > figures["mean_predicted"] + 0.1
    assert figures["right_psi"] > 0.25
    assert figures["items_moved"] > 5
    assert set(content["alarming"]) >= {"calibration_error", "right_psi"}
    moved = content["moved"]
    assert [row["right_psi"] for row in moved] == sorted(
        (row["right_psi"] for row in moved), reverse=True
    )
    assert all(row["new_share_correct"] > row["reference_share_correct"] for row in moved)
    printed = capsys.readouterr().out
    assert "look at right_psi" in printed
    assert f"{figures['items_moved']} items" in printed


def test_a_prediction_is_the_integral_over_what_is_known_of_an_ability(
    steady: tuple[Path, dict[str, object]],
) -> None:
    warehouse = BigQueryAccessor(local=steady[0], dataset="etl")

    rows = warehouse.query(
        """
        SELECT
          predicted_answers.predicted,
          predicted_answers.is_new_student,
          item_parameters.discrimination,
          item_parameters.intercept,
          COALESCE(student_abilities.ability, item_parameters.population_mean) AS ability,
          COALESCE(
            student_abilities.ability_error, item_parameters.population_deviation
          ) AS ability_error
        FROM predicted_answers
        INNER JOIN item_parameters
          ON predicted_answers.run_as_of = item_parameters.as_of
          AND predicted_answers.item_id = item_parameters.item_id
        LEFT JOIN student_abilities
          ON predicted_answers.run_as_of = student_abilities.as_of
          AND predicted_answers.student_id = student_abilities.student_id
        WHERE predicted_answers.as_of = @as_of
        """,
        {"as_of": DAY},
    ).to_dataframe()

    assert set(rows["is_new_student"]) == {True, False}
    # Gauss and Hermite's way in the place of equally spaced nodes.
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    abilities = (
        rows["ability"].to_numpy()[:, None] + rows["ability_error"].to_numpy()[:, None] * nodes
    )
    log_odds = (
        rows["discrimination"].to_numpy()[:, None] * abilities
        + rows["intercept"].to_numpy()[:, None]
    )
    expected = (1 / (1 + np.exp(-log_odds))) @ (weights / weights.sum())
    np.testing.assert_allclose(rows["predicted"], expected, atol=2e-8)


def test_what_is_predicted_knows_nothing_of_what_came(
    steady: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    other = monitored(tmp_path / "log", flipped=True)

    statement = "SELECT student_id, item_id, predicted FROM predicted_answers ORDER BY 1, 2"
    mine, theirs = (
        BigQueryAccessor(local=place, dataset="etl").query(statement).rows()
        for place in (steady[0], tmp_path / "log" / "place")
    )
    assert mine == theirs
    # Whoever was right before is wrong now: as bad as it was good.
    assert other["figures"]["auc"] == pytest.approx(1 - steady[1]["figures"]["auc"], abs=1e-9)
    assert "brier_skill" in other["alarming"]


def test_the_first_week_has_nothing_to_compare_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(tmp_path / "log.csv.gz")
    source = f"raw.answers={tmp_path / 'log.csv.gz'}"

    place = ("--local", str(tmp_path / "place"), "--input", source, *FEW_NODES)
    code = main(["run", "monitor", *place, "--as-of", str(DAY)])

    assert code == 0
    metrics = MonitoringAccessor(local=tmp_path / "place", prefix=PREFIX)
    with pytest.raises(NotFound):
        metrics.read("job/prediction/brier", since=datetime(2024, 1, 1, tzinfo=UTC))
    assert "no run is old enough to have predicted these answers" in capsys.readouterr().out


def test_predictions_are_made_anew_once_the_earlier_run_is(
    steady: tuple[Path, dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = shutil.copytree(steady[0], tmp_path / "place")

    def state_of_predictions() -> str:
        where = ("--local", str(place), *FEW_NODES)
        assert main(["run", "monitor/predictions", *where, "--as-of", str(DAY)]) == 0
        found = re.search(
            r"^monitor/predictions: ([a-z ]+),", capsys.readouterr().out, re.MULTILINE
        )
        assert found is not None
        return found[1]

    assert state_of_predictions() == "nothing to do"
    # A later day is none that they know of.
    later = ("--as-of", str(DAY + timedelta(days=1)))
    assert main(["run", "calibrate", "--local", str(place), *later]) == 0
    assert state_of_predictions() == "nothing to do"
    earlier = ("--as-of", str(RUN_DAY), "--set", "model=1PL", *FEW_NODES)
    assert main(["run", "abilities/students", "--local", str(place), *earlier]) == 0
    assert state_of_predictions() == "published"
    assert state_of_predictions() == "nothing to do"


def test_google_cloud_gets_the_same_figures_as_a_folder(
    steady: tuple[Path, dict[str, object]],
    tmp_path: Path,
    cloud_storage: CloudStorageStandIn,
    monitoring: MonitoringStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MONITORING_EMULATOR_HOST", monitoring.address)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    monkeypatch.setattr(
        "google.auth.default", lambda *_, **__: (AnonymousCredentials(), "a-project")
    )
    write_log(tmp_path / "log.csv.gz")
    engine = DuckDBWarehouse(tmp_path / "warehouse")
    for dataset in ("raw", "etl"):
        engine.create_dataset(dataset)

    with BigQueryStandIn(engine) as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
        place = ("--project", bigquery.project, "--bucket", "lessons", *FEW_NODES)
        source = ("--input", f"raw.answers={tmp_path / 'log.csv.gz'}")
        before = ("run", "abilities/students", *place, *source, "--as-of", str(RUN_DAY))
        assert main(before) == 0
        assert main(["run", "monitor", *place, "--as-of", str(DAY)]) == 0

    store = CloudStorageAccessor("a-project", credentials=AnonymousCredentials())
    found = store.publication("gs://lessons/monitor").read("monitor.json").content
    assert found["figures"] == pytest.approx(steady[1]["figures"], abs=1e-6)
    [auc] = monitoring.metrics["custom.googleapis.com/etl/job/prediction/auc"].series.values()
    assert auc.points[0].value.double_value == found["figures"]["auc"]
    assert auc.resource.type == "generic_task"


def test_days_that_wait_for_earlier_ones_are_not_run_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ("--from", str(RUN_DAY), "--to", str(DAY), "--parallel", "2")

    code = main(["backfill", "monitor", "--local", str(tmp_path), *days])

    assert code == 2
    assert "monitor/predictions reads days before its own" in capsys.readouterr().err


def test_a_few_answers_are_neither_judged_nor_sent(tmp_path: Path) -> None:
    folder = tmp_path / "log"

    content = monitored(folder, shift=2.0, students=60)

    assert 0 < content["figures"]["predicted_answers"] < FEWEST_ANSWERS
    assert content["figures"]["right_psi"] > 0.1
    assert content["alarming"] == []
    metrics = MonitoringAccessor(local=folder / "place", prefix=PREFIX)
    since = datetime(2024, 1, 1, tzinfo=UTC)
    assert len(metrics.read("job/prediction/answers", since=since)) == 1
    for figure in ("prediction/auc", "drift/right_psi"):
        with pytest.raises(NotFound):
            metrics.read(f"job/{figure}", since=since)
