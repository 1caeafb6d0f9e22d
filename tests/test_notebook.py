"""`%%bq` in an IPython shell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from gcp_accessor import BigQueryAccessor, Estimate, QueryResult
from gcp_accessor.notebook import BigQueryMagics, _query_parser

if TYPE_CHECKING:
    from collections.abc import Iterator


class Notebook:
    """A shell, and what its cells show."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.shown: list[Any] = []
        self.said = ""
        self.error: BaseException | None = None

    def run(self, cell: str) -> Any:
        """Run a cell and return its value."""
        with capture_output() as captured:
            done = self.shell.run_cell(cell)
        self.shown = [output.data for output in captured.outputs]
        self.said = re.sub(r"\x1b\[[\d;]*m", "", captured.stdout + captured.stderr)
        self.error = done.error_in_exec or done.error_before_exec
        return done.result

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def __setitem__(self, name: str, value: object) -> None:
        self.shell.user_ns[name] = value


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path / "place"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    book = Notebook(shell)
    book.run("%load_ext gcp_accessor")
    assert book.error is None
    yield book
    InteractiveShell.clear_instance()


@pytest.fixture
def exams(notebook: Notebook, tmp_path: Path) -> BigQueryAccessor:
    warehouse = BigQueryAccessor(local=tmp_path / "exams", dataset="exams")
    warehouse.create_dataset("exams")
    warehouse.load([{"item": f"q{n}", "correct": n % 2} for n in range(25)], "answers")
    notebook["warehouse"] = warehouse
    return warehouse


# --- Results ------------------------------------------------------------------------------


def test_a_cell_gives_the_result_which_shows_itself(notebook: Notebook) -> None:
    result = notebook.run("%%bq\nSELECT 1 AS one")

    assert isinstance(result, QueryResult)
    assert result.scalar() == 1
    assert "1 row · 0 bytes read" in result._repr_html_()


def test_a_name_keeps_a_dataframe_and_shows_the_cost(
    notebook: Notebook, exams: BigQueryAccessor
) -> None:
    value = notebook.run("%%bq frame --with warehouse\nSELECT * FROM answers ORDER BY item")

    assert value is None
    assert notebook["frame"].shape == (25, 2)
    [shown] = notebook.shown
    assert "10 of 25 rows" in shown["text/html"]


@pytest.mark.parametrize(
    ("form", "kind"),
    [("frame", "DataFrame"), ("arrow", "Table"), ("records", "list"), ("result", "QueryResult")],
)
def test_the_form_is_chosen(notebook: Notebook, form: str, kind: str) -> None:
    notebook.run(f"%%bq kept --as {form}\nSELECT 1 AS one")

    assert type(notebook["kept"]).__name__ == kind


def test_a_form_without_a_name_is_the_cells_value(notebook: Notebook) -> None:
    assert notebook.run("%%bq --as records\nSELECT 1 AS one") == [{"one": 1}]


def test_nothing_is_shown_if_so_asked(notebook: Notebook) -> None:
    value = notebook.run("%%bq kept --no-display\nSELECT 1 AS one")

    assert value is None
    assert notebook.shown == []
    assert notebook.said == ""
    assert notebook["kept"].shape == (1, 1)


def test_a_statement_without_rows_shows_what_it_cost(
    notebook: Notebook, exams: BigQueryAccessor
) -> None:
    result = notebook.run("%%bq --with warehouse\nCREATE TABLE copy AS SELECT * FROM answers")

    assert "<table>" not in result._repr_html_()
    assert " read" in result._repr_html_()
    assert exams.table("copy").rows == 25


# --- Parameters ---------------------------------------------------------------------------


def test_a_parameter_is_the_variable_of_its_name(notebook: Notebook) -> None:
    notebook["n"], notebook["names"] = 3, ["ana", "ben"]

    result = notebook.run("%%bq\nSELECT @n AS n, @names AS names")

    assert result.records() == [{"n": 3, "names": ["ana", "ben"]}]


def test_a_parameter_of_the_line_is_python_and_comes_before_the_variable(
    notebook: Notebook,
) -> None:
    notebook.run("from datetime import date")
    notebook["n"] = 1

    result = notebook.run(
        """%%bq --param n=1+1 --param "day=date(2024, 3, 1)" --param "name='o''clock'"
        SELECT @n AS n, @day AS day, @name AS name"""
    )

    assert result.first()["n"] == 2
    assert str(result.first()["day"]) == "2024-03-01"
    assert result.first()["name"] == "oclock"


@pytest.mark.parametrize("given", ["window", "$window", '\'{"n": 4, "name": "ana"}\''])
def test_parameters_come_from_a_dict(notebook: Notebook, given: str) -> None:
    notebook["window"] = {"n": 4, "name": "ana"}

    result = notebook.run(f"%%bq --params {given}\nSELECT @n AS n, @name AS name")

    assert result.records() == [{"n": 4, "name": "ana"}]


def test_a_value_never_becomes_sql(notebook: Notebook) -> None:
    notebook["name"] = "'; DROP TABLE answers; -- {name} $name"

    result = notebook.run("%%bq\nSELECT @name AS name")

    assert result.scalar() == notebook["name"]


# --- Cost ---------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_read_and_runs_nothing(
    notebook: Notebook, exams: BigQueryAccessor
) -> None:
    notebook.run("%%bq cost --dry-run --with warehouse\nSELECT item FROM answers")

    assert isinstance(notebook["cost"], Estimate)
    assert re.fullmatch(
        r"would read \d+ bytes of \S*exams.answers; nothing was run\ncolumns: item STRING\n",
        notebook.said,
    )


def test_more_than_the_limit_is_not_read(notebook: Notebook, exams: BigQueryAccessor) -> None:
    notebook.run("%%bq kept --with warehouse --max-bytes 1B\nSELECT item FROM answers")

    assert type(notebook.error).__name__ == "CostLimitExceeded"
    assert "kept" not in notebook.shell.user_ns


# --- Where --------------------------------------------------------------------------------


def test_cells_below_run_where_bq_use_says(notebook: Notebook, exams: BigQueryAccessor) -> None:
    notebook.run("%bq_use warehouse")
    there = notebook.run("%%bq\nSELECT COUNT(*) AS n FROM answers")
    notebook.run("%bq_use")
    notebook.run("%%bq\nSELECT COUNT(*) AS n FROM exams.answers")

    assert there.scalar() == 25
    assert type(notebook.error).__name__ == "NotFound"


def test_a_place_is_named_on_the_line(notebook: Notebook, exams: BigQueryAccessor) -> None:
    result = notebook.run(
        f"%%bq --local {exams.local} --dataset exams\nSELECT COUNT(*) AS n FROM answers"
    )

    assert result.scalar() == 25


def test_the_help_and_the_page_name_every_option() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "notebook.md").read_text("utf-8")
    options = {each for action in _query_parser()._actions for each in action.option_strings}

    assert options
    for option in options:
        assert re.search(rf"{option}\b", BigQueryMagics.bq.__doc__ or ""), option
        assert re.search(rf"{option}\b", page), option


# --- Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("%%bq --dryrun\nSELECT 1", "unrecognized arguments: --dryrun; see %%bq?"),
        ("%%bq a b\nSELECT 1", "unrecognized arguments: b; see %%bq?"),
        ("%%bq class\nSELECT 1", "name: 'class' is not a variable's name; see %%bq?"),
        ("%%bq --max-bytes 10XB\nSELECT 1", "'10XB' is not a size; write for example 20 GB"),
        ("%%bq --as list\nSELECT 1", "--as: invalid choice: 'list'"),
        ("%%bq 'a\nSELECT 1", "%%bq 'a: No closing quotation"),
        ("%%bq\nSELECT @day", "the SQL uses @day; set a variable day, or write %%bq --param day="),
        ("%%bq --param n\nSELECT @n", "--param n has no value; expected --param name=value"),
        ("%%bq --param n=ana\nSELECT @n", "name 'ana' is not defined; a text has quotes within"),
        ("%%bq --params [1]\nSELECT 1", "--params [1] is a list; expected a dict"),
        ("%%bq --with nobody\nSELECT 1", "nobody is not defined; expected a variable that holds"),
        ("%%bq --with text\nSELECT 1", "text is of type str; expected a variable that holds"),
        ("%%bq --with w --local x\nSELECT 1", "w knows its place already; leave out --local"),
        ("%%bq --local x --project p\nSELECT 1", "local= stands in for Google Cloud"),
        ("%bq_use text", "text is of type str"),
        ("%%bq\n  \n", "the cell"),
    ],
)
def test_misuse_is_one_sentence(notebook: Notebook, cell: str, told: str) -> None:
    notebook["text"] = "a text"

    notebook.run(cell)

    assert notebook.error is not None
    assert notebook.said.startswith("UsageError: ")
    assert told in notebook.said
    assert len(notebook.said.splitlines()) == 1


@pytest.mark.parametrize(
    ("sql", "kind", "told"),
    [
        ("SELECT * FROM nothing.here", "NotFound", "Not found: Dataset local:nothing"),
        ("SELECT FORM", "BadRequest", "FORM"),
        ("SELECT FARM_FINGERPRINT('a')", "UnsupportedLocally", "FARM_FINGERPRINT"),
        ("SELECT @nothing_shown", "ValueError", "which shows no type; say it: Typed("),
    ],
)
def test_an_error_is_its_words_and_keeps_its_type(
    notebook: Notebook, sql: str, kind: str, told: str
) -> None:
    notebook["nothing_shown"] = None

    notebook.run(f"%%bq\n{sql}")

    assert type(notebook.error).__name__ == kind
    assert notebook.said.startswith(f"{kind}: ")
    assert told in notebook.said
    assert "Traceback" not in notebook.said
    assert len(notebook.said.splitlines()) <= 3


def test_an_error_of_ours_keeps_its_traceback(
    notebook: Notebook, exams: BigQueryAccessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(exams, "query", broken)

    notebook.run("%%bq --with warehouse\nSELECT 1")

    assert "Traceback" in notebook.said
    assert isinstance(notebook.error, KeyError)


def test_the_extension_can_be_loaded_again_and_unloaded(notebook: Notebook) -> None:
    notebook.run("%reload_ext gcp_accessor")
    again = notebook.run("%%bq --as records\nSELECT 1 AS one")
    notebook.run("%unload_ext gcp_accessor")
    notebook.run("%%bq\nSELECT 1")

    assert again == [{"one": 1}]
    assert "Cell magic `%%bq` not found" in notebook.said
