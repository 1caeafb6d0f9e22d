"""Run `quickstart.ipynb` from its first cell to its last and keep what it shows.

python examples/run_quickstart.py
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")


def executed(path: Path = NOTEBOOK) -> nbformat.NotebookNode:
    """Return the notebook as a new kernel of this very Python leaves it.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=120,
        # Nothing that differs from run to run beyond what the cells say.
        record_timing=False,
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()
    notebook.metadata.language_info = {"name": "python"}
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
