"""Lines in plain text: a series in one row of blocks, or in a field of Braille dots."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
# The bit of each dot of a Braille letter, two columns of four from the top.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """Return the last values as blocks of eight heights, one for each.

    Values that are all alike are of half the height.

    Example:
        >>> sparkline([1, 2, 3, 4, 5, 6, 7, 8])
        '▁▂▃▄▅▆▇█'
    """
    shown = values[-width:]
    least, most = min(shown), max(shown)
    if least == most:
        return _BLOCKS[3] * len(shown)
    steps = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - least) / (most - least) * steps)] for value in shown)


def braille(
    times: Sequence[float], values: Sequence[float], *, columns: int = 60, lines: int = 10
) -> list[str]:
    """Return the line through the points in a field of letters, two by four dots each.

    The field reaches from the first time to the last, and from the least value to the largest.

    Args:
        times: Ascending, as many as there are values, at least one.
    """
    wide, high = columns * 2, lines * 4
    xs = [_place(each, min(times), max(times), wide) for each in times]
    # Rows are counted from the top.
    ys = [high - 1 - _place(each, min(values), max(values), high) for each in values]
    field = [[0] * columns for _ in range(lines)]
    for x, y in _line(xs, ys):
        field[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    return ["".join(chr(0x2800 + dots) for dots in row).rstrip("⠀") for row in field]


def _place(value: float, least: float, most: float, places: int) -> int:
    """Return where a value is from 0 up to `places` - 1; the middle where all are alike."""
    if least == most:
        return places // 2
    return min(round((value - least) / (most - least) * (places - 1)), places - 1)


def _line(xs: Sequence[int], ys: Sequence[int]) -> set[tuple[int, int]]:
    """Return the dots on straight lines from each point to the next."""
    dots = {(xs[0], ys[0])}
    for x0, y0, x1, y1 in zip(xs, ys, xs[1:], ys[1:], strict=False):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(1, steps + 1):
            share = step / steps
            dots.add((round(x0 + (x1 - x0) * share), round(y0 + (y1 - y0) * share)))
    return dots
