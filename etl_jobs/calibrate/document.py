"""A calibration as item_parameters.json holds it, and the figures that it is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_jobs.calibrate.anchors import NO_ANCHOR
from etl_jobs.calibrate.items import DECIMALS, json_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyarrow import Table

    from etl_jobs.calibrate.findings import Findings
    from etl_jobs.irt import Calibration


def document(
    fitted: Calibration,
    items: Table,
    findings: Findings,
    figures: Mapping[str, Any],
    settings: Mapping[str, object],
) -> dict[str, Any]:
    """Return what `etl_jobs.irt.items_from_json` reads, and all that a person may ask."""
    anchor, differences = str(settings["anchor"]), findings.differences
    return {
        "schema_version": 1,
        "as_of": str(settings["as_of"]),
        "model": fitted.model,
        "parametrisation": _parametrisation(fitted),
        "scale": _scale(anchor, fitted),
        "anchor_run": None if anchor == NO_ANCHOR else anchor,
        "populations": [
            {
                # None where students are not told apart, and for those of no group.
                "label": getattr(population.label, "name", None),
                "persons": population.persons,
                "mean": round(population.mean, DECIMALS),
                "deviation": round(population.deviation, DECIMALS),
            }
            for population in fitted.populations
        ],
        "dif_reference": differences.reference if differences else None,
        "local_dependence": [pair._asdict() for pair in findings.dependent.pairs],
        "settings": {name: str(value) for name, value in settings.items()},
        **figures,
        "items": json_rows(items),
    }


def figures_of(
    fitted: Calibration, engine: str, flags: Sequence[tuple[str, ...]], findings: Findings
) -> dict[str, Any]:
    """Return what the run is judged by."""
    return {
        "engine": engine,
        "students": fitted.persons,
        "answers": int(fitted.answers.sum()),
        "anchors": int(fitted.held.sum()),
        "flagged_items": sum(map(bool, flags)),
        "dependent_pairs": len(findings.dependent.pairs),
        "compared_pairs": findings.dependent.compared,
        "log_likelihood": round(fitted.log_likelihood, 4),
        "iterations": fitted.iterations,
        "converged": fitted.converged,
        "score": float(f"{fitted.score:.2g}"),
    }


def _parametrisation(fitted: Calibration) -> str:
    logistic = "1 / (1 + exp(-discrimination * (ability - difficulty)))"
    if fitted.model not in ("3PL", "4PL"):
        return f"P(right) = {logistic}"
    return f"P(right) = lower_asymptote + (upper_asymptote - lower_asymptote) * {logistic}"


def _scale(anchor: str, fitted: Calibration) -> str:
    if anchor != NO_ANCHOR:
        return f"that of run {anchor}, whose items are held"
    if len(fitted.populations) > 1:
        reference = fitted.populations[0].label
        return f"abilities of the students of {reference} have mean 0 and standard deviation 1"
    return "abilities of the students have mean 0 and standard deviation 1"
