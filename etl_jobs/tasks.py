"""Which part of a run this process does, where Cloud Run starts several tasks for it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from etl_jobs.errors import Misuse


@dataclass(frozen=True, slots=True)
class Tasks:
    """This process among those that share a run.

    Attributes:
        index: From 0.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that does what is not shared."""
        return self.index == 0


ALONE = Tasks()


def tasks_of_environment() -> Tasks:
    """Return what Cloud Run says of this task; alone where it says nothing.

    Raises:
        Misuse: the index or the count is no such number.
    """
    index = _number("CLOUD_RUN_TASK_INDEX", 0)
    count = _number("CLOUD_RUN_TASK_COUNT", 1)
    if count < 1 or index >= count:
        raise Misuse(
            f"CLOUD_RUN_TASK_INDEX is {index} and CLOUD_RUN_TASK_COUNT {count}; expected an index "
            "from 0 to the count less 1"
        )
    return Tasks(index, count)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise Misuse(f"{name} is {text!r}; expected a whole number from 0")
    return int(text)
