"""What not seeing the abilities costs, between all parameters together.

It is the sum over persons of the posterior covariances of their scores. A score is a sum of a
person's answers, right or wrong, each times a function of ability that is the same for all. So
it takes how often two answers meet, weighed by how probable each ability is to the persons who
gave both: a matrix product for each node. In a whole test whose curves run from 0 to 1 only
the ability itself is multiplied by answers: there it takes three products in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from etl_jobs.irt.estimation.observed_information import STRANDS, Given, added
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.estimation.observed_information import Group
    from etl_jobs.irt.estimation.places import Places
    from etl_jobs.irt.model.models import FloatArray

# A person is not at nodes whose posterior probability has a smaller root.
_NOWHERE = 1e-4


def missing_information(part: Group, places: Places, group: int) -> FloatArray:
    """What it costs this group of persons, shape (places, places)."""
    if part.is_plain and part.is_whole:
        return _of_whole_test(part, places, group)
    return _of_any_answers(part, places, group)


def effort(part: Group) -> float:
    """About how many multiplications that takes."""
    patterns, nodes = float(sum(len(block.count) for block in part.blocks)), len(part.ability)
    items = part.wrong.shape[1]
    if part.is_plain and part.is_whole:
        return patterns * float(nodes**2 + nodes * items + items**2)
    outcomes = items if part.is_whole else 2 * items
    return patterns * nodes * float(outcomes**2 + outcomes) / 4


def _of_whole_test(part: Group, places: Places, group: int) -> FloatArray:
    nodes, items = len(part.ability), part.wrong.shape[1]

    def strand_products(strand: Sequence[Block]) -> tuple[FloatArray, FloatArray, FloatArray]:
        together, across = np.zeros((nodes, nodes)), np.zeros((nodes, items))
        spread = np.zeros((items, items))
        for block, weight in part.posteriors(strand):
            right = Given.of(block).right.astype(np.float64)
            pull = part.ability - (weight @ part.ability)[:, np.newaxis]
            pull *= weight
            # Rounding takes that of an ability that is known for certain below zero.
            variance = np.maximum(pull @ part.ability, 0.0)
            # As squares, whose products take half the work.
            root = np.sqrt(block.count)[:, np.newaxis]
            across += (block.count[:, np.newaxis] * pull).T @ right
            weight *= root
            together -= weight.T @ weight
            together[np.diag_indices(nodes)] += (weight * root).sum(axis=0)
            right *= np.sqrt(variance)[:, np.newaxis] * root
            spread += right.T @ right
        return together, across, spread

    parts = in_strands(strand_products, part.strands())
    together, across, spread = map(added, zip(*parts, strict=True))
    persons = np.zeros((nodes, len(places.population), 2))
    persons[:, group] = part.person_score.T
    alike = places.gather(part.wrong.transpose(2, 1, 0), persons)
    slopes = _of_slopes(places, across)
    total: FloatArray = alike @ together @ alike.T
    mixed = slopes @ alike.T
    total += mixed + mixed.T
    total += _of_slopes(places, _of_slopes(places, spread))
    return total


def _of_slopes(places: Places, values: FloatArray) -> FloatArray:
    """Values (n, items) that belong to discriminations, shape (places, n)."""
    items = np.zeros((*values.shape, places.item.shape[1]))
    items[:, :, 0] = values
    return places.gather(items, np.zeros((len(values), *places.population.shape)))


def _of_any_answers(part: Group, places: Places, group: int) -> FloatArray:
    moved = np.flatnonzero(places.population[group] >= 0)
    persons = places.population[group, moved]

    def strand_means(strand: Sequence[Block]) -> tuple[FloatArray, list[_Persons]]:
        """Products of expected scores, which are to be taken away, and what the rest needs."""
        total, seen = np.zeros((places.count, places.count)), []
        for block, weight in part.posteriors(strand):
            given = Given.of(block)
            mean = np.zeros((len(weight), places.count))
            for column, values in enumerate(part.scores(given, weight)):
                places.put(values, column, mean)
            mean[:, persons] = weight @ part.person_score[moved].T
            root = np.sqrt(block.count)[:, np.newaxis]
            mean *= root
            total += mean.T @ mean
            np.sqrt(weight, out=weight)
            seen.append(_Persons(given.outcomes(), weight, root[:, 0]))
        return total, seen

    parts = in_strands(strand_means, part.strands())
    seen = [each for _, some in parts for each in some]

    def strand_products(nodes: range) -> FloatArray:
        total = np.zeros((places.count, places.count))
        for node in nodes:
            together = sum(each.together(node) for each in seen)
            scores = _scores_of_outcomes(part, places, group, node)
            total += scores.T @ (together @ scores)
        return total

    nodes = range(len(part.ability))
    strands = [nodes[first::STRANDS] for first in range(STRANDS)]
    total = added(in_strands(strand_products, strands))
    for products, _ in parts:
        total -= products
    return total


class _Persons(NamedTuple):
    """Some patterns.

    Attributes:
        outcomes: What was answered, shape (patterns, outcomes).
        root: Of the probability of each node, shape (patterns, nodes).
        copies: The root of how many persons gave each pattern.
    """

    outcomes: NDArray[np.uint8]
    root: FloatArray
    copies: FloatArray

    def together(self, node: int) -> FloatArray:
        """How many persons at the node are expected to have given each two answers."""
        here = np.flatnonzero(self.root[:, node] > _NOWHERE)
        weight = self.root[here, node] * self.copies[here]
        each = self.outcomes[here] * weight[:, np.newaxis]
        together: FloatArray = each.T @ each
        return together


def _scores_of_outcomes(part: Group, places: Places, group: int, node: int) -> FloatArray:
    """What each outcome adds to each score at a node, shape (outcomes, places)."""
    columns, items, _ = part.wrong.shape
    each = np.arange(items)
    scores = np.zeros((1 + (1 if part.is_whole else 2) * items, places.count))
    for column in range(columns):
        values = np.zeros((len(scores), items))
        values[1 + each, each] = part.gain[column, :, node]
        if part.is_whole:
            values[0] = part.wrong[column, :, node]
        else:
            values[1 + items + each, each] = part.wrong[column, :, node]
        places.put(values, column, scores)
    moved = np.flatnonzero(places.population[group] >= 0)
    scores[0, places.population[group, moved]] = part.person_score[moved, node]
    return scores
