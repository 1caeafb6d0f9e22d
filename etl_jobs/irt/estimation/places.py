"""Which parameters a search has estimated, in one row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.model.coordinates import Coordinates
    from etl_jobs.irt.model.models import FloatArray


@dataclass(frozen=True, eq=False)
class Places:
    """The estimated parameters' places in one row.

    All discriminations stand first, then all intercepts and asymptotes, each by item; then a
    slope that items share, then what is estimated of the groups of persons.

    Attributes:
        item: The place of each item's parameters, -1 where one is not estimated; items may
            share one, shape (items, columns).
        population: The same of each group's mean and log deviation, shape (groups, 2).
        own: Whether a place is its item's alone, shape (items, columns).
        count: How many places there are.
    """

    item: NDArray[np.int64]
    population: NDArray[np.int64]
    own: NDArray[np.bool_]
    count: int

    @classmethod
    def of(cls, coordinates: Coordinates) -> Self:
        """The places of what a search in these coordinates estimates."""
        items, first = coordinates.items, coordinates.first_group
        free = coordinates.free
        own = free[:items]
        place = np.cumsum(own.T).reshape(own.shape[::-1]).T - 1
        item = np.where(own, place, -1)
        count = int(own.sum())
        if free[items:first].any():
            item[:, 0] = count
            count += 1
        moves = free[first:, :2]
        population = np.where(moves, count + np.cumsum(moves).reshape(moves.shape) - 1, -1)
        return cls(item, population, own, count + int(moves.sum()))

    @cached_property
    def _columns(self) -> list[tuple[NDArray[np.int64], slice]]:
        """For each column of parameters the items that have one of their own, and its places."""
        sizes = self.own.sum(axis=0).tolist()
        ends = np.cumsum(sizes).tolist()
        return [
            (np.flatnonzero(own), slice(end - size, end))
            for own, size, end in zip(self.own.T, sizes, ends, strict=True)
        ]

    @cached_property
    def _sharing(self) -> NDArray[np.int64]:
        """The items whose discrimination is one that they share."""
        return np.flatnonzero((self.item[:, 0] >= 0) & ~self.own[:, 0])

    def put(self, values: FloatArray, column: int, into: FloatArray) -> None:
        """Put one column of all items, (rows, items), at its places, (rows, places)."""
        own, places = self._columns[column]
        into[:, places] = values if len(own) == values.shape[1] else values[:, own]
        if column == 0 and self._sharing.size:
            into[:, self.item[self._sharing[0], 0]] = values[:, self._sharing].sum(axis=1)

    def gather(self, items: FloatArray, populations: FloatArray) -> FloatArray:
        """What belongs to each place, added up, shape (places, values).

        Args:
            items: Shape (values, items, columns).
            populations: Shape (values, groups, 2).
        """
        total = np.zeros((len(items), self.count))
        for column in range(items.shape[2]):
            self.put(items[:, :, column], column, total)
        moved = self.population >= 0
        total[:, self.population[moved]] = populations[:, moved]
        return total.T

    def directions(self, items: FloatArray, populations: FloatArray) -> FloatArray:
        """Directions in the same shapes, of which items that share a place agree."""
        total = np.zeros((self.count + 1, len(items)))
        total[self.item] = items.transpose(1, 2, 0)
        total[self.population] = populations.transpose(1, 2, 0)
        return total[:-1]

    def scatter(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The reverse: the values of each item and of each group, 0 where not estimated."""
        padded = np.concatenate((places, np.zeros((1, places.shape[1]))))
        return (
            np.moveaxis(padded[self.item], 2, 0),
            np.moveaxis(padded[self.population], 2, 0),
        )

    def blocks(self, items: FloatArray) -> FloatArray:
        """A matrix for each item, (items, columns, columns), as one of all places by all."""
        total = np.zeros((self.count + 1, self.count + 1))
        np.add.at(total, (self.item[:, :, np.newaxis], self.item[:, np.newaxis]), items)
        return total[:-1, :-1]
