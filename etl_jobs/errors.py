"""What the jobs raise on purpose: one sentence that says what to do about it."""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class JobError(Exception):
    """Something a person has to put right before the job can run. Nothing was published."""


class Misuse(JobError):
    """The command asks for something that there is not. It has to be typed another way."""


class InputError(JobError):
    """The file or mapping that was handed in cannot be used. Nothing was loaded."""


class ContractError(JobError):
    """Rows break the contract in the query's header. Nothing was published.

    Attributes:
        violations: Check -> rows that break it; empty if it is something else that is wrong.
    """

    violations: Mapping[str, int] = MappingProxyType({})


class CalibrationError(JobError):
    """The item parameters cannot be trusted."""


class TryAgain(JobError):
    """Nothing is wrong with the job: somebody was in its way. Run again, it may well succeed."""


class Terminated(BaseException):
    """The process was told to end, and nothing is given up: the next attempt goes on from here.

    As KeyboardInterrupt, it is no error that anything but the command itself should catch. Unlike
    on that, jobs in the warehouse are not cancelled.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for a misspelt name, or "" where nothing is near."""
    by_fold = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), by_fold, n=1)
    return f"; did you mean {by_fold[near[0]]!r}?" if near else ""
