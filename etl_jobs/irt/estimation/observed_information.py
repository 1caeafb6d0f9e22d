"""What the answers tell of the parameters, by Louis (1982).

It is the complete-data information, less what not seeing the abilities costs: the posterior
covariance of each person's score, summed over persons. Here a parameter is a place in a vector
that holds each item's discrimination, intercept, lower and upper asymptote, as far as the model
has them, and then each group's mean and the logarithm of its deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from etl_jobs.irt.answers.blocks import DenseBlock, SparseBlock, mean_at_answers, persons_in
from etl_jobs.irt.answers.spans import cached_spans
from etl_jobs.irt.estimation.strands import in_strands
from etl_jobs.irt.model.curves import ItemParameters, outcome_scores, probability_curvature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.estimation.expectation import Sums
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.quadrature import Grid

_SMALLEST = 1e-30
# However many threads work on them, so that sums round the same way.
STRANDS = 4


class Given(NamedTuple):
    """Answers as a table.

    Attributes:
        right: 1 where an answer is right, shape (patterns, items).
        answered: 1 where there is one, shape (patterns, items); None where there is everywhere.
    """

    right: NDArray[np.uint8]
    answered: NDArray[np.uint8] | None

    @classmethod
    def of(cls, block: Block) -> Given:
        """The answers of a block."""
        if isinstance(block, DenseBlock):
            if not block.gaps.size:
                return cls(block.right.T, None)
            answered = np.ones_like(block.right)
            answered[block.gaps] = block.answered
            return cls(block.right.T, answered.T)
        row, code = _answers(block)
        right, answered = np.zeros((2, len(block.count), block.answers.shape[1] // 2), np.uint8)
        right[row, code >> 1] = code & 1
        answered[row, code >> 1] = 1
        return cls(right, answered)

    def outcomes(self) -> NDArray[np.uint8]:
        """A column of 1, the right answers, and, unless all are there, all answers."""
        ones = np.ones((len(self.right), 1), np.uint8)
        parts = (ones, self.right) if self.answered is None else (ones, self.right, self.answered)
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One group of persons at the parameters found.

    Attributes:
        blocks: Its answers.
        grid: Standard normal, and as coarse as posterior covariances allow.
        ability: What the grid's nodes are for this group, shape (nodes,).
        prepared: The log-probabilities of the items' outcomes there, as the blocks take them.
        wrong: Derivatives of the log-probability of a wrong answer, (columns, items, nodes).
        gain: By how much more that of a right one grows, (columns, items, nodes); where curves
            run from 0 to 1 it is the same for all items, and held once, (columns, 1, nodes).
        person_score: Derivatives of the log-density of ability by the group's mean and the
            logarithm of its deviation, shape (2, nodes).
        complete: The items' complete-data information, shape (items, columns, columns).
        bend: The part of it that is not made of squares of scores.
        score: Of the items, which vanishes but at a bound, shape (items, columns).
        person_information: That of mean and log deviation, shape (2, 2).
    """

    blocks: Sequence[Block]
    grid: Grid
    ability: FloatArray
    prepared: Any
    wrong: FloatArray
    gain: FloatArray
    person_score: FloatArray
    complete: FloatArray
    bend: FloatArray
    score: FloatArray
    person_information: FloatArray

    @classmethod
    def at(
        cls,
        parameters: ItemParameters,
        mean: float,
        deviation: float,
        columns: int,
        blocks: Sequence[Block],
        sums: Sums,
        grid: Grid,
        quick: Grid,
    ) -> Group:
        """The group with this mean and deviation.

        The sums are those on the first grid; what is not seen of the abilities is found on the
        second.
        """
        ability = mean + deviation * grid.nodes
        squares, bend, score = _information(sums, ability, parameters, columns)
        persons = persons_in(blocks)
        ability = mean + deviation * quick.nodes
        wrong, right = np.moveaxis(outcome_scores(ability, parameters, columns), 2, 0)
        is_plain = columns == 2 and np.all(parameters.lower == 0) and np.all(parameters.upper == 1)
        return cls(
            blocks=blocks,
            grid=quick,
            ability=ability,
            prepared=blocks[0].prepared(parameters.tables(ability).log_outcome, np.float64),
            wrong=np.ascontiguousarray(wrong),
            gain=(right - wrong)[:, :1] if is_plain else right - wrong,
            person_score=np.stack((quick.nodes / deviation, quick.nodes**2 - 1)),
            complete=squares + bend,
            bend=bend,
            score=score,
            person_information=np.diag([persons / deviation**2, 2 * persons]),
        )

    @property
    def is_plain(self) -> bool:
        """Whether all curves run from 0 to 1."""
        return bool(self.gain.shape[1] < self.wrong.shape[1])

    @property
    def is_whole(self) -> bool:
        """Whether everybody answered everything."""
        return all(isinstance(block, DenseBlock) and not block.gaps.size for block in self.blocks)

    def strands(self) -> list[Sequence[Block]]:
        """The blocks dealt out for threads, the same way however many of these there are."""
        return [self.blocks[strand::STRANDS] for strand in range(min(STRANDS, len(self.blocks)))]

    def posteriors(self, strand: Sequence[Block]) -> Iterator[tuple[Block, FloatArray]]:
        """The blocks, each with its patterns' probabilities of the nodes, (patterns, nodes)."""
        for block in strand:
            weight = block.fast_total(self.prepared)
            weight += np.expand_dims(self.grid.log_weights, 1 - block.node_axis)
            weight -= weight.max(axis=block.node_axis, keepdims=True)
            np.exp(weight, out=weight)
            weight /= weight.sum(axis=block.node_axis, keepdims=True)
            yield block, weight if block.node_axis else weight.T

    def scores(self, given: Given, weight: FloatArray) -> Iterator[FloatArray]:
        """For each column the scores of each item, summed over nodes, shape (patterns, items).

        Args:
            given: The answers.
            weight: Of the nodes, shape (patterns, nodes).
        """
        for wrong, gain in zip(self.wrong, self.gain, strict=True):
            score = weight @ wrong.T
            if given.answered is not None:
                score *= given.answered
            score += given.right * (weight @ gain.T)
            yield score

    def own_squares(self) -> FloatArray:
        """Squares of each person's expected score for each item, (items, columns, columns)."""

        def strand_squares(strand: Sequence[Block]) -> FloatArray:
            total = np.zeros_like(self.complete)
            for block, weight in self.posteriors(strand):
                if isinstance(block, DenseBlock):
                    total += self._dense_squares(block, weight)
                else:
                    total += self._sparse_squares(block, weight)
            return total

        return added(in_strands(strand_squares, self.strands()))

    def missing(self, items: FloatArray, persons: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What not seeing the abilities costs along some directions.

        Args:
            items: Shape (directions, items, columns).
            persons: The directions' part in mean and log deviation, (directions, 2).

        Returns:
            The covariances of the directions' scores with those of every item and with those
            of mean and log deviation, in the shapes of the arguments.
        """
        scores = np.stack((self.wrong, self.wrong + self.gain), axis=2)
        # What a direction adds to the log-probability of each outcome at each node.
        outcomes = np.einsum("mic,cion->mion", items, scores)
        alike = persons @ self.person_score
        first = self.blocks[0]
        prepared: list[Any] = [first.prepared(outcome, np.float64) for outcome in outcomes]

        def strand_tallies(strand: Sequence[Block]) -> tuple[FloatArray, FloatArray]:
            tallies, masses = np.zeros_like(outcomes), np.zeros_like(alike)
            for block, weight in self.posteriors(strand):
                for direction in range(len(items)):
                    total = block.fast_total(prepared[direction])
                    score = total if block.node_axis else total.T
                    score += alike[direction]
                    score -= np.einsum("pk,pk->p", weight, score)[:, np.newaxis]
                    score *= weight
                    score *= block.count[:, np.newaxis]
                    tallies[direction] += block.fast_tally(total)
                    masses[direction] += score.sum(axis=0)
            return tallies, masses

        parts = in_strands(strand_tallies, self.strands())
        tallies, masses = map(added, zip(*parts, strict=True))
        return np.einsum("cion,mion->mic", scores, tallies), masses @ self.person_score.T

    def _dense_squares(self, block: DenseBlock, weight: FloatArray) -> FloatArray:
        scores = list(self.scores(Given.of(block), weight))
        pairs = [[np.einsum("p,pi,pi->i", block.count, a, b) for b in scores] for a in scores]
        return np.array(pairs).transpose(2, 0, 1)

    def _sparse_squares(self, block: SparseBlock, weight: FloatArray) -> FloatArray:
        row, code = _answers(block)
        nodes = len(self.ability)
        tables = np.stack((self.wrong, self.wrong + self.gain), axis=2)
        # Discrimination and intercept differ by a factor, the ability: one look serves both.
        powers = np.vander(self.ability, 2)
        parts = [mean_at_answers(weight, row, tables[1].reshape(-1, nodes), code, powers)]
        parts += [
            mean_at_answers(weight, row, table.reshape(-1, nodes), code, powers[:, 1:])
            for table in tables[2:]
        ]
        score = np.concatenate(parts, axis=1)
        count = block.count[row]
        total = np.empty_like(self.complete)
        for left in range(total.shape[1]):
            for right in range(left + 1):
                square = np.bincount(
                    code >> 1, count * score[:, left] * score[:, right], len(total)
                )
                total[:, left, right] = total[:, right, left] = square
        return total


def added(parts: Sequence[FloatArray]) -> FloatArray:
    """The sum of the parts, in their order."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def _answers(block: SparseBlock) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each answer's row, and its code, 2 * item + correct."""
    row = np.repeat(np.arange(len(block.count)), np.diff(block.answers.indptr))
    return row, block.answers.indices.astype(np.int64)


def _information(
    sums: Sums, ability: FloatArray, parameters: ItemParameters, columns: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The expected complete data's squares of scores, the rest of its information, its score."""
    items = len(parameters.discrimination)
    squares, bend = np.empty((2, items, columns, columns))
    score = np.empty((items, columns))
    for rows in cached_spans(items, 4 * columns * len(ability)):
        chosen = parameters.take(rows)
        tables = chosen.tables(ability)
        outcome = np.stack((sums.wrong[rows], sums.right[rows]), axis=1)
        each = outcome_scores(ability, chosen, columns)
        for column in range(columns):
            weighted = each[column] * outcome
            score[rows, column] = weighted.sum(axis=(1, 2))
            squares[rows, column] = np.einsum("ion,cion->ic", weighted, each)
        right = np.maximum(tables.probability, _SMALLEST)
        wrong = np.maximum(np.exp(tables.log_outcome[:, 0]), _SMALLEST)
        pull = outcome[:, 0] / wrong - outcome[:, 1] / right
        curvature = probability_curvature(ability, chosen, columns)
        bend[rows] = np.einsum("abin,in->iab", curvature, pull)
    return squares, bend, score
