"""Where each flag begins."""

from __future__ import annotations

import numpy as np
import pytest

from etl_jobs.irt.estimation.flags import FLAGS, Flag, flag_items
from etl_jobs.irt.model.curves import ItemParameters


def flags(
    *, answers: int = 100, right: int = 60, a: float = 1.0, b: float = 0.0, block: int = 0
) -> tuple[Flag, ...]:
    """Those of one item that has nothing else."""
    slope = np.array([a])
    parameters = ItemParameters(slope, -slope * b, np.zeros(1), np.ones(1))
    (found,) = flag_items(np.array([answers]), np.array([right]), parameters, np.array([block]))
    return found


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, ()),
        ({"answers": 30, "right": 10}, ()),
        ({"answers": 29, "right": 10}, ("too_few_answers",)),
        ({"answers": 0, "right": 0, "block": -1}, ("no_answers",)),
        ({"right": 100}, ("all_right",)),
        ({"right": 99}, ()),
        ({"right": 0}, ("all_wrong",)),
        ({"right": 1}, ()),
        ({"a": 0.35}, ()),
        ({"a": 0.3499}, ("low_discrimination",)),
        ({"a": -0.01}, ("negative_discrimination",)),
        ({"b": 5.0}, ()),
        ({"b": 5.001}, ("extreme_difficulty",)),
        ({"b": -5.001}, ("extreme_difficulty",)),
        ({"block": 1}, ("unconnected",)),
        ({"answers": 3, "right": 3, "a": -0.5, "b": 9.0, "block": 2}, None),
    ],
)
def test_an_item_is_flagged_from_the_documented_bound_on(
    item: dict[str, float], expected: tuple[Flag, ...] | None
) -> None:
    found = flags(**item)  # type: ignore[arg-type]

    if expected is None:
        expected = (
            "too_few_answers",
            "all_right",
            "negative_discrimination",
            "extreme_difficulty",
            "unconnected",
        )
    assert set(found) == set(expected)
    assert list(found) == sorted(found, key=FLAGS.index)


def test_an_item_without_a_difficulty_is_extreme() -> None:
    assert flags(a=0.0) == ("low_discrimination", "extreme_difficulty")
