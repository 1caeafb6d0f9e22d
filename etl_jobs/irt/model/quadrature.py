"""The ability scale as a grid: integrals over it become sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from etl_jobs.irt.model.shape import NORMAL, Shape

if TYPE_CHECKING:
    from etl_jobs.irt.model.models import FloatArray

# How much further apart the nodes of a coarser grid are, and how far it reaches: one person in
# a million is beyond.
_COARSER = 1.4
_FARTHEST = 5.0
_FEWEST = 15


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Equally spaced abilities with a distribution's mass at each.

    For a smooth bell shape such a sum errs by about exp(-2 (pi s / h)^2), where h is the
    spacing and s the width of the narrowest person's posterior: nothing, once h is below
    s. Gauss-Hermite nodes lack that: they thin out just where able persons are.

    Attributes:
        nodes: Shape (nodes,), ascending and symmetric about 0.
        log_weights: Logarithms of weights that sum to 1, shape (nodes,).
        shape: What a finer or a coarser grid carries; a standard normal.
    """

    nodes: FloatArray
    log_weights: FloatArray
    shape: Shape = NORMAL

    @classmethod
    def standard_normal(cls, nodes: int, span: float) -> Self:
        """A grid over [-span, span].

        Raises:
            ValueError: There are fewer than three nodes, or the span is not positive.
        """
        if nodes < 3 or not span > 0:
            raise ValueError(f"a grid of {nodes} nodes over {span}; expected 3 or more, over > 0")
        return cls._of(nodes, span, NORMAL)

    @classmethod
    def _of(cls, nodes: int, span: float, shape: Shape) -> Self:
        abilities = np.linspace(-span, span, nodes)
        return cls(abilities, shape.log_weights(abilities), shape)

    def shaped(self, shape: Shape) -> Self:
        """The same abilities with another distribution."""
        return type(self)(self.nodes, shape.log_weights(self.nodes), shape)

    def refined(self) -> Self:
        """The grid with a node more between every two."""
        return self._of(2 * len(self.nodes) - 1, float(self.nodes[-1]), self.shape)

    def coarser(self, farthest: float = _FARTHEST, times: float = _COARSER) -> Self | None:
        """A quicker grid for the way up: nodes further apart, and only where persons are.

        None where there is nothing to be spared.

        Args:
            farthest: No node is beyond.
            times: How much further apart its nodes are.
        """
        spacing = times * (self.nodes[1] - self.nodes[0])
        side = int(min(self.nodes[-1], farthest) // spacing)
        if 2 * side + 1 < _FEWEST:
            return None
        return self._of(2 * side + 1, float(side * spacing), self.shape)
