"""Columns by name, as every format gives them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from etl_jobs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


def named(
    batch: pa.RecordBatch, columns: Mapping[str, str], names: Sequence[str]
) -> pa.RecordBatch:
    """Return the wanted columns in order, NULL where there is none.

    Args:
        batch: Rows as a reader gives them.
        columns: What the batch calls those of the columns that it has.
        names: The wanted columns.
    """
    import pyarrow as pa

    arrays = [
        batch.column(columns[name]) if name in columns else pa.nulls(batch.num_rows)
        for name in names
    ]
    return pa.record_batch(arrays, names=list(names))


def refuse_repeated(columns: Sequence[str], name: str) -> None:
    """Raise InputError if two columns of the file `name` have one name."""
    for column, times in Counter(columns).items():
        if times > 1 and column:
            raise InputError(f"{name} has {times} columns named {column!r}; expected one")
