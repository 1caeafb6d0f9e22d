"""Calibrated items as they are published: rows of a file, and rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_jobs.contract import Query
from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pyarrow import Table

    from etl_jobs.irt import Calibration

# Far more than the standard errors warrant, and coarse enough that the last bits of a sum,
# which differ between processors, are not published.
DECIMALS = 6

ITEM_PARAMETERS = Query(
    name="calibrate",
    path=Path(__file__),
    sql="",
    description="The item parameters of each day's published run.",
    output="item_parameters",
    partition="as_of",
    grain=("as_of", "item_id"),
    reads=(),
    columns=(
        Column("as_of", "DATE", "REQUIRED", "the last UTC day whose answers count"),
        Column("item_id", "STRING", "REQUIRED", "question answered"),
        Column("discrimination", "FLOAT64", "REQUIRED", "a of the item's curve"),
        Column("intercept", "FLOAT64", "REQUIRED", "d of it, -a times the difficulty"),
        Column("lower_asymptote", "FLOAT64", "REQUIRED", "chance of guessing it right"),
        Column("upper_asymptote", "FLOAT64", "REQUIRED", "1 less the chance of a slip"),
        Column("is_anchor", "BOOL", "REQUIRED", "whether it was held as an earlier run had it"),
        Column("population_mean", "FLOAT64", "REQUIRED", "of the students' abilities"),
        Column("population_deviation", "FLOAT64", "REQUIRED", "of the same"),
    ),
    checks={"asymptotes_are_in_order": "lower_asymptote < upper_asymptote"},
)

# Beyond it the warehouse goes through the answers: in memory, reading them takes about 100 bytes
# each for a while.
MOST_ANSWERS_IN_MEMORY = 30_000_000


def item_table(
    fitted: Calibration, names: list[dict[str, object]], flags: Sequence[tuple[str, ...]]
) -> Table:
    """Return one row per item, as it is published."""
    import numpy as np
    import pyarrow as pa

    def rounded(values: Any) -> Any:
        # An infinite or undefined number has no place in a table: it is NULL.
        finite = np.isfinite(values)
        return pa.array(np.round(np.where(finite, values, 0.0), DECIMALS) + 0.0, mask=~finite)

    columns = {
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
    if fitted.model in ("3PL", "4PL"):
        columns |= {
            "lower_asymptote": rounded(fitted.lower),
            "lower_asymptote_error": rounded(fitted.lower_error),
        }
    if fitted.model == "4PL":
        columns |= {
            "upper_asymptote": rounded(fitted.upper),
            "upper_asymptote_error": rounded(fitted.upper_error),
        }
    if fitted.held.any():
        columns["is_anchor"] = pa.array(fitted.held)
    return pa.table(columns)


def json_rows(items: Table) -> list[dict[str, object]]:
    """Return the table's rows with their flags as lists."""
    rows: list[dict[str, object]] = items.to_pylist()
    return [row | {"flags": str(row["flags"]).split()} for row in rows]


def parameter_rows(fitted: Calibration, items: Table, as_of: date) -> Table:
    """Return the rows of `ITEM_PARAMETERS`: the published numbers, with asymptotes always.

    Args:
        items: What `item_table` made of the calibration.
    """
    import numpy as np
    import pyarrow as pa

    (population,) = fitted.populations

    def all_rows(value: object, type_: Any) -> Any:
        return pa.array([value] * items.num_rows, type_)

    return pa.table(
        {
            "as_of": all_rows(as_of, pa.date32()),
            "item_id": items["item_id"],
            "discrimination": items["discrimination"],
            "intercept": items["intercept"],
            "lower_asymptote": pa.array(np.round(fitted.lower, DECIMALS)),
            "upper_asymptote": pa.array(np.round(fitted.upper, DECIMALS)),
            "is_anchor": pa.array(fitted.held),
            "population_mean": all_rows(round(population.mean, DECIMALS), pa.float64()),
            "population_deviation": all_rows(round(population.deviation, DECIMALS), pa.float64()),
        }
    )
