"""Drawing: elements with escaped text, scales with round ticks, paths.

Colours, fonts and line widths are the style sheet's; a chart only names classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from etl_jobs.report.numerals import fixed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike


def element(name: str, *children: str, **attributes: object) -> Markup:
    """Return one element; text is escaped, `class_` is class, `font_size` is font-size."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
    )
    inside = Markup("").join(children)
    # Names are ours, and everything else was escaped above.
    return Markup(f"<{name}{pairs}>{inside}</{name}>" if inside else f"<{name}{pairs}/>")  # noqa: S704


def figure(width: int, height: int, label: str, *children: str, **attributes: object) -> Markup:
    """Return a drawing that grows with its column and has a label for those who hear it."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        **attributes,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, class_: str = "", **attributes: object) -> Markup:
    """Return one line of text; the classes `end` and `middle` anchor it."""
    return element("text", content, x=x, y=y, class_=class_, **attributes)


def path(points: Iterable[tuple[float, float]]) -> str:
    """Return path data through the points, lifted where a coordinate is not a number."""
    parts: list[str] = []
    down = False
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            parts.append(f"{'L' if down else 'M'}{_text(float(x))} {_text(float(y))}")
            down = True
        else:
            down = False
    return "".join(parts)


@dataclass(frozen=True)
class Scale:
    """A straight line from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return float(self.pixels(value))

    def pixels(self, values: ArrayLike) -> np.ndarray:
        """Return the pixels of many values."""
        share = (np.asarray(values, dtype=float) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def clipped(self, values: ArrayLike) -> np.ndarray:
        """Return pixels of values, those beyond an end drawn at that end."""
        return self.pixels(np.clip(np.asarray(values, dtype=float), self.low, self.high))

    def ticks(self, about: int) -> list[tuple[float, str]]:
        """Return round values with their labels, about as many as asked for."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / about))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if span / (m * power) <= about * 1.2)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if round(step * 10**decimals, 6) % 1:
            decimals += 1
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(k * step, fixed(k * step, decimals)) for k in range(first, last + 1)]


def round_up(value: float) -> float:
    """Return the nearest round number that is not smaller: where an axis may end."""
    if not math.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if m * power >= value)


def spread(wanted: list[float], gap: float, top: float, bottom: float) -> list[float]:
    """Return places at least a gap apart, near the wanted ones, which increase.

    If there is no room for the gap, the places are as far apart as they can be.
    """
    gap = min(gap, (bottom - top) / max(1, len(wanted) - 1))
    blocks: list[_Block] = []
    for place in wanted:
        block = _Block(place, 1)
        # Neighbours that would overlap become one block around the mean of their wishes.
        while blocks and blocks[-1].end(gap, top, bottom) + gap > block.start(gap, top, bottom):
            block = blocks.pop().joined(block)
        blocks.append(block)
    return [
        block.start(gap, top, bottom) + place * gap
        for block in blocks
        for place in range(block.size)
    ]


@dataclass(frozen=True)
class _Block:
    mean: float
    size: int

    def start(self, gap: float, top: float, bottom: float) -> float:
        length = (self.size - 1) * gap
        return max(top, min(self.mean - length / 2, bottom - length))

    def end(self, gap: float, top: float, bottom: float) -> float:
        return self.start(gap, top, bottom) + (self.size - 1) * gap

    def joined(self, other: _Block) -> _Block:
        size = self.size + other.size
        return _Block((self.mean * self.size + other.mean * other.size) / size, size)


def _text(value: object) -> object:
    if isinstance(value, float):
        short = f"{value:.1f}".removesuffix(".0")
        return "0" if short == "-0" else short
    return value
