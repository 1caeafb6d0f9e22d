"""The persons whose abilities are integrated out: one distribution for each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_jobs.irt.model.quadrature import Grid
from etl_jobs.irt.model.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.model.models import FloatArray


@dataclass(frozen=True, slots=True)
class Population:
    """A group of persons on the scale of the items.

    Attributes:
        label: The group; None where persons are not told apart.
        persons: How many of them gave answers.
        mean: Of their abilities.
        deviation: Its standard deviation.
        mean_error: The standard error of the mean: 0 where the mean defines the scale, NaN
            where nobody asked.
        deviation_error: That of the deviation.
        shape: Where it is not normal, but its shape estimated, the shape's coefficients.
    """

    label: Any
    persons: int
    mean: float = 0.0
    deviation: float = 1.0
    mean_error: float = 0.0
    deviation_error: float = 0.0
    shape: tuple[float, ...] = ()

    def density(self, ability: ArrayLike) -> FloatArray:
        """The probability density at these abilities, on the items' scale.

        Example:
            >>> Population("all", 1000, mean=0.5, deviation=2.0).density([0.5]).round(4).tolist()
            [0.1995]
        """
        standard = (np.asarray(ability, np.float64) - self.mean) / self.deviation
        return Shape(self.shape).density(standard) / self.deviation

    def grid(self, standard: Grid) -> Grid:
        """A grid of mean 0 and deviation 1, moved to where these persons are."""
        return Grid(self.mean + self.deviation * standard.nodes, standard.log_weights)

    def weigh(self, ability: FloatArray) -> Grid:
        """These abilities, equally spaced, with this population's mass at each."""
        # A population between two nodes is at the nearer one.
        standard = (ability - self.mean) / self.deviation
        return Grid(ability, Shape(self.shape).log_weights(standard))


def split(responses: Responses, groups: ArrayLike | None) -> tuple[Labels, list[Responses]]:
    """The groups' labels, sorted, and the answers of the persons of each.

    Raises:
        ValueError: There is not one label for each person, or one is missing.
    """
    if groups is None:
        return np.array([None]), [responses]
    column = np.asarray(groups)
    if column.shape != (len(responses.persons),):
        raise ValueError(
            f"groups has shape {column.shape}; expected a label for each of the "
            f"{len(responses.persons)} persons"
        )
    missing = np.array([label is None or label != label for label in column.tolist()], bool)
    if missing.any():
        raise ValueError(
            f"person {responses.persons[missing.argmax()]!s} has no group "
            f"({missing.sum()} such persons); give each a label, or leave them out"
        )
    labels, group = np.unique(column, return_inverse=True)
    return labels, [_of_persons(responses, group == each) for each in range(len(labels))]


def _of_persons(responses: Responses, chosen: NDArray[np.bool_]) -> Responses:
    counts = responses.answers_per_person()
    answers = np.repeat(chosen, counts)
    return type(responses)(
        persons=responses.persons[chosen],
        items=responses.items,
        start=np.concatenate(([0], np.cumsum(counts[chosen]))),
        item=responses.item[answers],
        correct=responses.correct[answers],
    )
