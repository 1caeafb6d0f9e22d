"""What a calibration finds: the items, the persons' distribution, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from etl_jobs.irt.model.models import FloatArray, difficulty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Labels
    from etl_jobs.irt.estimation.flags import Flag
    from etl_jobs.irt.estimation.standard_errors import InformationKind
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Priors

Model = Literal["Rasch", "1PL", "2PL", "3PL", "4PL"]
MODELS: tuple[Model, ...] = get_args(Model)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Items on a common scale of ability.

    It is the scale on which the persons of the first group are standard normal; with anchors,
    theirs; in the Rasch model, the one on which every discrimination is 1.

    Attributes:
        items: One label for each item, shape (items,), the order of all that follows.
        model: The item response model.
        priors: What was believed of the items beforehand.
        discrimination: a of P = c + (u - c) / (1 + exp(-(a * theta + d))), shape (items,).
        intercept: d of the same.
        lower: The lower asymptote c: 0, but in the 3PL and 4PL.
        upper: The upper asymptote u: 1, but in the 4PL.
        populations: The distribution of the persons, one for each group.
        held: Whether an item is an anchor, held as it was given, shape (items,).
        covariance: Of (discrimination, intercept), and of lower and upper in models that have
            them, shape (items, parameters, parameters). 0 in what is not estimated: anchors and
            Rasch slopes. NaN where the observed information is not positive definite, or
            nobody asked for it.
        information: Where the covariance comes from: "joint" is the inverse of the observed
            information of all items together. "near" inverts each item's own and adds what
            all share through the origin and unit of the scale: with 20 items and more the
            standard errors are within a few per cent.
        block: The block of items, hanging together through common persons, that an item belongs
            to: 0 for the largest, -1 without an answer, shape (items,).
        answers: Answers to each item.
        right: Right answers to each item.
        flags: What to look at in each item; mostly empty.
        log_likelihood: Marginal, without the priors.
        log_posterior: The same plus the log prior, up to its constant: what was maximised.
        persons: How many persons gave at least one answer.
        iterations: Passes over the answers.
        converged: Whether the score vanished, on a grid twice as fine as `nodes`.
        score: The largest |score| / sqrt(information) there.
        nodes: The abilities on which integrals were summed, shape (nodes,); in terms of the
            first group, where there are several.
        expected_answers: Persons expected at each node who answered the item, shape
            (items, nodes). With the next: observed proportions of right answers.
        expected_right: Those of them who were right, shape (items, nodes).
    """

    items: Labels
    model: Model
    priors: Priors
    discrimination: FloatArray
    intercept: FloatArray
    lower: FloatArray
    upper: FloatArray
    populations: tuple[Population, ...]
    held: NDArray[np.bool_]
    covariance: FloatArray
    information: InformationKind
    block: NDArray[np.int64]
    answers: NDArray[np.int64]
    right: NDArray[np.int64]
    flags: tuple[tuple[Flag, ...], ...]
    log_likelihood: float
    log_posterior: float
    persons: int
    iterations: int
    converged: bool
    score: float
    nodes: FloatArray
    expected_answers: FloatArray
    expected_right: FloatArray

    @property
    def difficulty(self) -> FloatArray:
        """The ability half-way between the asymptotes, b = -d / a, shape (items,)."""
        return difficulty(self.discrimination, self.intercept)

    @property
    def discrimination_error(self) -> FloatArray:
        """Standard errors of the discriminations, shape (items,)."""
        return np.sqrt(self.covariance[:, 0, 0])

    @property
    def intercept_error(self) -> FloatArray:
        """Standard errors of the intercepts, shape (items,)."""
        return np.sqrt(self.covariance[:, 1, 1])

    @property
    def difficulty_error(self) -> FloatArray:
        """Standard errors of the difficulties by the delta method, shape (items,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gradient = np.stack(
                (self.intercept / self.discrimination**2, -1 / self.discrimination), axis=1
            )
            variance = np.einsum("im,imn,in->i", gradient, self.covariance[:, :2, :2], gradient)
        error: FloatArray = np.sqrt(variance)
        return error

    @property
    def lower_error(self) -> FloatArray:
        """Standard errors of the lower asymptotes, shape (items,).

        At its bound of 0 an estimate is not normal around the truth: there it is the root
        mean square distance that the answers leave room for. 0 in models that have no
        asymptote, and in anchors.
        """
        return self._asymptote_error(2)

    @property
    def upper_error(self) -> FloatArray:
        """Standard errors of the upper asymptotes, in the same way."""
        return self._asymptote_error(3)

    def __repr__(self) -> str:
        flagged = sum(map(bool, self.flags))
        return (
            f"<Calibration: {self.model}, items: {len(self.items):,} ({flagged:,} flagged), "
            f"persons: {self.persons:,}, log-likelihood: {self.log_likelihood:.3f}, "
            f"{'converged' if self.converged else 'NOT converged'}>"
        )

    def _asymptote_error(self, column: int) -> FloatArray:
        if self.covariance.shape[1] <= column:
            return np.zeros(len(self.items))
        error: FloatArray = np.sqrt(self.covariance[:, column, column])
        return error
