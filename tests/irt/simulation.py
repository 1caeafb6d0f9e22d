"""Answers drawn from a model, and the likelihood written down as plainly as possible."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special

from etl_jobs import irt

ROOT = Path(__file__).resolve().parents[2]


class Truth(NamedTuple):
    """Answers (persons, items) with NaN where there is none, and what they were drawn from."""

    answers: np.ndarray
    discrimination: np.ndarray
    intercept: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def lsat(section: int) -> irt.Responses:
    """1,000 persons x 5 items (Bock & Lieberman 1970), from the table of pattern counts."""
    table = np.loadtxt(
        ROOT / f"examples/lsat{section}_patterns.csv", delimiter=",", skiprows=1, dtype=int
    )
    return irt.Responses.from_dense(np.repeat(table[:, :5], table[:, 5], axis=0))


def simulate(
    persons: int,
    items: int,
    *,
    model: str = "2PL",
    answered: float = 1.0,
    mean: float = 0.0,
    deviation: float = 1.0,
    seed: int = 1,
    of: Truth | None = None,
) -> Truth:
    """Answers of normal persons; to the items of another simulation where one is given."""
    draw = np.random.default_rng(seed)
    if of is not None:
        _, slope, level, lower, upper = of
    else:
        slope = (
            draw.lognormal(0.0, 0.3, items) if model in ("2PL", "3PL", "4PL") else np.ones(items)
        )
        level = draw.normal(0.0, 1.0, items)
        lower = draw.uniform(0.1, 0.3, items) if model in ("3PL", "4PL") else np.zeros(items)
        upper = draw.uniform(0.85, 0.97, items) if model == "4PL" else np.ones(items)
    ability = mean + deviation * draw.standard_normal((persons, 1))
    right = lower + (upper - lower) * special.expit(ability * slope + level)
    answers = (draw.random(right.shape) < right).astype(float)
    answers[draw.random(right.shape) >= answered] = np.nan
    return Truth(answers, slope, level, lower, upper)


def log_likelihood(
    answers: np.ndarray,
    items: irt.ItemBank,
    *,
    mean: float = 0.0,
    deviation: float = 1.0,
    nodes: int = 401,
) -> float:
    """The marginal log-likelihood, on a grid of its own."""
    standard = np.linspace(-8, 8, nodes)
    weight = np.exp(-(standard**2) / 2)
    right = irt.probability(
        mean + deviation * standard,
        items.discrimination,
        items.intercept,
        items.lower,
        items.upper,
    ).T[:, np.newaxis]
    each = np.log(np.where(answers == 1, right, 1 - right))
    joint = np.where(np.isnan(answers), 0.0, each).sum(axis=2)
    return float(special.logsumexp(joint, axis=0, b=(weight / weight.sum())[:, np.newaxis]).sum())
