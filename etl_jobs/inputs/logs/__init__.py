"""A log as it lies on disk, CSV, NDJSON or Parquet, as batches of named columns.

CSV gives every column as text. NDJSON and Parquet keep the types they have. Memory stays
flat: a block at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from etl_jobs.errors import InputError, nearest
from etl_jobs.inputs.logs.checked_text import CheckedText
from etl_jobs.inputs.logs.csv_log import CsvLog
from etl_jobs.inputs.logs.ndjson_log import NdjsonLog
from etl_jobs.inputs.logs.parquet_log import ParquetLog

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    import pyarrow as pa


class LogFile(Protocol):
    """An open log.

    Attributes:
        columns: The columns it holds. NDJSON may bring more later on.
    """

    columns: tuple[str, ...]

    def batches(self, names: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
        """Return the rows, these columns only. One that the file lacks is NULL in every row."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_log(path: Path) -> LogFile:
    """Return the log in a file, its format told by the file's name.

    Raises:
        InputError: there is no such file, it is empty, or it is not what its name says.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a file")
        if not path.exists():
            raise InputError(f"there is no file {path}{_beside(path)}")
        if not path.is_file():
            raise InputError(f"{path} is not a plain file")
        kind = _kind(path.name)
        if path.stat().st_size == 0:
            raise InputError(f"{path.name} is empty")
        if kind == "parquet":
            return ParquetLog(path)
        text = CheckedText(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return CsvLog(path, text) if kind == "csv" else NdjsonLog(path, text)
    except BaseException:
        text.close()
        raise


def _beside(path: Path) -> str:
    """Return a hint at the file that was meant, if its folder holds one of nearly that name."""
    if not path.parent.is_dir():
        return f", nor a folder {path.parent}"
    return nearest(path.name, [each.name for each in path.parent.iterdir()])


def _kind(name: str) -> Literal["csv", "ndjson", "parquet"]:
    lower = name.lower()
    if lower.endswith((".csv", ".csv.gz")):
        return "csv"
    if lower.endswith((".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")):
        return "ndjson"
    if lower.endswith(".parquet"):
        return "parquet"
    raise InputError(
        f"the ending of {name} stands for no format that is read; expected .csv, .ndjson or "
        ".jsonl, each perhaps with .gz behind it, or .parquet"
    )
