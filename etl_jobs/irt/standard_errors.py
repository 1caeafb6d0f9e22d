"""How sure the parameters are: the inverse of the observed information.

By Louis (1982) it is the complete-data information, less what not seeing the abilities
costs: the posterior covariance of each person's score, summed over persons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from etl_jobs.irt.expectation import Block, Sums, posterior
from etl_jobs.irt.models import FloatArray, ItemTables, item_tables
from etl_jobs.irt.patterns import Patterns
from etl_jobs.irt.priors import Priors
from etl_jobs.irt.quadrature import Grid

InformationKind = Literal["joint", "by item"]

# Multiplications that "auto" spends on the joint information: about a second.
_JOINT_EFFORT = 2e10
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
    kind: Literal["auto", "joint", "by item"],
) -> tuple[FloatArray, InformationKind]:
    """Each item's covariance of (discrimination, intercept), shape (items, 2, 2).

    NaN where the observed information is not positive definite, as it can be where the
    search has not converged.
    """
    tables = item_tables(grid.nodes, discrimination, intercept)
    complete = _complete_information(tables, grid, sums)
    if priors.discrimination is not None:
        complete[:, 0, 0] += priors.discrimination.curvature(discrimination)
    if priors.intercept is not None:
        complete[:, 1, 1] += priors.intercept.curvature(intercept)
    effort = float(len(patterns)) * len(grid.nodes) * (2 * patterns.items) ** 2
    if kind == "joint" or (kind == "auto" and effort <= _JOINT_EFFORT):
        return _joint_covariance(patterns, blocks, tables, grid, complete), "joint"
    missing = _second_moments(tables, grid, sums)
    for block in blocks:
        weight, _ = posterior(block, tables, grid)
        missing -= block.squared_scores(weight, tables, grid)
    return _inverse(complete - missing), "by item"


def _complete_information(tables: ItemTables, grid: Grid, sums: Sums) -> FloatArray:
    weight = (sums.right + sums.wrong) * tables.probability * (1 - tables.probability)
    moments: FloatArray = (weight @ np.vander(grid.nodes, 3))[:, [[0, 1], [1, 2]]]
    return moments


def _second_moments(tables: ItemTables, grid: Grid, sums: Sums) -> FloatArray:
    """The posterior mean of each person's squared score, summed over persons."""
    squared = sums.right * (1 - tables.probability) ** 2 + sums.wrong * tables.probability**2
    moments: FloatArray = (squared @ np.vander(grid.nodes, 3))[:, [[0, 1], [1, 2]]]
    return moments


def _joint_covariance(
    patterns: Patterns,
    blocks: Sequence[Block],
    tables: ItemTables,
    grid: Grid,
    complete: FloatArray,
) -> FloatArray:
    items = patterns.items
    information = np.zeros((items, 2, items, 2))
    each = np.arange(items)
    information[each, :, each, :] = complete
    information = information.reshape(2 * items, 2 * items)
    row = 0
    for block in blocks:
        weight, _ = posterior(block, tables, grid)
        weight *= block.count[:, np.newaxis]
        step = max(1, _JOINT_BUFFER // (2 * items * len(grid.nodes)))
        for begin in range(0, len(weight), step):
            part = weight[begin : begin + step]
            deviations = _score_deviations(patterns, row + begin, part, tables, grid)
            information -= deviations.T @ deviations
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
