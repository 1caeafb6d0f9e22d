"""How sure the parameters are: the inverse of the observed information.

By Louis (1982) it is the complete-data information, less what not seeing the abilities
costs: the posterior covariance of each person's score, summed over persons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from etl_jobs.irt.expectation import Sums, posterior
from etl_jobs.irt.models import FloatArray, ItemTables, item_tables
from etl_jobs.irt.products import cross_product, product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.blocks import Block
    from etl_jobs.irt.patterns import Patterns
    from etl_jobs.irt.priors import Priors
    from etl_jobs.irt.quadrature import Grid

InformationKind = Literal["joint", "near", "none"]

# Multiplications that "auto" spends on the joint information: a few hundredths of a second.
_JOINT_EFFORT = 2e8
# Numbers held at once in it.
_JOINT_BUFFER = 4_000_000


def item_covariance(
    patterns: Patterns,
    blocks: Sequence[Block],
    grid: Grid,
    priors: Priors,
    discrimination: FloatArray,
    intercept: FloatArray,
    sums: Sums,
    *,
    kind: Literal["auto"] | InformationKind,
) -> tuple[FloatArray, InformationKind]:
    """Each item's covariance of (discrimination, intercept), shape (items, 2, 2).

    NaN where nobody asked for it, and where the observed information is not positive
    definite, as it can be where the search has not converged.
    """
    if kind == "none":
        return np.full((len(discrimination), 2, 2), np.nan), "none"
    tables = item_tables(grid.nodes, discrimination, intercept)
    complete = _complete_information(tables, grid, sums)
    if priors.discrimination is not None:
        complete[:, 0, 0] += priors.discrimination.curvature(discrimination)
    if priors.intercept is not None:
        complete[:, 1, 1] += priors.intercept.curvature(intercept)
    effort = float(len(patterns)) * len(grid.nodes) * (2 * patterns.items) ** 2
    if kind == "joint" or (kind == "auto" and effort <= _JOINT_EFFORT):
        return _joint_covariance(patterns, blocks, tables, grid, complete), "joint"
    return _near_covariance(blocks, tables, grid, complete, sums, discrimination), "near"


def _complete_information(tables: ItemTables, grid: Grid, sums: Sums) -> FloatArray:
    weight = (sums.right + sums.wrong) * tables.probability * (1 - tables.probability)
    moments: FloatArray = product(weight, np.vander(grid.nodes, 3))[:, [[0, 1], [1, 2]]]
    return moments


def _near_covariance(
    blocks: Sequence[Block],
    tables: ItemTables,
    grid: Grid,
    complete: FloatArray,
    sums: Sums,
    discrimination: FloatArray,
) -> FloatArray:
    """Each item's own observed information inverted, and what all items share added.

    Items hang together almost only through the origin and the unit of the ability scale.
    Along those two directions the information of all items is found exactly.
    """
    powers = np.vander(grid.nodes, 3)
    squared = sums.right * (1 - tables.probability) ** 2 + sums.wrong * tables.probability**2
    observed = complete - product(squared, powers)[:, [[0, 1], [1, 2]]]
    # Moving the origin or the unit of all items is moving a person's ability.
    slope = np.stack((-tables.probability, 1 - tables.probability), axis=1)
    slope *= discrimination[:, np.newaxis, np.newaxis]
    missing = np.zeros((2, 2))
    for block in blocks:
        weight, _ = posterior(block, tables, grid)
        observed += block.squared_scores(weight, tables, grid)
        score = block.total(slope)[:, np.newaxis] * grid.nodes ** np.array([[0], [1]])
        score -= np.einsum("pk,pmk->pm", weight, score)[:, :, np.newaxis]
        weight *= block.count[:, np.newaxis]
        missing += np.einsum("pk,pmk,pnk->mn", weight, score, score, optimize=True)
    directions = np.zeros((2, len(discrimination), 2))
    directions[0, :, 1] = discrimination
    directions[1, :, 0] = discrimination
    along = np.einsum("mia,iab,nib->mn", directions, complete, directions) - missing
    alone = np.einsum("mia,iab,nib->mn", directions, observed, directions)
    shared = _inverse(along[np.newaxis])[0] - _inverse(alone[np.newaxis])[0]
    covariance: FloatArray = _inverse(observed)
    covariance += np.einsum("mia,mn,nib->iab", directions, shared, directions)
    return covariance


def _joint_covariance(
    patterns: Patterns,
    blocks: Sequence[Block],
    tables: ItemTables,
    grid: Grid,
    complete: FloatArray,
) -> FloatArray:
    items = patterns.items
    each = np.arange(items)
    blockwise = np.zeros((items, 2, items, 2))
    blockwise[each, :, each, :] = complete
    information = blockwise.reshape(2 * items, 2 * items)
    row = 0
    for block in blocks:
        weight, _ = posterior(block, tables, grid)
        weight *= block.count[:, np.newaxis]
        step = max(1, _JOINT_BUFFER // (2 * items * len(grid.nodes)))
        for begin in range(0, len(weight), step):
            part = weight[begin : begin + step]
            deviations = _score_deviations(patterns, row + begin, part, tables, grid)
            information -= cross_product(deviations, deviations)
        row += len(weight)
    covariance = _inverse(information[np.newaxis])[0].reshape(items, 2, items, 2)
    result: FloatArray = covariance[each, :, each, :]
    return result


def _score_deviations(
    patterns: Patterns, first: int, weight: FloatArray, tables: ItemTables, grid: Grid
) -> FloatArray:
    """How each pattern's score at each node departs from its posterior mean.

    Each row is scaled by the root of its weight, so that products are covariances; shape
    (patterns * nodes, 2 * items).
    """
    start = patterns.start[first : first + len(weight) + 1]
    code = patterns.code[start[0] : start[-1]]
    row = np.repeat(np.arange(len(weight)), np.diff(start))
    score = np.zeros((len(weight), len(grid.nodes), patterns.items, 2))
    surplus = (code & 1)[:, np.newaxis] - tables.probability[code >> 1]
    score[row, :, code >> 1, 0] = surplus * grid.nodes
    score[row, :, code >> 1, 1] = surplus
    share = weight / weight.sum(axis=1, keepdims=True)
    score -= np.einsum("pk,pkim->pim", share, score)[:, np.newaxis]
    score *= np.sqrt(weight)[:, :, np.newaxis, np.newaxis]
    return score.reshape(-1, 2 * patterns.items)


def _inverse(information: FloatArray) -> FloatArray:
    """The inverse of each matrix in a stack, NaN where one is not positive definite."""
    lowest = np.linalg.eigvalsh(information)[:, 0]
    inverse = np.full_like(information, np.nan)
    sound = lowest > 0
    inverse[sound] = np.linalg.inv(information[sound])
    return inverse
