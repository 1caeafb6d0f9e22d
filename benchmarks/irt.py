"""How fast items are calibrated, how near to the optimum and in how much memory, beside peers.

    nox -s bench-irt                      every row: about 20 minutes
    nox -s bench-irt -- --quick           three rounds, without what takes a peer minutes
    nox -s bench-irt -- 1kx20 3PL         these rows

The peers are PyPI's mirt, as it comes and with 61 nodes, and girth. Every fit has the same
simulated answers, no priors and no standard errors, and is a process of its own that is
measured from inside (benchmarks/irt_fit.py). The ways take turns, round after round, so that a
busy machine treats all alike; medians are printed, and ratios are what to quote. What a package
compiles at its first fit stands apart. "Short" is by how much the log-likelihood at
the parameters, on one grid of 201 nodes for all, falls short of the best way's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.irt_fit import Answers, Items

if TYPE_CHECKING:
    from collections.abc import Mapping


class Row(NamedTuple):
    """What to simulate, what to fit, and each way's rounds; `slow` ways take minutes."""

    persons: int
    items: int
    answers_each: int
    model: str
    rounds: dict[str, int]
    slow: frozenset[str] = frozenset()


ROWS = {
    "1kx20": Row(1_000, 20, 20, "2PL", {"ours": 7, "ours with errors": 7, "mirt": 7, "mirt 61": 7}),
    "10kx50": Row(
        *(10_000, 50, 50, "2PL"),
        {"ours": 7, "ours with errors": 7, "mirt": 7, "mirt 61": 7, "girth": 3},
        frozenset({"girth"}),
    ),
    "100kx100": Row(
        *(100_000, 100, 100, "2PL"),
        {"ours": 5, "ours with errors": 5, "mirt": 5, "mirt 61": 1},
        frozenset({"mirt 61"}),
    ),
    "1PL": Row(10_000, 50, 50, "1PL", {"ours": 5, "girth": 5}),
    "3PL": Row(10_000, 50, 50, "3PL", {"ours": 5, "mirt": 5, "mirt 61": 5}),
    "5M": Row(
        100_000,
        2_000,
        50,
        "2PL",
        {"ours": 5, "ours with errors": 3, "mirt": 1},
        frozenset({"mirt"}),
    ),
    "20M": Row(400_000, 2_000, 50, "2PL", {"ours": 3}),
}


_QUICK_ROUNDS = 3


def simulate(row: Row, seed: int = 1) -> Answers:
    """Answers of standard normal persons, each to a random choice of items."""
    draw = np.random.default_rng(seed)
    slope = np.ones(row.items) if row.model == "1PL" else draw.lognormal(0.0, 0.3, row.items)
    intercept = draw.normal(0.0, 1.0, row.items)
    lower = draw.uniform(0.1, 0.3, row.items) if row.model == "3PL" else np.zeros(row.items)
    size = (row.persons, row.answers_each)
    item = np.empty(size, np.int32)
    for person in range(row.persons):
        item[person] = draw.choice(row.items, row.answers_each, replace=False, shuffle=False)
    item.sort(axis=1)
    correct = np.empty(size, np.uint8)
    for begin in range(0, row.persons, 50_000):
        part = item[begin : begin + 50_000]
        ability = draw.standard_normal((len(part), 1))
        chance = lower[part] + (1 - lower[part]) / (
            1 + np.exp(-slope[part] * ability - intercept[part])
        )
        correct[begin : begin + len(part)] = draw.random(part.shape) < chance
    person = np.repeat(np.arange(row.persons, dtype=np.int32), row.answers_each)
    return Answers(person, item.ravel(), correct.ravel(), row.persons, row.items)


def log_likelihood(answers: Answers, items: Items, nodes: int = 201) -> float:
    """The marginal log-likelihood, on a grid that is no package's own."""
    from scipy import sparse, special

    ability = np.linspace(-6.0, 6.0, nodes)
    weight = np.exp(-(ability**2) / 2)
    log_odds = np.multiply.outer(items.discrimination, ability) + items.intercept[:, np.newaxis]
    lower = items.lower[:, np.newaxis]
    with np.errstate(divide="ignore"):
        right = np.logaddexp(np.log(lower), np.log1p(-lower) + special.log_expit(log_odds))
    wrong = np.log1p(-lower) + special.log_expit(-log_odds)
    outcome = np.stack((wrong, right), axis=1).reshape(-1, nodes)
    start = np.searchsorted(answers.person, np.arange(answers.persons + 1))
    total = 0.0
    for begin in range(0, answers.persons, 4096):
        bounds = start[begin : begin + 4097]
        rows = slice(int(bounds[0]), int(bounds[-1]))
        column = 2 * answers.item[rows].astype(np.int64) + answers.correct[rows]
        given = sparse.csr_array(
            (np.ones(len(column)), column, bounds - bounds[0]),
            shape=(len(bounds) - 1, len(outcome)),
        )
        each = given @ outcome + np.log(weight / weight.sum())
        total += float(special.logsumexp(each, axis=1).sum())
    return total


def measure(way: str, row: Row, folder: Path) -> dict[str, float]:
    """One process that fits; its parameters stay in the folder."""
    script = Path(__file__).with_name("irt_fit.py")
    target = folder / f"{way}.npz"
    done = subprocess.run(
        [sys.executable, str(script), way, row.model, str(folder / "answers.npz"), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(name: str, row: Row, ways: Mapping[str, int]) -> dict[str, Any]:
    """Measure every way in turn and print a line for each."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        answers = simulate(row)
        implied = {"person": answers.person[:0], "item": answers.item[:0]}
        kept = answers._replace(**implied) if answers.complete else answers
        np.savez(folder / "answers.npz", **kept._asdict())
        for turn in range(max(ways.values())):
            for way, rounds in ways.items():
                if turn < rounds:
                    runs[way].append(measure(way, row, folder))
        heights: dict[str, float] = {}
        for way in ways:
            with np.load(folder / f"{way}.npz") as file:
                heights[way] = log_likelihood(answers, Items(**file))
    median = {
        way: {key: statistics.median(run[key] for run in taken) for key in taken[0]}
        for way, taken in runs.items()
    }
    for way, figures in median.items():
        print(
            f"{name:>9}  {way:<17}{figures['seconds']:10.4f} s "
            f"{figures['seconds'] / median['ours']['seconds']:8.1f} x"
            f"{max(heights.values()) - heights[way]:10.3f} short"
            f"{figures['peak_mb']:8.0f} MB"
            f"{figures['beyond_mb'] * 2**20 / len(answers.item):8.0f} B/answer"
            f"{figures['prepare']:8.2f} s to lay out"
            f"{figures['first']:7.2f} s first"
            f"{len(runs[way]):4} runs",
            flush=True,
        )
    return median


def main() -> None:
    """Compare the named rows, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="all without it")
    parser.add_argument(
        "--quick", action="store_true", help="three rounds, without what takes minutes"
    )
    parser.add_argument("--only", action="append", choices=["ours"], help="without the peers")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of processes in turn")
    for name in options.rows or ROWS:
        row = ROWS[name]
        most = _QUICK_ROUNDS if options.quick else max(row.rounds.values())
        ways = {way: min(rounds, most) for way, rounds in row.rounds.items()}
        for way in row.rounds:
            peer = way.split()[0]
            if peer != "ours" and (options.only or (options.quick and way in row.slow)):
                del ways[way]
            elif peer != "ours" and importlib.util.find_spec(peer) is None:
                del ways[way]
                print(f"{name:>9}  {peer} is not installed: nox -s bench-irt installs it")
        compare(name, row, ways)


if __name__ == "__main__":
    main()
