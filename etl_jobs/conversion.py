"""Columns of a log, as text or as typed values, turned into the types of our tables.

A whole column is converted at once. Only when that fails is the value looked for that
stopped it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from etl_jobs.mapping import Constant, Copied, Counted, Joined, Rule, Scored, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from gcp_accessor.schema import Column

_MICROSECONDS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
# TIMESTAMP holds the years 1 to 9999.
_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999
# From here on a float skips whole numbers.
_EXACT = 2.0**53

_ISO = "an ISO 8601 time such as 2024-03-01T09:00:00Z"


class BadValue(ValueError):
    """A value that has no meaning in its column.

    Attributes:
        index: Its position in the column, from 0.
    """

    def __init__(self, index: int, value: object, expected: str) -> None:
        super().__init__(index, value, expected)
        self.index = index
        self.value = value
        self.expected = expected


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
            return _time(_present(log[name], missing), rule)
        case Counted(name):
            return _counted(_present(log[name], missing), rule)


def _typed(column: Column, values: pa.Array) -> pa.Array:
    if column.type == "STRING":
        return _text(values)
    if column.type == "INT64":
        return _whole(values, f"a whole number, true or false ({column.description})")
    if column.type == "TIMESTAMP":
        return _time(values, Written(column.name))
    raise NotImplementedError(f"{column.name} is a {column.type}; files fill no such column yet")


# --- NULL and text -------------------------------------------------------------------------


def _present(values: pa.Array, missing: frozenset[str]) -> pa.Array:
    """Return the values, those that mean NULL taken out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if missing and not pa.types.is_null(values.type):
        absent = pc.is_in(_text(values), value_set=pa.array(sorted(missing), pa.string()))
        values = pc.if_else(absent, pa.scalar(None, values.type), values)
    return values


def _text(values: pa.Array) -> pa.Array:
    """Return texts as they are, and whole numbers and the like as they are written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_floating(kind):
        expected = "a text or a whole number"
        odd = pc.or_(
            pc.not_equal(pc.floor(values), values), pc.greater_equal(pc.abs(values), _EXACT)
        )
        _refuse(odd, values, expected)
        return pc.cast(pc.cast(values, pa.int64()), pa.string())
    if pa.types.is_nested(kind):
        _refuse(pc.is_valid(values), values, "one text or number")
    return _each(values, lambda some: pc.cast(some, pa.string()), "text in UTF-8")


def _joined(parts: list[pa.Array], separator: str) -> pa.Array:
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*map(_text, parts), separator, null_handling="emit_null")


def _repeated(value: str | None, rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.repeat(pa.scalar(value, pa.string()), rows)


def _trimmed(values: pa.Array) -> pa.Array:
    """Return the texts without blanks around them. Where nothing else stands, NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(_text(values))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


# --- Numbers -------------------------------------------------------------------------------


def _whole(values: pa.Array, expected: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(values.type) or pa.types.is_null(values.type):
        return pc.cast(values, pa.int64())
    if pa.types.is_string(values.type):
        texts = pc.utf8_lower(_trimmed(values))
        try:
            return pc.cast(texts, pa.int64())
        except pa.ArrowInvalid:
            digits = pc.replace_substring_regex(texts, r"^(-?\d+)\.0*$", r"\1")
            for word, number in (("true", "1"), ("false", "0")):
                digits = pc.if_else(pc.equal(texts, word), number, digits)
            return _each(digits, lambda some: pc.cast(some, pa.int64()), expected, shown=values)
    return _each(values, lambda some: pc.cast(some, pa.int64()), expected)


def _scored(values: pa.Array, rule: Scored) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_lower(_trimmed(values))
    right, wrong = (
        pc.is_in(texts, value_set=pa.array(sorted(group), pa.string()))
        for group in (rule.right, rule.wrong)
    )
    neither = pc.and_(pc.is_valid(texts), pc.invert(pc.or_(right, wrong)))
    choices = ", ".join(sorted(rule.right)), ", ".join(sorted(rule.wrong))
    _refuse(neither, values, f"right ({choices[0]}), wrong ({choices[1]}) or nothing")
    return pc.if_else(pc.is_valid(texts), pc.cast(right, pa.int64()), pa.scalar(None, pa.int64()))


# --- Times ---------------------------------------------------------------------------------


def _time(values: pa.Array, rule: Written) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_null(kind):
        return pc.cast(values, pa.timestamp("us", "UTC"))
    if pa.types.is_date(kind):
        values, kind = pc.cast(values, pa.timestamp("s")), pa.timestamp("s")
    if pa.types.is_timestamp(kind):
        instants = pc.cast(values, pa.timestamp("us", kind.tz), safe=False)
        if kind.tz is None:
            return _bounded(_placed(instants, rule.timezone, values), values)
        return _bounded(pc.cast(instants, pa.timestamp("us", "UTC")), values)
    if not pa.types.is_string(kind):
        _refuse(pc.is_valid(values), values, f"{_ISO}, or a mapping with the number's unit")
    texts = _trimmed(values)
    if rule.format is None:
        return _bounded(_iso(texts, rule.timezone), values)
    return _bounded(_formatted(texts, rule), values)


def _iso(texts: pa.Array, zone: str) -> pa.Array:
    """Return the instants of ISO 8601 texts; those without a zone are in `zone`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    instant, local = pa.timestamp("us", "UTC"), pa.timestamp("us")
    # Most logs write every time the same way, and Arrow reads that at once.
    for kind in (instant, local):
        try:
            times = pc.cast(texts, kind)
        except pa.ArrowInvalid:
            continue
        return times if kind == instant else _placed(times, zone, texts)
    spelt = texts
    for pattern, replacement in (
        (r"(?i)(\d)\s*(?:z|utc|gmt)$", r"\1Z"),
        # More digits than a microsecond's are cut; ISO allows a comma.
        (r"(:\d\d)[.,](\d{1,6})\d*", r"\1.\2"),
        (r"(:\d\d(?:\.\d+)?)\s+([+-]\d\d)", r"\1\2"),
        (r"^(\d{4}-\d\d-\d\d)t", r"\1T"),
    ):
        spelt = pc.replace_substring_regex(spelt, pattern, replacement)
    zoned = pc.match_substring_regex(spelt, r":\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$")
    nothing = pa.scalar(None, pa.string())
    digits = pc.match_substring_regex(pc.fill_null(texts, ""), r"^\d{9,}$")
    _refuse(digits, texts, f"{_ISO}, or a mapping with the number's unit")
    instants = _each(
        pc.if_else(zoned, spelt, nothing), lambda some: pc.cast(some, instant), _ISO, shown=texts
    )
    locals_ = _each(
        pc.if_else(zoned, nothing, spelt), lambda some: pc.cast(some, local), _ISO, shown=texts
    )
    return pc.coalesce(instants, _placed(locals_, zone, texts))


def _formatted(texts: pa.Array, rule: Written) -> pa.Array:
    """Return the instants of texts in the rule's own format."""
    import pyarrow as pa
    import pyarrow.compute as pc

    form = rule.format or ""
    if "%f" in form or "%z" in form:
        return _formatted_singly(texts, rule)
    times = pc.strptime(texts, format=form, unit="s", error_is_null=True)
    # It takes 31 February for 2 March: what does not read back the same is read again.
    same = pc.fill_null(pc.equal(pc.strftime(times, format=form), texts), False)
    nothing = pa.scalar(None, times.type)
    doubtful = pc.if_else(same, pa.scalar(None, pa.string()), texts)
    fast = _placed(
        pc.cast(pc.if_else(same, times, nothing), pa.timestamp("us")), rule.timezone, texts
    )
    return pc.coalesce(fast, _formatted_singly(doubtful, rule))


def _formatted_singly(texts: pa.Array, rule: Written) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    form = rule.format or ""
    zoned = "%z" in form
    encoded = texts.dictionary_encode()
    times: list[datetime | None] = []
    for text in encoded.dictionary.to_pylist():
        try:
            times.append(datetime.strptime(text, form))
        except ValueError:
            index = pc.index(texts, text).as_py()
            raise BadValue(index, text, f"a time in the format {form!r}") from None
    kind = pa.timestamp("us", "UTC" if zoned else None)
    values = pc.take(pa.array(times, kind), encoded.indices)
    return values if zoned else _placed(values, rule.timezone, texts)


def _placed(times: pa.Array, zone: str, shown: pa.Array) -> pa.Array:
    """Return the instants of times on the clocks of `zone`.

    An hour that the clocks show twice, in autumn, is taken for the first of the two.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    instant = pa.timestamp("us", "UTC")
    if zone == "UTC":
        return pc.cast(times, instant)
    early, late = (
        pc.assume_timezone(times, zone, ambiguous="earliest", nonexistent=side)
        for side in ("earliest", "latest")
    )
    _refuse(pc.not_equal(early, late), shown, f"a time that the clocks of {zone} show")
    return pc.cast(early, instant)


def _counted(values: pa.Array, rule: Counted) -> pa.Array:
    """Return the instants that numbers count from a start."""
    import pyarrow as pa
    import pyarrow.compute as pc

    expected = f"a number of {rule.unit}"
    numbers = values
    if not pa.types.is_integer(values.type) and not pa.types.is_floating(values.type):
        texts = _trimmed(values)
        try:
            numbers = pc.cast(texts, pa.int64())
        except pa.ArrowInvalid:
            numbers = _each(texts, lambda some: pc.cast(some, pa.float64()), expected, values)
    factor = _MICROSECONDS[rule.unit]
    start = int(rule.start.timestamp()) * 1_000_000 + rule.start.microsecond
    about = pc.cast(numbers, pa.float64(), safe=False)
    about = pc.add(pc.multiply(about, float(factor)), float(start))
    within = pc.and_(pc.greater_equal(about, float(_FIRST)), pc.less_equal(about, float(_LAST)))
    _refuse(pc.invert(within), values, f"{expected} that ends in the years 1 to 9999")
    if pa.types.is_floating(numbers.type):
        counts = pc.cast(pc.round(pc.multiply(numbers, float(factor))), pa.int64())
    else:
        counts = pc.multiply(pc.cast(numbers, pa.int64()), factor)
    return pc.cast(pc.add(counts, start), pa.timestamp("us", "UTC"))


def _bounded(times: pa.Array, shown: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = pc.cast(times, pa.int64())
    _refuse(
        pc.or_(pc.less(counts, _FIRST), pc.greater(counts, _LAST)),
        shown,
        "a time in the years 1 to 9999",
    )
    return times


# --- Finding the value ---------------------------------------------------------------------


def _refuse(bad: pa.Array, values: pa.Array, expected: str) -> None:
    """Raise BadValue for the first true in `bad`."""
    import pyarrow.compute as pc

    index = pc.index(bad, value=True).as_py()
    if index >= 0:
        raise BadValue(index, values[index].as_py(), expected)


def _each(
    values: pa.Array,
    convert: Callable[[pa.Array], pa.Array],
    expected: str,
    shown: pa.Array | None = None,
) -> pa.Array:
    """Return the converted values, or raise BadValue for the first that cannot be."""
    import pyarrow as pa

    failures = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
    try:
        return convert(values)
    except failures:
        pass
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(values.slice(low, middle - low))
            low = middle
        except failures:
            high = middle
    raise BadValue(low, (values if shown is None else shown)[low].as_py(), expected)
