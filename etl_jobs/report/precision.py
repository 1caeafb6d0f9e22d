"""How precisely the test measures, over ability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.report.axes import LEFT, RIGHT, WIDTH, ability_axis, ability_range, value_axis
from etl_jobs.report.numerals import fixed
from etl_jobs.report.svg import Scale, element, figure, line, path, round_up, text

if TYPE_CHECKING:
    from markupsafe import Markup

    from etl_jobs.report.data import ReportData

HEIGHT = 460
INFORMATION = (194, 44)
ERROR = (408, 262)


def most_precise(data: ReportData) -> tuple[float, float] | None:
    """Return the ability where the standard error is smallest, and that error."""
    finite = np.isfinite(data.standard_error)
    if not finite.any():
        return None
    best = int(np.argmin(np.where(finite, data.standard_error, np.inf)))
    return float(data.theta[best]), float(data.standard_error[best])


def precision(data: ReportData) -> Markup:
    """Draw test information above the standard error it amounts to, on one ability axis."""
    low, high = ability_range(data.theta)
    shown = (data.theta >= low - 1e-9) & (data.theta <= high + 1e-9)
    theta, information, error = (
        array[shown] for array in (data.theta, data.information, data.standard_error)
    )
    best = most_precise(data)
    # Far from the items the error grows without limit; the axis ends where it stops mattering.
    least = 1.0 if best is None else best[1]
    worst = float(np.max(error, where=np.isfinite(error), initial=least))
    most = float(np.max(information, where=np.isfinite(information), initial=0))
    x = Scale(low, high, LEFT, RIGHT)
    upper = Scale(0, round_up(most), *INFORMATION)
    lower = Scale(0, round_up(min(worst, 3 * least)), *ERROR)
    curve = path(zip(x.pixels(theta), upper.pixels(information), strict=True))
    floor = f"L{x(theta[-1]):.1f} {upper.start}L{x(theta[0]):.1f} {upper.start}Z"
    label = "Test information and standard error of measurement over ability."
    marks: list[Markup] = []
    if best is not None:
        ability, least = best
        told = f"least: {fixed(least)} at {fixed(ability, 1)}"
        label += f" The smallest error is {fixed(least)}, at ability {fixed(ability, 1)}."
        marks = _pointer(x(ability), lower(least), told)
    return figure(
        WIDTH,
        HEIGHT,
        label,
        *value_axis(x, upper, "Test information"),
        *value_axis(x, lower, "Standard error of measurement"),
        *ability_axis(x, ERROR[0], "Ability θ"),
        element("path", d=curve + floor, class_="area"),
        element("path", d=curve, class_="curve"),
        _window(x, lower),
        element(
            "path",
            d=path(zip(x.pixels(theta), lower.pixels(error), strict=True)),
            class_="curve",
            clip_path="url(#error-window)",
        ),
        *marks,
        class_="precision",
    )


def _window(x: Scale, y: Scale) -> Markup:
    frame = element("rect", x=x.start, y=y.end, width=x.end - x.start, height=y.start - y.end)
    return element("clipPath", frame, id="error-window")


def _pointer(x: float, y: float, told: str) -> list[Markup]:
    # The words go to the side with more room.
    left = x > (LEFT + RIGHT) / 2
    return [
        line(x, INFORMATION[1], x, ERROR[0], "guide"),
        element("circle", cx=x, cy=y, r=4.5, class_="dot"),
        text(x + (-10 if left else 10), y + 24, told, "note end" if left else "note"),
    ]


def typical_error(data: ReportData) -> float | None:
    """Return the least standard error for a student with the average number of answers.

    It takes the answered items for a fair sample of all of them.
    """
    best = most_precise(data)
    answered = float(np.sum(data.answers)) / max(data.students, 1)
    if best is None or answered <= 0:
        return None
    return best[1] * float(np.sqrt(max(1.0, len(data.item_id) / answered)))
