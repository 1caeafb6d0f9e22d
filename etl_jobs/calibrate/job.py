"""How hard each item is and how well it tells students apart, with a report for people.

A logistic model of the answers that count, fitted by marginal maximum a posteriori. Rows in, files
out: reading and publishing are `run`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_jobs.calibrate.anchors import NO_ANCHOR, anchors_of, settle
from etl_jobs.calibrate.items import (
    DECIMALS,
    ITEM_PARAMETERS,
    item_table,
    json_rows,
    parameter_rows,
)
from etl_jobs.contract import JobParameter
from etl_jobs.errors import CalibrationError
from etl_jobs.product import File, Product

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyarrow import ChunkedArray, Table

    from etl_jobs.irt import Calibration, Responses
    from etl_jobs.product import Work

__all__ = ["OUTPUT", "PARAMETERS", "QUERIES", "STEPS", "produce", "settle"]

QUERIES = ("calibrate/responses", "calibrate/items", "calibrate/rejected")
STEPS = (
    *("calibrate/answers", "calibrate/students"),
    *("calibrate/sample", "calibrate/expectation"),
)
PARAMETERS = (
    JobParameter(
        "model",
        "STRING",
        "of items: 1PL and Rasch are alike in discrimination, 3PL and 4PL can be guessed",
        default="2PL",
        one_of=("Rasch", "1PL", "2PL", "3PL", "4PL"),
    ),
    JobParameter(
        "priors",
        "STRING",
        "what is believed of an item beforehand; none is plain maximum likelihood",
        default="default",
        one_of=("default", "none"),
    ),
    JobParameter(
        "anchor",
        "STRING",
        "the run whose items keep their parameters, so that the scale stays: latest, or a run",
        default=NO_ANCHOR,
    ),
    JobParameter(
        "engine",
        "STRING",
        "where answers are gone through; auto is the warehouse beyond 30 million of them",
        default="auto",
        one_of=("auto", "memory", "warehouse"),
    ),
)
OUTPUT = ITEM_PARAMETERS

# Beyond it the warehouse goes through the answers: in memory, reading them takes about 100 bytes
# each for a while.
MOST_ANSWERS_IN_MEMORY = 30_000_000
# What a terminal is shown of the items; the report shows the rest.
_LISTED = 10
_WIDEST_NAME = 40


def produce(work: Work) -> Product:
    """Return the item parameters as JSON, csv.gz and rows, and the report.

    Raises:
        CalibrationError: there are too few answers, or the fit did not converge.
    """
    from etl_jobs import irt
    from etl_jobs.calibrate.report import item_flags, report_of
    from etl_jobs.report import render

    settings = work.settings
    names = {str(row["item_id"]): row for row in work.query("calibrate/items")}
    engine = _engine(settings, sum(int(str(row["answers"])) for row in names.values()))
    try:
        fitted, responses = _fit(work, names, engine)
    except irt.CalibrationError as error:
        raise CalibrationError(f"calibrate: {error}. Nothing was published") from error
    fit, _ = irt.mean_squares(fitted, responses)
    flags = item_flags(fitted, fit)
    items = item_table(fitted, [names.get(str(item), {}) for item in fitted.items], flags)
    rejected = {str(row["reason"]): row["answers"] for row in work.query("calibrate/rejected")}
    figures = _figures(fitted, engine, flags)
    (population,) = fitted.populations
    content = {
        "schema_version": 1,
        "as_of": str(settings["as_of"]),
        "model": fitted.model,
        "parametrisation": _parametrisation(fitted),
        "scale": _scale(str(settings["anchor"])),
        "anchor_run": None if settings["anchor"] == NO_ANCHOR else settings["anchor"],
        "populations": [
            {
                "label": None,
                "persons": population.persons,
                "mean": round(population.mean, DECIMALS),
                "deviation": round(population.deviation, DECIMALS),
            }
        ],
        "settings": {name: str(value) for name, value in settings.items()},
        **figures,
        "items": json_rows(items),
    }
    report = render(report_of(fitted, responses, items, fit, rejected, figures, settings))
    return Product(
        files=(
            File("item_parameters.json", content, "json", items.num_rows),
            File("item_parameters.csv.gz", items, "csv.gz", items.num_rows),
            File("report.html", report.encode(), "bytes"),
        ),
        table=parameter_rows(fitted, items, settings["as_of"]),  # type: ignore[arg-type]
        metrics=figures,
        notes=_notes(fitted.model, items, figures),
    )


def _engine(settings: Mapping[str, object], answers: int) -> str:
    if settings["engine"] != "auto":
        return str(settings["engine"])
    return "warehouse" if answers > MOST_ANSWERS_IN_MEMORY else "memory"


def _fit(
    work: Work, names: Mapping[str, Mapping[str, object]], engine: str
) -> tuple[Calibration, Responses]:
    """Return the calibration, and the answers to show abilities by."""
    from etl_jobs import irt

    settings, anchor = work.settings, str(work.settings["anchor"])
    priors = irt.DEFAULT_PRIORS if settings["priors"] == "default" else None
    model: irt.Model = settings["model"]  # type: ignore[assignment]
    if engine == "warehouse":
        import numpy as np

        from etl_jobs.calibrate.warehouse import ItemCounts, calibrate_in_warehouse

        items = sorted(names)
        counts = ItemCounts(
            np.array(items, object),
            np.array([names[item]["answers"] for item in items], np.int64),
            np.array([names[item]["correct_answers"] for item in items], np.int64),
        )
        fit = calibrate_in_warehouse(
            work,
            counts,
            model=model,
            priors=priors,
            anchors=anchors_of(work.run.publication, anchor, set(items)),
        )
        return fit.fitted, fit.sample
    responses = _responses(work.query("calibrate/responses").to_arrow())
    anchors = anchors_of(work.run.publication, anchor, set(responses.items.tolist()))
    fitted = irt.calibrate(responses, model=model, priors=priors, anchors=anchors)
    return fitted, responses


def _parametrisation(fitted: Calibration) -> str:
    logistic = "1 / (1 + exp(-discrimination * (ability - difficulty)))"
    if fitted.model not in ("3PL", "4PL"):
        return f"P(right) = {logistic}"
    return f"P(right) = lower_asymptote + (upper_asymptote - lower_asymptote) * {logistic}"


def _scale(anchor: str) -> str:
    if anchor != NO_ANCHOR:
        return f"that of run {anchor}, whose items are held"
    return "abilities of the students have mean 0 and standard deviation 1"


def _responses(answers: Table) -> Responses:
    """Return the answers with students and items as integers, in the order of their ids."""
    from etl_jobs.irt import Responses

    persons, person = _codes(answers["student_id"])
    items, item = _codes(answers["item_id"])
    correct = answers["correct"].to_numpy()
    return Responses.from_long(person, item, correct, persons=persons, items=items)


def _codes(labels: ChunkedArray) -> tuple[Any, Any]:
    """Return the distinct labels in order, and the place of each row's among them."""
    import numpy as np
    import pyarrow.compute as pc

    encoded = labels.combine_chunks().dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    sorted_labels = encoded.dictionary.take(order).to_numpy(zero_copy_only=False)
    return sorted_labels, place[encoded.indices.to_numpy()].astype(np.int64)


def _figures(fitted: Calibration, engine: str, flags: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Return what the run is judged by."""
    return {
        "engine": engine,
        "students": fitted.persons,
        "answers": int(fitted.answers.sum()),
        "anchors": int(fitted.held.sum()),
        "flagged_items": sum(map(bool, flags)),
        "log_likelihood": round(fitted.log_likelihood, 4),
        "iterations": fitted.iterations,
        "converged": fitted.converged,
        "score": float(f"{fitted.score:.2g}"),
    }


def _notes(model: str, items: Table, figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a person at a terminal should be told: a short test's items, one a line."""
    size = f"{items.num_rows:,} items, {figures['students']:,} students"
    state = f"log-likelihood {figures['log_likelihood']:,.3f} after {figures['iterations']} passes"
    notes = [f"{model} of {size}, {figures['answers']:,} answers: {state}"]
    if items.num_rows <= _LISTED:
        rows = items.to_pylist()
        names = [_printable(row["item_name"] or row["item_id"]) for row in rows]
        width = max(len("item"), *map(len, names))
        notes.append(f"{'item':{width}}  discrimination  difficulty")
        notes += [
            f"{name:{width}}  {row['discrimination']:14.3f}  {row['difficulty']:10.3f}"
            for name, row in zip(names, rows, strict=True)
        ]
    if figures["anchors"]:
        notes.append(f"{figures['anchors']:,} items are anchors and keep their parameters")
    if figures["flagged_items"]:
        flagged = figures["flagged_items"]
        which = "1 item is" if flagged == 1 else f"{flagged:,} items are"
        notes.append(f"{which} flagged; the report says why")
    return tuple(notes)


def _printable(name: str) -> str:
    """Return a name that keeps to its line, whatever it holds."""
    text = "".join(letter if letter.isprintable() else " " for letter in name)
    return text if len(text) <= _WIDEST_NAME else text[: _WIDEST_NAME - 1] + "…"
