"""What in an item's answers or parameters a person should look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from etl_jobs.irt.model.models import difficulty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.model.curves import ItemParameters

Flag = Literal[
    "no_answers",
    "too_few_answers",
    "all_right",
    "all_wrong",
    "negative_discrimination",
    "low_discrimination",
    "extreme_difficulty",
    "unconnected",
]
FLAGS: tuple[Flag, ...] = get_args(Flag)

FEW_ANSWERS = 30
# Baker's (2001) bound between "very low" and "low".
LOW_DISCRIMINATION = 0.35
# Five standard deviations from the average person: nobody is there to show it.
EXTREME_DIFFICULTY = 5.0


def flag_items(
    answers: NDArray[np.int64],
    right: NDArray[np.int64],
    parameters: ItemParameters,
    block: NDArray[np.int64],
) -> tuple[tuple[Flag, ...], ...]:
    """Each item's flags, in the order of `FLAGS`; an empty tuple where all is well.

    Args:
        answers: To each item.
        right: Right ones among them.
        parameters: The items.
        block: Numbers of the items' blocks, 0 for the largest (`item_blocks`).
    """
    discrimination = parameters.discrimination
    location = difficulty(discrimination, parameters.intercept)
    raised: dict[Flag, NDArray[np.bool_]] = {
        "no_answers": answers == 0,
        "too_few_answers": (answers > 0) & (answers < FEW_ANSWERS),
        "all_right": (answers > 0) & (right == answers),
        "all_wrong": (answers > 0) & (right == 0),
        "negative_discrimination": discrimination < 0,
        "low_discrimination": (discrimination >= 0) & (discrimination < LOW_DISCRIMINATION),
        "extreme_difficulty": ~(np.abs(location) <= EXTREME_DIFFICULTY),
        "unconnected": block > 0,
    }
    flags: list[tuple[Flag, ...]] = [()] * len(answers)
    for item in np.flatnonzero(np.any(list(raised.values()), axis=0)):
        flags[item] = tuple(flag for flag in FLAGS if raised[flag][item])
    return tuple(flags)
