"""The frame that every drawing shares: ability is always on the same axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.report.svg import Scale, line, text

if TYPE_CHECKING:
    from markupsafe import Markup

    from etl_jobs.report.data import Floats

WIDTH = 560
LEFT, RIGHT = 58, WIDTH - 14

# Almost every student is within four standard deviations of the mean.
FARTHEST = 4.0


def ability_range(theta: Floats) -> tuple[float, float]:
    """Return the abilities that every drawing shows."""
    return max(-FARTHEST, float(theta[0])), min(FARTHEST, float(theta[-1]))


def value_axis(x: Scale, y: Scale, title: str, about: int = 4) -> list[Markup]:
    """Draw grid lines with their values at the left, and the title above."""
    drawn = [text(x.start, y.end - 20, title, "title")]
    for value, label in y.ticks(about):
        drawn.append(line(x.start, y(value), x.end, y(value), "grid" if value else "axis"))
        drawn.append(text(x.start - 10, y(value), label, "tick end centred"))
    return drawn


def ability_axis(x: Scale, y: float, title: str) -> list[Markup]:
    """Draw ticks with their values below, and the title under them."""
    drawn = [text((x.start + x.end) / 2, y + 46, title, "label middle")]
    for value, label in x.ticks(8):
        drawn.append(line(x(value), y, x(value), y + 5, "axis"))
        drawn.append(text(x(value), y + 22, label, "tick middle"))
    return drawn
