"""Matrix products in stacks of small ones, each on the thread that asks for it.

A large product makes the linear algebra library start its own threads, which wait for each
other by spinning: on cores that others use too, as in a container, that costs ten times the
work itself. Small products stay on their thread, and the E-step's threads share them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from etl_jobs.irt.model.models import FloatArray

# OpenBLAS starts threads above this many multiplications.
_MOST_MULTIPLICATIONS = 262_144
_FEWEST_ROWS = 8


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Left (rows, n) times right (n, columns)."""
    result = np.empty((len(left), right.shape[1]))
    size, whole = _stacks(left, right.shape[1])
    np.matmul(_stacked(left[:whole], size), right, out=_stacked(result[:whole], size))
    np.matmul(left[whole:], right, out=result[whole:])
    return result


def cross_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Left (rows, m), turned, times right (rows, n), shape (m, n)."""
    size, whole = _stacks(left, right.shape[1])
    turned = _stacked(left[:whole], size).transpose(0, 2, 1)
    total: FloatArray = np.matmul(turned, _stacked(right[:whole], size)).sum(axis=0)
    total += left[whole:].T @ right[whole:]
    return total


def dot(left: FloatArray, right: FloatArray) -> float:
    """The sum of products, element by element; as exact as a pairwise sum is."""
    return float((left * right).sum())


def _stacks(left: FloatArray, columns: int) -> tuple[int, int]:
    """The rows of one small product, and how many rows fill whole ones."""
    size = max(_FEWEST_ROWS, _MOST_MULTIPLICATIONS // max(left.shape[1] * columns, 1))
    return size, len(left) // size * size


def _stacked(matrix: FloatArray, size: int) -> FloatArray:
    return matrix.reshape(-1, size, matrix.shape[1])
