"""The page: one HTML file that loads nothing, the same bytes for the same data."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from etl_jobs.report.flags import in_use, meaningful
from etl_jobs.report.item_curves import item_curves
from etl_jobs.report.items import columns, first_rows, payload
from etl_jobs.report.names import clean
from etl_jobs.report.numerals import fixed, whole
from etl_jobs.report.precision import precision
from etl_jobs.report.scatter import beyond, in_hexagons, scatter
from etl_jobs.report.summary import summarise
from etl_jobs.report.wright_map import MOST_NAMES, wright_map

if TYPE_CHECKING:
    from etl_jobs.report.data import ReportData


# With more columns than these the table has no room for its little curves.
MOST_COLUMNS = 7
# With more than these it leaves the standard errors to the chosen item's panel.
MOST_CROWDED = 10
SCRIPTS = ("items.js", "item_curve.js", "report.js")


def render(report: ReportData) -> str:
    """Return the report as one self-contained HTML page.

    The page makes no request, runs no script but its own (its content security policy
    names the script's and the style's digests), and is the same text for the same data.
    Memory: a few hundred bytes an item.
    """
    report = replace(report, flags=[meaningful(names) for names in report.flags])
    shown = columns(report)
    style, script = _part("report.css"), "\n".join(map(_part, SCRIPTS))
    return _template().render(
        report=report,
        summary=summarise(report),
        facts=_facts(report),
        left_out=[(clean(why), rows) for why, rows in report.left_out.items()],
        flags=in_use(report.flags),
        columns=shown,
        crowded=len(shown) > MOST_COLUMNS,
        overcrowded=len(shown) > MOST_CROWDED,
        rows=first_rows(report),
        # A choice of one is none.
        has_subjects=len(set(map(clean, filter(None, report.subject)))) > 1,
        groups=[
            (clean(group.name), whole(group.students), fixed(group.mean), fixed(group.deviation))
            for group in report.groups
        ],
        populations=any(np.isfinite(group.mean) for group in report.groups),
        scale_group=clean(report.scale_group or ""),
        dif_reference=clean(report.differences.reference) if report.differences else "",
        mean=fixed(report.ability_mean),
        deviation=fixed(report.ability_deviation),
        names_on_map=len(report.item_id) <= MOST_NAMES,
        payload=payload(report),
        charts={
            "wright_map": wright_map(report),
            "precision": precision(report),
            "scatter": scatter(report),
            "item_curves": item_curves(report),
        },
        beyond=beyond(report),
        hexagons=in_hexagons(report),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        style_digest=_digest(style),
        script_digest=_digest(script),
        whole=whole,
        title=clean(report.title),
    )


def _facts(report: ReportData) -> list[tuple[str, str]]:
    facts: dict[str, str | int | float | bool] = {
        "Model": report.model,
        "Students": report.students,
        "Items": len(report.item_id),
        "Answers": int(sum(report.answers)),
        "Converged": report.converged,
        **report.facts,
    }
    return [(clean(name), _fact(value)) for name, value in facts.items()]


def _fact(value: str | int | float | bool) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, float):
        # Three decimals of a small number would say that it is 0.
        return "below 0.0005" if 0 < abs(value) < 0.0005 else fixed(value, 3)
    return clean(value)


def _part(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html.j2")
