"""All item curves in one drawing, for a test so short that they can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from etl_jobs.report.axes import ability_axis, ability_range
from etl_jobs.report.flags import kind
from etl_jobs.report.items import probability
from etl_jobs.report.names import name_of, shortened
from etl_jobs.report.numerals import counted, percent
from etl_jobs.report.svg import Scale, element, figure, line, path, spread, text

if TYPE_CHECKING:
    from markupsafe import Markup

    from etl_jobs.report.data import ReportData

MOST_CURVES = 10
WIDTH, HEIGHT = 780, 400
LEFT, RIGHT = 58, 600
TOP, BOTTOM = 44, 350
NAME_GAP = 19.0
LONGEST_NAME = 20

Side = Literal["left", "right"]


def item_curves(data: ReportData) -> Markup | None:
    """Draw the share expected right over ability, one curve an item; None if too many."""
    known = np.flatnonzero(np.isfinite(data.discrimination) & np.isfinite(data.difficulty))
    if not len(known) or len(data.item_id) > MOST_CURVES:
        return None
    theta = np.linspace(*ability_range(data.theta), 81)
    lower, upper = data.asymptotes
    shares = np.array(
        [
            probability(
                data.discrimination[item], data.difficulty[item], lower[item], upper[item], theta
            )
            for item in known
        ]
    )
    # Names stand at the end where the curves lie farther apart.
    side: Side = "left" if np.ptp(shares[:, 0]) > np.ptp(shares[:, -1]) else "right"
    edges = (LEFT, RIGHT) if side == "right" else (WIDTH - RIGHT, WIDTH - LEFT)
    x, y = Scale(float(theta[0]), float(theta[-1]), *edges), Scale(0, 1, BOTTOM, TOP)
    ends = shares[:, 0 if side == "left" else -1]
    order = np.argsort(-ends, kind="stable")
    spots = spread(y.pixels(ends[order]).tolist(), NAME_GAP, TOP, BOTTOM)
    curves = []
    for k, spot in zip(order, spots, strict=True):
        item = int(known[k])
        name = name_of(data, item)
        curve = path(zip(x.pixels(theta), y.pixels(shares[k]), strict=True))
        curves.append(
            element(
                "g",
                element("title", name[:200]),
                element("path", d=curve, class_=f"curve {kind(data.flags[item])}"),
                *_label(x, side, y(float(ends[k])), spot, shortened(name, LONGEST_NAME)),
                data_item=item,
            )
        )
    return figure(
        WIDTH,
        HEIGHT,
        f"Item characteristic curves of {counted(len(known), 'item')}.",
        *_share_axis(x, y, side),
        *ability_axis(x, BOTTOM, "Ability θ"),
        *curves,
        class_="curves",
    )


def _label(x: Scale, side: Side, at: float, spot: float, name: str) -> list[Markup]:
    start, away = (x.start, -1) if side == "left" else (x.end, 1)
    return [
        element("path", d=path([(start + 4 * away, at), (start + 22 * away, spot)]), class_="lead"),
        text(start + 28 * away, spot, name, "name centred end" if away < 0 else "name centred"),
    ]


def _share_axis(x: Scale, y: Scale, names: Side) -> list[Markup]:
    # The axis has the side that the names leave free.
    at, anchor = (x.end + 10, "") if names == "left" else (x.start - 10, "end")
    drawn = [text(x.start, TOP - 20, "Share expected right", "title")]
    for share, _ in y.ticks(4):
        drawn.append(line(x.start, y(share), x.end, y(share), "grid" if share else "axis"))
        drawn.append(text(at, y(share), percent(share), f"tick centred {anchor}".rstrip()))
    return drawn
