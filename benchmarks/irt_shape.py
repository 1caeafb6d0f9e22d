"""What it costs to take students for normal who are not, and what `population="any shape"` gains.

    nox -s bench -- irt_shape
    nox -s bench -- irt_shape --seeds 5

For each distribution of ability and seed the same simulated answers are calibrated twice, without
priors: once with students taken for normal, once with a shape of their own. Printed are the root
mean squared errors of discrimination and difficulty, and how often the 95 % intervals hold them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from etl_jobs import irt

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = Literal["normal", "skewed", "two-humped"]
SHAPES: tuple[Shape, ...] = ("normal", "skewed", "two-humped")
POPULATIONS: tuple[irt.PopulationKind, ...] = ("standard normal", "any shape")
_PERSONS, _ITEMS = 5_000, 30
_NORMAL_95 = 1.959963984540054


def abilities(shape: Shape, draw: np.random.Generator) -> NDArray[np.float64]:
    """Abilities of mean 0 and deviation 1."""
    if shape == "skewed":
        return (draw.gamma(2.0, 1.0, _PERSONS) - 2) / np.sqrt(2)
    if shape == "two-humped":
        return np.sqrt(0.19) * draw.standard_normal(_PERSONS) + draw.choice((-0.9, 0.9), _PERSONS)
    return draw.standard_normal(_PERSONS)


def misses(shape: Shape, seed: int) -> NDArray[np.float64]:
    """Squared errors of a and b and whether intervals hold them: (populations, 4, items)."""
    draw = np.random.default_rng(seed)
    ability = abilities(shape, draw)
    slope, difficulty = draw.lognormal(0, 0.3, _ITEMS), draw.uniform(-2, 2, _ITEMS)
    chance = 1 / (1 + np.exp(-slope * (ability[:, np.newaxis] - difficulty)))
    responses = irt.Responses.from_dense(draw.random(chance.shape) < chance)
    found = []
    for population in POPULATIONS:
        fitted = irt.calibrate(responses, priors=None, population=population)
        a, b = fitted.discrimination - slope, fitted.difficulty - difficulty
        held_a = np.abs(a) < _NORMAL_95 * fitted.discrimination_error
        held_b = np.abs(b) < _NORMAL_95 * fitted.difficulty_error
        found.append(np.stack((a**2, b**2, held_a, held_b)))
    return np.stack(found)


def main() -> None:
    """Print one line for each distribution and each way to take it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="simulated tests of each shape")
    seeds = parser.parse_args().seeds
    print("persons      population        RMSE a   RMSE b   95 % hold a      b")
    for shape in SHAPES:
        means = np.mean([misses(shape, seed) for seed in range(seeds)], axis=(0, 3))
        for population, (a, b, held_a, held_b) in zip(POPULATIONS, means, strict=True):
            print(
                f"{shape:11}  {population:16} {a**0.5:7.3f}  {b**0.5:7.3f}"
                f"  {100 * held_a:12.1f}  {100 * held_b:5.1f}"
            )


if __name__ == "__main__":
    main()
