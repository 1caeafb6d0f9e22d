"""The Wright map: students and items on the one scale they share."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from etl_jobs.report.axes import WIDTH, ability_range
from etl_jobs.report.data import Floats, ReportData
from etl_jobs.report.flags import kind
from etl_jobs.report.numerals import counted, fixed
from etl_jobs.report.svg import Scale, element, figure, line, text

HEIGHT = 952
TOP, BOTTOM = 78, HEIGHT - 44
STUDENTS_END, ITEMS_START = 236, 292
EDGE = WIDTH - 12

# More names than this cannot be read beside each other.
MOST_NAMES = 40
NAME_GAP = 20.0
LONGEST_NAME = 22


def wright_map(data: ReportData) -> Markup:
    """Draw abilities to the left of the scale and difficulties to its right."""
    low, high = ability_range(data.theta)
    y = Scale(low, high, BOTTOM, TOP)
    middle = (STUDENTS_END + ITEMS_START) / 2
    children = [
        text(STUDENTS_END, 26, "Students", "title end"),
        text(STUDENTS_END, 46, "by estimated ability", "note end"),
        text(ITEMS_START, 26, "Items", "title"),
        text(ITEMS_START, 46, "by difficulty", "note"),
        text(middle, HEIGHT - 10, "Ability θ = difficulty b", "label middle"),
        line(STUDENTS_END, TOP, STUDENTS_END, BOTTOM, "axis"),
        line(ITEMS_START, TOP, ITEMS_START, BOTTOM, "axis"),
    ]
    for value, label in y.ticks(8):
        children.append(line(16, y(value), STUDENTS_END, y(value), "grid"))
        children.append(line(ITEMS_START, y(value), EDGE, y(value), "grid"))
        children.append(text(middle, y(value), label, "tick middle centred"))
    children += _students(data, y)
    few = len(data.item_id) <= MOST_NAMES
    children += _named_items(data, y) if few else _counted_items(data, y)
    return figure(
        WIDTH,
        HEIGHT,
        f"Wright map: {counted(data.students, 'student')} by ability beside "
        f"{counted(len(data.item_id), 'item')} by difficulty.",
        *children,
        class_="wright",
        data_low=fixed_ascii(low),
        data_high=fixed_ascii(high),
        data_start=BOTTOM,
        data_end=TOP,
    )


def fixed_ascii(value: float) -> str:
    """Return a number as the script reads it."""
    return f"{value:.4f}"


def _students(data: ReportData, y: Scale) -> list[Markup]:
    edges = y.clipped(data.ability_edges)
    most = max(float(np.max(data.ability_counts, initial=0)), 1.0)
    bars = []
    for below, above, count, start, end in zip(
        edges[:-1], edges[1:], data.ability_counts, data.ability_edges, data.ability_edges[1:],
        strict=False,
    ):
        if not count or below - above <= 0:
            continue
        width = max(1.0, float(count) / most * (STUDENTS_END - 24))
        bars.append(
            _bar(STUDENTS_END - width, above, width, below - above, "bar",
                 f"{counted(int(count), 'student')} between {fixed(start, 2)} and {fixed(end, 2)}")
        )
    return bars


def _bar(x: float, y: float, width: float, height: float, class_: str, title: str) -> Markup:
    # A hair of paper between the bars, so that they can be counted.
    gap = 1.0 if height > 3 else 0.0
    return element(
        "rect", element("title", title),
        x=x, y=y + gap / 2, width=width, height=height - gap, class_=class_,
    )  # fmt: skip


def _named_items(data: ReportData, y: Scale) -> list[Markup]:
    known = np.flatnonzero(np.isfinite(data.difficulty))
    order = known[np.argsort(-data.difficulty[known], kind="stable")]
    columns: list[float] = []
    places: list[tuple[int, int, float, float, float]] = []
    for item in order:
        b, se = float(data.difficulty[item]), float(data.difficulty_se[item])
        reach = se if np.isfinite(se) else 0.0
        top, bottom = y.clipped([b + reach, b - reach])
        # Dots whose error bars would cross stand in columns of their own.
        column = next((k for k, end in enumerate(columns) if end < top - 10), len(columns))
        columns[column : column + 1] = [float(bottom)]
        places.append((int(item), column, float(y.clipped(b)), float(top), float(bottom)))
    step = 14 if len(columns) <= 6 else 84 / len(columns)
    names_x = ITEMS_START + 14 + step * len(columns) + 12
    marks, names = [], []
    spots = spread([place[2] for place in places], NAME_GAP, TOP, BOTTOM)
    for (item, column, at, top, bottom), spot in zip(places, spots, strict=True):
        x = ITEMS_START + 14 + step * column
        mark = kind(data.flags[item])
        name = data.item_name[item] or data.item_id[item]
        short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        told = f"{name[:200]}: difficulty {fixed(float(data.difficulty[item]))}"
        names.append(
            element(
                "g",
                element("title", told),
                element("path", d=f"M{x + 6:.1f} {at:.1f}L{names_x - 14:.1f} {at:.1f}"
                        f"L{names_x - 4:.1f} {spot:.1f}", class_="lead"),
                line(x, top, x, bottom, f"error {mark}"),
                element("circle", cx=x, cy=at, r=4.5, class_=f"dot {mark}"),
                text(names_x, spot, short, f"name centred {mark}"),
                data_item=item,
            )
        )  # fmt: skip
    return marks + names


def spread(wanted: list[float], gap: float, top: float, bottom: float) -> list[float]:
    """Return places at least a gap apart, near the wanted ones, which increase."""
    gap = min(gap, (bottom - top) / max(1, len(wanted) - 1))
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place, 1.0])
        # Neighbours that would overlap become one block around the mean of their wishes.
        while len(groups) > 1 and _overlap(groups[-2], groups[-1], gap):
            mean, size = groups.pop()
            before, count = groups[-1]
            groups[-1] = [(before * count + mean * size) / (count + size), count + size]
        for group in groups[-1:]:
            half = (group[1] - 1) * gap / 2
            group[0] = min(max(group[0], top + half), bottom - half)
    return [
        mean + (k - (size - 1) / 2) * gap for mean, size in groups for k in range(int(size))
    ]


def _overlap(above: list[float], below: list[float], gap: float) -> bool:
    return below[0] - above[0] < (above[1] + below[1]) / 2 * gap - 1e-9


def _counted_items(data: ReportData, y: Scale) -> list[Markup]:
    known = np.isfinite(data.difficulty)
    edges: Floats = np.linspace(y.low, y.high, 41)
    beyond = {
        "harder": int(np.sum(data.difficulty[known] > y.high)),
        "easier": int(np.sum(data.difficulty[known] < y.low)),
    }
    kinds = np.array([kind(flags) for flags in data.flags])
    counts = {
        mark: np.histogram(data.difficulty[known & (kinds == mark)], edges)[0]
        for mark in ("fine", "look", "wait")
    }
    most = max(1, int(sum(counts.values()).max()))  # type: ignore[union-attr]
    told = {
        "fine": "without a flag",
        "look": "to look at",
        "wait": "with too few answers",
    }
    bars = []
    for k in range(len(edges) - 1):
        x = float(ITEMS_START)
        for mark, count in ((mark, int(counts[mark][k])) for mark in counts):
            if not count:
                continue
            width = count / most * (EDGE - ITEMS_START - 12)
            upper, lower = y(edges[k + 1]), y(edges[k])
            title = (
                f"{counted(count, 'item')} {told[mark]} "
                f"between {fixed(edges[k], 1)} and {fixed(edges[k + 1], 1)}"
            )
            bars.append(_bar(x, upper, width, lower - upper, f"bar {mark}", title))
            x += width
    for direction, count, at in (
        ("harder", beyond["harder"], TOP - 8),
        ("easier", beyond["easier"], BOTTOM + 18),
    ):
        if count:
            bars.append(text(EDGE, at, f"{counted(count, 'item')} still {direction}", "note end"))
    return bars
