"""Look at many more histories of one publication than the tests do, and count what was in them.

    nox -s proof -- histories --examples 6000

`test_publication_machine.py` says what happens in a history, and what has to be true of it.
"""

from __future__ import annotations

import argparse
from collections import Counter

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.stage import died
from tests.proof.test_publication_machine import LOOKED, Publications

COUNTED: Counter[str] = Counter()


class Counting(Publications):
    """Counts what there was, at the end of each history."""

    def teardown(self) -> None:
        COUNTED["histories"] += 1
        COUNTED["processes"] += len(self.stage.actors)
        COUNTED["processes killed"] += sum(map(died, self.stage.actors))
        COUNTED["objects written or deleted"] += len(self.bucket.history)
        for actor, kind in self.kinds.items():
            if actor.is_alive or actor.error is not None:
                continue
            COUNTED[f"{kind}: came to its end"] += 1
            if kind == "collector":
                COUNTED["runs collected"] += len(actor.result.removed)
        super().teardown()


def main() -> None:
    """Look, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=2_000)
    options = parser.parse_args()
    run_state_machine_as_test(
        Counting, settings=settings(LOOKED, max_examples=options.examples, database=None)
    )
    for what, count in sorted(COUNTED.items()):
        print(f"{count:10,}  {what}")


if __name__ == "__main__":
    main()
