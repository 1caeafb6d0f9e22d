"""Whether known parameters are found again, how surely, and whether the errors are honest.

    nox -s bench -- irt_recovery
    nox -s bench -- irt_recovery --seeds 20

For each design and seed: items and persons are drawn, answers simulated, and the same answers
given to `etl_jobs.irt` without priors, to PyPI's mirt with 61 nodes, and to `etl_jobs.irt` with
its default priors. Printed are the root mean squared error and the bias of discrimination and
difficulty, how often the 95 % intervals hold the truth, the reliability of the ability
estimates that the standard errors promise beside the one that the true abilities show, and for
each comparison with mirt its standard error over seeds.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from etl_jobs import irt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NORMAL_95 = 1.959963984540054


class Design(NamedTuple):
    """How many persons answer which share of how many items."""

    persons: int
    items: int
    answered: float


DESIGNS = {
    "500 x 20": Design(500, 20, 1.0),
    "1,000 x 30": Design(1_000, 30, 1.0),
    "2,000 x 40, half answered": Design(2_000, 40, 0.5),
}


class Truth(NamedTuple):
    """What the answers were made from."""

    discrimination: Floats
    difficulty: Floats
    ability: Floats
    answers: Floats


class Fit(NamedTuple):
    """What was found; errors and abilities are NaN where the way gives none."""

    discrimination: Floats
    difficulty: Floats
    discrimination_error: Floats
    difficulty_error: Floats
    ability: Floats
    ability_error: Floats


def simulate(design: Design, seed: int) -> Truth:
    """Log-normal discriminations and normal difficulties, as banks of items have them."""
    draw = np.random.default_rng(seed)
    discrimination = draw.lognormal(0.0, 0.3, design.items)
    difficulty = draw.normal(0.0, 1.0, design.items)
    ability = draw.standard_normal(design.persons)
    chance = irt.probability(ability, discrimination, -discrimination * difficulty).T
    answers = (draw.random(chance.shape) < chance).astype(float)
    answers[draw.random(chance.shape) >= design.answered] = np.nan
    return Truth(discrimination, difficulty, ability, answers)


def ours(truth: Truth, priors: irt.Priors | None) -> Fit:
    """This package, with its standard errors and abilities."""
    responses = irt.Responses.from_dense(truth.answers)
    found = irt.calibrate(responses, priors=priors, standard_errors="joint")
    persons = irt.estimate_abilities(found, responses)
    return Fit(
        found.discrimination,
        found.difficulty,
        found.discrimination_error,
        found.difficulty_error,
        persons.ability,
        persons.standard_error,
    )


def mirt61(truth: Truth) -> Fit:
    """PyPI's mirt with 61 nodes: the parameters alone."""
    from mirt import fit_mirt

    matrix = np.where(np.isnan(truth.answers), -1, truth.answers).astype(int)
    fitted = fit_mirt(matrix, model="2PL", n_quadpts=61, compute_standard_errors=False)
    found = fitted.model.parameters
    none = np.full(len(truth.difficulty), np.nan)
    nobody = np.full(len(truth.ability), np.nan)
    return Fit(
        np.asarray(found["discrimination"], float).ravel(),
        np.asarray(found["difficulty"], float).ravel(),
        *(none, none, nobody, nobody),
    )


def coverage(found: Floats, error: Floats, true: Floats) -> float:
    """The share of 95 % intervals that hold the truth; NaN without standard errors."""
    if np.isnan(error).all():
        return np.nan
    return float(np.mean(np.abs(found - true) <= _NORMAL_95 * error))


def figures(fit: Fit, truth: Truth) -> dict[str, float]:
    """One seed's errors, coverage and reliabilities."""
    promised = fit.ability.var() / (fit.ability.var() + np.mean(fit.ability_error**2))
    return {
        "MSE a": float(np.mean((fit.discrimination - truth.discrimination) ** 2)),
        "MSE b": float(np.mean((fit.difficulty - truth.difficulty) ** 2)),
        "bias a": float(np.mean(fit.discrimination - truth.discrimination)),
        # Towards the middle or away from it: the signed error would cancel.
        "bias b": float(np.mean((fit.difficulty - truth.difficulty) * np.sign(truth.difficulty))),
        "cover a": coverage(fit.discrimination, fit.discrimination_error, truth.discrimination),
        "cover b": coverage(fit.difficulty, fit.difficulty_error, truth.difficulty),
        "promised": float(promised),
        "shown": float(np.corrcoef(fit.ability, truth.ability)[0, 1] ** 2),
    }


def study(name: str, design: Design, seeds: int) -> None:
    """Run one design and print a line for each way."""
    begin = time.perf_counter()
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "mirt 61": [], "ours, priors": []}
    if importlib.util.find_spec("mirt") is None:
        del runs["mirt 61"]
        print("mirt is not installed: nox -s bench installs it")
    for seed in range(seeds):
        truth = simulate(design, seed)
        runs["ours"].append(figures(ours(truth, None), truth))
        runs["ours, priors"].append(figures(ours(truth, irt.DEFAULT_PRIORS), truth))
        if "mirt 61" in runs:
            runs["mirt 61"].append(figures(mirt61(truth), truth))
    print(f"{name}: {seeds} seeds in {time.perf_counter() - begin:.0f} s")
    columns = {
        way: {key: np.array([run[key] for run in each]) for key in each[0]}
        for way, each in runs.items()
    }
    for way, column in columns.items():
        print(
            f"  {way:<13}"
            f" RMSE a {np.sqrt(column['MSE a'].mean()):.4f} b {np.sqrt(column['MSE b'].mean()):.4f}"
            f"  bias a {column['bias a'].mean():+.4f} b {column['bias b'].mean():+.4f}",
            end="" if way.startswith("ours") else "\n",
        )
        if way.startswith("ours"):
            print(
                f"  95 % holds a {100 * column['cover a'].mean():.1f}"
                f" b {100 * column['cover b'].mean():.1f}"
                f"  reliability promised {column['promised'].mean():.4f}"
                f" shown {column['shown'].mean():.4f}"
            )
    if "mirt 61" in columns:
        for key in ("MSE a", "MSE b"):
            more = columns["ours"][key] - columns["mirt 61"][key]
            print(
                f"  {key}: ours less mirt's {more.mean():+.2e}"
                f" (standard error {more.std(ddof=1) / np.sqrt(seeds):.1e})"
            )


def main() -> None:
    """Run every design."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=200)
    options = parser.parse_args()
    for name, design in DESIGNS.items():
        study(name, design, options.seeds)


if __name__ == "__main__":
    main()
