"""Pairs of items that hang together by more than ability, as far as looking for them is cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from etl_jobs.irt import Calibration, Responses

# Pairs of answers of one student, and pairs of items: at most so many of either are gone through,
# which takes ten seconds or so.
MOST_PAIRS = 300_000_000
# Students who answered both items of a pair, below which it is not judged.
FEWEST = 30
# Above the mean of all pairs: Christensen, Makransky and Horton's (2017) rule of thumb.
BOUND = 0.2
# By chance alone so many runs would name a pair if residuals were normal. Those of few students
# are not: of simulated tests of 40 to 1,000 students one in fifty names a pair.
_CHANCE = 0.001
# The largest correlations are looked at, to see which are beyond chance.
_MOST_FOUND = 10_000


class DependentPair(NamedTuple):
    """Two items of which one answer foretells the other, beyond what ability does."""

    first: str
    second: str
    q3: float
    students: int


@dataclass(frozen=True, slots=True)
class DependentPairs:
    """The pairs that were found, the largest Q3 first, and where they were looked for.

    Attributes:
        compared: How many pairs of items were compared.
        students: How many students' answers were looked at; 0 where there are too many items.
    """

    pairs: tuple[DependentPair, ...]
    compared: int
    students: int

    def items(self) -> frozenset[str]:
        """The items of all pairs."""
        return frozenset(item for pair in self.pairs for item in (pair.first, pair.second))


def dependent_pairs(
    fitted: Calibration, responses: Responses, *, most_pairs: int = MOST_PAIRS
) -> DependentPairs:
    """Return the pairs of items whose residuals correlate (Yen's Q3) by more than chance.

    Of many students every second, third, ... is looked at; of items those that enough of them
    answered.

    Args:
        most_pairs: How many pairs of answers, and how many pairs of items, are gone through.
    """
    import numpy as np
    from scipy.special import ndtri

    from etl_jobs.irt import local_dependence

    some = _affordable(responses, most_pairs)
    if some is None:
        return DependentPairs((), 0, 0)
    found = local_dependence(fitted, some, bound=0.0, most=_MOST_FOUND, fewest=FEWEST)
    students = int(np.count_nonzero(some.answers_per_person()))
    above = found.q3 - found.mean
    # Fisher's transformation of a correlation is normal; of many pairs some are far out.
    deviations = np.arctanh(np.clip(above, -0.999999, 0.999999)) * np.sqrt(found.common - 3)
    beyond_chance = deviations > -ndtri(_CHANCE / max(found.compared, 1))
    named = np.flatnonzero((above > BOUND) & beyond_chance)
    pairs = [
        DependentPair(
            str(found.first[k]),
            str(found.second[k]),
            round(float(found.q3[k]), 4),
            int(found.common[k]),
        )
        for k in named.tolist()
    ]
    pairs.sort(key=lambda pair: (-pair.q3, pair.first, pair.second))
    return DependentPairs(tuple(pairs), found.compared, students)


def _affordable(responses: Responses, most_pairs: int) -> Responses | None:
    """Return the answers to look at: all of them, or some students'; None if no few would do."""
    import numpy as np

    given = responses.answers_per_person()
    step = max(1, int(np.ceil(float((given.astype(float) ** 2).sum()) / most_pairs)))
    looked_at = np.zeros(len(given), bool)
    looked_at[::step] = True
    person = responses.person_of_answer()
    kept = looked_at[person]
    answers = np.bincount(responses.item[kept], minlength=len(responses.items))
    enough = answers >= FEWEST
    if np.count_nonzero(enough) ** 2 > most_pairs:
        return None
    kept &= enough[responses.item]
    return type(responses).from_long(
        person[kept],
        (np.cumsum(enough) - 1)[responses.item[kept]],
        responses.correct[kept],
        persons=responses.persons,
        items=responses.items[enough],
    )
