"""One way of fitting one set of answers, in a process of its own.

    python benchmarks/irt_fit.py WAY MODEL ANSWERS.npz PARAMETERS.npz

Writes the parameters, and prints one line of JSON: the seconds of a fit (the median of as many
as fit into half a second, at least one), the seconds it took to bring the answers into the form
that the package wants, the seconds that the first, tiny fit took longer than a second one
(imports are done by then; what is compiled is not), and the peak resident memory in MB, in all
and beyond that of the process with the package and the tiny fit.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Fits quicker than this are made again, and the median is taken.
_ENOUGH_SECONDS = 0.5


class Answers(NamedTuple):
    """Answers one a row: person and item as indices, and how many there are of each.

    Where everybody answered everything, person and item are implied, and may be empty.
    """

    person: NDArray[np.int32]
    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    persons: int
    items: int

    @property
    def complete(self) -> bool:
        """Whether everybody answered everything."""
        return len(self.correct) == self.persons * self.items

    def matrix(self) -> NDArray[np.int64]:
        """A matrix (persons, items) of 1 and 0, and -1 where there is no answer."""
        if self.complete:
            return self.correct.reshape(self.persons, self.items).astype(np.int64)
        values = np.full((self.persons, self.items), -1, np.int64)
        values[self.person, self.item] = self.correct
        return values


class Items(NamedTuple):
    """Slopes and intercepts of the log-odds, and lower asymptotes."""

    discrimination: Floats
    intercept: Floats
    lower: Floats


class Way(NamedTuple):
    """A package, how it wants its answers, and how it fits them."""

    package: str
    prepare: Callable[[Answers], Any]
    fit: Callable[[Any, str], Items]


def load(path: str) -> Answers:
    """The answers of a file, persons in order."""
    with np.load(path) as file:
        return Answers(
            file["person"],
            file["item"],
            file["correct"],
            int(file["persons"]),
            int(file["items"]),
        )


def _ours_prepared(answers: Answers) -> Any:
    from etl_jobs import irt

    if answers.complete:
        # Complete answers are a matrix, as the peers have them.
        return irt.Responses.from_dense(answers.correct.reshape(answers.persons, answers.items))
    return irt.Responses.from_long(
        answers.person,
        answers.item,
        answers.correct,
        persons=np.arange(answers.persons),
        items=np.arange(answers.items),
    )


def _ours(responses: Any, model: str, standard_errors: str = "none") -> Items:
    from etl_jobs import irt

    # Left at its default, 2PL also runs on a version that knows no other model.
    kind: Any = {} if model == "2PL" else {"model": model}
    fitted = irt.calibrate(
        responses,
        priors=None,
        standard_errors=standard_errors,  # type: ignore[arg-type]
        **kind,
    )
    lower = getattr(fitted, "lower", np.zeros(len(fitted.items)))
    return Items(fitted.discrimination, fitted.intercept, lower)


def _ours_with_errors(responses: Any, model: str) -> Items:
    return _ours(responses, model, "auto")


def _mirt(matrix: Any, model: str, nodes: int = 21) -> Items:
    from mirt import fit_mirt

    fitted = fit_mirt(matrix, model=model, compute_standard_errors=False, n_quadpts=nodes)  # type: ignore[arg-type]
    found = fitted.model.parameters
    slope = np.asarray(found["discrimination"], float).ravel()
    difficulty = np.asarray(found["difficulty"], float).ravel()
    lower = np.asarray(found.get("guessing", np.zeros(len(slope))), float).ravel()
    return Items(slope, -slope * difficulty, lower)


def _mirt61(matrix: Any, model: str) -> Items:
    return _mirt(matrix, model, 61)


def _girth(matrix: Any, model: str) -> Items:
    import girth

    fit = {"1PL": girth.onepl_mml, "2PL": girth.twopl_mml}[model]
    fitted = fit(matrix.T)
    difficulty = np.asarray(fitted["Difficulty"], float)
    slope = np.broadcast_to(np.asarray(fitted["Discrimination"], float), difficulty.shape)
    return Items(slope, -slope * difficulty, np.zeros(len(difficulty)))


WAYS = {
    "ours": Way("etl_jobs.irt", _ours_prepared, _ours),
    "ours with errors": Way("etl_jobs.irt", _ours_prepared, _ours_with_errors),
    "mirt": Way("mirt", Answers.matrix, _mirt),
    "mirt 61": Way("mirt", Answers.matrix, _mirt61),
    "girth": Way("girth", Answers.matrix, _girth),
}


def _tiny() -> Answers:
    draw = np.random.default_rng(3)
    person, item = np.divmod(np.arange(300 * 6, dtype=np.int32), 6)
    chance = 1 / (1 + np.exp(-draw.standard_normal((300, 1)) - np.linspace(-1, 1, 6)))
    correct = (draw.random((300, 6)) < chance).astype(np.uint8).ravel()
    return Answers(person, item, correct, 300, 6)


def _seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def _peak_mb() -> float:
    # A process's own: getrusage begins with that of the process that started it.
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [each for each in status.read_text().splitlines() if each.startswith("VmHWM")]
        return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(name: str, model: str, source: str, target: str) -> None:
    """Measure one way and say what came out."""
    way = WAYS[name]
    importlib.import_module(way.package)
    tiny = way.prepare(_tiny())
    first, _ = _seconds(lambda: way.fit(tiny, model))
    second, _ = _seconds(lambda: way.fit(tiny, model))
    bare = _peak_mb()
    answers: Answers | None = load(source)
    prepared, responses = _seconds(lambda: way.prepare(answers))  # type: ignore[arg-type]
    # What was read is not kept beside what was made of it.
    answers = None
    taken: list[float] = []
    while sum(taken) < _ENOUGH_SECONDS:
        seconds, items = _seconds(lambda: way.fit(responses, model))
        taken.append(seconds)
    np.savez(target, **items._asdict())
    figures = {
        "seconds": statistics.median(taken),
        "prepare": prepared,
        "first": first - second,
        "peak_mb": _peak_mb(),
        "beyond_mb": _peak_mb() - bare,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
