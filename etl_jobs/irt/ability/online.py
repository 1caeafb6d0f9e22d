"""One student's ability, brought up to date after each answer, without the answers before it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from etl_jobs.irt.bank.item_bank import Items, check_items, tables_of
from etl_jobs.irt.bank.scale import persons_of, spread_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_jobs.irt.model.models import FloatArray, ItemTables
    from etl_jobs.irt.model.population import Population
    from etl_jobs.irt.model.priors import Normal

_NODES = 241


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is known of one student's ability: its distribution over a grid of abilities.

    Attributes:
        nodes: Equally spaced abilities, shape (nodes,).
        log_weights: Logarithms of the probabilities of each, which sum to 1, shape (nodes,).
        answers: How many answers it rests on.
    """

    nodes: FloatArray
    log_weights: FloatArray
    answers: int

    @property
    def ability(self) -> float:
        """The mean, as `estimate_abilities` gives it for all the answers at once (EAP)."""
        return float(np.exp(self.log_weights) @ self.nodes)

    @property
    def standard_error(self) -> float:
        """The standard deviation."""
        return float(np.sqrt(np.exp(self.log_weights) @ (self.nodes - self.ability) ** 2))

    def __repr__(self) -> str:
        return (
            # Adding 0 makes -0.0 what it is.
            f"<Belief: ability {round(self.ability, 3) + 0.0:.3f} ± {self.standard_error:.3f}, "
            f"answers: {self.answers:,}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """The belief in three values that JSON carries, some 2.6 kB; `from_dict` reads them."""
        return {
            "answers": self.answers,
            "nodes": [float(self.nodes[0]), float(self.nodes[-1]), len(self.nodes)],
            "log_weights": base64.b64encode(self.log_weights.astype("<f8").tobytes()).decode(),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The very belief that `to_dict` wrote.

        Raises:
            ValueError: The state is none of its kind.
        """
        try:
            low, high, count = state["nodes"]
            nodes = np.linspace(float(low), float(high), int(count))
            raw = base64.b64decode(state["log_weights"], validate=True)
            log_weights = np.frombuffer(raw, "<f8").astype(np.float64)
            answers = int(state["answers"])
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ValueError(f"this is no state of a student's ability: {error!r}") from error
        if len(log_weights) != len(nodes) or not np.isclose(np.exp(log_weights).sum(), 1.0):
            raise ValueError(
                f"this is no state of a student's ability: {len(log_weights)} weights on "
                f"{len(nodes)} nodes that sum to {np.exp(log_weights).sum():.3g}, not to 1"
            )
        return cls(nodes, log_weights, answers)


class OnlineAbility:
    """Updates of students' abilities by items that are known.

    Exact: after any answers, in any order, a student's belief is the one that all of them at
    once would give. An update takes microseconds and looks at nothing but the belief before;
    one object serves any number of students, from any number of threads.

    Args:
        items: A `Calibration`, or any items with known parameters.
        persons: How abilities are distributed beforehand; by default as the calibration found,
            or standard normal.
        nodes: Over how many abilities, eight deviations to either side of the mean, a belief is
            kept. The default is exact to 12 digits up to about 400 answers to items with a
            discrimination of 1.

    Raises:
        TypeError: The items are none.
        ValueError: The nodes are fewer than 3, or the calibration has several groups and
            `persons` does not say which.

    Example:
        >>> from etl_jobs.irt import ItemBank, OnlineAbility
        >>> online = OnlineAbility(ItemBank.of(["q1", "q2"], [1.0, 2.0], [0.0, 1.0]))
        >>> student = online.start()
        >>> student = online.update(student, "q1", correct=True)
        >>> student = online.update(student, "q2", correct=True)
        >>> round(student.ability, 3), student.answers
        (0.673, 2)
    """

    def __init__(
        self,
        items: Items,
        *,
        persons: Normal | Population | None = None,
        nodes: int = _NODES,
    ) -> None:
        check_items(items)
        self._items = items
        self._place = {label: place for place, label in enumerate(items.items.tolist())}
        grid = spread_grid(persons_of(items, persons), nodes)
        self._start = Belief(grid.nodes, grid.log_weights, 0)

    def __repr__(self) -> str:
        return f"<OnlineAbility: items: {len(self._place):,}, nodes: {len(self._start.nodes)}>"

    def start(self) -> Belief:
        """What is known of a student who has not answered yet."""
        return self._start

    def update(self, student: Belief, item: object, *, correct: bool) -> Belief:
        """What is known once the student has also answered this item.

        The belief handed in stays as it was. Each answer counts as often as it is handed in:
        that one item counts once is the caller's to see to.

        Raises:
            ValueError: The item is not calibrated, or `correct` is neither right nor wrong.
        """
        if correct not in (True, False):
            raise ValueError(f"correct is {correct!r}; expected True or False")
        tables = self._tables(student, item)
        joint = student.log_weights + tables.log_outcome[0, int(correct)]
        peak = joint.max()
        joint -= peak + np.log(np.exp(joint - peak).sum())
        return Belief(student.nodes, joint, student.answers + 1)

    def probability(self, student: Belief, item: object) -> float:
        """How likely the student's answer to this item is right, as far as is known.

        Raises:
            ValueError: The item is not calibrated.
        """
        return float(np.exp(student.log_weights) @ self._tables(student, item).probability[0])

    def _tables(self, student: Belief, item: object) -> ItemTables:
        if not isinstance(student, Belief):
            raise TypeError(
                f"student is of type {type(student).__name__}; expected the Belief that start(), "
                "update() or Belief.from_dict(state) gives"
            )
        place = self._place.get(item) if isinstance(item, Hashable) else None
        if place is None:
            raise ValueError(f"item {item!s} is not calibrated")
        return tables_of(self._items, student.nodes, np.array([place], np.int64))
