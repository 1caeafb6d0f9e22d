"""Imports point one way, so that the tree stays the architecture."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imports(path: Path) -> set[str]:
    """The modules that a file imports when it runs, not for its types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files("gcp_accessor"), ids=lambda path: path.stem)
def test_the_library_knows_nothing_of_the_jobs(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] == "etl_jobs"}


def test_googles_clients_and_duckdb_are_imported_by_backends_alone() -> None:
    for path in (*files("gcp_accessor"), *files("etl_jobs")):
        if path.is_relative_to(ROOT / "gcp_accessor" / "backends"):
            continue
        clients = {name for name in imports(path) if name.startswith(("google.cloud", "duckdb"))}
        # 0.0.6's methods hand Google's own objects around.
        assert not clients or path.stem == "first_names", f"{path}: {clients}"


def test_item_response_theory_is_numpy_and_scipy_alone() -> None:
    # threadpoolctl is how numpy's own linear algebra is told to keep to one thread.
    allowed = {"numpy", "scipy", "threadpoolctl", "etl_jobs.irt", *sys.stdlib_module_names}

    for path in files("etl_jobs/irt"):
        # What scikit-learn alone asks of an estimator is said in its own words.
        also = {"sklearn"} if path.stem == "estimator" else set()
        for name in imports(path):
            assert name.split(".")[0] in allowed | also or name.startswith("etl_jobs.irt"), (
                path,
                name,
            )
