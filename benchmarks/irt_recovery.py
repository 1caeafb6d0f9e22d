"""Whether known parameters are found again, how surely, and whether the errors are honest.

    nox -s bench -- irt_recovery
    nox -s bench -- irt_recovery --seeds 20 "2PL 500 x 20" Rasch

For each design and seed: items and persons are drawn, answers simulated, and the same answers
given to `etl_jobs.irt` without priors, to PyPI's mirt with 61 nodes, and to `etl_jobs.irt` with
its default priors. Printed are the root mean squared error and the bias of discrimination and
difficulty, how often the 95 % intervals hold the truth, with joint errors and with near ones, the
reliability of the ability estimates that the standard errors promise beside the one that the
true abilities show, and, seed by seed on the same answers, how ours differs from mirt. What
stands after +- is a standard error over seeds: items of one seed err together.
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
    """How many persons answer which share of how many items, and by which model."""

    persons: int
    items: int
    answered: float
    model: irt.Model = "2PL"


DESIGNS = {
    "2PL 500 x 20": Design(500, 20, 1.0),
    "2PL 1,000 x 30": Design(1_000, 30, 1.0),
    "2PL 2,000 x 40, half answered": Design(2_000, 40, 0.5),
    "1PL 1,000 x 20": Design(1_000, 20, 1.0, "1PL"),
    "Rasch 1,000 x 20": Design(1_000, 20, 1.0, "Rasch"),
    "3PL 5,000 x 30": Design(5_000, 30, 1.0, "3PL"),
}


class Truth(NamedTuple):
    """What the answers were made from."""

    discrimination: Floats
    difficulty: Floats
    lower: Floats
    ability: Floats
    answers: Floats


class Fit(NamedTuple):
    """What was found; errors and abilities are NaN where the way gives none.

    `near_errors` are those of discrimination, difficulty and lower asymptote, like `errors`, by
    the way that serves large banks.
    """

    discrimination: Floats
    difficulty: Floats
    lower: Floats
    errors: Floats
    near_errors: Floats
    ability: Floats
    ability_error: Floats


def simulate(design: Design, seed: int) -> Truth:
    """Log-normal discriminations and normal difficulties, as banks of items have them."""
    draw = np.random.default_rng(seed)
    discrimination = draw.lognormal(0.0, 0.3, design.items)
    difficulty = draw.normal(0.0, 1.0, design.items)
    ability = draw.standard_normal(design.persons)
    lower = np.zeros(design.items)
    if design.model in ("1PL", "Rasch"):
        discrimination = np.ones(design.items)
    if design.model == "3PL":
        lower = draw.uniform(0.1, 0.3, design.items)
    chance = irt.probability(ability, discrimination, -discrimination * difficulty, lower).T
    answers = (draw.random(chance.shape) < chance).astype(float)
    answers[draw.random(chance.shape) >= design.answered] = np.nan
    return Truth(discrimination, difficulty, lower, ability, answers)


def ours(truth: Truth, priors: irt.Priors | None, model: irt.Model = "2PL") -> Fit:
    """This package, with its standard errors and abilities."""
    responses = irt.Responses.from_dense(truth.answers)
    found, near = (
        irt.calibrate(responses, model=model, priors=priors, standard_errors=kind)
        for kind in ("joint", "near")
    )
    persons = irt.estimate_abilities(found, responses)
    return Fit(
        found.discrimination,
        found.difficulty,
        found.lower,
        _errors(found),
        _errors(near),
        persons.ability,
        persons.standard_error,
    )


def _errors(found: irt.Calibration) -> Floats:
    return np.stack((found.discrimination_error, found.difficulty_error, found.lower_error))


def mirt61(truth: Truth, model: irt.Model) -> Fit:
    """PyPI's mirt with 61 nodes: the parameters alone."""
    from mirt import fit_mirt

    matrix = np.where(np.isnan(truth.answers), -1, truth.answers).astype(int)
    fitted = fit_mirt(matrix, model=model, n_quadpts=61, compute_standard_errors=False)  # type: ignore[arg-type]
    found = fitted.model.parameters
    none = np.full((3, len(truth.difficulty)), np.nan)
    nobody = np.full(len(truth.ability), np.nan)
    return Fit(
        np.asarray(found["discrimination"], float).ravel(),
        np.asarray(found["difficulty"], float).ravel(),
        np.asarray(found.get("guessing", truth.lower), float).ravel(),
        *(none, none, nobody, nobody),
    )


def figures(fit: Fit, truth: Truth) -> dict[str, float]:
    """One seed's errors, coverage and reliabilities; NaN for what the way or the model lacks."""
    found = np.stack((fit.discrimination, fit.difficulty, fit.lower))
    off = found - np.stack((truth.discrimination, truth.difficulty, truth.lower))
    promised = fit.ability.var() / (fit.ability.var() + np.mean(fit.ability_error**2))
    result = {
        "MSE a": float(np.mean(off[0] ** 2)),
        "MSE b": float(np.mean(off[1] ** 2)),
        "bias a": float(np.mean(off[0])),
        # Towards the middle or away from it: the signed error would cancel.
        "bias b": float(np.mean(off[1] * np.sign(truth.difficulty))),
        "promised": float(promised),
        "shown": float(np.corrcoef(fit.ability, truth.ability)[0, 1] ** 2),
    }
    for kind, errors in (("joint", fit.errors), ("near", fit.near_errors)):
        for name, error, each in zip("abc", errors, off, strict=True):
            told = error > 0
            inside = np.abs(each[told]) <= _NORMAL_95 * error[told]
            result[f"{kind} {name}"] = float(np.mean(inside)) if told.any() else np.nan
    return result


def study(name: str, design: Design, seeds: int) -> None:
    """Run one design and print a line for each way."""
    begin = time.perf_counter()
    # mirt's 1PL takes the discrimination for known.
    peer = importlib.util.find_spec("mirt") is not None and design.model in ("2PL", "3PL")
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "mirt 61": [], "ours, priors": []}
    if not peer:
        del runs["mirt 61"]
    for seed in range(seeds):
        truth = simulate(design, seed)
        runs["ours"].append(figures(ours(truth, None, design.model), truth))
        runs["ours, priors"].append(figures(ours(truth, irt.DEFAULT_PRIORS, design.model), truth))
        if peer:
            runs["mirt 61"].append(figures(mirt61(truth, design.model), truth))
    print(f"{name}: {seeds} seeds in {time.perf_counter() - begin:.0f} s")
    columns = {
        way: {key: np.array([run[key] for run in each]) for key in each[0]}
        for way, each in runs.items()
    }
    for way, column in columns.items():
        print(
            f"  {way:<13}"
            f" RMSE a {np.sqrt(column['MSE a'].mean()):.4f} b {np.sqrt(column['MSE b'].mean()):.4f}"
            f"  bias a {column['bias a'].mean():+.4f} b {column['bias b'].mean():+.4f}"
        )
        if not way.startswith("ours"):
            continue
        for kind in ("joint", "near"):
            told = [each for each in "abc" if not np.isnan(column[f"{kind} {each}"]).all()]
            held = (f"{each} {_mean(100 * column[f'{kind} {each}'], '.1f')}" for each in told)
            print(f"  {'':<13} 95 % intervals ({kind}) hold {'  '.join(held)}")
        print(
            f"  {'':<13} reliability promised {column['promised'].mean():.4f}"
            f" shown {column['shown'].mean():.4f}"
        )
    if peer:
        for key in ("MSE a", "MSE b", "bias a", "bias b"):
            print(
                f"  {key}: ours less mirt's "
                f"{_mean(columns['ours'][key] - columns['mirt 61'][key], '+.2e')}"
            )


def _mean(values: Floats, form: str) -> str:
    values = values[~np.isnan(values)]
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():{form}} +- {error:{form.lstrip('+')}}"


def main() -> None:
    """Run the designs whose names begin with one that is given, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("designs", nargs="*", help="the beginnings of their names")
    parser.add_argument("--seeds", type=int, default=200)
    options = parser.parse_args()
    for name, design in DESIGNS.items():
        if not options.designs or name.startswith(tuple(options.designs)):
            study(name, design, options.seeds)


if __name__ == "__main__":
    main()
