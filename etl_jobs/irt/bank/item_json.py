"""Items as JSON: written exactly, and read with every doubt spoken."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from etl_jobs.irt.bank.item_bank import ItemBank
from etl_jobs.irt.model.population import Population

if TYPE_CHECKING:
    from etl_jobs.irt.bank.item_bank import Items

SCHEMA_VERSION = 1

_PARAMETRISATION = (
    "P(right) = lower_asymptote + (upper_asymptote - lower_asymptote) "
    "/ (1 + exp(-(discrimination * ability + intercept)))"
)


def items_to_json(items: Items) -> str:
    """The items as a JSON document, from which `items_from_json` makes the very same numbers.

    The same items give the same text. Labels that are numbers stay numbers.

    Raises:
        ValueError: A parameter is not finite; the message names the item.

    Example:
        >>> from etl_jobs.irt import ItemBank, items_from_json, items_to_json
        >>> text = items_to_json(ItemBank.of(["q1"], [1.1], [0.3]))
        >>> items_from_json(text).discrimination.tolist()
        [1.1]
    """
    bank = ItemBank.copy_of(items)
    columns = {
        "item_id": bank.items.tolist(),
        "discrimination": bank.discrimination.tolist(),
        "intercept": bank.intercept.tolist(),
        "lower_asymptote": bank.lower.tolist(),
        "upper_asymptote": bank.upper.tolist(),
    }
    rows: list[dict[str, Any]] = [
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    ]
    if bank.covariance is not None:
        for row, spread in zip(rows, bank.covariance, strict=True):
            row["covariance"] = spread.tolist() if np.isfinite(spread).all() else None
    document = {
        "schema_version": SCHEMA_VERSION,
        "parametrisation": _PARAMETRISATION,
        "populations": [_population_row(group) for group in bank.populations],
        "items": rows,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def items_from_json(text: str | bytes) -> ItemBank:
    """The items of a JSON document: `items_to_json`'s, or a published item_parameters.json.

    An item may leave out its asymptotes, which are then 0 and 1, and give a difficulty in the
    intercept's place. What else the document holds is not looked at.

    Args:
        text: The document, in UTF-8 where it is bytes.

    Raises:
        ValueError: It is no such document, or of a newer schema than this one knows; the
            message says where.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the item parameters are no JSON document: {error}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise ValueError("the item parameters are expected as an object with a schema_version")
    version = document["schema_version"]
    if type(version) is not int or version < 1:
        raise ValueError(f"schema_version is {version!r}; expected a number from 1")
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"the item parameters have schema version {version}; this release reads up to "
            f"{SCHEMA_VERSION}: upgrade it"
        )
    rows = document.get("items")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("items is expected as a list with an object for each item")
    labels = [_label(row, number) for number, row in enumerate(rows)]
    slope = [_number(row, "discrimination") for row in rows]
    level = [
        _number(row, "intercept") if "intercept" in row else -a * _number(row, "difficulty")
        for a, row in zip(slope, rows, strict=True)
    ]
    lower = [_number(row, "lower_asymptote", 0.0) for row in rows]
    upper = [_number(row, "upper_asymptote", 1.0) for row in rows]
    if len({type(label) for label in labels}) > 1:
        raise ValueError("item_id is text in some items and a number in others")
    groups = document.get("populations", [])
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ValueError("populations is expected as a list with an object for each")
    return ItemBank.of(
        np.array(labels),
        slope,
        level,
        lower,
        upper,
        _covariance(rows),
        tuple(_population(group) for group in groups),
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"the item parameters hold {name}; expected finite numbers")


def _label(row: dict[str, Any], number: int) -> str | int:
    label = row.get("item_id")
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise ValueError(f"item_id of item number {number} is {label!r}; expected text or a number")
    return label


def _number(row: dict[str, Any], name: str, default: float | None = None) -> float:
    value = row.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        where = f"item {row['item_id']!s}" if "item_id" in row else "a population"
        raise ValueError(f"{name} of {where} is {value!r}; expected a number")
    return float(value)


def _population_row(group: Population) -> dict[str, Any]:
    label = group.label
    if not (label is None or isinstance(label, str | int | float)):
        label = str(label)
    errors = {"mean_error": group.mean_error, "deviation_error": group.deviation_error}
    return {
        "label": label,
        "persons": group.persons,
        "mean": group.mean,
        "deviation": group.deviation,
        # An error that nobody asked for is null.
        **{name: error if math.isfinite(error) else None for name, error in errors.items()},
        **({"shape": list(group.shape)} if group.shape else {}),
    }


def _population(row: dict[str, Any]) -> Population:
    deviation = _number(row, "deviation")
    if not deviation > 0:
        raise ValueError(f"deviation of a population is {deviation}; expected a positive number")
    shape = row.get("shape", [])
    if not isinstance(shape, list) or not all(isinstance(each, int | float) for each in shape):
        raise ValueError(f"shape of a population is {shape!r:.60}; expected a list of numbers")
    return Population(
        row.get("label"),
        int(_number(row, "persons", 0)),
        _number(row, "mean"),
        deviation,
        _number(row, "mean_error", math.nan),
        _number(row, "deviation_error", math.nan),
        tuple(map(float, shape)),
    )


def _covariance(rows: list[dict[str, Any]]) -> list[Any] | None:
    """The matrices, NaN where one is not known; None where no item has any."""
    given = [row.get("covariance") for row in rows]
    sizes = {np.shape(spread) for spread in given if spread is not None}
    if not sizes:
        return None
    if len(sizes) > 1:
        raise ValueError(f"the items' covariances have several shapes: {sorted(sizes)}")
    unknown = np.full(sizes.pop(), np.nan).tolist()
    return [unknown if spread is None else spread for spread in given]
