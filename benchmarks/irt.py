"""How fast a 2PL fit is, and how near it comes to the optimum, beside PyPI's mirt and girth.

    python benchmarks/irt.py                 every size
    python benchmarks/irt.py 1kx20 10kx50    these only

The peers are for developers: `pip install mirt girth`. One that is absent is said to be. All
fit the same simulated answers without priors, in turn, again and again, so that a busy machine
treats all alike; medians are printed, of our fit with and without its standard errors, and of
the peers' without.
"Below best" is by how much the log-likelihood at the parameters, on one fine grid, falls short
of the best of the fits.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from etl_jobs import irt

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Answers = NDArray[np.int8]
    Parameters = tuple[NDArray[np.float64], NDArray[np.float64]]


class Size(NamedTuple):
    """What to simulate, and the peers that finish it within minutes."""

    persons: int
    items: int
    answers_each: int
    rounds: int
    peers: tuple[str, ...]


SIZES = {
    "1kx20": Size(1_000, 20, 20, 7, ("mirt", "girth")),
    "10kx50": Size(10_000, 50, 50, 5, ("mirt", "girth")),
    "100kx100": Size(100_000, 100, 100, 3, ("mirt",)),
    "100kx2000": Size(100_000, 2_000, 50, 3, ()),
}


def simulate(size: Size) -> Answers:
    """Answers (persons, items) of 1, 0 and -1, where an item was not given."""
    draw = np.random.default_rng(1)
    discrimination = draw.lognormal(0.0, 0.3, size.items)
    intercept = draw.normal(0.0, 1.0, size.items)
    answers = np.full((size.persons, size.items), -1, np.int8)
    for person, ability in enumerate(draw.standard_normal(size.persons)):
        item = draw.permutation(size.items)[: size.answers_each]
        chance = irt.probability([ability], discrimination[item], intercept[item])[:, 0]
        answers[person, item] = draw.random(len(item)) < chance
    return answers


def responses_of(answers: Answers) -> irt.Responses:
    """The same answers as every fit of ours begins with."""
    person, item = np.nonzero(answers >= 0)
    rows, columns = answers.shape
    return irt.Responses.from_long(
        person, item, answers[person, item], persons=np.arange(rows), items=np.arange(columns)
    )


def fit_mirt(answers: Answers) -> Parameters:
    """Fit as PyPI's mirt comes, without standard errors."""
    from mirt import fit_mirt

    fitted = fit_mirt(answers.astype(int), model="2PL", compute_standard_errors=False)
    discrimination = np.asarray(fitted.model.parameters["discrimination"], float).ravel()
    difficulty = np.asarray(fitted.model.parameters["difficulty"], float).ravel()
    return discrimination, -discrimination * difficulty


def fit_girth(answers: Answers) -> Parameters:
    """Fit by marginal maximum likelihood, as girth comes."""
    from girth import twopl_mml

    fitted = twopl_mml(answers.astype(int).T)
    discrimination = np.asarray(fitted["Discrimination"])
    return discrimination, -discrimination * np.asarray(fitted["Difficulty"])


OURS = "etl_jobs.irt"
PEERS = {"mirt": fit_mirt, "girth": fit_girth}


def compare(name: str, size: Size) -> None:
    """Time every fit of one size and print a line for each."""
    answers = simulate(size)
    responses = responses_of(answers)
    reference = irt.calibrate(responses, priors=None)

    def ours(standard_errors: Literal["auto", "none"]) -> Parameters:
        fitted = irt.calibrate(responses, priors=None, standard_errors=standard_errors)
        return fitted.discrimination, fitted.intercept

    fits: dict[str, Callable[[Answers], Parameters]] = {
        OURS: lambda _: ours("none"),
        "with errors": lambda _: ours("auto"),
    }
    for peer in size.peers:
        if importlib.util.find_spec(peer) is None:
            print(f"{name:>10}  {peer:<13} is not installed")
        else:
            fits[peer] = PEERS[peer]
    seconds: dict[str, list[float]] = {fit: [] for fit in fits}
    heights: dict[str, float] = {}
    for _ in range(size.rounds):
        for fit, function in fits.items():
            begin = time.perf_counter()
            discrimination, intercept = function(answers)
            seconds[fit].append(time.perf_counter() - begin)
            heights[fit] = irt.log_likelihood(
                replace(reference, discrimination=discrimination, intercept=intercept), responses
            )
    unit = statistics.median(seconds[OURS])
    for fit, taken in seconds.items():
        median = statistics.median(taken)
        print(
            f"{name:>10}  {fit:<13} {median:9.3f} s  {median / unit:7.1f} x"
            f"  {max(heights.values()) - heights[fit]:9.3f} below best"
        )


def main(names: list[str]) -> None:
    """Compare the named sizes, or all."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians")
    for name in names or SIZES:
        compare(name, SIZES[name])


if __name__ == "__main__":
    main(sys.argv[1:])
