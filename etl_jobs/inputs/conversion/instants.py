"""Instants, from times as logs write them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from etl_jobs.inputs.conversion.values import BadValue, convert_each, refuse, trimmed

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_jobs.inputs.mapping import Counted, Written

_MICROSECONDS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
# TIMESTAMP holds the years 1 to 9999.
_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999

_ISO = "an ISO 8601 time such as 2024-03-01T09:00:00Z"


def written(values: pa.Array, rule: Written) -> pa.Array:
    """Return the instants of times that are texts, dates or times already."""
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
        refuse(pc.is_valid(values), values, f"{_ISO}, or a mapping with the number's unit")
    texts = trimmed(values)
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
    zoned = pc.match_substring_regex(spelt, r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$")
    nothing = pa.scalar(None, pa.string())
    digits = pc.match_substring_regex(pc.fill_null(texts, ""), r"^\d{9,}$")
    refuse(digits, texts, f"{_ISO}, or a mapping with the number's unit")
    instants = convert_each(
        pc.if_else(zoned, spelt, nothing), lambda some: pc.cast(some, instant), _ISO, shown=texts
    )
    locals_ = convert_each(
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
    refuse(pc.not_equal(early, late), shown, f"a time that the clocks of {zone} show")
    return pc.cast(early, instant)


def counted(values: pa.Array, rule: Counted) -> pa.Array:
    """Return the instants that numbers count from a start."""
    import pyarrow as pa
    import pyarrow.compute as pc

    expected = f"a number of {rule.unit}"
    numbers = values
    if not pa.types.is_integer(values.type) and not pa.types.is_floating(values.type):
        texts = trimmed(values)
        try:
            numbers = pc.cast(texts, pa.int64())
        except pa.ArrowInvalid:
            numbers = convert_each(
                texts, lambda some: pc.cast(some, pa.float64()), expected, values
            )
    factor = _MICROSECONDS[rule.unit]
    start = int(rule.start.timestamp()) * 1_000_000 + rule.start.microsecond
    about = pc.cast(numbers, pa.float64(), safe=False)
    about = pc.add(pc.multiply(about, float(factor)), float(start))
    within = pc.and_(pc.greater_equal(about, float(_FIRST)), pc.less_equal(about, float(_LAST)))
    refuse(pc.invert(within), values, f"{expected} that ends in the years 1 to 9999")
    if pa.types.is_floating(numbers.type):
        counts = pc.cast(pc.round(pc.multiply(numbers, float(factor))), pa.int64())
    else:
        counts = pc.multiply(pc.cast(numbers, pa.int64()), factor)
    return pc.cast(pc.add(counts, start), pa.timestamp("us", "UTC"))


def _bounded(times: pa.Array, shown: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = pc.cast(times, pa.int64())
    refuse(
        pc.or_(pc.less(counts, _FIRST), pc.greater(counts, _LAST)),
        shown,
        "a time in the years 1 to 9999",
    )
    return times
