"""The metrics of a job's runs, for a person: in a terminal, or as a picture."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

from etl_jobs.telemetry.charts import braille, sparkline
from etl_jobs.telemetry.history import value_text
from gcp_accessor.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from etl_jobs.telemetry.history import Series

_HEIGHT = 10
_WIDEST = 100
# What a picture shows before the first point and after the last one.
_MARGIN = timedelta(minutes=5)


def overview(series: Sequence[Series]) -> list[str]:
    """Return a line for each series: its course, its last value, and its range.

    An alarming last value is marked with "!".
    """
    rows = [_row(each) for each in series]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(series: Series) -> tuple[str, str, str, str]:
    unit, last = series.metric.unit, series.values[-1]
    mark = " !" if series.metric.is_alarming(last) else ""
    least, most = min(series.values), max(series.values)
    extent = f"{value_text(least, unit)} to {value_text(most, unit)}" if least < most else ""
    return series.name, sparkline(series.values), f"{value_text(last, unit)}{mark}", extent


def chart(series: Series) -> Iterator[str]:
    """Yield the lines of one series' chart, as wide as the terminal."""
    unit = series.metric.unit
    top, bottom = (value_text(each, unit) for each in (max(series.values), min(series.values)))
    # Values that are all alike lie in the middle.
    labels = {_HEIGHT // 2: top} if top == bottom else {0: top, _HEIGHT - 1: bottom}
    margin = max(len(top), len(bottom))
    terminal = min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
    columns = max(terminal - margin - 3, 20)
    times = [each.timestamp() for each in series.times]
    yield f"{series.name}: {series.metric.about}"
    for number, row in enumerate(braille(times, series.values, columns=columns, lines=_HEIGHT)):
        label = labels.get(number, "")
        yield f"{label:>{margin}} │{row}"
    first, last = (f"{each:%Y-%m-%d %H:%M}" for each in (series.times[0], series.times[-1]))
    # One point, or several of one minute, are of one time.
    below = first if first == last else f"{first}{last:>{max(columns - len(first), len(last) + 1)}}"
    yield f"{'':>{margin}} └{below}"
    yield f"{'':>{margin}}  last: {value_text(series.values[-1], unit)}"


def draw(series: Sequence[Series], job: str, path: Path) -> None:
    """Write a picture with a field for each series.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        # Without pyplot, which looks for a window to draw in.
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a picture", "notebook") from error
    across = 1 if len(series) == 1 else 2
    down = -(-len(series) // across)
    figure = Figure(figsize=(6.4 * across, 2.4 * down), layout="constrained")
    fields = figure.subplots(down, across, squeeze=False).flatten()
    figure.suptitle(job)
    first = min(each.times[0] for each in series) - _MARGIN
    last = max(each.times[-1] for each in series) + _MARGIN
    for field in fields[len(series) :]:
        field.set_axis_off()
    for field, each in zip(fields, series, strict=False):
        # All of one span, so that one may look from one field to the next.
        field.set_xlim(first, last)
        field.plot(list(each.times), each.values, marker=".", linewidth=1)
        field.set_title(each.name, fontsize="medium", loc="left")
        field.set_ylabel("" if each.metric.unit == "1" else each.metric.unit)
        for bound in (each.metric.below, each.metric.above):
            if bound is not None:
                field.axhline(bound, color="tab:red", linewidth=0.8, linestyle="--")
        locator = AutoDateLocator()
        field.xaxis.set_major_locator(locator)
        field.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        field.grid(visible=True, alpha=0.3)
    figure.savefig(path, format="png", dpi=110)
