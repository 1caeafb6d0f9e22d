"""How hard each item is and how well it tells students apart, with a report for people.

A logistic model of the answers that count, fitted by marginal maximum a posteriori. Rows in, files
out: reading and publishing are `run`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_jobs.calibrate.anchors import NO_ANCHOR, anchors_of
from etl_jobs.calibrate.anchors import settle as settle_anchor
from etl_jobs.calibrate.document import document, figures_of
from etl_jobs.calibrate.groups import LARGEST
from etl_jobs.calibrate.items import ITEM_PARAMETERS, item_table, parameter_rows
from etl_jobs.calibrate.notes import notes_of
from etl_jobs.contract import JobParameter
from etl_jobs.errors import CalibrationError, Misuse
from etl_jobs.product import File, Product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow import ChunkedArray, Table

    from etl_jobs.calibrate.groups import StudentGroups
    from etl_jobs.irt import Calibration, Responses
    from etl_jobs.place import Place
    from etl_jobs.product import Work

__all__ = ["OPTIONAL", "OUTPUT", "PARAMETERS", "QUERIES", "STEPS", "produce", "settle"]

NO_GROUPS = "none"

QUERIES = ("calibrate/responses", "calibrate/items", "calibrate/rejected")
STEPS = (
    *("calibrate/answers", "calibrate/students"),
    *("calibrate/sample", "calibrate/expectation", "calibrate/connections"),
)
# Read but where the parameter has the value.
OPTIONAL = {"calibrate/groups": ("groups", NO_GROUPS)}
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
    JobParameter(
        "groups",
        "STRING",
        "of raw.student_groups: dif compares how items treat them; populations also gives each a "
        "mean and a deviation of its own",
        default=NO_GROUPS,
        one_of=(NO_GROUPS, "dif", "populations"),
    ),
    JobParameter(
        "reference",
        "STRING",
        "the group that the others are compared with; largest is the one of most students",
        default=LARGEST,
    ),
)
OUTPUT = ITEM_PARAMETERS

# Beyond it the warehouse goes through the answers: in memory, reading them takes about 100 bytes
# each for a while.
MOST_ANSWERS_IN_MEMORY = 30_000_000


def settle(settings: Mapping[str, object], place: Place) -> Mapping[str, object]:
    """Return the settings with the run that `anchor` means.

    Raises:
        Misuse: there is no such run, or settings contradict each other.
    """
    if settings["groups"] == NO_GROUPS and settings["reference"] != LARGEST:
        raise Misuse(
            f"the parameter reference is {settings['reference']!r}, and no groups are compared; "
            "set groups=dif or groups=populations, too"
        )
    if settings["groups"] != NO_GROUPS and settings["engine"] == "warehouse":
        raise Misuse(_no_groups_there(str(settings["groups"])))
    return settle_anchor(settings, place)


def _no_groups_there(groups: str) -> str:
    return (
        "a calibration in the warehouse knows no groups of students; set engine=memory, or leave "
        f"groups={groups} out and run dif/mantel_haenszel, which compares two groups in SQL"
    )


def produce(work: Work) -> Product:
    """Return the item parameters as JSON, csv.gz and rows, and the report.

    Raises:
        CalibrationError: there are too few answers, or the fit did not converge.
    """
    from etl_jobs.calibrate.findings import Findings
    from etl_jobs.calibrate.report import report_of
    from etl_jobs.report import render

    settings = work.settings
    names = {str(row["item_id"]): row for row in work.query("calibrate/items")}
    answers = sum(int(str(row["answers"])) for row in names.values())
    engine = _engine(settings, answers)
    if engine == "warehouse" and settings["groups"] != NO_GROUPS:
        raise CalibrationError(
            f"calibrate: {answers:,} answers go to the warehouse, and "
            f"{_no_groups_there(str(settings['groups']))}. Nothing was published"
        )
    fitted, responses, groups = _fit(work, names, engine)
    findings = Findings.of(fitted, responses, groups)
    flags = findings.flags(fitted)
    items = item_table(
        fitted, [names.get(str(item), {}) for item in fitted.items], flags, findings.differences
    )
    rejected = {str(row["reason"]): row["answers"] for row in work.query("calibrate/rejected")}
    figures = figures_of(fitted, engine, flags, findings)
    content = document(fitted, items, findings, figures, settings)
    report = render(
        report_of(fitted, responses, items, findings, groups, rejected, figures, settings)
    )
    return Product(
        files=(
            File("item_parameters.json", content, "json", items.num_rows),
            File("item_parameters.csv.gz", items, "csv.gz", items.num_rows),
            File("report.html", report.encode(), "bytes"),
        ),
        table=parameter_rows(fitted, items, settings["as_of"]),  # type: ignore[arg-type]
        metrics=figures,
        notes=notes_of(fitted, items, figures, findings),
    )


def _engine(settings: Mapping[str, object], answers: int) -> str:
    if settings["engine"] != "auto":
        return str(settings["engine"])
    return "warehouse" if answers > MOST_ANSWERS_IN_MEMORY else "memory"


def _fit(
    work: Work, names: Mapping[str, Mapping[str, object]], engine: str
) -> tuple[Calibration, Responses, StudentGroups | None]:
    """Return the calibration, answers to show abilities by, and the groups of who gave them."""
    from etl_jobs import irt
    from etl_jobs.calibrate.groups import groups_of

    settings, anchor = work.settings, str(work.settings["anchor"])
    priors = irt.DEFAULT_PRIORS if settings["priors"] == "default" else None
    model: irt.Model = settings["model"]  # type: ignore[assignment]
    try:
        if engine == "warehouse":
            from etl_jobs.calibrate.warehouse import ItemCounts, calibrate_in_warehouse

            counts = ItemCounts.of(names)
            anchors = anchors_of(work.run.publication, anchor, set(names))
            fit = calibrate_in_warehouse(work, counts, model=model, priors=priors, anchors=anchors)
            return fit.fitted, fit.sample, None
        responses = _responses(work.query("calibrate/responses").to_arrow())
        anchors = anchors_of(work.run.publication, anchor, set(responses.items.tolist()))
        groups = None
        if settings["groups"] != NO_GROUPS:
            rows = work.query("calibrate/groups").to_arrow()
            groups = groups_of(rows, responses, str(settings["reference"]))
        apart = groups.labels() if groups and settings["groups"] == "populations" else None
        fitted = irt.calibrate(responses, model=model, priors=priors, anchors=anchors, groups=apart)
    except irt.CalibrationError as error:
        raise CalibrationError(f"calibrate: {error}. Nothing was published") from error
    return fitted, responses, groups


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
