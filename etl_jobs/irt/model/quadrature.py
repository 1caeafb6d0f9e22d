"""The ability scale as a grid: integrals over it become sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from etl_jobs.irt.model.models import FloatArray

# How much further apart the nodes of a coarser grid are, and how far it reaches: one person in
# a million is beyond.
_COARSER = 1.4
_FARTHEST = 5.0
_FEWEST = 15


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Equally spaced abilities with the standard normal's mass at each.

    For a smooth bell shape such a sum errs by about exp(-2 (pi s / h)^2), where h is the
    spacing and s the width of the narrowest person's posterior: nothing, once h is below
    s. Gauss-Hermite nodes lack that: they thin out just where able persons are.

    Attributes:
        nodes: Shape (nodes,), ascending and symmetric about 0.
        log_weights: Logarithms of weights that sum to 1, shape (nodes,).
    """

    nodes: FloatArray
    log_weights: FloatArray

    @classmethod
    def standard_normal(cls, nodes: int, span: float) -> Self:
        """A grid over [-span, span].

        Raises:
            ValueError: There are fewer than three nodes, or the span is not positive.
        """
        if nodes < 3 or not span > 0:
            raise ValueError(f"a grid of {nodes} nodes over {span}; expected 3 or more, over > 0")
        abilities = np.linspace(-span, span, nodes)
        log_density = -0.5 * abilities**2
        return cls(abilities, log_density - np.log(np.exp(log_density).sum()))

    def refined(self) -> Self:
        """The grid with a node more between every two."""
        return self.standard_normal(2 * len(self.nodes) - 1, float(self.nodes[-1]))

    def coarser(self, farthest: float = _FARTHEST) -> Self | None:
        """A quicker grid for the way up: nodes further apart, and only where persons are.

        None where there is nothing to be spared.

        Args:
            farthest: No node is beyond.
        """
        spacing = _COARSER * (self.nodes[1] - self.nodes[0])
        side = int(min(self.nodes[-1], farthest) // spacing)
        if 2 * side + 1 < _FEWEST:
            return None
        return self.standard_normal(2 * side + 1, float(side * spacing))
