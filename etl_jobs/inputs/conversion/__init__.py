"""Columns of a log, as text or as typed values, turned into the types of our tables.

A whole column is converted at once. Only when that fails is the value looked for that
stopped it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from etl_jobs.inputs.conversion.instants import counted, written
from etl_jobs.inputs.conversion.values import BadValue, as_text, convert_each, refuse, trimmed
from etl_jobs.inputs.mapping import Constant, Copied, Counted, Joined, Rule, Scored, Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from gcp_accessor.schema import Column

__all__ = ["BadValue", "convert"]

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def convert(
    column: Column, rule: Rule, log: Mapping[str, pa.Array], rows: int, missing: frozenset[str]
) -> pa.Array:
    """Return one of our columns, as its rule makes it from the log's.

    Args:
        column: Ours: its name and type.
        rule: What makes it.
        log: The log's columns that the rule reads.
        rows: How many rows there are.
        missing: The texts that mean NULL.

    Raises:
        BadValue: the first value that has no meaning.
    """
    match rule:
        case Constant(value):
            return _typed(column, _repeated(value, rows))
        case Joined(names, separator):
            return _joined([_present(log[name], missing) for name in names], separator)
        case Copied(name):
            return _typed(column, _present(log[name], missing))
        case Scored(name):
            return _scored(_present(log[name], missing), rule)
        case Written(name):
            return written(_present(log[name], missing), rule)
        case Counted(name):
            return counted(_present(log[name], missing), rule)


def _typed(column: Column, values: pa.Array) -> pa.Array:
    """Return values as a STRING, an INT64 or else a TIMESTAMP column holds them."""
    if column.type == "STRING":
        return as_text(values)
    if column.type == "INT64":
        return _whole(values, f"a whole number, true or false ({column.description})")
    return written(values, Written(column.name))


# --- NULL and text -------------------------------------------------------------------------


def _present(values: pa.Array, missing: frozenset[str]) -> pa.Array:
    """Return the values, those that mean NULL taken out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        named = pa.array([float(text) for text in missing if _NUMBER.fullmatch(text)], values.type)
        return pc.if_else(pc.is_in(values, value_set=named), pa.scalar(None, values.type), values)
    if missing and not pa.types.is_null(values.type):
        named = pa.array(sorted(missing), pa.string())
        absent = pc.is_in(as_text(values), value_set=named)
        return pc.if_else(absent, pa.scalar(None, values.type), values)
    return values


def _joined(parts: list[pa.Array], separator: str) -> pa.Array:
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*map(as_text, parts), separator, null_handling="emit_null")


def _repeated(value: str | None, rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.repeat(pa.scalar(value, pa.string()), rows)


# --- Numbers -------------------------------------------------------------------------------


def _whole(values: pa.Array, expected: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(values.type) or pa.types.is_null(values.type):
        return pc.cast(values, pa.int64())
    if pa.types.is_string(values.type):
        texts = pc.utf8_lower(trimmed(values))
        try:
            return pc.cast(texts, pa.int64())
        except pa.ArrowInvalid:
            digits = pc.replace_substring_regex(texts, r"^(-?\d+)\.0*$", r"\1")
            for word, number in (("true", "1"), ("false", "0")):
                digits = pc.if_else(pc.equal(texts, word), number, digits)
            return convert_each(
                digits, lambda some: pc.cast(some, pa.int64()), expected, shown=values
            )
    return convert_each(values, lambda some: pc.cast(some, pa.int64()), expected)


def _scored(values: pa.Array, rule: Scored) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_lower(trimmed(values))
    right, wrong = (
        pc.is_in(texts, value_set=pa.array(sorted(group), pa.string()))
        for group in (rule.right, rule.wrong)
    )
    neither = pc.and_(pc.is_valid(texts), pc.invert(pc.or_(right, wrong)))
    choices = ", ".join(sorted(rule.right)), ", ".join(sorted(rule.wrong))
    refuse(neither, values, f"right ({choices[0]}), wrong ({choices[1]}) or nothing")
    return pc.if_else(pc.is_valid(texts), pc.cast(right, pa.int64()), pa.scalar(None, pa.int64()))
