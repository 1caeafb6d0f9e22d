"""An Arrow table as a DataFrame, in which no NULL changes a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas
import pyarrow

from gcp_accessor.arrow_values import python_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcp_accessor.schema import Column

_NULLABLE = {
    pyarrow.int64(): pandas.Int64Dtype(),
    pyarrow.bool_(): pandas.BooleanDtype(),
}


def frame_of(
    table: pyarrow.Table, columns: Sequence[Column], dtype_backend: Literal["numpy", "pyarrow"]
) -> pandas.DataFrame:
    """Return the table, which has these columns, as `QueryResult.to_dataframe` describes it."""
    if dtype_backend == "pyarrow":
        frame: pandas.DataFrame = table.to_pandas(types_mapper=pandas.ArrowDtype)
        return frame
    # Arrow itself makes floats of the integers in a STRUCT that holds a NULL.
    as_rows = [
        number
        for number, column in enumerate(columns)
        if column.mode == "REPEATED" or column.type in {"STRUCT", "JSON"}
    ]
    flat = table.select([n for n in range(len(columns)) if n not in as_rows])
    frame = flat.to_pandas(types_mapper=_NULLABLE.get)
    if not flat.num_columns:
        frame = pandas.DataFrame(index=pandas.RangeIndex(table.num_rows))
    for number in as_rows:
        values = python_values(columns[number], table.column(number))
        frame.insert(number, columns[number].name, pandas.Series(values, dtype=object))
    return frame
