"""The Wright map: students and items on the one scale they share."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.report.axes import WIDTH, ability_range
from etl_jobs.report.flags import kind
from etl_jobs.report.names import name_of, shortened
from etl_jobs.report.numerals import counted, fixed, whole
from etl_jobs.report.svg import Scale, element, figure, line, spread, text

if TYPE_CHECKING:
    from markupsafe import Markup
    from numpy.typing import NDArray

    from etl_jobs.report.data import Floats, ReportData

HEIGHT = 952
TOP, BOTTOM = 78, HEIGHT - 44
STUDENTS_END, ITEMS_START = 236, 292
EDGE = WIDTH - 12

# More names than this cannot be read beside each other.
MOST_NAMES = 40
NAME_GAP = 20.0
LONGEST_NAME = 22
BINS = 40
KINDS = {"fine": "without a flag", "look": "to look at", "wait": "with too few answers"}


def wright_map(data: ReportData) -> Markup:
    """Draw abilities to the left of the scale and difficulties to its right."""
    low, high = ability_range(data.theta)
    y = Scale(low, high, BOTTOM, TOP)
    middle = (STUDENTS_END + ITEMS_START) / 2
    frame = [
        text(middle, HEIGHT - 10, "Ability θ = difficulty b", "label middle"),
        line(STUDENTS_END, TOP, STUDENTS_END, BOTTOM, "axis"),
        line(ITEMS_START, TOP, ITEMS_START, BOTTOM, "axis"),
    ]
    for value, label in y.ticks(8):
        frame.append(line(16, y(value), STUDENTS_END, y(value), "grid"))
        frame.append(line(ITEMS_START, y(value), EDGE, y(value), "grid"))
        frame.append(text(middle, y(value), label, "tick middle centred"))
    few = len(data.item_id) <= MOST_NAMES
    return figure(
        WIDTH,
        HEIGHT,
        f"Wright map: {counted(data.students, 'student')} by ability beside "
        f"{counted(len(data.item_id), 'item')} by difficulty.",
        *frame,
        *_students(data, y),
        *(_named_items(data, y) if few else _counted_items(data, y)),
        class_="wright",
        # Where the script marks the chosen item.
        data_low=f"{low:.4f}",
        data_high=f"{high:.4f}",
        data_start=BOTTOM,
        data_end=TOP,
    )


def _students(data: ReportData, y: Scale) -> list[Markup]:
    most = int(np.max(data.ability_counts, initial=0))
    drawn = [
        text(STUDENTS_END, 26, "Students", "title end"),
        text(STUDENTS_END, 46, f"longest bar {whole(most)}", "note end"),
    ]
    for count, (start, end) in zip(data.ability_counts, pairwise(data.ability_edges), strict=True):
        top, bottom = y.clipped([end, start])
        if count and bottom > top:
            width = max(1.0, float(count) / most * (STUDENTS_END - 24))
            between = f"between {fixed(start)} and {fixed(end)}"
            title = f"{counted(int(count), 'student')} {between}"
            drawn.append(_bar(STUDENTS_END - width, width, (top, bottom), "bar", title))
    return drawn


def _bar(x: float, width: float, span: tuple[float, float], class_: str, title: str) -> Markup:
    top, bottom = span
    # A hair of paper between the bars, so that they can be counted.
    gap = 1.0 if bottom - top > 3 else 0.0
    return element(
        "rect", element("title", title),
        x=x, y=top + gap / 2, width=width, height=bottom - top - gap, class_=class_,
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
    drawn = [
        text(ITEMS_START, 26, "Items", "title"),
        text(ITEMS_START, 46, "difficulty ± 1 SE", "note"),
    ]
    spots = spread([place[2] for place in places], NAME_GAP, TOP, BOTTOM)
    for (item, column, at, top, bottom), spot in zip(places, spots, strict=True):
        x = ITEMS_START + 14 + step * column
        mark = kind(data.flags[item])
        name = name_of(data, item)
        told = f"{name[:200]}: difficulty {fixed(float(data.difficulty[item]))}"
        drawn.append(
            element(
                "g",
                element("title", told),
                element("path", d=f"M{x + 6:.1f} {at:.1f}L{names_x - 14:.1f} {at:.1f}"
                        f"L{names_x - 4:.1f} {spot:.1f}", class_="lead"),
                line(x, top, x, bottom, f"error {mark}"),
                element("circle", cx=x, cy=at, r=4.5, class_=f"dot {mark}"),
                text(names_x, spot, shortened(name, LONGEST_NAME), f"name centred {mark}"),
                data_item=item,
            )
        )  # fmt: skip
    return drawn


def _counted_items(data: ReportData, y: Scale) -> list[Markup]:
    kinds = np.array([kind(flags) for flags in data.flags])
    edges: Floats = np.linspace(y.low, y.high, BINS + 1)
    counts = {mark: np.histogram(data.difficulty[kinds == mark], edges)[0] for mark in KINDS}
    most = max(1, int(np.max(sum(counts.values()))))
    drawn = [
        text(ITEMS_START, 26, "Items", "title"),
        text(ITEMS_START, 46, f"longest bar {whole(most)}", "note"),
        *_still(data.difficulty > y.high, "harder", TOP - 8),
        *_still(data.difficulty < y.low, "easier", BOTTOM + 18),
    ]
    for place, (start, end) in enumerate(pairwise(edges.tolist())):
        x = float(ITEMS_START)
        for mark, told in KINDS.items():
            count = int(counts[mark][place])
            if count:
                width = count / most * (EDGE - ITEMS_START - 12)
                between = f"between {fixed(start, 1)} and {fixed(end, 1)}"
                title = f"{counted(count, 'item')} {told} {between}"
                drawn.append(_bar(x, width, (y(end), y(start)), f"bar {mark}", title))
                x += width
    return drawn


def _still(beyond: NDArray[np.bool_], direction: str, at: float) -> list[Markup]:
    count = int(beyond.sum())
    if not count:
        return []
    return [text(EDGE, at, f"{counted(count, 'item')} still {direction}", "note end")]
