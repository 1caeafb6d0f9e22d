"""What must change nothing: the order and the names of rows, blocks, threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_jobs import irt

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
MODELS = ["Rasch", "1PL", "2PL", "3PL", "4PL"]
NOTHING = 1e-9


def simulate(persons: int, items: int, *, answered: float = 1.0, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    slope, level = draw.lognormal(0.0, 0.3, items), draw.normal(0.0, 1.0, items)
    log_odds = draw.standard_normal((persons, 1)) * slope + level
    answers = (draw.random((persons, items)) < 1 / (1 + np.exp(-log_odds))).astype(float)
    answers[draw.random((persons, items)) >= answered] = np.nan
    return answers


def parameters(calibration: irt.Calibration) -> np.ndarray:
    return np.stack(
        (
            calibration.discrimination,
            calibration.intercept,
            calibration.lower,
            calibration.upper,
            calibration.discrimination_error,
        )
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    persons=st.integers(20, 150),
    items=st.integers(3, 12),
    answered=st.sampled_from([1.0, 0.7, 0.3]),
)
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_and_the_names_of_persons_and_items_change_nothing(
    seed: int, persons: int, items: int, answered: float
) -> None:
    answers = simulate(persons, items, answered=answered, seed=seed)
    # Everybody answers something, and not all answers are alike.
    answers[np.isnan(answers).all(axis=1), 0] = 1
    answers[0], answers[1] = np.arange(items) % 2, 1 - np.arange(items) % 2
    draw = np.random.default_rng(seed)
    person, item = np.nonzero(~np.isnan(answers))
    shuffle = draw.permutation(len(person))
    person_name = draw.permutation([f"p{place}" for place in range(persons)])
    item_name = draw.permutation([f"i{place}" for place in range(items)])

    plain = irt.calibrate(irt.Responses.from_dense(answers))
    named = irt.calibrate(
        irt.Responses.from_long(
            person_name[person[shuffle]],
            item_name[item[shuffle]],
            answers[person[shuffle], item[shuffle]],
        )
    )

    place = {label: position for position, label in enumerate(named.items.tolist())}
    order = [place[name] for name in item_name]
    assert np.abs(parameters(named)[:, order] - parameters(plain)).max() < NOTHING
    assert named.log_likelihood == pytest.approx(plain.log_likelihood, abs=NOTHING * persons)


@pytest.mark.parametrize("model", MODELS)
def test_the_names_of_items_change_nothing_in_any_model(model: Any) -> None:
    answers = simulate(400, 10, answered=0.8)
    order = np.random.default_rng(3).permutation(10)

    plain = irt.calibrate(irt.Responses.from_dense(answers), model=model)
    renamed = irt.calibrate(irt.Responses.from_dense(answers[:, order]), model=model)

    assert np.abs(parameters(renamed) - parameters(plain)[:, order]).max() < NOTHING


@pytest.mark.parametrize("answered", [1.0, 0.6, 0.1], ids=["whole test", "gaps", "sparse"])
@pytest.mark.parametrize("rows", [7, 100_000], ids=["small blocks", "one block"])
def test_the_size_of_blocks_changes_nothing(
    answered: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = irt.Responses.from_dense(simulate(600, 30, answered=answered))
    usual = irt.calibrate(responses)

    monkeypatch.setattr("etl_jobs.irt.answers.blocks._DENSE_ROWS", rows)
    monkeypatch.setattr("etl_jobs.irt.answers.blocks._SPARSE_ROWS", rows)
    monkeypatch.setattr("etl_jobs.irt.answers.spans._CACHED_NUMBERS", 200 * rows)
    other = irt.calibrate(responses)

    assert np.abs(parameters(other) - parameters(usual)).max() < NOTHING


# Dense and large enough for several threads, with gaps, and sparse.
FIT = """
import json, os, sys
cores = int(sys.argv[1])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
from etl_jobs import irt
from tests.irt.test_invariance import parameters, simulate
fits = [
    irt.calibrate(irt.Responses.from_dense(simulate(persons, items, answered=share)))
    for persons, items, share in ((9_000, 40, 1.0), (3_000, 30, 0.7), (6_000, 200, 0.05))
]
print(json.dumps([parameters(fit).tolist() for fit in fits]))
"""


def fitted(cores: int, threads: Mapping[str, str]) -> list[np.ndarray]:
    done = subprocess.run(
        [sys.executable, "-c", FIT, str(cores)],
        env={**os.environ, **threads},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [np.array(table) for table in json.loads(done.stdout)]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there are no threads to compare")
def test_the_number_of_threads_changes_nothing() -> None:
    one = fitted(1, {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    two = fitted(2, {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"})

    for alone, together in zip(one, two, strict=True):
        assert np.abs(alone - together).max() < NOTHING
        # What is published is rounded to six decimals: those bytes are the same.
        assert np.array_equal(np.round(alone, 6), np.round(together, 6))
