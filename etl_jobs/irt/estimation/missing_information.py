"""What not seeing the abilities costs, between all parameters together.

It is the sum over persons of the posterior covariances of their scores. In a whole test whose
curves run from 0 to 1, a person's score is a function of ability that is the same for all, and
the answers times the ability: three matrix products add everything up. Otherwise the covariance
of two scores is the sum of products of their coefficients in polynomials that are orthonormal
under the person's posterior (Parseval). A posterior is narrow beside what scores bend at, so
a few polynomials say all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.answers.spans import spans
from etl_jobs.irt.estimation.observed_information import Given, added
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_jobs.irt.estimation.observed_information import Group, Strand
    from etl_jobs.irt.estimation.places import Places
    from etl_jobs.irt.model.models import FloatArray

# With so many polynomials the standard errors of a test of five items are right to 1e-4, and
# those of longer ones to more; asymptotes bend scores more sharply.
_POLYNOMIALS = 8
_WITH_ASYMPTOTES = 12
# Numbers held at once.
_BUFFER = 200_000
# Below this share of the grid's width a polynomial's length is rounding.
_SHORTEST = 1e-9


def missing_information(part: Group, places: Places, group: int) -> FloatArray:
    """What it costs this group of persons, shape (places, places)."""
    if part.is_plain and part.sample.is_complete:
        return _of_whole_test(part, places, group)
    return _of_any_answers(part, places, group)


def effort(part: Group, places: Places) -> float:
    """About how many multiplications that takes."""
    patterns, nodes = float(len(part.sample.patterns)), len(part.ability)
    columns, items, _ = part.wrong.shape
    if part.is_plain and part.sample.is_complete:
        return patterns * float(nodes**2 + nodes * items + items**2)
    products = 1 if part.is_plain else 2
    each = products * nodes * items * columns + places.count**2 / 2
    return patterns * float(_polynomials(part) * each)


def _of_whole_test(part: Group, places: Places, group: int) -> FloatArray:
    nodes, items = len(part.ability), part.wrong.shape[1]

    def strand_products(strand: Strand) -> tuple[FloatArray, FloatArray, FloatArray]:
        together, across = np.zeros((nodes, nodes)), np.zeros((nodes, items))
        spread = np.zeros((items, items))
        for rows, block, weight in part.posteriors(strand):
            right = Given.of(part.sample.patterns, rows).right
            pull = part.ability - (weight @ part.ability)[:, np.newaxis]
            pull *= weight
            variance = pull @ part.ability
            # As squares, whose products take half the work.
            root = np.sqrt(block.count)[:, np.newaxis]
            across += (block.count[:, np.newaxis] * pull).T @ right
            weight *= root
            together -= weight.T @ weight
            together[np.diag_indices(nodes)] += (weight * root).sum(axis=0)
            right *= np.sqrt(variance)[:, np.newaxis] * root
            spread += right.T @ right
        return together, across, spread

    parts = in_strands(strand_products, part.sample.strands())
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
    step = max(1, _BUFFER // max(places.count, len(part.ability)))

    def strand_products(strand: Strand) -> FloatArray:
        total = np.zeros((places.count, places.count))
        for rows, block, weight in part.posteriors(strand):
            for some in spans(len(weight), step):
                chosen = slice(rows.start + some.start, rows.start + some.stop)
                given = Given.of(part.sample.patterns, chosen)
                root = np.sqrt(block.count[some])[:, np.newaxis]
                score = np.zeros((len(root), places.count))
                for each in polynomials(weight[some], part.ability, _polynomials(part)):
                    each *= root
                    for column, values in enumerate(part.scores(given, each)):
                        places.put(values, column, score)
                    score[:, places.population[group, moved]] = each @ part.person_score[moved].T
                    total += score.T @ score
        return total

    return added(in_strands(strand_products, part.sample.strands()))


def _polynomials(part: Group) -> int:
    return min(_POLYNOMIALS if part.is_plain else _WITH_ASYMPTOTES, len(part.ability) - 1)


def polynomials(weight: FloatArray, ability: FloatArray, degree: int) -> Iterator[FloatArray]:
    """Polynomials of degrees 1, 2, ..., orthonormal under each row's weights, times these.

    By the three-term recurrence of Stieltjes. 0 where weights that lie on too few nodes admit
    no more of them.

    Args:
        weight: Shape (patterns, nodes), rows that sum to 1.
        ability: The nodes.
        degree: The highest.
    """
    before, here = np.zeros_like(weight), np.ones_like(weight)
    weighted, length = weight, np.zeros((len(weight), 1))
    shortest = _SHORTEST * (ability[-1] - ability[0])
    for _ in range(degree):
        middle = ((weighted * here) @ ability)[:, np.newaxis]
        following = ability - middle
        following *= here
        before *= length
        following -= before
        weighted = weight * following
        length = np.sqrt(np.einsum("pk,pk->p", weighted, following))[:, np.newaxis]
        scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > shortest)
        weighted *= scale
        following *= scale
        before, here = here, following
        yield weighted.copy()
