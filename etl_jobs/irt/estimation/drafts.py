"""Cheaper ways to nearly the same maximum, for where there are many answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from etl_jobs.irt.answers.blocks import SparseBlock, persons_in, sample_of
from etl_jobs.irt.estimation.ascent import COARSE_ROUNDING, ROUNDING
from etl_jobs.irt.estimation.expectation import InMemory
from etl_jobs.irt.estimation.few_nodes import FewNodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.estimation.expectation import Expectation
    from etl_jobs.irt.model.curves import ItemParameters
    from etl_jobs.irt.model.quadrature import Grid

# Fewer answers are gone through as quickly in double precision.
_MANY_ANSWERS = 200_000
# Single precision cannot tell smaller steps from rounding.
_FINEST_STEP = 1e-6
# One in so many persons shows the way, where there are enough of them.
_SHARE = 8
_ENOUGH_ANSWERS = 2_000_000
# Right and wrong answers to each item in the sample, without which it leads astray.
_ENOUGH_OF_EACH = 5
# Answers to an item in the sample, on average, without which it leads no nearer than a guess.
_ENOUGH_AN_ITEM = 2_000
# What is left is for the finer grid to say, in single precision and on a coarse one.
_STEPS_LEFT = 4.0
# How much further apart nodes of drafts over sparse answers are.
_SPARSE = 1.2
# The share of persons whose pattern nobody else has, or nearly.
_FEWEST_DISTINCT = 0.75
# How near to the sample's maximum it pays to come.
_NEARBY = 2.5e-2


class Draft(NamedTuple):
    """What to climb before the objective itself.

    Attributes:
        groups: The E-step of each group of persons.
        grid: Nodes that are coarse enough to be quick.
        tolerance: The climb ends when a step changes no parameter by more.
        rounding: The share of a height below which differences are rounding.
        whole: Whether these are all persons.
    """

    groups: Sequence[Expectation]
    grid: Grid
    tolerance: float
    rounding: float = ROUNDING
    whole: bool = True


def in_memory(groups: Sequence[Sequence[Block]]) -> tuple[InMemory, ...]:
    """The E-step of each group of persons; of many answers, tallied in single precision."""
    tallied = np.float32 if _answers(groups) >= _MANY_ANSWERS else np.float64
    return tuple(InMemory(blocks, tallied=tallied) for blocks in groups)


def drafts_of(
    groups: Sequence[InMemory], items: ItemParameters, grid: Grid, tolerance: float
) -> list[Draft]:
    """The climbs to make first, the cheapest first; none where a grid has no nodes to spare.

    Args:
        groups: The E-step of each group of persons.
        items: Where the search begins.
        grid: The search's own.
        tolerance: That of the search.
    """
    coarser = grid.coarser()
    if coarser is None:
        return []
    answers = _answers([group.blocks for group in groups])
    if answers < _MANY_ANSWERS or tolerance < _FINEST_STEP:
        return [Draft([replace(group, brief=True) for group in groups], coarser, tolerance)]
    single = InMemory(groups[0].blocks, np.float32, np.float32, brief=True)
    finer = grid.coarser(times=_SPARSE) or coarser
    tables = items.tables(finer.nodes)
    # Asymptotes move on the way, and bend curves as none did where the search began.
    if isinstance(groups[0].blocks[0], SparseBlock) and tables.is_straight:
        # Interpolated sums cost no more on a grid that is nearly as fine.
        coarser, single = finer, replace(single, few=FewNodes.of(tables, finer))
    quick = [replace(single, blocks=group.blocks, threads=group.threads) for group in groups]
    drafts = [Draft(quick, coarser, _STEPS_LEFT * tolerance, COARSE_ROUNDING)]
    if answers >= _ENOUGH_ANSWERS:
        sample = [replace(group, blocks=sample_of(group.blocks, _SHARE)) for group in quick]
        if _is_telling(sample):
            drafts.insert(0, Draft(sample, coarser, _NEARBY, COARSE_ROUNDING, whole=False))
    return drafts


def _answers(groups: Sequence[Sequence[Block]]) -> int:
    return sum(block.answers_held for blocks in groups for block in blocks)


def _is_telling(sample: Sequence[InMemory]) -> bool:
    """Whether a sample has every item answered often enough, right and wrong, by many."""
    blocks = [block for group in sample for block in group.blocks]
    patterns = sum(len(block.count) for block in blocks)
    # Where few patterns are most of the persons, which of them are in it is decisive.
    if _FEWEST_DISTINCT * persons_in(blocks) > _SHARE * patterns:
        return False
    outcomes = np.asarray(sum(block.outcomes() for block in blocks))
    if outcomes.sum() < _ENOUGH_AN_ITEM * len(outcomes):
        return False
    return bool(outcomes.min() >= _ENOUGH_OF_EACH)
