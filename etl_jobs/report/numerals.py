"""Numbers as the report prints them.

`items.js` has the same three functions; a test compares what both make of one table.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def fixed(value: float, decimals: int = 2) -> str:
    """Return the number with a true minus sign and fixed decimals; a dash for NaN.

    Ties round away from zero, as JavaScript's `toFixed` does, and a zero has no sign.
    """
    if not math.isfinite(value):
        return MISSING
    step = Decimal(1).scaleb(-decimals)
    size = Decimal(float(abs(value))).quantize(step, rounding=ROUND_HALF_UP)
    sign = MINUS if value < 0 and size else ""
    return f"{sign}{size:,}"


def whole(value: float) -> str:
    """Return a count with commas between thousands."""
    return fixed(value, 0)


def percent(share: float) -> str:
    """Return a share of one as whole percents."""
    return MISSING if not math.isfinite(share) else f"{fixed(100 * share, 0)}%"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return the count and its noun: `1 item`, `2 items`."""
    return f"{whole(count)} {one if count == 1 else many or one + 's'}"
