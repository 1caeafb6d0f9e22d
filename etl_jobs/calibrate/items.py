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

    from etl_jobs.calibrate.groups import GroupDifferences
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
        Column("population_mean", "FLOAT64", "REQUIRED", "of all students' abilities"),
        Column("population_deviation", "FLOAT64", "REQUIRED", "of the same"),
        Column("flags", "STRING", "REQUIRED", "what to look at, in words; '' where all is well"),
        Column("dif_group", "STRING", description="the group it treats least like the reference"),
        Column("dif_class", "STRING", description="A negligible, B moderate, C large"),
        Column("dif_delta", "FLOAT64", description="below 0 it is harder for that group"),
    ),
    checks={
        "asymptotes_are_in_order": "lower_asymptote < upper_asymptote",
        "classes_are_known": "dif_class IN ('A', 'B', 'C')",
    },
)


def item_table(
    fitted: Calibration,
    names: list[dict[str, object]],
    flags: Sequence[tuple[str, ...]],
    differences: GroupDifferences | None = None,
) -> Table:
    """Return one row per item, as it is published.

    Args:
        differences: How items treat groups of students, where groups were compared.
    """
    import numpy as np
    import pyarrow as pa

    columns = {
        "item_id": pa.array([str(item) for item in fitted.items], pa.string()),
        "item_name": pa.array([row.get("item_name") for row in names], pa.string()),
        "subject": pa.array([row.get("subject") for row in names], pa.string()),
        "discrimination": _rounded(fitted.discrimination),
        "difficulty": _rounded(fitted.difficulty),
        "discrimination_error": _rounded(fitted.discrimination_error),
        "difficulty_error": _rounded(fitted.difficulty_error),
        "intercept": _rounded(fitted.intercept),
        "intercept_error": _rounded(fitted.intercept_error),
        "answers": pa.array(fitted.answers),
        "share_correct": _rounded(fitted.right / np.maximum(fitted.answers, 1)),
        "flags": pa.array([" ".join(each) for each in flags], pa.string()),
    }
    if fitted.model in ("3PL", "4PL"):
        columns |= {
            "lower_asymptote": _rounded(fitted.lower),
            "lower_asymptote_error": _rounded(fitted.lower_error),
        }
    if fitted.model == "4PL":
        columns |= {
            "upper_asymptote": _rounded(fitted.upper),
            "upper_asymptote_error": _rounded(fitted.upper_error),
        }
    if fitted.held.any():
        columns["is_anchor"] = pa.array(fitted.held)
    if differences is not None:
        columns |= {
            "dif_group": _named(differences.group),
            "dif_class": _named(differences.ets_class),
            "dif_delta": _rounded(differences.delta),
            "dif_delta_error": _rounded(differences.delta_error),
        }
    return pa.table(columns)


def _rounded(values: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    # An infinite or undefined number has no place in a table: it is NULL.
    finite = np.isfinite(values)
    return pa.array(np.round(np.where(finite, values, 0.0), DECIMALS) + 0.0, mask=~finite)


def _named(names: Any) -> Any:
    import pyarrow as pa

    return pa.array([str(name) or None for name in names], pa.string())


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

    from etl_jobs.calibrate.groups import everybody

    students = everybody(fitted)
    nothing = pa.nulls(items.num_rows, pa.string())

    def all_rows(value: object, type_: Any) -> Any:
        return pa.array([value] * items.num_rows, type_)

    def if_compared(name: str) -> Any:
        return items[name] if name in items.column_names else nothing

    return pa.table(
        {
            "as_of": all_rows(as_of, pa.date32()),
            "item_id": items["item_id"],
            "discrimination": items["discrimination"],
            "intercept": items["intercept"],
            "lower_asymptote": pa.array(np.round(fitted.lower, DECIMALS)),
            "upper_asymptote": pa.array(np.round(fitted.upper, DECIMALS)),
            "is_anchor": pa.array(fitted.held),
            "population_mean": all_rows(round(students.mean, DECIMALS), pa.float64()),
            "population_deviation": all_rows(round(students.deviation, DECIMALS), pa.float64()),
            "flags": items["flags"],
            "dif_group": if_compared("dif_group"),
            "dif_class": if_compared("dif_class"),
            "dif_delta": if_compared("dif_delta").cast(pa.float64()),
        }
    )
