"""Items as tables that other packages read: R mirt's slope-intercept form, and catsim's.

R mirt takes the first as starting values, and holds them where nothing is estimated:

    table <- read.csv("items.csv", row.names = "item")
    values <- mirt(answers[, rownames(table)], 1, itemtype = "4PL", pars = "values")
    for (name in names(table)) values$value[values$name == name] <- table[[name]]
    values$est <- FALSE
    model <- mirt(answers[, rownames(table)], 1, itemtype = "4PL", pars = values)

catsim takes the columns of the second, in their order:

    items = numpy.loadtxt("items.csv", delimiter=",", skiprows=1, usecols=(1, 2, 3, 4))
"""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.bank.item_bank import ItemBank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.bank.item_bank import Items
    from etl_jobs.irt.model.models import FloatArray

_MIRT = ("a1", "d", "g", "u")
_CATSIM = ("a", "b", "c", "d")


def items_to_mirt_csv(items: Items) -> str:
    """A table with the columns item, a1, d, g, u: slope, intercept and asymptotes of R mirt.

    Example:
        >>> from etl_jobs.irt import ItemBank, items_to_mirt_csv
        >>> items_to_mirt_csv(ItemBank.of(["q1"], 2.0, 1.0, 0.2)).splitlines()
        ['item,a1,d,g,u', 'q1,2.0,1.0,0.2,1.0']
    """
    bank = ItemBank.copy_of(items)
    return _written(bank, _MIRT, (bank.discrimination, bank.intercept, bank.lower, bank.upper))


def items_from_mirt_csv(text: str) -> ItemBank:
    """The items of such a table; columns beside those five are not looked at.

    Raises:
        ValueError: A column is missing, or a value is no number; the message says where.
    """
    labels, (slope, level, lower, upper) = _read(text, _MIRT)
    return ItemBank.of(labels, slope, level, lower, upper)


def items_to_catsim_csv(items: Items) -> str:
    """A table with the columns item, a, b, c, d: discrimination, difficulty and asymptotes.

    Raises:
        ValueError: An item's discrimination is 0, so that it has no difficulty.

    Example:
        >>> from etl_jobs.irt import ItemBank, items_to_catsim_csv
        >>> items_to_catsim_csv(ItemBank.of(["q1"], 2.0, 1.0, 0.2)).splitlines()
        ['item,a,b,c,d', 'q1,2.0,-0.5,0.2,1.0']
    """
    bank = ItemBank.copy_of(items)
    flat = np.flatnonzero(~np.isfinite(bank.difficulty))
    if flat.size:
        raise ValueError(
            f"item {bank.items[flat[0]]!s} has discrimination {bank.discrimination[flat[0]]} and "
            "so no difficulty; leave it out, or exchange slopes and intercepts"
        )
    columns = (bank.discrimination, bank.difficulty, bank.lower, bank.upper)
    return _written(bank, _CATSIM, columns)


def items_from_catsim_csv(text: str) -> ItemBank:
    """The items of such a table; columns beside those five are not looked at.

    Raises:
        ValueError: A column is missing, or a value is no number; the message says where.
    """
    labels, (slope, location, lower, upper) = _read(text, _CATSIM)
    return ItemBank.of(labels, slope, -slope * location, lower, upper)


def _written(bank: ItemBank, names: Sequence[str], columns: Sequence[FloatArray]) -> str:
    """The shortest digits that read back as the very same numbers."""
    out = io.StringIO()
    # Lines end as RFC 4180 has it, so that either kind of line break in a label is quoted.
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(("item", *names))
    # Adding 0 makes -0.0 what it is.
    numbers = ((column + 0.0).tolist() for column in columns)
    table.writerows(zip(bank.items.tolist(), *numbers, strict=True))
    return out.getvalue()


def _read(text: str, names: Sequence[str]) -> tuple[list[str], FloatArray]:
    """The items' labels, and the named columns, shape (columns, items)."""
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    wanted = ("item", *names)
    missing = [name for name in wanted if name not in (table.fieldnames or ())]
    if missing:
        raise ValueError(
            f"the table of items lacks {', '.join(missing)}; expected the columns "
            f"{', '.join(wanted)}"
        )
    labels, rows = [], []
    try:
        for row in table:
            labels.append(row["item"])
            rows.append([_number(row, name, table.line_num) for name in names])
    except csv.Error as error:
        raise ValueError(f"line {table.line_num} of the table of items: {error}") from error
    return labels, np.array(rows, np.float64).reshape(-1, len(names)).T.copy()


def _number(row: dict[str, str | None], name: str, line: int) -> float:
    value = row[name]
    try:
        number = float(value or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"{name} of item {row['item']!s} is {value!r} in line {line}; expected a number"
        )
    return number
