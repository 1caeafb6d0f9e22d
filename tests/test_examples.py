from __future__ import annotations

import csv
import gzip
import importlib.util
import itertools
import sys
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet

from etl_jobs.inputs.load import LoadedInput, convert_file, load_input
from etl_jobs.inputs.mapping import read_mapping
from etl_jobs.job import sql_folder
from gcp_accessor import BigQueryAccessor

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
REAL_DATA = Path(__file__).resolve().parents[1] / "../shared/data/irt"
SECTIONS = pytest.mark.parametrize("section", [6, 7])


def real(name: str) -> Path:
    path = REAL_DATA / name
    if not path.exists():
        pytest.skip(
            f"the real log {name} is not here; put it into shared/data/irt beside the checkout"
        )
    return path


def table(section: int) -> Counter[tuple[int, ...]]:
    with (EXAMPLES / f"lsat{section}_patterns.csv").open(newline="") as file:
        rows = [[int(field) for field in row] for row in list(csv.reader(file))[1:]]
    return Counter({tuple(pattern): count for *pattern, count in rows})


def converted(log: Path, folder: Path) -> list[dict[str, Any]]:
    convert_file(log, "raw.answers", None, folder / "rows.parquet")
    return parquet.read_table(folder / "rows.parquet").to_pylist()


def read_sql(name: str) -> str:
    return (sql_folder() / f"{name}.sql").read_text()


def valid(row: dict[str, Any]) -> bool:
    ids = (row["answer_id"], row["student_id"], row["item_id"])
    scored = row["correct"] in (0, 1) and row["answered_at"] is not None
    return scored and all(each is not None and each.strip() for each in ids)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("log_maker", EXAMPLES / "make_answer_log.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "log_maker", module)
        spec.loader.exec_module(module)
    return module


# --- The published tables ------------------------------------------------------------------


@SECTIONS
def test_a_table_counts_a_thousand_persons_in_every_pattern(section: int) -> None:
    patterns = table(section)

    assert list(patterns) == list(itertools.product((0, 1), repeat=5))
    assert patterns.total() == 1000


@pytest.mark.parametrize(
    ("section", "right"), [(6, [924, 709, 553, 763, 870]), (7, [828, 658, 772, 606, 843])]
)
def test_a_table_has_the_published_number_of_right_answers(section: int, right: list[int]) -> None:
    patterns = table(section)

    assert [
        sum(count for pattern, count in patterns.items() if pattern[item]) for item in range(5)
    ] == right


@SECTIONS
def test_a_table_agrees_with_an_independent_copy(section: int) -> None:
    with real(f"LSAT{section}_patterns.csv").open(newline="") as file:
        rows = [[int(field) for field in row] for row in list(csv.reader(file))[1:]]

    # The copies leave out patterns that nobody gave.
    assert +table(section) == {tuple(pattern): count for *pattern, count in rows}


# --- The logs made of them -----------------------------------------------------------------


@SECTIONS
def test_the_script_makes_the_committed_log_again(
    script: ModuleType, section: int, tmp_path: Path
) -> None:
    committed = (EXAMPLES / f"lsat{section}.csv.gz").read_bytes()

    for folder in (tmp_path / "once", tmp_path / "twice"):
        folder.mkdir()
        script.main(folder)

    once, twice = (
        (tmp_path / name / f"lsat{section}.csv.gz").read_bytes() for name in ("once", "twice")
    )
    assert once == twice
    # Another zlib may squeeze the same text into other bytes.
    assert gzip.decompress(once) == gzip.decompress(committed)


@SECTIONS
def test_the_first_valid_attempts_are_the_published_table(section: int, tmp_path: Path) -> None:
    rows = converted(EXAMPLES / f"lsat{section}.csv.gz", tmp_path)

    first: dict[tuple[str, str], int] = {}
    for row in sorted(filter(valid, rows), key=lambda row: row["answered_at"]):
        first.setdefault((row["student_id"], row["item_id"]), row["correct"])

    items = [f"lsat{section}-{number}" for number in range(1, 6)]
    students = {student for student, _ in first}
    assert Counter(tuple(first[student, item] for item in items) for student in students) == +table(
        section
    )


@SECTIONS
def test_a_log_holds_the_stated_share_of_work_for_a_cleaning(section: int, tmp_path: Path) -> None:
    rows = converted(EXAMPLES / f"lsat{section}.csv.gz", tmp_path)

    def blank(name: str) -> int:
        return sum(row[name] is None or not row[name].strip() for row in rows)

    counted = [row for row in rows if valid(row)]
    answers = {row["answer_id"]: row for row in counted}
    pairs = {(row["student_id"], row["item_id"]) for row in counted}
    assert len(counted) - len(answers) == 100
    assert all(answers[row["answer_id"]] == row for row in counted)
    assert len(answers) - len(pairs) == 150
    assert len(pairs) == 5000
    assert blank("student_id") == 50
    assert blank("item_id") == 25
    assert blank("answer_id") == 25
    assert Counter(row["correct"] for row in rows)[None] == 25
    assert Counter(row["correct"] for row in rows)[2] == 25
    assert sum(row["answered_at"] is None for row in rows) == 25
    assert len(rows) == 5000 + 100 + 150 + 50 + 5 * 25


@SECTIONS
def test_the_cleaning_query_finds_the_published_table(section: int, tmp_path: Path) -> None:
    latest = read_sql("answers/latest")
    rejected = read_sql("answers/rejected")
    day = {"as_of": date(2024, 3, 31)}

    with BigQueryAccessor(local=tmp_path) as warehouse:
        warehouse.create_dataset("raw")
        load_input(warehouse, "raw.answers", EXAMPLES / f"lsat{section}.csv.gz")
        answers = warehouse.query(latest, {**day, "attempt": "first"}).records()
        reasons = warehouse.query(rejected, day).records()

    patterns: dict[object, dict[object, int]] = defaultdict(dict)
    for answer in answers:
        patterns[answer["student_id"]][answer["item_id"]] = answer["correct"]
    assert Counter(
        tuple(pattern[item] for item in sorted(pattern)) for pattern in patterns.values()
    ) == +table(section)
    assert sum(row["answers"] for row in reasons) == 425


@SECTIONS
def test_what_is_spelt_in_many_ways_is_one_thing(section: int, tmp_path: Path) -> None:
    rows = converted(EXAMPLES / f"lsat{section}.csv.gz", tmp_path)

    for name, normal in (
        ("subject", "law school admission"),
        ("exam", f"lsat section {section}"),
    ):
        assert len({row[name] for row in rows}) > 3
        assert {" ".join(row[name].lower().split()) for row in rows} == {normal}


# --- Real logs, with their mappings --------------------------------------------------------


def mapped(log: str, mapping: str, folder: Path) -> tuple[LoadedInput, Any]:
    path = real(log)
    rules = read_mapping(EXAMPLES / mapping)
    loaded = convert_file(path, "raw.answers", rules, folder / "rows.parquet")
    return loaded, parquet.read_table(folder / "rows.parquet").to_pandas()


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_every_example_of_a_mapping_is_valid(name: str) -> None:
    assert read_mapping(EXAMPLES / name).rules


def test_assist2009_arrives_whole_and_in_order(tmp_path: Path) -> None:
    loaded, answers = mapped("assist2009_pid.csv.gz", "assist2009.yaml", tmp_path)

    in_order = answers.sort_values("answered_at", kind="stable")
    first = in_order.drop_duplicates(["student_id", "item_id"])
    last = in_order.drop_duplicates(["student_id", "item_id"], keep="last")
    assert loaded.rows == 325_589
    assert answers["answer_id"].is_unique
    assert answers["student_id"].nunique() == 4_150
    assert answers["item_id"].nunique() == 16_891
    assert len(first) == 270_449
    assert first["correct"].sum() == 178_792
    assert last["correct"].sum() == 179_070


def test_assist2009_says_an_answer_once_per_skill_without_changing_it(tmp_path: Path) -> None:
    _, answers = mapped("assist2009_pid.csv.gz", "assist2009.yaml", tmp_path)

    before = answers.shift()
    repeats = answers[
        (before["student_id"] == answers["student_id"])
        & (before["item_id"] == answers["item_id"])
        & (before["subject"] != answers["subject"])
    ]

    assert len(repeats) == 51_033
    assert (repeats["correct"] == before.loc[repeats.index, "correct"]).all()


def test_assist2015_has_skill_builders_for_items(tmp_path: Path) -> None:
    loaded, answers = mapped("assist2015.csv.gz", "assist2015.yaml", tmp_path)

    assert loaded.rows == 683_801
    assert answers["answer_id"].is_unique
    assert answers["student_id"].nunique() == 19_840
    assert answers["item_id"].nunique() == 100
    assert answers["correct"].notna().all()


def test_mars_ib_keeps_trials_that_ran_out_of_time_unscored(tmp_path: Path) -> None:
    loaded, answers = mapped("mars_ib_calibration.csv.gz", "mars_ib.yaml", tmp_path)

    assert loaded.rows == 25_344
    assert answers["answer_id"].is_unique
    assert answers["student_id"].nunique() == 1_584
    assert answers["item_id"].nunique() == 384
    assert answers["correct"].isna().sum() == 477
    assert answers["correct"].sum() == 14_819
