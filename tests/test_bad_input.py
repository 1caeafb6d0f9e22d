"""Bad input through the command line: one clear sentence, an exit code, and nothing published.

Every case begins with a folder in which the main job has been published, so that "nothing is
published" also means that what was there is untouched.
"""

from __future__ import annotations

import gzip
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from google.auth.credentials import AnonymousCredentials

from etl_jobs.cli import main
from etl_jobs.job import sql_folder
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
from gcp_accessor.backends.duckdb import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

ROOT = Path(__file__).resolve().parent.parent
DAY = "2024-03-31"
JOBS = ("answers/latest", "answers/rejected", "features/items", "calibrate")
COLUMNS = "answer_id,student_id,item_id,correct,answered_at\n"
STUDENTS, ITEMS = 12, 4


def answers(right: object = None, students: int = STUDENTS, items: int = ITEMS) -> str:
    """The rows of a log in which every student answers every item once."""
    draw = random.Random(7)
    rows = ((s, i, draw.randint(0, 1)) for s in range(students) for i in range(items))
    return "".join(
        f"a{s}-{i},s{s},q{i},{drawn if right is None else right},2024-03-01T09:00:00Z\n"
        for s, i, drawn in rows
    )


LOG = COLUMNS + answers()


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Run(Protocol):
    def __call__(self, *arguments: object) -> Ran: ...


@pytest.fixture(autouse=True)
def only_what_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GCP_ACCESSOR_LOCAL", raising=False)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    log = folder / "log.csv"
    log.write_text(LOG)
    place = folder / "place"
    typed = ["run", "calibrate", "--local", str(place), "--as-of", DAY]
    assert main([*typed, "--input", f"raw.answers={log}"]) == 0
    return place


@pytest.fixture
def place(published: Path, tmp_path: Path) -> Path:
    """A copy of the folder in which the main job has been published."""
    # Times and all: an object's generation is its file's.
    return Path(shutil.copytree(published, tmp_path / "place"))


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the main job on the published folder, in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        typed = ["run", "calibrate", "--local", place, "--as-of", DAY, *arguments]
        try:
            code = main([str(each) for each in typed])
        except SystemExit as ended:
            code = int(str(ended.code))
        return Ran(code, *capsys.readouterr())

    return run


def a_file(folder: Path, content: str | bytes, name: str = "log.csv") -> str:
    """Write a log and return the option's value that loads it."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return f"raw.answers={path}"


def objects(place: Path, *jobs: str) -> dict[str, tuple[bytes, int]]:
    """Every object of the jobs, but what attempts note of themselves, with its generation."""
    bucket = place / "buckets" / "etl"
    return {
        str(path.relative_to(bucket)): (path.read_bytes(), path.stat().st_mtime_ns)
        for job in jobs or JOBS
        for path in (bucket / job).rglob("*")
        if path.is_file() and path.name not in ("start.json", "failed.json")
        if path.parent.name not in ("starts", "staging")
    }


def published_bytes(place: Path) -> dict[str, bytes]:
    """The files that a reader of the published run finds."""
    publication = CloudStorageAccessor(local=place).publication("gs://etl/calibrate")
    manifest = publication.latest()
    assert manifest is not None
    return {file.name: publication.read(file.name, as_="bytes").content for file in manifest.files}


def assert_no_trace(place: Path) -> None:
    """Nothing half-done is left: no staging table, no temporary file."""
    tables = BigQueryAccessor(local=place, dataset="etl").tables()
    assert [name for name in tables if "__" in name] == []
    private = place / ".gcp_accessor"
    left = [path for path in private.rglob("*") if path.is_file() and path.parent.name != "locks"]
    assert left == []


def assert_sentence(err: str, said: str, *, lines: int = 3) -> None:
    """The message is for a person: short, of one voice, without the insides of anything."""
    assert said in err
    assert err.startswith("etl-jobs: ")
    assert err.endswith("\n")
    assert err.count("\n") <= lines
    for noise in ("Traceback", "Error:", "gcp_accessor.", "_duckdb", "errno", "http://", "<class"):
        assert noise not in err, noise
    assert re.match(r"etl-jobs: \d{3} ", err) is None


# --- The file ------------------------------------------------------------------------------

GZIPPED = gzip.compress(LOG.encode(), mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("log.csv", b"", "log.csv is empty"),
        ("log.csv.gz", gzip.compress(b"", mtime=0), "log.csv.gz is empty"),
        ("log.csv", COLUMNS, "log.csv has no rows, only the header answer_id, student_id, item_id"),
        (
            "log.csv",
            "answer_id,student_id,item_id,correct\na,s,q,1\n",
            "log.csv has no column 'answered_at'; it has answer_id, student_id, item_id, correct",
        ),
        (
            "log.csv",
            LOG.replace("item_id", "itemid"),
            "no column 'item_id'; it has answer_id, student_id, itemid, correct, answered_at; a "
            "mapping can say what item_id is called or made of; did you mean 'itemid'?",
        ),
        ("log.csv", LOG.replace(",", ";"), "log.csv separates its columns by ';'; expected ','"),
        (
            "log.csv",
            f"{LOG}b,s1,q1,maybe,2024-03-01\n",
            "log.csv row 49: correct is 'maybe'; expected a whole number, true or false (1 right",
        ),
        ("log.csv", f"{LOG}b,s1,q1,0.5,2024-03-01\n", "row 49: correct is '0.5'; expected a whole"),
        (
            "log.csv",
            f"{LOG}b,s1,q1,1,yesterday\n",
            "row 49: answered_at is 'yesterday'; expected an ISO 8601 time such as 2024-03-01T09",
        ),
        (
            "log.csv",
            f"{LOG}b,s1,q1,1,2024-02-30\n",
            "row 49: answered_at is '2024-02-30'; expected",
        ),
        ("log.csv", f"{LOG}b,s1,q1\n", "log.csv row 49 has 3 fields; expected 5 as in the header"),
        ("log.csv", f'{LOG}b,s1,q1,1,"2024-03-01\n', "log.csv row 49: a quote is not closed"),
        ("log.csv.gz", GZIPPED[:-30], "log.csv.gz is a broken gzip file: it ends too early; copy"),
        (
            "log.csv.gz",
            GZIPPED[:60] + b"\0\0\0\0" + GZIPPED[64:],
            "log.csv.gz is a broken gzip file: ",
        ),
        ("log.csv.gz", LOG, "log.csv.gz is not gzip-compressed, although its name says so; rename"),
        ("log.csv", GZIPPED, "log.csv is gzip-compressed; name it log.csv.gz"),
        (
            "log.csv",
            f"{LOG}b,Zoë,q1,1,2024-03-01\n".encode("latin-1"),
            "log.csv is not UTF-8: byte 0xeb at byte ",
        ),
        ("log.csv", LOG.encode("utf-16"), "log.csv is UTF-16; convert it with: iconv -f UTF-16"),
        ("log.xlsx", b"PK\x03\x04", "the ending of log.xlsx stands for no format that is read"),
        ("log.ndjson", '{"answer_id": ', "log.ndjson"),
        ("log.parquet", "PAR1", "log.parquet"),
    ],
    ids=[
        *("empty", "empty-gzip", "header-only", "missing-column", "misspelt-column", "semicolons"),
        *("word-as-correct", "half-correct", "word-as-time", "no-such-day", "short-row"),
        *("open-quote", "cut-gzip", "damaged-gzip", "not-gzip", "hidden-gzip", "latin-1", "utf-16"),
        *("excel", "broken-json", "broken-parquet"),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    name: str, content: str | bytes, said: str, place: Path, tmp_path: Path, run: Run
) -> None:
    before = objects(place)

    ended = run("--input", a_file(tmp_path, content, name))

    assert ended.code == 1
    assert_sentence(ended.err, said, lines=1)
    assert ended.out == f"as of {DAY}\n"
    assert objects(place) == before
    assert_no_trace(place)
    warehouse = BigQueryAccessor(local=place)
    assert warehouse.query("SELECT COUNT(*) FROM raw.answers").scalar() == STUDENTS * ITEMS


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no.csv", "there is no file "),
        ("lgo.csv", "lgo.csv; did you mean 'log.csv'?"),
        ("nowhere/log.csv", ", nor a folder "),
        (".", "is a folder; expected a file"),
    ],
)
def test_a_file_that_is_not_there_is_named(path: str, said: str, tmp_path: Path, run: Run) -> None:
    a_file(tmp_path, LOG)

    ended = run("--input", f"raw.answers={tmp_path / path}")

    assert ended.code == 1
    assert_sentence(ended.err, said, lines=1)


def test_a_table_that_no_job_reads_is_named(tmp_path: Path, run: Run) -> None:
    ended = run("--input", a_file(tmp_path, LOG).replace("raw.answers", "raw.answer"))

    assert ended.code == 1
    assert_sentence(
        ended.err, "no job reads a table 'raw.answer' from outside; expected raw.answers"
    )


def test_without_the_raw_log_the_option_that_fills_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "calibrate", "--local", str(tmp_path)]) == 1

    said = "there is no table raw.answers; fill it with --input raw.answers=FILE"
    assert_sentence(capsys.readouterr().err, said)
    assert not list(tmp_path.rglob("latest.json"))


# --- Rows that are left out, and said ------------------------------------------------------


BAD_ROWS = {
    "b1,s1,q1,2,2024-03-01": "correct is not 0 or 1",
    "b2,s1,q1,-1,2024-03-01": "correct is not 0 or 1",
    "b3,s1,q1,,2024-03-01": "not scored",
    "b4,s1,q1,1,": "no time",
    "b5,s1,q1,1,2024-04-01": "after the day",
    "b6,,q1,1,2024-03-01": "no student id",
    'b7,"",q1,1,2024-03-01': "no student id",
    "b8,s1,,1,2024-03-01": "no item id",
    "b9,s1,  ,1,2024-03-01": "no item id",
    ",s1,q1,1,2024-03-01": "no answer id",
    f"b10,{'x' * 10_000},q1,1,2024-03-01": "an id over 1,024 characters",
    f"b11,s1,{'x' * 10_000},1,2024-03-01": "an id over 1,024 characters",
    "a3-1,s3,q1,1,2024-03-01T10:00:00Z": "a repeat of the same answer id",
    "b12,s1,q1,1,2024-03-02": "another attempt at the same item",
}


def test_bad_rows_are_left_out_and_counted_by_what_is_wrong(
    published: Path, place: Path, tmp_path: Path, run: Run
) -> None:
    ended = run("--input", a_file(tmp_path, LOG + "\n".join(BAD_ROWS)))

    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    start = lines.index(f"  {len(BAD_ROWS)} rows left out:") + 1
    reasons = Counter(BAD_ROWS.values())
    said = [line.split(maxsplit=1) for line in lines[start : start + len(reasons)]]
    assert {reason: int(number) for number, reason in said} == reasons
    table = "item_parameters.csv.gz"
    assert published_bytes(place)[table] == published_bytes(published)[table]


def test_columns_that_are_not_used_are_said(tmp_path: Path, run: Run) -> None:
    header, *rows = LOG.splitlines()

    ended = run(
        "--input", a_file(tmp_path, "\n".join([f"{header},mood", *(f"{r},fine" for r in rows)]))
    )

    assert (ended.code, ended.err) == (0, "")
    assert "  columns of the file that are not used: mood\n" in ended.out


def test_a_student_without_a_valid_answer_is_left_out(
    place: Path, tmp_path: Path, run: Run
) -> None:
    ended = run("--input", a_file(tmp_path, f"{LOG}b1,zoe,q1,7,2024-03-01\nb2,zoe,q2,,\n"))

    assert (ended.code, ended.err) == (0, "")
    assert "  2 rows left out:\n" in ended.out
    assert f"{ITEMS} items, {STUDENTS} students" in ended.out
    warehouse = BigQueryAccessor(local=place, dataset="etl")
    sql = "SELECT COUNT(*) FROM answers_latest WHERE student_id = 'zoe'"
    assert warehouse.query(sql).scalar() == 0


def test_ids_of_any_characters_arrive_intact(place: Path, tmp_path: Path, run: Run) -> None:
    item = 'q "1", 😀\nnew <b>line</b>'
    student = 'Zoë, "Z"\r\n\'; DROP TABLE answers --'
    log = LOG
    for plain, odd in (("q1", item), ("s1", student)):
        quoted = '"' + odd.replace('"', '""') + '"'
        log = log.replace(f",{plain},", f",{quoted},")

    ended = run("--input", a_file(tmp_path, log))

    assert (ended.code, ended.err) == (0, "")
    publication = CloudStorageAccessor(local=place).publication("gs://etl/calibrate")
    _, *rows = publication.read("item_parameters.csv.gz").content
    assert item in {row[0] for row in rows}
    assert item in {
        each["item_id"] for each in publication.read("item_parameters.json").content["items"]
    }
    page = publication.read("report.html", as_="bytes").content.decode()
    assert "😀" in page
    assert "<b>line</b>" not in page
    warehouse = BigQueryAccessor(local=place, dataset="etl")
    ids = warehouse.query("SELECT DISTINCT student_id FROM answers_latest").rows()
    assert [student] in ids
    assert len(ids) == STUDENTS


# --- Logs from which nothing can be learned ------------------------------------------------


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (COLUMNS + answers(students=1), "calibrate: only 1 person gave answers; calibration needs"),
        (COLUMNS + answers(items=1), "calibrate: only 1 item has answers; calibration needs at le"),
        (
            COLUMNS + answers(right=1),
            "calibrate: all 48 answers are right: nothing tells the items",
        ),
        (
            COLUMNS + answers(right=0),
            "calibrate: all 48 answers are wrong: nothing tells the items",
        ),
    ],
    ids=["one-student", "one-item", "all-right", "all-wrong"],
)
def test_a_log_that_teaches_nothing_leaves_the_former_calibration(
    log: str, said: str, place: Path, tmp_path: Path, run: Run
) -> None:
    before = objects(place, "calibrate")

    ended = run("--input", a_file(tmp_path, log))

    assert ended.code == 1
    assert_sentence(ended.err, said, lines=1)
    assert "Nothing was published" in ended.err
    assert objects(place, "calibrate") == before
    assert_no_trace(place)


@pytest.mark.parametrize(
    ("log", "day"),
    [(COLUMNS + answers(right=5), DAY), (LOG, "2020-01-01")],
    ids=["no-valid-row", "a-day-before-any-data"],
)
def test_a_day_without_a_valid_answer_publishes_nothing(
    log: str, day: str, place: Path, tmp_path: Path, run: Run
) -> None:
    before = objects(place)

    ended = run("--input", a_file(tmp_path, log), "--as-of", day)

    assert ended.code == 1
    assert_sentence(ended.err, "answers/latest returned no rows, so nothing was published.")
    assert "run answers/rejected, which says why" in ended.err
    assert objects(place) == before
    assert_no_trace(place)


def test_the_advice_to_count_what_was_rejected_helps(
    place: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--input", a_file(tmp_path, COLUMNS + answers(right=5))).code == 1

    assert main(["run", "answers/rejected", "--local", str(place), "--as-of", DAY]) == 0

    assert "  48 rows left out:\n    48 correct is not 0 or 1\n" in capsys.readouterr().out


# --- What was typed ------------------------------------------------------------------------


def test_a_day_that_has_not_been_is_refused(place: Path, run: Run) -> None:
    before = objects(place)
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)

    ended = run("--as-of", tomorrow)

    assert ended.code == 2
    assert_sentence(ended.err, f"--as-of {tomorrow} is in the future: today is ", lines=1)
    assert objects(place) == before


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (["--set", "prior=none"], 2, "there is no parameter 'prior'; calibrate takes anchor, at"),
        (["--set", "priors=flat"], 2, "the parameter priors is 'flat'; expected default or none"),
        (["--set", "as_of=2024-01-01"], 2, "the day is not set with --set; give it with --as-of"),
        (
            ["--map", "log.yaml"],
            2,
            "--map says how a file becomes a table; name the file with --in",
        ),
        (["--bucket", "nowhere"], 1, "there is no bucket nowhere; create it, or name another with"),
        (["--dataset", "nowhere"], 1, "there is no dataset nowhere; create it, or name another wi"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_there_is_not_is_named(
    typed: list[str], code: int, said: str, place: Path, run: Run
) -> None:
    before = objects(place)

    ended = run(*typed)

    assert ended.code == code
    assert_sentence(ended.err, said, lines=1)
    assert ended.out == ""
    assert objects(place) == before


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("columns: [", "log.yaml: is not valid YAML in line 1: "),
        ("student: user", "log.yaml: expected a mapping with 'columns:', and perhaps 'table:'"),
        ("columns: {studentid: user}", "log.yaml: raw.answers has no 'studentid'; did you mean"),
        ("columns: {student_id: user}", "log.csv has no column 'user' for student_id; it has ans"),
        (
            "columns: {correct: {from: correct, right: 1, wrong: [0, 1]}}",
            "log.yaml: correct: '1' is both right and wrong",
        ),
        (
            "columns: {correct: {from: correct, right: 1, wrong: no}}",
            "row 1: correct is '0'; expected right (1), wrong (no) or nothing",
        ),
        (None, "log.yaml: cannot be read: No such file or directory"),
    ],
    ids=["not-yaml", "no-columns", "misspelt", "absent", "both", "neither", "no-file"],
)
def test_a_mapping_that_does_not_fit_is_explained(
    mapping: str | None, said: str, place: Path, tmp_path: Path, run: Run
) -> None:
    before = objects(place)
    path = tmp_path / "log.yaml"
    if mapping is not None:
        path.write_text(mapping)

    ended = run(
        "--input", a_file(tmp_path, LOG.replace("a0-0,s0,q0,1", "a0-0,s0,q0,0")), "--map", path
    )

    assert ended.code == 1
    assert_sentence(ended.err, said, lines=1)
    assert objects(place) == before


def test_without_a_cloud_or_a_folder_the_options_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "calibrate"]) == 2

    said = "name a bucket with --bucket, or run without a cloud with --local DIR"
    assert_sentence(capsys.readouterr().err, said, lines=1)


def test_without_credentials_the_way_to_sign_in_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")

    assert main(["run", "calibrate", "--project", "p", "--bucket", "lessons"]) == 1

    said = "credentials were not found"
    err = capsys.readouterr().err
    assert_sentence(err, said)
    assert "gcloud auth application-default login" in err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--bucket", "nowhere"], "there is no bucket nowhere; create it"),
        (["--bucket", "lessons", "--dataset", "nowhere"], "there is no dataset nowhere; create it"),
        (["--bucket", "lessons"], "there is no table raw.answers; fill it with --input"),
    ],
    ids=["bucket", "dataset", "table"],
)
def test_on_google_cloud_too_what_there_is_not_is_named(
    typed: list[str],
    said: str,
    tmp_path: Path,
    cloud_storage: CloudStorageStandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage.url)
    monkeypatch.setattr("google.auth.default", lambda *_, **__: (AnonymousCredentials(), "p"))
    engine = DuckDBWarehouse(tmp_path)
    for dataset in ("raw", "etl"):
        engine.create_dataset(dataset)
    with BigQueryStandIn(engine) as bigquery:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)

        code = main(["run", "calibrate", "--project", bigquery.project, *typed])

    assert code == 1
    assert_sentence(capsys.readouterr().err, said)


# --- The SQL -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (
            "answers/latest",
            ("FROM distinct_answers", "FROM distinct_answers WHERE ("),
            "sql/answers/latest.sql: the SQL does not parse at line ",
        ),
        (
            "answers/latest",
            ("/*", "-- /*"),
            "sql/answers/latest.sql: expected a leading /* comment",
        ),
        (
            "answers/latest",
            ("output: answers_latest", "output: [answers_latest"),
            "sql/answers/latest.sql: the header is not valid YAML in line 5: ",
        ),
        (
            "answers/latest",
            ("output:", "outptu:"),
            "sql/answers/latest.sql: the header has the unknown key 'outptu'; expected ",
        ),
        (
            "answers/latest",
            ("byte_budget: 500 GB", "byte_budget: much"),
            "sql/answers/latest.sql: 'much' is not a size; write for example 20 GB",
        ),
        (
            "answers/latest",
            ("grain: [as_of, student_id, item_id]", "grain: student_id"),
            "sql/answers/latest.sql: grain has to be a list, found 'student_id'; write [stud",
        ),
        (
            "answers/latest",
            ("FROM raw.answers", "FROM raw.answrs"),
            "sql/answers/latest.sql reads raw.answrs, which no job makes and sources.yaml does not "
            "list; add a job whose output is raw.answrs, or list it there; did you mean raw.answ",
        ),
        (
            "answers/latest",
            ("FROM raw.answers", "FROM item_features"),
            "these jobs wait for each other: answers/latest -> features/items -> answers/latest",
        ),
        (
            "sources.yaml",
            ("raw.answers:", "raw.answers: ["),
            "sources.yaml is not valid YAML in li",
        ),
    ],
    ids=[
        *("no-parse", "no-header", "header-not-yaml", "unknown-key", "bad-budget", "grain-no-list"),
        *("unknown-table", "cycle", "broken-sources"),
    ],
)
def test_sql_that_cannot_be_planned_is_refused_before_anything_is_read(
    file: str, change: tuple[str, str], said: str, place: Path, tmp_path: Path, run: Run
) -> None:
    before = objects(place)

    ended = run("--sql", changed_sql(tmp_path, file, change), "--input", a_file(tmp_path, LOG))

    assert ended.code == 1
    assert_sentence(ended.err, said, lines=1)
    assert ended.out == ""
    assert objects(place) == before


def test_sql_in_another_encoding_is_refused(place: Path, tmp_path: Path, run: Run) -> None:
    folder = changed_sql(tmp_path, "answers/latest", ("Longer ids", "Longer idées"))
    path = folder / "answers" / "latest.sql"
    path.write_bytes(path.read_text().encode("latin-1"))

    ended = run("--sql", folder)

    assert ended.code == 1
    assert_sentence(ended.err, "sql/answers/latest.sql: is not UTF-8: ", lines=1)


# The last SELECT of answers/latest, where the rows that are stored get their values.
LAST = "  correct,\n  COUNT(*) OVER"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("  END = 1\n", "  END >= 1\n"),
            "answers/latest breaks its contract, so nothing was publ",
        ),
        (
            ("  item_id,\n  answer_id,\n", "  item_id,\n  CAST(NULL AS STRING) AS answer_id,\n"),
            "48 rows break answer_id_is_not_null",
        ),
        (("attempts >= 1", "attempts >= 3"), "48 rows break attempts_are_counted"),
        (
            ("correct: INT64 NOT NULL", "correct: BOOL NOT NULL"),
            "answers/latest promises correct BOOL, but its query returned correct INT64, so no",
        ),
        (
            (LAST, LAST.replace("correct", "corrct AS correct")),
            "The query is sql/answers/latest.sql.",
        ),
        (
            (LAST, LAST.replace("correct", "CAST(answer_id AS INT64) AS correct")),
            "The query is sql/answers/latest.sql.",
        ),
        (
            (LAST, LAST.replace("correct", "FARM_FINGERPRINT(answer_id) AS correct")),
            "does not run the function FARM_FINGERPRINT",
        ),
        (
            ("byte_budget: 500 GB", "byte_budget: 1 KB"),
            "The query is sql/answers/latest.sql, its limit byte_budget in its header.",
        ),
    ],
    ids=[
        *("repeated-grain", "null", "check", "type", "unknown-column", "failing-cast"),
        *("not-local", "own-budget"),
    ],
)
def test_sql_that_breaks_its_promise_publishes_nothing(
    change: tuple[str, str], said: str, place: Path, tmp_path: Path, run: Run
) -> None:
    before = objects(place)
    # One answer more, so that a repeated grain is there to be found.
    log = a_file(tmp_path, LOG + "b,s1,q1,1,2024-03-02\n" * (">= 1" in change[1]))

    ended = run("--sql", changed_sql(tmp_path, "answers/latest", change), "--input", log)

    assert ended.code == 1
    assert_sentence(ended.err, said)
    assert "published," not in ended.out
    assert objects(place) == before
    assert_no_trace(place)


def test_a_budget_that_is_too_small_reads_nothing(place: Path, tmp_path: Path, run: Run) -> None:
    before = objects(place)

    ended = run("--max-bytes", "1KB", "--input", a_file(tmp_path, LOG + "b,s1,q1,1,2024-03-02\n"))

    assert ended.code == 1
    assert_sentence(ended.err, "bytes, more than the limit of 1,000; nothing was run")
    assert "The query is sql/answers/latest.sql, its limit --max-bytes." in ended.err
    assert objects(place) == before
    assert_no_trace(place)


def changed_sql(folder: Path, file: str, change: tuple[str, str]) -> Path:
    """Return a copy of the project's SQL in which one file says something else."""
    copy = Path(shutil.copytree(sql_folder(), folder / "sql"))
    path = copy / (file if file.endswith(".yaml") else f"{file}.sql")
    text = path.read_text()
    assert text.count(change[0]) == 1
    path.write_text(text.replace(*change))
    return copy


# --- The folder and its disk ---------------------------------------------------------------


@pytest.mark.parametrize("below", ["file", "file/place", "file/a/b"])
def test_a_folder_that_cannot_be_is_named(
    below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("a file, no folder")

    log = a_file(tmp_path, LOG)
    assert main(["run", "calibrate", "--local", str(tmp_path / below), "--input", log]) == 1

    err = capsys.readouterr().err
    assert_sentence(err, f"the folder {tmp_path / below} cannot be used: Not a directory; name one")
    assert (tmp_path / "file").read_text() == "a file, no folder"


MAIN = "import sys; from etl_jobs.cli import main; sys.exit(main(sys.argv[1:]))"


def command(place: Path, *arguments: str) -> list[str]:
    """The main job as a process of its own."""
    typed = ["run", "calibrate", "--local", str(place), "--as-of", DAY, *arguments]
    return [sys.executable, "-c", MAIN, *typed]


def in_own_mounts(script: str, folder: Path, *typed: str) -> subprocess.CompletedProcess[str]:
    """Run a command after a shell script that mounts what no other process sees, or skip."""
    shell = f'set -e; FOLDER="$1"; shift; {script} || exit 99; exec "$@"'
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed: a file system of its own cannot be made")
    ended = subprocess.run(
        [unshare, "--map-root-user", "--mount", "sh", "-c", shell, "sh", str(folder), *typed],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == 99 or ended.stderr.startswith("unshare:"):
        pytest.skip(f"no file system of its own can be mounted here: {ended.stderr.strip()}")
    return ended


def test_a_folder_that_cannot_be_written_is_named(place: Path, tmp_path: Path) -> None:
    before = objects(place)
    read_only = 'mount --bind "$FOLDER" "$FOLDER" && mount -o remount,ro,bind "$FOLDER"'

    log = a_file(tmp_path, LOG + "b,s1,q1,1,2024-03-02\n")
    ended = in_own_mounts(read_only, place, *command(place, "--input", log))

    assert ended.returncode == 1
    assert_sentence(ended.stderr, f"the folder {place} cannot be used: ")
    assert objects(place) == before


def test_a_disk_that_is_full_from_the_start_is_said(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    small = 'mount -t tmpfs -o size=100k tmpfs "$FOLDER"'

    ended = in_own_mounts(small, place, *command(place, "--input", a_file(tmp_path, LOG)))

    assert ended.returncode == 1
    assert_sentence(ended.stderr, "No space left on device")
    assert str(place) in ended.stderr


@pytest.mark.parametrize(
    "most", [2_000, 8_000, 40_000], ids=["reading-the-file", "in-the-warehouse", "in-the-bucket"]
)
def test_a_disk_that_fills_up_leaves_what_was_published(
    most: int, place: Path, tmp_path: Path, run: Run
) -> None:
    before = objects(place, "calibrate")
    pointer = (place / "buckets/etl/calibrate/latest.json").read_bytes()
    log = a_file(tmp_path, LOG + "b,s1,q1,1,2024-03-02\n")

    # To a program a file that may not grow is a disk that is full.
    ended = subprocess.run(
        command(place, "--input", log),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )

    assert ended.returncode == 1
    # There may have been no room for the metrics either, which is a warning of its own.
    _, voice, said = ended.stderr.partition("etl-jobs: ")
    assert_sentence(voice + said, "File too large")
    after = objects(place, "calibrate")
    # Whose rows a day of the table holds is nobody's to read but the next run's.
    published = [name for name in before if "/days/" not in name]
    assert {name: after[name] for name in published} == {name: before[name] for name in published}
    assert (place / "buckets/etl/calibrate/latest.json").read_bytes() == pointer
    assert run("--input", log).code == 0


def test_a_new_folder_on_a_full_disk_works_once_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    log = a_file(tmp_path, LOG)

    ended = subprocess.run(
        command(place, "--input", log),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        # Room for a part of an empty warehouse.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000)),
    )

    assert ended.returncode == 1
    assert_sentence(ended.stderr, f"the folder {place} cannot be used: Could not write file")
    typed = ["run", "calibrate", "--local", str(place), "--as-of", DAY, "--input", log]
    assert main(typed) == 0
    assert capsys.readouterr().err == ""


# --- Stopped, killed, and twice at once ----------------------------------------------------


def stop(typed: list[str], after: str, pause: float, by: signal.Signals) -> Ran:
    """Start a command and signal it a moment after it printed a line that begins with `after`."""
    process = subprocess.Popen(
        typed, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(after):
            break
    time.sleep(pause)
    process.send_signal(by)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, "".join(lines) + out, err)


@pytest.mark.parametrize(
    ("after", "pause"),
    [
        ("as of", 0.05),
        ("raw.answers", 0.0),
        ("answers/latest", 0.05),
        ("features/items", 0.05),
    ],
)
def test_ctrl_c_stops_with_one_sentence_and_leaves_what_was_published(
    after: str, pause: float, place: Path, tmp_path: Path, run: Run
) -> None:
    before = published_bytes(place)
    # Another log, so that there is something to do.
    log = a_file(tmp_path, LOG.replace("a0-0,s0,q0,1", "a0-0,s0,q0,0"))

    stopped = stop(command(place, "--input", log), after, pause, signal.SIGINT)

    # 130 is what a shell makes of a process that SIGINT ended: Python may end so by itself.
    assert stopped.code in (130, -signal.SIGINT)
    assert stopped.err == "etl-jobs: stopped; what was not finished was not published\n"
    assert published_bytes(place) == before
    assert_no_trace(place)
    assert run("--input", log).code == 0


def test_killed_at_any_moment_the_next_run_publishes_the_same(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    log = a_file(tmp_path, LOG)
    draw = random.Random(20)
    lines = ["as of", "raw.answers", "raw.answers", "answers/latest", "features/items"]

    for after in lines:
        killed = stop(command(place, "--input", log), after, draw.uniform(0, 0.15), signal.SIGKILL)
        assert killed.code in (-signal.SIGKILL, 0)

    typed = ["run", "calibrate", "--local", str(place), "--as-of", DAY, "--input", log]
    assert main(typed) == 0
    assert capsys.readouterr().err == ""
    assert published_bytes(place) == published_bytes(published)


def test_two_runs_at_once_both_succeed(published: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    typed = command(place, "--input", a_file(tmp_path, LOG))
    pipe = subprocess.PIPE

    both = [subprocess.Popen(typed, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) for _ in "12"]
    ended = [process.communicate(timeout=60) for process in both]

    # What was said comes first: it tells why, where a code does not.
    assert [err for _, err in ended] == ["", ""]
    assert [process.returncode for process in both] == [0, 0], ended
    assert published_bytes(place) == published_bytes(published)
    assert_no_trace(place)
