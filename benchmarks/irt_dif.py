"""How often items without a difference between groups are flagged, and items with one found.

    python benchmarks/irt_dif.py
    python benchmarks/irt_dif.py --seeds 3

For each design and seed answers of two groups are simulated, the second less able by so many
deviations. One item in ten is harder for it by 0.8 of the log-odds, which is -1.9 on ETS's scale.
Compared as `etl-jobs run calibrate --set groups=dif` compares them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from etl_jobs import irt
from etl_jobs.calibrate.groups import StudentGroups, compare_groups

_HARDER = 0.8
_ONE_IN = 10


class Design(NamedTuple):
    """How many persons answer how many of the items, and how far the groups are apart."""

    persons: int
    items: int
    answered: int
    apart: float


DESIGNS = (
    Design(4_000, 30, 30, 0.0),
    Design(4_000, 30, 30, 0.7),
    Design(4_000, 200, 40, 0.0),
    Design(4_000, 200, 40, 0.7),
    Design(4_000, 60, 10, 0.7),
)


def classes(design: Design, seed: int) -> np.ndarray:
    """The ETS class of each item; the first ones are harder for the second group."""
    draw = np.random.default_rng(seed)
    persons, items = design.persons, design.items
    group = np.arange(persons) % 2
    ability = draw.standard_normal(persons) - design.apart * group
    slope, difficulty = draw.lognormal(0, 0.3, items), draw.normal(0, 1, items)
    harder = np.where(np.arange(items) < items // _ONE_IN, _HARDER, 0.0)
    asked = np.argsort(draw.random((persons, items)), axis=1)[:, : design.answered]
    person = np.repeat(np.arange(persons), design.answered)
    item = asked.ravel()
    log_odds = slope[item] * (ability[person] - difficulty[item]) - harder[item] * group[person]
    right = draw.random(len(item)) < 1 / (1 + np.exp(-log_odds))
    responses = irt.Responses.from_long(
        person, item, right, persons=np.arange(persons), items=np.arange(items)
    )
    fitted = irt.calibrate(responses, standard_errors="none")
    return compare_groups(fitted, responses, StudentGroups(("a", "b"), group)).ets_class


def main() -> None:
    """Print one line for each design."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="simulated logs of each design")
    seeds = parser.parse_args().seeds
    print("persons  items  answered  apart   equal: B    C     harder: B    C")
    for design in DESIGNS:
        found = np.array([classes(design, seed) for seed in range(seeds)])
        harder = design.items // _ONE_IN
        shares = [
            100 * float(np.mean(part == which))
            for part in (found[:, harder:], found[:, :harder])
            for which in ("B", "C")
        ]
        print(
            f"{design.persons:7,}  {design.items:5}  {design.answered:8}  {design.apart:5.1f}   "
            f"{shares[0]:8.1f}% {shares[1]:4.1f}%  {shares[2]:8.1f}% {shares[3]:4.1f}%",
            flush=True,
        )


if __name__ == "__main__":
    main()
