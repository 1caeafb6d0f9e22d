"""What the command line prints, how it ends, and what it does not touch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from etl_jobs.cli import main
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

ROOT = Path(__file__).resolve().parent.parent
LSAT6 = f"raw.answers={ROOT / 'examples' / 'lsat6.csv.gz'}"
DAY = "2024-03-31"
HEAVY = ("google", "pandas", "numpy", "pyarrow", "scipy", "duckdb", "sqlglot", "yaml", "jinja2")


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds this checkout."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def lsat6(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the main job has run on LSAT 6."""
    folder = tmp_path_factory.mktemp("lsat6")
    assert main(["run", "calibrate", "--local", str(folder), "--input", LSAT6, "--as-of", DAY]) == 0
    return folder


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("GCP_ACCESSOR_LOCAL", raising=False)


# --- Help ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["list"], ["plan"], ["run"], ["show"]])
def test_help_explains_itself_and_imports_nothing_heavy(command: list[str]) -> None:
    code = f"""
import sys
from etl_jobs.cli import main
try:
    main([*{command!r}, "--help"])
except SystemExit as ended:
    assert ended.code == 0
loaded = {{name.partition(".")[0] for name in sys.modules}}
sys.exit(", ".join(loaded.intersection({HEAVY!r})) or 0)
"""

    ended = run_python(code)

    assert ended.stderr == ""
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"usage: {' '.join(['etl-jobs', *command])}")
    assert "-h, --help" in ended.stdout


def test_help_fits_a_terminal_of_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    for command in ("list", "plan", "run", "show"):
        with pytest.raises(SystemExit):
            main([command, "--help"])

    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_without_a_command_the_help_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])

    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert all(command in said.err for command in ("list", "plan", "run", "show", "examples:"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["rum", "calibrate"], "there is no command 'rum'; did you mean 'run'?"),
        (["fly"], "there is no command 'fly'; see etl-jobs --help"),
        (["run"], "the following arguments are required: JOB; see etl-jobs run --help"),
        (
            ["run", "calibrate", "--locall", "x"],
            "etl-jobs run has no option --locall; did you mean '--local'?",
        ),
        (
            ["run", "calibrate", "--asof=2024-01-01"],
            "etl-jobs run has no option --asof; did you mean '--as-of'?",
        ),
        (["list", "-q"], "etl-jobs list has no option -q; see etl-jobs list --help"),
        # An abbreviation would mean something else on the day a second option begins like it.
        (["run", "calibrate", "--proj", "x"], "has no option --proj; did you mean '--project'?"),
        (["plan", "calibrate", "twice"], "'twice' is one name too many"),
        (["run", "calibrate", "--as-of", "2024-02-30"], "--as-of: '2024-02-30' is not in the cal"),
        (["run", "calibrate", "--as-of", "today"], "'today' is not a day; expected YYYY-MM-DD"),
        (["run", "calibrate", "--set", "priors"], "'priors' has no value; expected NAME=VALUE"),
        (["run", "calibrate", "--input", "x.csv"], "'x.csv' has no value; expected NAME=VALUE"),
        (["run", "calibrate", "--max-bytes", "1 parsec"], "is not a size; write for example 20 GB"),
        (["run", "calibrate", "--max-bytes", "0"], "nothing can be read within 0 bytes"),
        (["show", "calibrate", "--bucket", "My Bucket!"], "'My Bucket!' is not a bucket's name"),
        (["run", "calibrate", "--dataset", "a-b"], "'a-b' is not a dataset's name; expected let"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_misused_option_is_one_sentence_and_exit_code_2(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed)

    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("etl-jobs: ")
    assert said in printed.err


# --- list and plan -------------------------------------------------------------------------


def test_list_names_every_job_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == [
        *("abilities/students", "answers/latest", "answers/rejected", "dif/mantel_haenszel"),
        *("features/items", "features/student_subjects", "features/students"),
        *("monitor/accuracy", "monitor/calibration", "monitor/drift", "monitor/predictions"),
        *("calibrate", "monitor"),
    ]
    assert max(map(len, lines)) <= 100
    columns = {len(line) - len(line.lstrip()) for line in lines if line.startswith(" ")}
    assert len(columns) == 1


def test_list_survives_a_reader_that_leaves() -> None:
    code = """
import os, sys
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
from etl_jobs.cli import main
sys.exit(main(["list"]))
"""

    ended = run_python(code)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_plan_gives_the_order_and_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "calibrate"]) == 0

    lines = capsys.readouterr().out.splitlines()
    order = [line for line in lines if not line.startswith(" ")]
    assert order[-1] == "4. calibrate"
    assert order.index("1. answers/latest") < order.index("3. features/items")
    text = " ".join(" ".join(lines).split())
    assert "--set attempt=first|latest which of a student's answers" in text
    assert "--set priors=default|none" in text
    assert "reads answers_latest, answers_rejected, item_features makes the table" in text
    assert "as_of" not in text


def test_plan_of_an_unknown_job_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "feature/item"]) == 2

    said = capsys.readouterr()
    assert said.err == "etl-jobs: there is no job 'feature/item'; did you mean features/items?\n"


def test_jobs_of_another_folder_need_nothing_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "counts.sql").write_text(
        """/*
How many answers there are.

output: answer_counts
partition: as_of
grain: [as_of, item]
parameters:
  as_of: DATE, the day
columns:
  as_of: DATE NOT NULL, the day
  item: STRING NOT NULL, the item
  answers: INT64 NOT NULL, how many
summary: answers counted
*/
SELECT @as_of AS as_of, item, COUNT(*) AS answers FROM raw.clicks GROUP BY item
"""
    )
    (tmp_path / "sources.yaml").write_text(
        """raw.clicks:
  description: Clicks.
  grain: [id]
  columns: {id: "STRING, a click", item: "STRING, on what"}
"""
    )
    log = tmp_path / "clicks.csv"
    log.write_text("id,item\n1,q1\n2,q1\n3,q2\n")
    run = ["run", "counts", "--local", str(tmp_path / "place"), "--as-of", DAY]

    assert main(["list", "--sql", str(tmp_path)]) == 0
    assert main([*run, "--sql", str(tmp_path), "--input", f"raw.clicks={log}"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "counts  How many answers there are."
    assert lines[-3:] == ["  3 answers counted:", "    2 q1", "    1 q2"]


# --- run -----------------------------------------------------------------------------------


def test_run_says_what_was_made_what_was_left_out_and_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["run", "calibrate", "--local", str(tmp_path), "--input", LSAT6, "--as-of", DAY])

    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "as of 2024-03-31"
    assert lines[1].startswith("raw.answers: 5,425 rows from ")
    assert lines[2].startswith("answers/latest: published, 5,000 rows (")
    start = lines.index("  425 rows left out:")
    assert lines[start - 1].startswith("answers/rejected: published, 8 rows (")
    assert lines[start + 1] == "    150 another attempt at the same item"
    reasons = [line.split(maxsplit=1) for line in lines[start + 1 : start + 9]]
    assert sum(int(number) for number, _ in reasons) == 425
    files = [Path(line.strip()) for line in lines if line.startswith("  /")]
    assert len(files) == 5
    assert all(file.is_file() for file in files)


def test_the_same_again_says_the_same_of_what_was_left_out(
    lsat6: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "calibrate", "--local", str(lsat6), "--as-of", DAY]) == 0

    out = capsys.readouterr().out
    assert out.count(": nothing to do") == 4
    assert "  425 rows left out:\n    150 another attempt" in out


def test_a_former_day_is_kept_and_not_published(
    lsat6: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publication = CloudStorageAccessor(local=lsat6).publication("gs://etl/answers/rejected")
    before = publication.latest()

    assert main(["run", "answers/rejected", "--local", str(lsat6), "--as-of", "2024-03-30"]) == 0

    assert "made and kept; what is published is newer" in capsys.readouterr().out
    assert publication.latest() == before


def test_the_environment_names_the_folder(
    lsat6: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(lsat6))

    assert main(["show", "calibrate"]) == 0

    assert str(lsat6) in capsys.readouterr().out


def test_a_run_is_in_a_folder_or_on_google_cloud_but_not_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"

    assert main(["run", "calibrate", "--project", "p", "--local", str(place)]) == 2

    assert "got --project p and --local" in capsys.readouterr().err
    assert not place.exists()


# --- show ----------------------------------------------------------------------------------


def test_show_gives_the_run_its_settings_its_figures_and_its_files(
    lsat6: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "calibrate", "--local", str(lsat6)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "calibrate, as of 2024-03-31"
    shown = dict(line.strip().split(maxsplit=1) for line in lines[1:6] if "set " not in line)
    latest = json.loads((lsat6 / "buckets/etl/calibrate/latest.json").read_text())
    assert shown["run"] == latest["run_id"]
    assert any(line.split() == ["set", "priors", "default"] for line in lines)
    assert any(line.split() == ["students", "1000"] for line in lines)
    report = next(line for line in lines if "report.html" in line)
    assert Path(report.split(" (")[0].strip()).is_file()


def test_show_finds_a_run_by_its_name(lsat6: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latest = json.loads((lsat6 / "buckets/etl/calibrate/latest.json").read_text())

    assert main(["show", "calibrate", "--local", str(lsat6), "--run", latest["run_id"]]) == 0

    assert latest["run_id"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (["calibrate", "--run", "yesterday"], 2, "'yesterday' is not a run; expected YYYY-MM-DD-"),
        (
            ["calibrate", "--run", "2024-03-31-0123456789ab"],
            1,
            "gs://etl/calibrate holds no committed run 2024-03-31-0123456789ab",
        ),
        (["calibrat"], 2, "there is no job 'calibrat'; did you mean calibrate?"),
        (["calibrate\n"], 2, "has no line break"),
        (["features/students"], 1, "features/students has published nothing in "),
        (
            ["calibrate", "--bucket", "nowhere"],
            1,
            "holds no bucket nowhere, so nothing is published there",
        ),
    ],
    ids=lambda value: " ".join(value).strip() if isinstance(value, list) else "",
)
def test_show_says_what_it_cannot_find(
    typed: list[str], code: int, said: str, lsat6: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", *typed, "--local", str(lsat6)]) == code

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("etl-jobs: ")
    assert said in printed.err


def test_show_before_anything_is_published_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"

    assert main(["show", "calibrate", "--local", str(place)]) == 1

    said = capsys.readouterr().err
    assert said == (
        f"etl-jobs: the folder {place} holds no bucket etl, so nothing is published there; name "
        "another with --local, or run a job there first\n"
    )
    assert not place.exists()


# --- What is not installed -----------------------------------------------------------------


@pytest.mark.parametrize("absent", ["yaml", "sqlglot"])
def test_without_the_extra_the_pip_line_is_given(absent: str) -> None:
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from etl_jobs.cli import main
sys.exit(main(["list"]))
"""

    ended = run_python(code, absent)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        f"etl-jobs: {absent} is not installed; run: pip install 'gcp-accessor[jobs]'\n"
    )


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch, lsat6: Path) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(BigQueryAccessor, "tables", broken)

    with pytest.raises(ZeroDivisionError):
        main(["run", "calibrate", "--local", str(lsat6)])
