"""Where to begin: discriminations from how answers to different items go together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from etl_jobs.irt.answers.products import dot
from etl_jobs.irt.estimation.strands import in_strands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.answers.blocks import Block
    from etl_jobs.irt.model.coordinates import Coordinates
    from etl_jobs.irt.model.models import FloatArray

# A logistic curve is nearly a normal one of this many times the slope.
_LOGISTIC = 1.702
# Correlations between an answer and the ability are kept within what tests show.
_WEAKEST, _STRONGEST = 0.15, 0.85
_ROUNDS = 8
# The first of many patterns, a random sample, tell as much as a beginning needs: so many answers
# to an item, on average.
_ENOUGH_ANSWERS = 10_000
# A covariance of so many answers is worth as much as what is guessed without it.
_FEW = 30.0
_NOTHING = 1e-3


def begin_near(coordinates: Coordinates, blocks: Sequence[Sequence[Block]]) -> Coordinates:
    """The same search, begun nearer to its end where the answers show where that is.

    They do for items that differ in discrimination alone, answered by one group of persons.
    """
    plain = coordinates.slope == "own" and coordinates.columns == 2
    if not plain or len(blocks) != 1 or coordinates.held.any():
        return coordinates
    slope, level, weight = _slopes(blocks[0], coordinates.items)
    guess = coordinates.fixed
    return replace(
        coordinates,
        fixed=guess._replace(
            discrimination=guess.discrimination + weight * (slope - guess.discrimination),
            intercept=guess.intercept + weight * (level - guess.intercept),
        ),
    )


def _slopes(blocks: Sequence[Block], items: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Discriminations and intercepts near those of the 2PL model, and how far to trust them.

    In a test of many items the covariance of an answer with the sum of the others is that with
    the ability, times what the others have in all. That and the share of right answers are
    enough for a normal curve, which a logistic one resembles.
    """
    answers_held = np.cumsum([block.answers_held for block in blocks])
    some = blocks[: 1 + int(np.searchsorted(answers_held, _ENOUGH_ANSWERS * items))]

    def counted(block: Block) -> tuple[FloatArray, float]:
        met = block.total(np.ones((items, 2, 1)))[:, 0]
        return block.tally(block.count[:, np.newaxis])[:, :, 0], dot(block.count, met**2)

    counts, mets = zip(*in_strands(counted, some), strict=True)
    wrong, right = sum(counts).T
    answers = wrong + right
    share = (right + 0.5) / (answers + 1)
    surplus = np.stack((-share, 1 - share), axis=1)

    def with_others(block: Block) -> FloatArray:
        others = block.total(surplus[:, :, np.newaxis])
        tally = block.tally(others * block.count[:, np.newaxis])[:, :, 0]
        products: FloatArray = (tally * surplus).sum(axis=1)
        return products

    together = sum(in_strands(with_others, some))
    # Less what an answer has in common with itself.
    together -= wrong * share**2 + right * (1 - share) ** 2
    covariance = np.maximum(together / np.maximum(answers, 1), 0.0)
    # Of all items, the person who gave an answer met this share on average.
    met = sum(mets) / (answers.sum() * items)
    own = np.full(items, np.sqrt(covariance.mean() / max(met * items - 1, 1)))
    for _ in range(_ROUNDS):
        own = covariance / np.maximum(met * own.sum() - own, _NOTHING)
    bend = special.ndtri(share)
    density = np.exp(-(bend**2) / 2) / np.sqrt(2 * np.pi)
    correlation = np.clip(own / density, _WEAKEST, _STRONGEST)
    stretch = _LOGISTIC / np.sqrt(1 - correlation**2)
    return correlation * stretch, bend * stretch, answers / (answers + _FEW)
