"""How long it takes to place many persons on the scale of known items, by each method.

    nox -s bench -- irt_abilities
    python benchmarks/irt_abilities.py --persons 100000

Every person answers 30 items in a row of 500, so that next to no two have the same pattern of
answers. Seconds are of one call each; memory is the process's peak beyond what it held before the
call, as Linux counts it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from etl_jobs import irt

_ITEMS, _EACH = 500, 30


def simulate(persons: int, seed: int = 1) -> tuple[irt.ItemBank, irt.Responses]:
    """Items of the 2PL, and answers of standard normal persons."""
    draw = np.random.default_rng(seed)
    bank = irt.ItemBank.of(
        np.arange(_ITEMS), draw.lognormal(0, 0.3, _ITEMS), draw.normal(0, 1, _ITEMS)
    )
    ability = draw.standard_normal((persons, 1))
    item = (draw.integers(0, _ITEMS - _EACH, (persons, 1)) + np.arange(_EACH)).astype(np.int32)
    correct = np.empty(item.shape, bool)
    for begin in range(0, persons, 50_000):
        rows = slice(begin, begin + 50_000)
        log_odds = bank.discrimination[item[rows]] * ability[rows] + bank.intercept[item[rows]]
        correct[rows] = draw.random(log_odds.shape) < 1 / (1 + np.exp(-log_odds))
    responses = irt.Responses.from_long(
        np.repeat(np.arange(persons, dtype=np.int32), _EACH),
        item.ravel(),
        correct.ravel(),
        persons=np.arange(persons),
        items=np.arange(_ITEMS),
    )
    return bank, responses


def megabytes(name: str) -> float:
    """A figure of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [each for each in lines if each.startswith(name)]
    return float(line.split()[1]) / 1024


def main() -> None:
    """Print a line for each method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--persons", type=int, default=1_000_000)
    bank, responses = simulate(parser.parse_args().persons)
    print(f"{len(responses.persons):,} persons, {responses.answers:,} answers")
    for method in get_args(irt.AbilityMethod):
        # The peak begins anew at what is held now.
        Path("/proc/self/clear_refs").write_text("5")
        held = megabytes("VmRSS")
        begun = time.perf_counter()
        found = irt.estimate_abilities(bank, responses, method=method)
        taken = time.perf_counter() - begun
        print(
            f"{method}  {taken:7.2f} s  {megabytes('VmHWM') - held:6.0f} MB  "
            f"reliability {found.reliability:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
