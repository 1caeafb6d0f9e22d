"""What is said of one item by name: for which group it is harder, with which item it belongs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.report.flags import DIFFERENCES
from etl_jobs.report.names import clean, name_of, shortened
from etl_jobs.report.numerals import counted, fixed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_jobs.report.data import Differences, Pair, ReportData
    from etl_jobs.report.flags import Flag

LONGEST = 28
_IN_A_SENTENCE = 60
# So many of an item's pairs are told one by one.
_TOLD = 3


def pairs_of_items(data: ReportData) -> Mapping[int, Sequence[Pair]]:
    """Return the pairs of each item that has any, the closest first."""
    pairs: dict[int, list[Pair]] = {}
    for pair in data.pairs:
        for item in (pair.first, pair.second):
            pairs.setdefault(item, []).append(pair)
    return pairs


def said_of(data: ReportData, item: int, flag: Flag, pairs: Sequence[Pair]) -> Flag:
    """Return the flag with what it says of this item in particular.

    Args:
        pairs: Those of the item.
    """
    if flag.name in DIFFERENCES and data.differences is not None:
        return _difference(data.differences, item, flag)
    if flag.name == "local_dependence" and pairs:
        return _dependence(data, item, flag, pairs)
    return flag


def is_said(data: ReportData, names: Sequence[str]) -> bool:
    """Whether any of the flags says something of the item in particular."""
    unequal = data.differences is not None and not DIFFERENCES.isdisjoint(names)
    return unequal or (bool(data.pairs) and "local_dependence" in names)


def _difference(told: Differences, item: int, flag: Flag) -> Flag:
    delta, error = float(told.delta[item]), float(told.delta_se[item])
    if not np.isfinite(delta):
        return flag
    group = clean(told.group[item])
    side = "harder" if delta < 0 else "easier"
    how = side.capitalize() if flag.name == "large_dif" else f"Somewhat {side}"
    reference = shortened(clean(told.reference), _IN_A_SENTENCE)
    return replace(
        flag,
        label=f"{how} for {shortened(group, LONGEST)}",
        meaning=(
            f"Than for equally able students of {reference}: {fixed(delta)} ± {fixed(error)} on "
            "ETS's scale of difficulty. Look for what only one group can know."
        ),
    )


def _dependence(data: ReportData, item: int, flag: Flag, pairs: Sequence[Pair]) -> Flag:
    others = [pair.second if pair.first == item else pair.first for pair in pairs]
    more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
    told = "; ".join(
        f"{shortened(name_of(data, other), _IN_A_SENTENCE)} (Q3 {fixed(pair.q3)}, "
        f"{counted(pair.students, 'student')})"
        for other, pair in zip(others[:_TOLD], pairs, strict=False)
    )
    rest = f"; and {len(others) - _TOLD:,} more" if len(others) > _TOLD else ""
    return replace(
        flag,
        label=f"Hangs together with {shortened(name_of(data, others[0]), LONGEST)}{more}",
        meaning=(
            f"One answer foretells the other more than ability explains: {told}{rest}. "
            "Look for a shared text, or one giving away the other."
        ),
    )
