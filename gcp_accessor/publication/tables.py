"""The table of a run, whole, whoever wrote its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcp_accessor.publication.manifest import Manifest, PublishedFile

# The first of them that a run has is read.
_TABLES = (".parquet", ".csv.gz")


def table_of(manifest: Manifest) -> list[PublishedFile]:
    """Return the files that hold the run's table.

    Raises:
        ValueError: it has none, or several.
    """
    for ending in _TABLES:
        files = [file for file in manifest.files if file.name.endswith(ending)]
        names = sorted({file.table_name for file in files})
        if len(names) == 1:
            return files
        if names:
            raise ValueError(
                f"run {manifest.run_id} has the tables {', '.join(names)}; name one of them"
            )
    there = ", ".join(file.name for file in manifest.files) or "none"
    raise ValueError(f"run {manifest.run_id} has no table; its files are: {there}")


def joined(parts: Sequence[Any], files: Sequence[PublishedFile]) -> Any:
    """Return the rows of one table that several tasks wrote, in the order of the tasks."""
    first = parts[0]
    if type(first).__name__ == "Table":
        import pyarrow

        return pyarrow.concat_tables(parts)
    if type(first).__name__ == "DataFrame":
        import pandas

        return pandas.concat(parts, ignore_index=True)
    if isinstance(first, list):
        # Rows of CSV begin with the header, in every part.
        skipped = 1 if files[0].name.removesuffix(".gz").endswith(".csv") else 0
        is_rows = bool(first) and isinstance(first[0], list)
        skipped = skipped if is_rows else 0
        return [*first, *(row for part in parts[1:] for row in part[skipped:])]
    raise ValueError(
        f"{len(files)} tasks wrote parts of {files[0].table_name!r}, which do not make one "
        f"{type(first).__name__}; read each of them with open()"
    )
