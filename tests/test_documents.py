"""What the pages say is what the code does."""

from __future__ import annotations

import inspect
import re
from datetime import date
from pathlib import Path

import pytest

import gcp_accessor
from etl_jobs.cli import main
from etl_jobs.contract import read_query
from etl_jobs.job import Jobs
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }

    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        assert (page.parent / path).exists(), target
        if anchor and not path:
            assert anchor in headings, target


def test_the_readme_lists_every_job_with_what_it_reads_and_makes() -> None:
    rows = re.findall(r"^\| `([a-z/_]+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    jobs = Jobs().by_name

    assert {name for name, _, _ in rows} == set(jobs)
    for name, reads, makes in rows:
        assert tuple(sorted(re.findall(r"`(.*?)`", reads))) == jobs[name].reads
        if jobs[name].output:
            assert f"table `{jobs[name].output}`" in makes
            for kind in jobs[name].queries[0].publish:
                assert {"csv.gz": "csv.gz", "parquet": "Parquet"}[kind] in makes


def test_the_first_command_prints_what_the_readme_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [commands, *_] = blocks(README, "shell")
    arguments = commands.splitlines()[0].partition("etl-jobs ")[2].split()
    shown = blocks(README, "text")[0]
    monkeypatch.chdir(ROOT)
    arguments[arguments.index("demo")] = str(tmp_path)

    assert main(arguments) == 0

    def plain(text: str) -> str:
        text = text.replace(f"{tmp_path}/", "demo/")
        text = re.sub(r"\d+\.\d s", "0.0 s", text)
        return re.sub(r"\d{4}-\d{2}-\d{2}(-[0-9a-f]{12})?", "DAY", text)

    assert plain(capsys.readouterr().out) == plain(shown)


def test_the_code_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path))
    warehouse = BigQueryAccessor(dataset="school")
    warehouse.create_dataset("school")
    warehouse.load(
        [{"item_id": "q1", "correct": 1, "day": date(2024, 3, 1)}], "answers", if_exists="append"
    )
    CloudStorageAccessor().create_bucket("lessons")
    names: dict[str, object] = {"day": date(2024, 3, 1)}

    exec(blocks(README, "python")[0], names)

    assert names["rows"] == [["item_id", "correct"], ["q1", "1"]]


def test_the_job_on_the_page_is_a_job(tmp_path: Path) -> None:
    [sql] = blocks((ROOT / "docs" / "jobs.md").read_text(encoding="utf-8"), "sql")
    path = tmp_path / "counts" / "answers.sql"
    path.parent.mkdir()
    path.write_text(sql, encoding="utf-8")

    query = read_query(path, tmp_path)

    assert query.reads == ("answers_latest",)
    assert query.if_empty == "allowed"


def test_the_page_on_jobs_names_every_rule_of_cleaning() -> None:
    sql = (Jobs().folder / "answers" / "rejected.sql").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")

    for rule in re.findall(r"THEN '(.*?)'", sql):
        assert rule in page


@pytest.mark.parametrize("name", [name for name in gcp_accessor.__all__ if name[0] != "_"])
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(gcp_accessor, name)

    assert inspect.getdoc(thing)
    for attribute, member in inspect.getmembers(thing, inspect.isfunction):
        if not attribute.startswith("_"):
            assert inspect.getdoc(member), f"{name}.{attribute}"
    for attribute, held in inspect.getmembers(thing, lambda held: isinstance(held, property)):
        assert attribute.startswith("_") or held.__doc__, f"{name}.{attribute}"


@pytest.mark.parametrize(
    "name",
    [
        *("BigQueryAccessor", "CloudStorageAccessor", "MonitoringAccessor"),
        *("QueryResult", "QueryJob", "Publication", "PublicationRun"),
    ],
)
def test_every_method_is_on_a_page(name: str) -> None:
    said = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    public = [each for each in dir(getattr(gcp_accessor, name)) if not each.startswith("_")]

    missing = [each for each in public if not re.search(rf"[`.]{each}\b|\b{each}\(", said)]

    assert missing == []


def test_no_page_names_a_path_of_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(home|root|work|tmp|Users)/", page.read_text(encoding="utf-8")), (
            page
        )


@pytest.mark.parametrize("page", ["bigquery", "storage", "publication"])
def test_the_code_of_a_page_runs_on_a_folder(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path / "place"))
    monkeypatch.chdir(tmp_path)
    CloudStorageAccessor().create_bucket("lessons")
    names: dict[str, object] = {}

    for block in blocks((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), "python"):
        if "signed_url" in block:
            # A folder has none; tests/test_signed_urls.py runs it.
            continue
        shown = [line.partition("  # ") for line in block.splitlines()]
        exec(block, names)
        for expression, _, value in shown:
            if value and re.fullmatch(r"\S.*", expression) and value[0] in "0123456789[{":
                said = value.partition(" ")[0] if value[0].isdigit() else value
                if "=" not in expression.partition("(")[0] and not expression.endswith(":"):
                    assert eval(expression, names) == eval(said), expression


def test_the_code_of_coming_from_elsewhere_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path))
    warehouse, store = BigQueryAccessor(dataset="school"), CloudStorageAccessor()
    warehouse.create_dataset("school")
    store.create_bucket("lessons")
    warehouse.load([{"item_id": "q1", "day": date(2024, 3, 1)}], "answers")
    names: dict[str, object] = {
        "warehouse": warehouse,
        "store": store,
        "date": date,
        "sql": "SELECT item_id FROM answers WHERE day = @day",
    }
    page = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")

    for block in blocks(page, "python"):
        exec(block, names)

    assert warehouse.query("SELECT * FROM answers_copy").records() == [{"item_id": "q1"}]
    assert names["names"] == ["notes.txt"]
    assert store.download_csv_gzip("lessons", "rows.csv.gz") == [["item_id"], ["q1"]]
