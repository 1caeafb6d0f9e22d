"""What the answers tell of the parameters, by Louis (1982).

It is the complete-data information, less what not seeing the abilities costs: the posterior
covariance of each person's score, summed over persons. Here a parameter is a place in a vector
that holds each item's discrimination, intercept, lower and upper asymptote, as far as the model
has them, and then each group's mean and the logarithm of its deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from etl_jobs.irt.answers.blocks import mean_at_answers
from etl_jobs.irt.answers.products import cross_product, product
from etl_jobs.irt.answers.spans import cached_spans, spans
from etl_jobs.irt.estimation.expectation import Sums, posterior
from etl_jobs.irt.estimation.strands import in_strands
from etl_jobs.irt.model.curves import ItemParameters, outcome_scores, probability_curvature

if TYPE_CHECKING:
    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.answers.patterns import Patterns
    from etl_jobs.irt.model.models import FloatArray, ItemTables
    from etl_jobs.irt.model.quadrature import Grid

Index = NDArray[np.int64]

_SMALLEST = 1e-30
# Above this share of answered cells a dense product beats one answer after the other.
_DENSE_SHARE = 0.25
_STRANDS = 4
# Numbers held at once.
_BUFFER = 4_000_000


Strand = Sequence[tuple[slice, "Block"]]


class Sample(NamedTuple):
    """The answers of one group of persons, twice: as they are, and laid out for products."""

    patterns: Patterns
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One group of persons at the parameters found.

    Attributes:
        sample: Its answers.
        grid: Standard normal.
        ability: What the grid's nodes are for this group, shape (nodes,).
        tables: The items at these.
        scores: Derivatives of the log-probabilities, shape (columns, items, 2, nodes).
        person_score: Derivatives of the log-density of ability by the group's mean and the
            logarithm of its deviation, shape (2, nodes).
        complete: The items' complete-data information, shape (items, columns, columns).
        bend: The part of it that is not made of squares of scores.
        person_information: That of mean and log deviation, shape (2, 2).
    """

    sample: Sample
    grid: Grid
    ability: FloatArray
    tables: ItemTables
    scores: FloatArray
    person_score: FloatArray
    complete: FloatArray
    bend: FloatArray
    person_information: FloatArray

    @classmethod
    def at(
        cls,
        parameters: ItemParameters,
        mean: float,
        deviation: float,
        columns: int,
        sample: Sample,
        sums: Sums,
        grid: Grid,
    ) -> Group:
        """The group with this mean and deviation."""
        ability = mean + deviation * grid.nodes
        scores = outcome_scores(ability, parameters, columns)
        squares, bend = _information(sums, scores, ability, parameters)
        persons = float(sample.patterns.count.sum())
        return cls(
            sample=sample,
            grid=grid,
            ability=ability,
            tables=parameters.tables(ability),
            scores=scores,
            person_score=np.stack((grid.nodes / deviation, grid.nodes**2 - 1)),
            complete=squares + bend,
            bend=bend,
            person_information=np.diag([persons / deviation**2, 2 * persons]),
        )

    def own_squares(self) -> FloatArray:
        """Squares of each person's expected score for each item, (items, columns, columns)."""
        patterns = self.sample.patterns
        is_dense = len(patterns.code) > _DENSE_SHARE * len(patterns) * patterns.items
        squares = self._dense_squares if is_dense else self._sparse_squares

        def strand_squares(strand: Strand) -> FloatArray:
            total = np.zeros_like(self.complete)
            for rows, block in strand:
                total += squares(rows, posterior(block, self.tables, self.grid)[0])
            return total

        return _added(in_strands(strand_squares, self._dealt()))

    def missing(self, items: FloatArray, persons: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What not seeing the abilities costs along some directions.

        Args:
            items: Shape (directions, items, columns).
            persons: The directions' part in mean and log deviation, (directions, 2).

        Returns:
            The covariances of the directions' scores with those of every item and with those
            of mean and log deviation, in the shapes of the arguments.
        """
        # What a direction adds to the log-probability of each outcome at each node.
        outcome = np.einsum("mic,cion->mion", items, self.scores)
        alike = persons @ self.person_score

        def strand_tallies(strand: Strand) -> tuple[FloatArray, FloatArray]:
            tallies, masses = np.zeros_like(outcome), np.zeros_like(alike)
            for _, block in strand:
                weight, _ = posterior(block, self.tables, self.grid)
                for direction in range(len(items)):
                    score = block.total(outcome[direction])
                    score += alike[direction]
                    score -= np.einsum("pk,pk->p", weight, score)[:, np.newaxis]
                    score *= weight
                    score *= block.count[:, np.newaxis]
                    tallies[direction] += block.tally(score)
                    masses[direction] += score.sum(axis=0)
            return tallies, masses

        parts = in_strands(strand_tallies, self._dealt())
        tallies, masses = map(_added, zip(*parts, strict=True))
        return np.einsum("cion,mion->mic", self.scores, tallies), masses @ self.person_score.T

    def joint_missing(self) -> FloatArray:
        """What not seeing the abilities costs, between all parameters of items and this group.

        The last two are mean and log deviation; shape (items * columns + 2, the same).
        """
        columns, items = self.scores.shape[:2]
        size = items * columns + 2
        step = max(1, _BUFFER // (size * len(self.ability)))

        def strand_products(strand: Strand) -> FloatArray:
            total = np.zeros((size, size))
            for rows, block in strand:
                weight, _ = posterior(block, self.tables, self.grid)
                for part in spans(len(weight), step):
                    each = self._deviations(
                        slice(rows.start + part.start, rows.start + part.stop), weight[part]
                    )
                    total += cross_product(each, each)
            return total

        return _added(in_strands(strand_products, self._dealt()))

    def _deviations(self, rows: slice, weight: FloatArray) -> FloatArray:
        """How patterns' scores at each node depart from their posterior means.

        Each row is scaled by the root of its weight, so that products are covariances; shape
        (patterns * nodes, items * columns + 2).
        """
        columns, items = self.scores.shape[:2]
        row, code = _answers(self.sample.patterns, rows.start, rows.stop)
        score = np.zeros((*weight.shape, items * columns + 2))
        for column, table in enumerate(self.scores):
            score[row, :, columns * (code >> 1) + column] = table[code >> 1, code & 1]
        score[:, :, -2:] = self.person_score.T
        score -= np.einsum("pk,pkm->pm", weight, score)[:, np.newaxis]
        count = self.sample.patterns.count[rows, np.newaxis]
        score *= np.sqrt(weight * count)[:, :, np.newaxis]
        return score.reshape(-1, items * columns + 2)

    def _places(self) -> Strand:
        """Each block, and which of the patterns it holds."""
        end = np.cumsum([len(block.count) for block in self.sample.blocks])
        return [
            (slice(int(last) - len(block.count), int(last)), block)
            for last, block in zip(end, self.sample.blocks, strict=True)
        ]

    def _dealt(self) -> list[Strand]:
        """The blocks in strands, the same ones however many threads there are."""
        places = self._places()
        return [places[strand::_STRANDS] for strand in range(min(_STRANDS, len(places)))]

    def _dense_squares(self, rows: slice, weight: FloatArray) -> FloatArray:
        patterns = self.sample.patterns
        row, code = _answers(patterns, rows.start, rows.stop)
        given = np.zeros((2, len(weight), patterns.items))
        given[code & 1, row, code >> 1] = 1.0
        scores = []
        for table in self.scores:
            expected = given[0] * product(weight, table[:, 0].T)
            expected += given[1] * product(weight, table[:, 1].T)
            scores.append(expected)
        count = patterns.count[rows]
        pairs = [[np.einsum("p,pi,pi->i", count, a, b) for b in scores] for a in scores]
        return np.array(pairs).transpose(2, 0, 1)

    def _sparse_squares(self, rows: slice, weight: FloatArray) -> FloatArray:
        patterns = self.sample.patterns
        row, code = _answers(patterns, rows.start, rows.stop)
        nodes = len(self.ability)
        # Discrimination and intercept differ by a factor, the ability: one look serves both.
        powers = np.vander(self.ability, 2)
        parts = [mean_at_answers(weight, row, self.scores[1].reshape(-1, nodes), code, powers)]
        parts += [
            mean_at_answers(weight, row, table.reshape(-1, nodes), code, powers[:, 1:])
            for table in self.scores[2:]
        ]
        score = np.concatenate(parts, axis=1)
        count = patterns.count[rows][row]
        total = np.empty_like(self.complete)
        for left in range(total.shape[1]):
            for right in range(left + 1):
                square = np.bincount(
                    code >> 1, count * score[:, left] * score[:, right], len(total)
                )
                total[:, left, right] = total[:, right, left] = square
        return total


def _added(parts: Sequence[FloatArray]) -> FloatArray:
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def _answers(patterns: Patterns, first: int, last: int) -> tuple[Index, Index]:
    """Of the patterns from first to last: each answer's row, counted from first, and code."""
    start = patterns.start[first : last + 1]
    row: Index = np.repeat(np.arange(last - first), np.diff(start))
    return row, patterns.code[start[0] : start[-1]].astype(np.int64)


def _information(
    sums: Sums, scores: FloatArray, ability: FloatArray, parameters: ItemParameters
) -> tuple[FloatArray, FloatArray]:
    """Squares of the expected complete data's scores, and the rest of its information."""
    columns, items = scores.shape[:2]
    squares, bend = np.empty((2, items, columns, columns))
    for rows in cached_spans(items, 4 * columns * len(ability)):
        chosen = parameters.take(rows)
        tables = chosen.tables(ability)
        outcome = np.stack((sums.wrong[rows], sums.right[rows]), axis=1)
        each = scores[:, rows]
        for column in range(columns):
            squares[rows, column] = np.einsum("ion,cion->ic", each[column] * outcome, each)
        right = np.maximum(tables.probability, _SMALLEST)
        wrong = np.maximum(np.exp(tables.log_outcome[:, 0]), _SMALLEST)
        pull = outcome[:, 0] / wrong - outcome[:, 1] / right
        curvature = probability_curvature(ability, chosen, columns)
        bend[rows] = np.einsum("abin,in->iab", curvature, pull)
    return squares, bend
