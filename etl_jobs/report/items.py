"""The items as the page carries them: all of them as data, the first ones as table rows."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from etl_jobs.report.axes import ability_range
from etl_jobs.report.flags import Flag, in_use, kind
from etl_jobs.report.labels import is_said, pairs_of_items, said_of
from etl_jobs.report.names import clean, name_of, shortened
from etl_jobs.report.numerals import fixed, percent, whole
from etl_jobs.report.svg import path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from etl_jobs.report.data import Floats, ReportData

FIRST_ROWS = 25
# Letters of a group's name, above a number.
_GROUP = 12

# Observed shares are shown for bands of ability this wide, where at least this many
# answers are expected: below that a dot says nothing.
BAND = 0.5
FEWEST = 1.0


@dataclass(frozen=True)
class Column:
    """A column of the table: the key of its data, what it is called, what it means."""

    key: str
    label: str
    meaning: str
    kind: str = "number"


NAME = Column("name", "Item", "Its name, and below it its id and subject", "text")
DIFFICULTY = Column("difficulty", "Difficulty b", "Ability at which half the students get it right")
HALFWAY = replace(DIFFICULTY, meaning="Ability at which the curve is halfway up")
# Always there, or, behind these, where the calibration has them.
COLUMNS = (
    Column("answers", "Answers", "Answers the numbers rest on"),
    Column("share", "Right", "Share of the answers that are right"),
    DIFFICULTY,
    Column("difficulty_se", "± SE", "Standard error of the difficulty"),
    Column("discrimination", "Discrim. a", "How sharply it tells students apart"),
    Column("discrimination_se", "± SE", "Standard error of the discrimination"),
)
MORE_COLUMNS = (
    Column("lower", "Guess c", "Chance that the weakest students get it right"),
    Column("upper", "Ceiling u", "Chance that the strongest students get it right"),
    Column("infit", "Infit", "Surprise near its difficulty; 1 is what the model expects"),
    Column("outfit", "Outfit", "Surprise far from its difficulty; 1 is what the model expects"),
    Column("dif", "DIF", "Below 0 it is harder for a group than for equally able others"),
)
# Only the chosen item shows these.
_DETAILS = ("lower_se", "upper_se", "fit_p", "dif_se")


@dataclass(frozen=True)
class Row:
    """One row of the table, as text; `cells` are column keys and what stands there."""

    name: str
    below: str
    cells: tuple[tuple[str, str], ...]
    curve: str
    flags: tuple[Flag, ...]
    kind: str
    anchored: bool


def columns(data: ReportData) -> tuple[Column, ...]:
    """Return the columns of this calibration's table."""
    always = tuple(
        HALFWAY if column is DIFFICULTY and data.has_asymptotes else column for column in COLUMNS
    )
    return (NAME, *always, *_more_columns(data))


def _more_columns(data: ReportData) -> tuple[Column, ...]:
    return tuple(column for column in MORE_COLUMNS if getattr(data, column.key) is not None)


def first_rows(data: ReportData) -> list[Row]:
    """Return the rows that stand in the page without the script: most answers first."""
    order = np.argsort(-np.asarray(data.answers, dtype=float), kind="stable")[:FIRST_ROWS]
    known = [flag for flag, _ in in_use(data.flags)]
    pairs = pairs_of_items(data)
    lower, upper = data.asymptotes
    rows = []
    for item in map(int, order):
        a, b = _short(data.discrimination[item]), _short(data.difficulty[item])
        names = data.flags[item]
        cells = {
            "answers": whole(data.answers[item]),
            "share": percent(_short(data.share_correct[item])),
        }
        for column in (*COLUMNS[2:], *_more_columns(data)):
            cells[column.key] = fixed(_short(getattr(data, column.key)[item]))
        rows.append(
            Row(
                name=name_of(data, item),
                below=" · ".join(filter(None, _below(data, item))),
                cells=tuple(cells.items()),
                curve=sparkline(a, b, lower[item], upper[item], *ability_range(data.theta)),
                flags=tuple(
                    said_of(data, item, flag, pairs.get(item, ()))
                    for flag in known
                    if flag.name in names
                ),
                kind=kind(names),
                anchored=data.anchored is not None and bool(data.anchored[item]),
            )
        )
    return rows


def sparkline(a: float, b: float, lower: float, upper: float, low: float, high: float) -> str:
    """Return path data of an item's curve in a box of 72 by 20."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return ""
    share = probability(a, b, lower, upper, np.linspace(low, high, 25))
    return path(zip(np.linspace(1, 71, 25), 19 - 18 * share, strict=True))


def probability(a: float, b: float, lower: float, upper: float, theta: Floats) -> Floats:
    """Return the share of students at each ability who are expected to get the item right."""
    with np.errstate(over="ignore"):
        share: Floats = lower + (upper - lower) / (1 + np.exp(-a * (theta - b)))
    return share


def _below(data: ReportData, item: int) -> tuple[str, str]:
    named = data.item_name[item]
    return clean(data.item_id[item]) if named else "", clean(data.subject[item] or "")


def payload(data: ReportData) -> Markup:
    """Return all items as JSON that is safe inside a script element."""
    subjects = sorted({name for name in map(clean, filter(None, data.subject)) if name})
    place = {name: index for index, name in enumerate(subjects)}
    flags = [flag for flag, _ in in_use(data.flags)]
    sets = sorted(set(data.flags))
    set_place = {names: index for index, names in enumerate(sets)}
    low, high = ability_range(data.theta)
    bands, observed = _observed(data)
    content = {
        "model": data.model,
        "axis": [low, high],
        "mean": round(data.ability_mean, 4),
        "first_rows": FIRST_ROWS,
        "subjects": subjects,
        "flags": [{"name": f.name, "label": f.label, "meaning": f.meaning} for f in flags],
        "flag_sets": [
            [index for index, flag in enumerate(flags) if flag.name in names] for names in sets
        ],
        "kinds": [kind(names) for names in sets],
        "said": _said(data, flags),
        "bands": bands,
        "items": {
            "id": [clean(name) for name in data.item_id],
            "name": [clean(name) if name else None for name in data.item_name],
            "subject": [place.get(clean(name or ""), -1) for name in data.subject],
            "answers": [int(count) for count in data.answers],
            "share": _column(data.share_correct),
            "difficulty": _column(data.difficulty),
            "difficulty_se": _column(data.difficulty_se),
            "discrimination": _column(data.discrimination),
            "discrimination_se": _column(data.discrimination_se),
            **{
                key: _column(getattr(data, key))
                for key in (*(column.key for column in MORE_COLUMNS), *_DETAILS)
                if getattr(data, key) is not None
            },
            **({} if data.anchored is None else {"anchor": [int(is_) for is_ in data.anchored]}),
            **_groups(data),
            "flag_set": [set_place[names] for names in data.flags],
            "observed": observed,
        },
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # No text can then close the script element or open a comment.
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def _said(data: ReportData, flags: Sequence[Flag]) -> dict[str, dict[str, list[str]]]:
    """Return item -> flag -> label and meaning, where they are about this item in particular."""
    pairs = pairs_of_items(data)
    said: dict[str, dict[str, list[str]]] = {}
    for item, names in enumerate(data.flags):
        if not is_said(data, names):
            continue
        for index, flag in enumerate(flags):
            told = said_of(data, item, flag, pairs.get(item, ()))
            if flag.name in names and told is not flag:
                said.setdefault(str(item), {})[str(index)] = [told.label, told.meaning]
    return said


def _groups(data: ReportData) -> dict[str, list[str]]:
    """Return which group each item's difference is about; it goes beside the number."""
    if data.differences is None:
        return {}
    return {"dif_group": [shortened(clean(name), _GROUP) for name in data.differences.group]}


def _short(value: float) -> float:
    """Round as the page carries it, so that the script and the server print the same."""
    return round(float(value), 4)


def _column(values: ArrayLike) -> list[float | None]:
    return [
        value if math.isfinite(value) else None
        for value in np.round(np.asarray(values, dtype=float), 4).tolist()
    ]


def _observed(data: ReportData) -> tuple[list[float], list[list[float]]]:
    """Return the bands' abilities and, per item, first band, answers..., permille right...."""
    low, high = ability_range(data.theta)
    band = np.floor(np.clip(data.theta, low, high) / BAND + 0.5 + 1e-9).astype(int)
    _, place = np.unique(band, return_inverse=True)
    membership = np.zeros((len(data.theta), place.max() + 1))
    membership[np.arange(len(data.theta)), place] = 1
    answers, right = data.answers_at @ membership, data.right_at @ membership
    # A band stands where its students are, not at its middle.
    mass = data.answers_at.sum(axis=0)
    total = np.maximum(mass @ membership, 1e-300)
    abilities = (mass * data.theta) @ membership / total
    packed: list[list[float]] = []
    for n, r in zip(answers, right, strict=True):
        some = np.flatnonzero(n >= FEWEST)
        if not len(some):
            packed.append([])
            continue
        span = slice(some[0], some[-1] + 1)
        counts = [round(v, 1) if v < 100 else round(v) for v in n[span].tolist()]
        shares = [round(1000 * s) for s in (r[span] / np.maximum(n[span], 1e-300)).tolist()]
        packed.append([int(some[0]), *counts, *shares])
    return np.round(abilities, 3).tolist(), packed
