"""Whether published item parameters still hold: answers that came later, and drift.

What an earlier run predicted is compared with the answers that came after it, and new answers with
those before. All of that is SQL; here it is judged, and put into words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_jobs.product import File, Product
from etl_jobs.telemetry.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from etl_jobs.contract import JobParameter, Query
    from etl_jobs.place import Place
    from etl_jobs.product import Work

QUERIES = ("monitor/figures", "monitor/moved")
STEPS: tuple[str, ...] = ()
PARAMETERS: tuple[JobParameter, ...] = ()
OUTPUT: Query | None = None

# A share of fewer answers is off by some hundredths by chance alone. It is published, but neither
# judged nor sent.
FEWEST_ANSWERS = 500
# What a terminal is shown of what has moved; the file lists more.
_LISTED = 5

_JUDGED = tuple(metric for metric in METRICS if metric.of == "monitor")


def settle(settings: Mapping[str, object], place: Place) -> Mapping[str, object]:  # noqa: ARG001
    """Return the settings as they are: nothing in them has to be looked up."""
    return settings


def produce(work: Work) -> Product:
    """Return the day's figures and what has moved, as JSON."""
    figures = next(iter(work.query("monitor/figures").records()), {})
    moved = work.query("monitor/moved").records()
    judged = _judged(figures)
    alarming = {
        metric.figure: metric
        for metric in _JUDGED
        if judged[metric.figure] is not None and metric.is_alarming(judged[metric.figure])
    }
    content = {
        "schema_version": 1,
        "as_of": str(work.settings["as_of"]),
        "settings": {name: str(value) for name, value in work.settings.items()},
        "figures": {name: _plain(value) for name, value in figures.items() if name != "as_of"},
        "alarming": sorted(alarming),
        "moved": moved,
    }
    return Product(
        files=(File("monitor.json", content, "json"),),
        metrics=judged,
        notes=tuple(_notes(figures, judged, moved)),
    )


def _judged(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that rest on enough answers; None in the place of the others."""
    enough = {
        kind: (figures.get(count) or 0) >= FEWEST_ANSWERS
        for kind, count in (("prediction", "predicted_answers"), ("drift", "new_answers"))
    }
    return {
        metric.figure: figures.get(metric.figure)
        if enough[metric.name.partition("/")[0]] or metric.type is int
        else None
        for metric in _JUDGED
    }


def _notes(
    figures: Mapping[str, Any], judged: Mapping[str, Any], moved: list[dict[str, object]]
) -> Iterator[str]:
    """Yield what a person at a terminal should be told."""
    if not figures:
        yield "there are no answers of these days to look at"
        return
    if figures["run_as_of"] is None:
        yield "no run is old enough to have predicted these answers"
    else:
        share, predicted = figures["share_correct"], figures["mean_predicted"]
        auc = "" if figures["auc"] is None else f", AUC {figures['auc']:.3f}"
        yield (
            f"{figures['predicted_answers']:,} answers that the run of {figures['run_as_of']} "
            f"predicted: {share:.1%} right, {predicted:.1%} foretold, Brier "
            f"{figures['brier']:.4f}, log-loss {figures['log_loss']:.4f}{auc}"
        )
    if figures["right_psi"] is not None:
        yield (
            f"{figures['new_answers']:,} new answers against those before: PSI "
            f"{figures['right_psi']:.3f}, {figures['items_moved']:,} items and "
            f"{figures['subjects_moved']:,} subjects moved"
        )
    for metric in _JUDGED:
        value = judged[metric.figure]
        if value is not None and metric.is_alarming(value):
            bound = metric.above if metric.below is None else metric.below
            side = "above" if metric.below is None else "below"
            yield f"look at {metric.figure}: {value:.4g} is {side} {bound:g} ({metric.about})"
    for row in moved[:_LISTED]:
        name = str(row["name"])
        shown = name if name.isprintable() and len(name) <= 40 else repr(name)[:40]
        yield (
            f"{row['dimension']} {shown}: {row['reference_share_correct']:.1%} right before, "
            f"{row['new_share_correct']:.1%} now"
        )


def _plain(value: object) -> object:
    return value if isinstance(value, int | float) or value is None else str(value)
