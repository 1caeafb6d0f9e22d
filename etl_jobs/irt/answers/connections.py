"""Which items hang together through the persons who answered them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Responses

_PERSONS_AT_FIRST = 1000


def item_blocks(responses: Responses) -> NDArray[np.int64]:
    """The block of each item, shape (items,): 0 for the largest, -1 without an answer.

    Nobody answered items of two blocks. What compares those is only the belief that their
    persons are alike.
    """
    answers = responses.answers_per_item()
    persons, looked_at = len(responses.persons), _PERSONS_AT_FIRST
    if 0 < responses.answers == persons * len(answers):
        return np.zeros(len(answers), np.int64)
    # More persons only join blocks: where some already join all, the others are not looked at.
    while True:
        block = _blocks_among(responses, min(looked_at, persons))
        if looked_at >= persons or len(np.unique(block[answers > 0])) <= 1:
            break
        looked_at *= 4
    return by_size(block, answers)


def by_size(block: NDArray[np.int64], answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The blocks numbered from the one of most answers, -1 for items without an answer."""
    size = np.bincount(block, weights=answers)
    # Among equals the one with the first item.
    first = np.full(len(size), len(block))
    np.minimum.at(first, block, np.arange(len(block)))
    rank = np.empty(len(size), np.int64)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return np.where(answers > 0, rank[block], -1)


def joined_groups(groups: Sequence[Responses], held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which groups meet what defines the scale, directly or through others, shape (groups,).

    That is the anchors, held items, where there are some, and else the first group.
    """
    answered = np.array([group.answers_per_item() > 0 for group in groups])
    reached: NDArray[np.bool_] = np.any(answered[:, held], axis=1)
    reached[0] |= not held.any()
    for _ in groups:
        reached = (answered & answered[reached].any(axis=0)).any(axis=1) | reached
    return reached


def _blocks_among(responses: Responses, persons: int) -> NDArray[np.int64]:
    """Numbers of the blocks that the first persons make, in no order, shape (items,)."""
    items = len(responses.items)
    start = responses.start[: persons + 1]
    seen = responses.item[: start[-1]]
    # Items come first and have no edges of their own; each person leads to what they answered.
    edges = sparse.csr_array(
        (np.ones(len(seen)), seen, np.concatenate((np.zeros(items, np.int64), start))),
        shape=(items + persons, items + persons),
    )
    _, block = csgraph.connected_components(edges, directed=False)
    return np.asarray(block[:items], np.int64)
