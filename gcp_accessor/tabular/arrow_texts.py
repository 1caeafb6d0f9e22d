"""Arrow's columns as the texts of CSV fields: exactly `csv_text.text_of`, by Arrow's engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.compute as pc

from gcp_accessor.tabular.csv_text import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXT = pa.large_string()
# From year 1 to 9999, as Python's dates and BigQuery's.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def texts_of(column: pa.Array) -> pa.Array:
    """Return each value's text, NULL for NULL.

    Raises:
        ValueError: nanoseconds, which BigQuery does not keep, would be lost.
        TypeError: CSV cannot hold the values.
    """
    kind = column.type
    types = pa.types
    if types.is_dictionary(kind):
        return texts_of(column.dictionary_decode())
    by_type: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
        (types.is_floating, _of_floats),
        (types.is_timestamp, _of_timestamps),
        (types.is_time, _of_times),
        (types.is_decimal, _of_decimals),
        (types.is_integer, _as_arrow_writes),
        (types.is_boolean, _as_arrow_writes),
        (types.is_date32, _as_arrow_writes),
        (types.is_string, _as_arrow_writes),
        (types.is_large_string, _as_arrow_writes),
        (types.is_string_view, _as_arrow_writes),
        (types.is_null, _as_arrow_writes),
    )
    return next((write for is_kind, write in by_type if is_kind(kind)), _one_by_one)(column)


def _as_arrow_writes(column: pa.Array) -> pa.Array:
    return column.cast(_TEXT)


def _one_by_one(column: pa.Array) -> pa.Array:
    values = cast("list[object]", column.to_pylist())
    return pa.array([text_of(value) for value in values], _TEXT)


def _of_floats(column: pa.Array) -> pa.Array:
    column = column.cast(pa.float64())
    texts = column.cast(_TEXT)
    size = pc.abs(column)
    # Here Python and Arrow write the same digits, but that Arrow writes 1.0 as 1.
    alike = pc.and_(pc.less(size, 1e10), pc.or_(pc.greater_equal(size, 1e-4), pc.equal(size, 0.0)))
    whole = pc.and_(alike, pc.equal(pc.floor(column), column))
    whole = pc.fill_null(whole, False)
    if pc.any(whole).as_py():
        texts = pc.replace_with_mask(texts, whole, _with_end(texts.filter(whole), ".0"))
    return _mended(texts, pc.invert(alike), column)


def _of_timestamps(column: pa.Array) -> pa.Array:
    # Refuses nanoseconds that are not zero.
    column = column.cast(pa.timestamp("us", column.type.tz))
    moments = column.view(pa.timestamp("us"))
    bounds = pc.min_max(moments.view(pa.int64())).as_py()
    if bounds["min"] is None:
        return pa.nulls(len(column), _TEXT)
    if not _FIRST_SECOND <= bounds["min"] // 10**6 <= bounds["max"] // 10**6 <= _LAST_SECOND:
        return _one_by_one(column)
    texts = _without_zero_fraction(moments, pa.timestamp("s"))
    return texts if column.type.tz is None else _with_end(texts, "+00:00")


def _of_times(column: pa.Array) -> pa.Array:
    return _without_zero_fraction(column.cast(pa.time64("us")), pa.time32("s"))


def _without_zero_fraction(column: pa.Array, seconds: pa.DataType) -> pa.Array:
    whole = column.cast(seconds, safe=False)
    return pc.if_else(
        pc.equal(whole.cast(column.type), column), whole.cast(_TEXT), column.cast(_TEXT)
    )


def _of_decimals(column: pa.Array) -> pa.Array:
    texts = column.cast(_TEXT)
    return _mended(texts, pc.match_substring(texts, "E"), column)


def _with_end(texts: pa.Array, end: str) -> pa.Array:
    empty = pa.scalar("", _TEXT)
    return pc.binary_join_element_wise(texts, pa.scalar(end, _TEXT), empty)


def _mended(texts: pa.Array, wrong: pa.Array, column: pa.Array) -> pa.Array:
    """The texts, those that are wrong from Python; NULL is never wrong."""
    wrong = pc.fill_null(wrong, False)
    if not pc.any(wrong).as_py():
        return texts
    return pc.replace_with_mask(texts, wrong, _one_by_one(column.filter(wrong)))
