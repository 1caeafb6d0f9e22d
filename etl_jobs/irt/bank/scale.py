"""Answers laid out against calibrated items, on a grid of abilities fine enough for them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.answers.blocks import Block, blocks_of
from etl_jobs.irt.answers.patterns import Patterns
from etl_jobs.irt.bank.item_bank import Items, places_of, tables_of
from etl_jobs.irt.estimation.expectation import posterior
from etl_jobs.irt.model.priors import Normal
from etl_jobs.irt.model.quadrature import Grid
from etl_jobs.irt.model.shape import AnyShape, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Responses
    from etl_jobs.irt.model.models import FloatArray, ItemTables
    from etl_jobs.irt.model.population import Population

STANDARD_NORMAL = Normal(0.0, 1.0)

# Deviations of the persons' distribution that a grid reaches to either side.
SPAN = 8.0
# A sum over nodes in place of an integral errs by exp(-40) if they are this close, as a share of
# the narrowest posterior there can be; and by exp(-36) if they are this close, as a share of
# 1 / a, for the curve of an item has poles pi / a beside the axis.
_SPACING_BY_WIDTH = 0.7
_SPACING_BY_SLOPE = 0.55
_FEWEST_NODES = 61
_MOST_NODES = 2001


class Scale:
    """The patterns of some responses, and what their posteriors are made from.

    Attributes:
        place: The index among the items of each of the responses' items.
        patterns: The distinct answer patterns.
        blocks: The same, laid out for matrix products.
        grid: Abilities with the persons' distribution.
        tables: The responses' items on that grid.
    """

    place: NDArray[np.int64]
    patterns: Patterns
    blocks: list[Block]
    grid: Grid
    tables: ItemTables

    def __init__(self, items: Items, responses: Responses, persons: Normal) -> None:
        # An item that nobody answered needs no parameters; any stand in for them.
        self.place = places_of(items, responses)
        self.patterns = Patterns.of(responses)
        self.blocks = blocks_of(self.patterns)
        slope = items.discrimination[self.place]
        self.grid = normal_grid(persons, slope, _most_information(self.patterns, slope))
        self.tables = tables_of(items, self.grid.nodes, self.place)

    @property
    def parts(self) -> list[tuple[slice, Block]]:
        """Each block, and which of the patterns it holds."""
        edges = np.cumsum([0, *(len(block.count) for block in self.blocks)]).tolist()
        return [
            (slice(begin, end), block)
            for (begin, end), block in zip(pairwise(edges), self.blocks, strict=True)
        ]

    def posteriors(self) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """For each block its patterns, their posteriors and their log-likelihoods."""
        for rows, block in self.parts:
            yield rows, *posterior(block, self.tables, self.grid)


def persons_of(items: Items, persons: Normal | Population | None) -> Normal:
    """How abilities are distributed: as said, as in the calibration, or standard normal.

    Raises:
        TypeError: It is said by something that has no mean and deviation.
        ValueError: It is left open, and the calibration has several groups.
    """
    if persons is not None:
        if not hasattr(persons, "deviation"):
            raise TypeError(
                f"persons is {persons!r:.60}; expected Normal(mean, deviation), or one of "
                "calibration.populations"
            )
        if isinstance(persons, Normal):
            return persons
        shape = Shape(getattr(persons, "shape", ()))
        known = persons.mean, persons.deviation
        return AnyShape(*known, shape) if shape.coefficients else Normal(*known)
    groups: tuple[Population, ...] = getattr(items, "populations", ())
    if len(groups) > 1:
        labels = ", ".join(str(group.label) for group in groups)
        raise ValueError(
            f"the items were calibrated with several groups of persons ({labels}): score one at "
            "a time and say which with persons=, one of calibration.populations"
        )
    return persons_of(items, groups[0]) if groups else STANDARD_NORMAL


def normal_grid(persons: Normal, slope: FloatArray, most_information: float | None = None) -> Grid:
    """A grid that carries this distribution, close enough for these items' posteriors.

    Args:
        persons: The distribution of abilities.
        slope: The items' discriminations.
        most_information: The largest that answers can add about any person; by default that of
            answers to all items.
    """
    if most_information is None:
        most_information = float((slope**2).sum() / 4)
    narrowest = 1 / np.sqrt(1 + most_information * persons.deviation**2)
    steepest = max(float(np.abs(slope).max(initial=0.0)) * persons.deviation, 1e-9)
    spacing = min(_SPACING_BY_WIDTH * narrowest, _SPACING_BY_SLOPE / steepest)
    nodes = 1 + 2 * int(np.ceil(SPAN / spacing))
    return spread_grid(persons, min(max(nodes, _FEWEST_NODES), _MOST_NODES))


def spread_grid(persons: Normal, nodes: int) -> Grid:
    """A grid of so many abilities that carries this distribution."""
    standard = Grid.standard_normal(nodes, SPAN)
    if isinstance(persons, AnyShape):
        standard = standard.shaped(persons.shape)
    return Grid(persons.mean + persons.deviation * standard.nodes, standard.log_weights)


def _most_information(patterns: Patterns, slope: FloatArray) -> float:
    """No answer tells more than a^2 / 4."""
    each = np.concatenate(([0.0], np.cumsum(slope[patterns.code >> 1] ** 2 / 4)))
    return float(np.max(each[patterns.start[1:]] - each[patterns.start[:-1]], initial=0.0))
