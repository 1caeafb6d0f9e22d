"""Every item as difficulty against discrimination: dots, or hexagons when they are many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from etl_jobs.report.axes import LEFT, RIGHT, WIDTH, ability_axis, ability_range, value_axis
from etl_jobs.report.flags import needs_a_look, needs_more_answers
from etl_jobs.report.numerals import counted
from etl_jobs.report.svg import Scale, element, figure, path, round_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.report.data import Floats, ReportData

HEIGHT = 456
TOP, BOTTOM = 44, 404

# More dots than this hide each other.
MOST_DOTS = 1500
HEXAGON = 6.0
SHADES = 5


def scatter(data: ReportData) -> Markup:
    """Draw where the items lie; items beyond an axis lie on its edge."""
    low, high = ability_range(data.theta)
    a, b = data.discrimination, data.difficulty
    known = _known(data)
    look = np.array([needs_a_look(flags) for flags in data.flags])
    wait = np.array([needs_more_answers(flags) for flags in data.flags])
    top = round_up(min(max(2.0, float(np.quantile(a[known], 0.995)) if known.any() else 2.0), 5.0))
    bottom = max(-2.0, math.floor(2 * float(np.min(a[known], initial=0.0))) / 2)
    x, y = Scale(low, high, LEFT, RIGHT), Scale(bottom, top, BOTTOM, TOP)
    children = [
        *value_axis(x, y, "Discrimination a", 5),
        *ability_axis(x, BOTTOM, "Difficulty b"),
    ]
    if not in_hexagons(data):
        children += [
            _dots(x, y, b[group & known], a[group & known], kind)
            for kind, group in (("wait", wait), ("fine", ~look & ~wait), ("look", look))
        ]
    else:
        shown = known & ~wait
        children += _hexagons(x.clipped(b[shown]), y.clipped(a[shown]), look[shown])
    return figure(
        WIDTH,
        HEIGHT,
        f"Difficulty against discrimination of {counted(int(known.sum()), 'item')}.",
        *children,
        class_="scatter",
        data_box=f"{LEFT} {RIGHT} {BOTTOM} {TOP}",
        data_domain=f"{low:.4f} {high:.4f} {bottom:.4f} {top:.4f}",
    )


def beyond(data: ReportData) -> int:
    """Count the drawn items whose difficulty lies outside the drawing."""
    low, high = ability_range(data.theta)
    drawn = _known(data)
    if in_hexagons(data):
        drawn &= ~np.array([needs_more_answers(flags) for flags in data.flags])
    b = data.difficulty[drawn]
    return int(np.sum((b < low) | (b > high)))


def in_hexagons(data: ReportData) -> bool:
    """Whether there are too many items for dots."""
    return int(_known(data).sum()) > MOST_DOTS


def _known(data: ReportData) -> NDArray[np.bool_]:
    return np.isfinite(data.discrimination) & np.isfinite(data.difficulty)


def _dots(x: Scale, y: Scale, b: Floats, a: Floats, kind: str) -> Markup:
    # One path of points with round ends: a thousand items are one element of the page.
    points = zip(x.clipped(b), y.clipped(a), strict=True)
    marks = "".join(f"M{px:.1f} {py:.1f}h0" for px, py in points)
    return element("path", d=marks, class_=f"dots {kind}") if marks else Markup("")


def _hexagons(px: Floats, py: Floats, look: NDArray[np.bool_]) -> list[Markup]:
    # Hexagon centres form two interleaved grids; each point belongs to the nearer one.
    wide, tall = HEXAGON * math.sqrt(3), HEXAGON * 3
    even = np.stack([np.round(px / wide), np.round(py / tall)])
    odd = np.stack([np.floor(px / wide), np.floor(py / tall)])
    to_even = (px - even[0] * wide) ** 2 + (py - even[1] * tall) ** 2
    to_odd = (px - (odd[0] + 0.5) * wide) ** 2 + (py - (odd[1] + 0.5) * tall) ** 2
    centres = np.where(to_even <= to_odd, even * 2, odd * 2 + 1).astype(int)
    cells, place, count = np.unique(centres, axis=1, return_inverse=True, return_counts=True)
    looks = np.bincount(place.ravel(), weights=look, minlength=len(count))
    shade = np.ceil(SHADES * np.log1p(count) / np.log1p(count.max())).astype(int)
    corners = [
        (HEXAGON * math.sin(turn), HEXAGON * math.cos(turn))
        for turn in (k * math.pi / 3 for k in range(6))
    ]
    drawn = []
    for kind, chosen in (("fine", looks * 2 < count), ("look", looks * 2 >= count)):
        for level in range(1, SHADES + 1):
            marks = "".join(
                path((cx * wide / 2 + dx, cy * tall / 2 + dy) for dx, dy in corners) + "Z"
                for cx, cy in cells[:, chosen & (shade == level)].T
            )
            if marks:
                drawn.append(element("path", d=marks, class_=f"hexagons {kind} shade-{level}"))
    return drawn
