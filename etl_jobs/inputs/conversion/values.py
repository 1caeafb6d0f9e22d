"""The values of a column as text, and the first of them that has no meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

# From here on a float skips whole numbers.
_EXACT = 2.0**53


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


def as_text(values: pa.Array) -> pa.Array:
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
        refuse(odd, values, expected)
        return pc.cast(pc.cast(values, pa.int64()), pa.string())
    if pa.types.is_nested(kind):
        refuse(pc.is_valid(values), values, "one text or number")
    return convert_each(values, lambda some: pc.cast(some, pa.string()), "text in UTF-8")


def trimmed(values: pa.Array) -> pa.Array:
    """Return the texts without blanks around them. Where nothing else stands, NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(as_text(values))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def refuse(bad: pa.Array, values: pa.Array, expected: str) -> None:
    """Raise BadValue for the first true in `bad`."""
    import pyarrow.compute as pc

    index = pc.index(bad, value=True).as_py()
    if index >= 0:
        raise BadValue(index, values[index].as_py(), expected)


def convert_each(
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
