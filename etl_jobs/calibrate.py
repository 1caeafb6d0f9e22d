"""How hard each item is and how well it tells students apart, with a report for people.

A two-parameter logistic model of the answers that count, fitted by marginal maximum a
posteriori. Rows in, files out: reading and publishing are `run`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_jobs.contract import JobParameter
from etl_jobs.errors import CalibrationError
from etl_jobs.product import File, Product

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyarrow import ChunkedArray, Table

    from etl_jobs.irt import Calibration, Responses
    from gcp_accessor.query_result import QueryResult

QUERIES = ("calibrate/responses", "calibrate/items", "calibrate/rejected")
PARAMETERS = (
    JobParameter(
        "priors",
        "STRING",
        "what is believed of an item beforehand; none is plain maximum likelihood",
        default="default",
        one_of=("default", "none"),
    ),
)

# Far more than the standard errors warrant, and coarse enough that the last bits of a sum,
# which differ between processors, are not published.
_DECIMALS = 6
# What a terminal is shown of the items; the report shows the rest.
_LISTED = 10
_WIDEST_NAME = 40


def produce(results: Mapping[str, QueryResult], settings: Mapping[str, object]) -> Product:
    """Return the item parameters as JSON and csv.gz, and the report.

    Raises:
        CalibrationError: there are too few answers, or the fit did not converge.
    """
    from etl_jobs import irt
    from etl_jobs.calibration_report import item_flags, report_of
    from etl_jobs.report import render

    responses = _responses(results["calibrate/responses"].to_arrow())
    priors = irt.DEFAULT_PRIORS if settings["priors"] == "default" else None
    try:
        fitted = irt.calibrate(responses, priors=priors)
    except irt.CalibrationError as error:
        raise CalibrationError(f"calibrate: {error}. Nothing was published") from error
    names = {row["item_id"]: row for row in results["calibrate/items"]}
    fit, _ = irt.mean_squares(fitted, responses)
    flags = item_flags(fitted, fit)
    items = _item_table(fitted, [names.get(str(item), {}) for item in fitted.items], flags)
    rejected = {str(row["reason"]): row["answers"] for row in results["calibrate/rejected"]}
    figures = _figures(fitted, responses, flags)
    content = {
        "schema_version": 1,
        "as_of": str(settings["as_of"]),
        "model": fitted.model,
        "parametrisation": "P(right) = 1 / (1 + exp(-discrimination * (ability - difficulty)))",
        "scale": "abilities of the students have mean 0 and standard deviation 1",
        "settings": {name: str(value) for name, value in settings.items()},
        **figures,
        "items": _json_rows(items),
    }
    report = render(report_of(fitted, responses, items, fit, rejected, figures, settings))
    return Product(
        files=(
            File("item_parameters.json", content, "json", items.num_rows),
            File("item_parameters.csv.gz", items, "csv.gz", items.num_rows),
            File("report.html", report.encode(), "bytes"),
        ),
        metrics=figures,
        notes=_notes(items, figures),
    )


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


def _item_table(
    fitted: Calibration, names: list[dict[str, object]], flags: Sequence[tuple[str, ...]]
) -> Table:
    """Return one row per item, as it is published."""
    import numpy as np
    import pyarrow as pa

    def rounded(values: Any) -> Any:
        # An infinite or undefined number has no place in a table: it is NULL.
        finite = np.isfinite(values)
        return pa.array(np.round(np.where(finite, values, 0.0), _DECIMALS) + 0.0, mask=~finite)

    return pa.table(
        {
            "item_id": pa.array([str(item) for item in fitted.items], pa.string()),
            "item_name": pa.array([row.get("item_name") for row in names], pa.string()),
            "subject": pa.array([row.get("subject") for row in names], pa.string()),
            "discrimination": rounded(fitted.discrimination),
            "difficulty": rounded(fitted.difficulty),
            "discrimination_error": rounded(fitted.discrimination_error),
            "difficulty_error": rounded(fitted.difficulty_error),
            "intercept": rounded(fitted.intercept),
            "intercept_error": rounded(fitted.intercept_error),
            "answers": pa.array(fitted.answers),
            "share_correct": rounded(fitted.right / np.maximum(fitted.answers, 1)),
            "flags": pa.array([" ".join(each) for each in flags], pa.string()),
        }
    )


def _json_rows(items: Table) -> list[dict[str, object]]:
    """Return the table's rows with their flags as lists."""
    rows: list[dict[str, object]] = items.to_pylist()
    return [row | {"flags": str(row["flags"]).split()} for row in rows]


def _figures(
    fitted: Calibration, responses: Responses, flags: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
    """Return what the run is judged by."""
    return {
        "students": fitted.persons,
        "answers": responses.answers,
        "flagged_items": sum(map(bool, flags)),
        "log_likelihood": round(fitted.log_likelihood, 4),
        "iterations": fitted.iterations,
        "converged": fitted.converged,
        "score": float(f"{fitted.score:.2g}"),
    }


def _notes(items: Table, figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a person at a terminal should be told: a short test's items, one a line."""
    size = f"{items.num_rows:,} items, {figures['students']:,} students"
    state = f"log-likelihood {figures['log_likelihood']:,.3f} after {figures['iterations']} passes"
    notes = [f"2PL of {size}, {figures['answers']:,} answers: {state}"]
    if items.num_rows <= _LISTED:
        rows = items.to_pylist()
        names = [_printable(row["item_name"] or row["item_id"]) for row in rows]
        width = max(len("item"), *map(len, names))
        notes.append(f"{'item':{width}}  discrimination  difficulty")
        notes += [
            f"{name:{width}}  {row['discrimination']:14.3f}  {row['difficulty']:10.3f}"
            for name, row in zip(names, rows, strict=True)
        ]
    if figures["flagged_items"]:
        notes.append(f"{figures['flagged_items']:,} items are flagged; the report says why")
    return tuple(notes)


def _printable(name: str) -> str:
    """Return a name that keeps to its line, whatever it holds."""
    text = "".join(letter if letter.isprintable() else " " for letter in name)
    return text if len(text) <= _WIDEST_NAME else text[: _WIDEST_NAME - 1] + "…"
