"""When a job is started, as cron writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

# Field -> the least and the most that it may hold. Of the week, both 0 and 7 are Sunday.
_FIELDS = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day of the month": (1, 31),
    "month": (1, 12),
    "day of the week": (0, 7),
}
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?", re.ASCII)
# Eight years hold two leap days, and each day of a month as each day of the week.
_LOOKED_AT = range(8 * 366)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes at which something is to happen, in UTC.

    Attributes:
        text: As cron has it: "15 2 * * *".
        longest_gap: From one day on which it happens to the next, at the longest.
    """

    text: str
    longest_gap: timedelta


def parse_schedule(text: str) -> Schedule:
    """Return the schedule that five fields of numbers, ranges, lists and steps mean.

    Raises:
        ValueError: a field is no such thing, or the day never comes.

    Example:
        >>> parse_schedule("15 2 * * 1-5").longest_gap.days
        3
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"the schedule is {text!r}; expected {', '.join(_FIELDS)}, such as 15 2 * * *"
        )
    _, _, days, months, weekdays = (
        _numbers(field, meaning) for field, meaning in zip(fields, _FIELDS, strict=True)
    )
    # As cron has it: where both are restricted, one of the two is enough.
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))

    def happens(day: date) -> bool:
        by_month, by_week = day.day in days, day.isoweekday() % 7 in {each % 7 for each in weekdays}
        return day.month in months and (by_month or by_week if either else by_month and by_week)

    first = date(2024, 1, 1)
    found = [each for each in _LOOKED_AT if happens(first + timedelta(days=each))]
    if len(found) < 2:
        raise ValueError(f"the schedule is {text!r}, a day that never comes")
    gap = max(after - before for before, after in pairwise(found))
    return Schedule(" ".join(fields), timedelta(days=gap))


def _numbers(field: str, meaning: str) -> frozenset[int]:
    """Return the numbers that a field stands for.

    Raises:
        ValueError: it is no list of numbers, ranges and steps, or one lies outside.
    """
    least, most = _FIELDS[meaning]
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None or match[3] in ("0", "00"):
            raise ValueError(f"the schedule's {part!r} is no {meaning}")
        start = least if match[1] is None else int(match[1])
        # A step counts on from its start: 5/15 is 5, 20, 35, 50.
        end = most if match[1] is None or (match[3] and not match[2]) else int(match[2] or start)
        if not least <= start <= end <= most:
            raise ValueError(f"the schedule's {part!r} is no {meaning}, which is {least} to {most}")
        found.update(range(start, end + 1, int(match[3] or 1)))
    return frozenset(found)
