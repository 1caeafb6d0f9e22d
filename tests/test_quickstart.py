"""The quickstart, `%%bq` and bars in a real Jupyter kernel."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from types import ModuleType

    from nbformat import NotebookNode

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# Bock & Lieberman (1970): how many of 1,000 persons had each item right.
LSAT6 = {"lsat6-1": 924, "lsat6-2": 709, "lsat6-3": 553, "lsat6-4": 763, "lsat6-5": 870}
CELLS = [
    "%load_ext gcp_accessor",
    """import time
from gcp_accessor.progress import progress
with progress("upload", 8, "files") as advance:
    for _ in range(8):
        time.sleep(0.1)
        advance(1)
""",
    "%%bq\nSELECT * FROM nothing.here",
    "%%bq --nothing\nSELECT 1",
    "%%bq one\nSELECT 1 AS one",
]


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def quickstart() -> NotebookNode:
    """The quickstart as a new kernel leaves it."""
    # Where it is new, matplotlib says that it collects the fonts; here, not in the notebook.
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)
    return load_script("run_quickstart").executed()


@pytest.fixture(scope="module")
def stored() -> NotebookNode:
    return nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)


def lasting(cell: NotebookNode) -> list[NotebookNode]:
    """What a cell shows, but for bars, which come and go where the machine is slow."""
    return [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]


def outputs(book: NotebookNode) -> list[NotebookNode]:
    return [output for cell in book.cells for output in lasting(cell)]


def outline(book: NotebookNode) -> list[tuple[object, ...]]:
    """What a notebook shows, but for figures, which differ by machine and version."""
    return [
        (
            output.output_type,
            *sorted(output.get("data", {})),
            re.sub(r"\d+", "0", output.get("data", output).get("text/plain", output.get("text"))),
        )
        for output in outputs(book)
    ]


def test_the_quickstart_shows_what_the_stored_one_shows(
    quickstart: NotebookNode, stored: NotebookNode
) -> None:
    assert outline(quickstart) == outline(stored)


def test_the_quickstart_finds_the_published_table_and_plots_it(quickstart: NotebookNode) -> None:
    table, plot = (each.data for each in outputs(quickstart) if each.output_type == "display_data")
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table["text/html"])

    shares = dict(zip(cells[::4], cells[2::4], strict=True))

    assert {item: round(float(share) * 1000) for item, share in shares.items()} == LSAT6
    assert " read · " in table["text/html"]
    assert base64.b64decode(plot["image/png"]).startswith(b"\x89PNG")


def test_the_stored_quickstart_tells_nothing_of_a_machine(stored: NotebookNode) -> None:
    text = nbformat.writes(stored)

    assert not re.search(r"/(home|root|work|tmp|Users|var)/", text)
    assert '"stderr"' not in text
    assert len(text) < 60_000


def test_a_kernel_shows_bars_and_errors_in_a_few_words(tmp_path: Path) -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = NotebookClient(book, kernel_name="python3", timeout=60, allow_errors=True)

    client.execute(env={**os.environ, "GCP_ACCESSOR_LOCAL": str(tmp_path)})

    _, bar, missing, misused, one = book.cells
    drawn = "".join(output.text for output in bar.outputs if output.name == "stderr")
    assert "upload" in drawn
    assert "/8 files" in drawn
    [error] = lasting(missing)
    assert error.ename == "NotFound"
    assert error.traceback[0] == "NotFound: Not found: Dataset local:nothing"
    assert len(error.traceback) == 2
    assert misused.outputs[0].text.startswith("UsageError: ")
    assert "1 row" in lasting(one)[0].data["text/html"]
