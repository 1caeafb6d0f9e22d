"""How the folder stands that takes Google Cloud's place."""

from __future__ import annotations

import os
import shutil
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gcp_accessor.byte_sizes import bytes_text
from gcp_accessor.doctor.finding import Finding, TookTooLong, begin
from gcp_accessor.explanation import explanation

if TYPE_CHECKING:
    from pathlib import Path

PART = "Folder"
# Of another process that has the warehouse open.
_WAIT_SECONDS = 2.0
_OPEN_SECONDS = 10.0
_FEW_BYTES = 1024**3


def examine(folder: Path, source: str) -> list[Finding]:
    """Return what there is in a folder, and whether it can be worked in. Nothing is made."""
    found = [_itself(folder, source)]
    if find_spec("duckdb") is None or find_spec("sqlglot") is None:
        advice = "pip install 'gcp-accessor[local]'"
        found.append(Finding(PART, "warehouse", "bad", "duckdb and sqlglot are needed", (advice,)))
    elif (folder / "warehouse.duckdb").exists():
        found.append(_warehouse(folder))
    if (folder / "buckets").is_dir():
        names = sorted(entry.name for entry in (folder / "buckets").iterdir() if entry.is_dir())
        found.append(Finding(PART, "buckets", "good", ", ".join(names) or "none yet"))
    return found


def _itself(folder: Path, source: str) -> Finding:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        advice = "name another folder"
        return Finding(PART, "place", "bad", f"{there} is a file, {source}", (advice,))
    if not os.access(there, os.W_OK | os.X_OK):
        advice = "name another folder, or change whose it is"
        return Finding(PART, "place", "bad", f"{there} may not be written to, {source}", (advice,))
    free = shutil.disk_usage(there).free
    new = "" if there == folder else "; it is made on first use"
    text = f"{folder}, {source}; {bytes_text(free)} free{new}"
    return Finding(PART, "place", "good" if free >= _FEW_BYTES else "note", text)


def _warehouse(folder: Path) -> Finding:
    size = bytes_text((folder / "warehouse.duckdb").stat().st_size)
    try:
        datasets = begin(partial(_datasets, folder)).result(_OPEN_SECONDS)
    except TookTooLong as error:
        return Finding(PART, "warehouse", "bad", f"{size}; {error}")
    # A warehouse that does not open may say so in any way DuckDB has.
    except Exception as error:
        what, *advice = explanation(error).splitlines()
        return Finding(PART, "warehouse", "bad", what, tuple(each.strip() for each in advice))
    return Finding(PART, "warehouse", "good", f"{size}; datasets: {', '.join(datasets) or 'none'}")


def _datasets(folder: Path) -> list[str]:
    from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse

    warehouse = DuckDBWarehouse(folder)
    warehouse.file.wait_seconds = _WAIT_SECONDS
    try:
        return sorted(warehouse.datasets())
    finally:
        warehouse.close()
