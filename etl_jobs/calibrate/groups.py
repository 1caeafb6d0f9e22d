"""The groups that a calibration's students are of, and the items that do not treat them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from etl_jobs.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pyarrow import Table

    from etl_jobs.irt import Calibration, MantelHaenszel, Normal, Responses

# The value of the parameter that means no certain group.
LARGEST = "largest"
# Students are compared within so many levels of ability where their answers have gaps: there
# equal scores are rare, and mean different things.
_LEVELS = 20
_FLAGS = {"C": "large_dif", "B": "moderate_dif"}


class GroupLabel(int):
    """A group as a calibration knows it: the reference sorts first, and errors say its name.

    Attributes:
        name: None for the students of no group.
    """

    name: str | None

    def __new__(cls, place: int, name: str | None) -> GroupLabel:
        """The group at a place in the order of groups."""
        label = super().__new__(cls, place)
        label.name = name
        return label

    def __str__(self) -> str:
        return "of students of no group" if self.name is None else self.name


@dataclass(frozen=True, slots=True, eq=False)
class StudentGroups:
    """Which group each student of a calibration is of.

    Attributes:
        names: The groups of students with answers, the reference first, then by name.
        group: The place of each student's among them, -1 for students of none, shape
            (persons,).
    """

    names: tuple[str, ...]
    group: NDArray[Any]

    def labels(self) -> NDArray[Any]:
        """A label for each student, those of no group as one group more, shape (persons,)."""
        import numpy as np

        labels = [GroupLabel(place, name) for place, name in enumerate((*self.names, None))]
        # The last one is that of place -1.
        label_of: NDArray[Any] = np.array(labels, object)[self.group]
        return label_of


def groups_of(rows: Table, responses: Responses, reference: str) -> StudentGroups:
    """Return the students' groups, out of the rows of `calibrate/groups`.

    Args:
        reference: The group that others are compared with; "largest" is the one of most
            students, the first by name of several such.

    Raises:
        CalibrationError: a student is of several groups, there are not two groups, or the
            reference is none of them.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    twice = rows.filter(pc.greater(rows["memberships"], 1))
    if twice.num_rows:
        student = twice["student_id"][0].as_py()
        raise CalibrationError(
            f"calibrate: student {student!r:.80} is of {twice['memberships'][0].as_py()} groups in "
            f"raw.student_groups ({twice.num_rows:,} such students); leave each one group, or "
            "calibrate with --set groups=none. Nothing was published"
        )
    # Told of answers, not of the table: who gave none has no part in it.
    persons = pa.array(responses.persons.tolist(), pa.string())
    place = pc.index_in(persons, rows["student_id"].combine_chunks())
    known = rows["student_group"].combine_chunks().dictionary_encode()
    coded = known.indices.take(place).fill_null(-1).to_numpy(zero_copy_only=False)
    answered = responses.answers_per_person() > 0
    students = np.bincount(coded[answered & (coded >= 0)], minlength=len(known.dictionary))
    names = known.dictionary.to_pylist()
    there = sorted(place for place in range(len(names)) if students[place])
    ordered = _reference_first({names[k]: int(students[k]) for k in there}, reference)
    rank = np.full(len(names) + 1, -1)
    rank[[names.index(name) for name in ordered]] = np.arange(len(ordered))
    return StudentGroups(tuple(ordered), rank[coded])


def _reference_first(students: dict[str, int], reference: str) -> list[str]:
    if len(students) < 2:
        found = ", ".join(students) or "none"
        raise CalibrationError(
            "calibrate: comparing groups takes two; raw.student_groups says of students with "
            f"answers that they are of {found}. Nothing was published"
        )
    if reference == LARGEST:
        reference = min(students, key=lambda name: (-students[name], name))
    if reference not in students:
        shown = ", ".join(sorted(students)[:10])
        raise CalibrationError(
            f"calibrate: the parameter reference is {reference!r}, a group of no student with "
            f"answers; there are {shown}. Nothing was published"
        )
    return [reference, *sorted(set(students) - {reference})]


class Comparison(NamedTuple):
    """How each item treats one group beside the reference."""

    focal: str
    found: MantelHaenszel


@dataclass(frozen=True, slots=True, eq=False)
class GroupDifferences:
    """How each item treats the groups beside the reference, shape (items,) each.

    Attributes:
        reference: The group that the others are compared with.
        compared: Each of the others.
        group: The one that an item is most unequal for; "" where none can be compared.
        ets_class: How much so: "A" negligible, "B" moderate, "C" large; "" where none can be.
        delta: On ETS's scale of difficulty; below 0 the item is harder for the group.
        delta_error: Its standard error.
    """

    reference: str
    compared: tuple[Comparison, ...]
    group: NDArray[Any]
    ets_class: NDArray[Any]
    delta: NDArray[Any]
    delta_error: NDArray[Any]

    def flags(self) -> list[str | None]:
        """What to say of each item; None where its difference is no matter."""
        return [_FLAGS.get(str(each)) for each in self.ets_class]


def compare_groups(
    fitted: Calibration, responses: Responses, groups: StudentGroups
) -> GroupDifferences:
    """Return how each item treats each group beside the reference (Mantel and Haenszel).

    Students with as many right answers count as equally able where everybody answered all items,
    and those of one in twenty levels of ability where answers have gaps.
    """
    from etl_jobs.irt import mantel_haenszel
    from etl_jobs.irt.model.population import split

    level = _levels(fitted, responses)
    compared = []
    for place, name in enumerate(groups.names[1:], 1):
        takes_part = (groups.group == 0) | (groups.group == place)
        _, (*_, both) = split(responses, takes_part)
        compared.append(
            Comparison(
                name,
                mantel_haenszel(
                    both,
                    groups.group[takes_part] == place,
                    matching="score" if level is None else level[takes_part],
                ),
            )
        )
    return _worst(groups.names[0], compared)


def _worst(reference: str, compared: Sequence[Comparison]) -> GroupDifferences:
    import numpy as np

    names = np.array([each.focal for each in compared], object)
    classes = np.array([each.found.ets_class for each in compared])
    delta = np.array([each.found.delta for each in compared])
    error = np.array([each.found.delta_error for each in compared])
    # A class beats all of a lower one; "" is the lowest.
    size = np.searchsorted(["", "A", "B", "C"], classes) * 1e6 + np.abs(np.nan_to_num(delta))
    worst = size.argmax(axis=0), np.arange(delta.shape[1])
    return GroupDifferences(
        reference,
        tuple(compared),
        np.where(classes[worst] == "", "", names[worst[0]]),
        classes[worst],
        delta[worst],
        error[worst],
    )


def _levels(fitted: Calibration, responses: Responses) -> NDArray[Any] | None:
    """The level of each person's ability, shape (persons,); None where scores do."""
    import numpy as np

    from etl_jobs.irt import estimate_abilities

    given = responses.answers_per_person()
    if bool(((given == 0) | (given == len(responses.items))).all()):
        return None
    # Believed alike of everybody, whatever the group: equal answers are of one level.
    ability = estimate_abilities(fitted, responses, persons=everybody(fitted)).ability
    bounds = np.quantile(ability[given > 0], np.arange(1, _LEVELS) / _LEVELS)
    return np.searchsorted(bounds, ability, side="right")


def everybody(fitted: Calibration) -> Normal:
    """Return one normal distribution with the mean and deviation of all groups together."""
    import numpy as np

    from etl_jobs.irt import Normal

    share = np.array([group.persons for group in fitted.populations], float)
    share /= share.sum()
    mean = np.array([group.mean for group in fitted.populations])
    deviation = np.array([group.deviation for group in fitted.populations])
    middle = float(share @ mean)
    spread = float(np.sqrt(share @ (deviation**2 + (mean - middle) ** 2)))
    if len(share) == 1:
        # Not a digit of it may change.
        middle, spread = float(mean[0]), float(deviation[0])
    return Normal(middle, spread)
