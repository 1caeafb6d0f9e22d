"""What a calibration is asked for, looked at before anything is computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from etl_jobs.irt.estimation.standard_errors import InformationKind
from etl_jobs.irt.memory import require_memory
from etl_jobs.irt.model.design import PopulationKind
from etl_jobs.irt.model.priors import Priors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.answers.responses import Responses

# A normal density at more deviations from its mean is 0 to every digit.
_WIDEST_SPAN = 35.0
# Of items x nodes: probabilities, logarithms, sums, and what is made of them on the way.
_TABLES = 16


def check_search(
    responses: Responses,
    *,
    priors: object,
    nodes: object,
    span: object,
    max_iterations: object,
    tolerance: object,
    standard_errors: object,
    on_failure: object,
    population: object,
) -> None:
    """Refuse a search that cannot be made as it is asked for.

    Raises:
        TypeError: An argument is of another type.
        ValueError: It is of the right type but no possible value.
        MemoryError: The machine has no room for so many nodes.
    """
    if priors is not None and not isinstance(priors, Priors):
        raise TypeError(
            f"priors is {priors!r:.60}; expected Priors(...), DEFAULT_PRIORS, or None for none"
        )
    _one_of("standard_errors", standard_errors, ("auto", *get_args(InformationKind)))
    _one_of("on_failure", on_failure, ("raise", "return"))
    _one_of("population", population, (None, *get_args(PopulationKind)))
    _positive("span", span, at_most=_WIDEST_SPAN)
    _positive("tolerance", tolerance, at_most=1.0)
    _whole("max_iterations", max_iterations, at_least=1)
    if nodes is not None:
        items = len(responses.items)
        count = _whole("nodes", nodes, at_least=3)
        require_memory(
            8.0 * _TABLES * items * count,
            f"a grid of {count:,} nodes for {items:,} items",
            "leave `nodes` out, and as many are taken as the answers call for",
        )


def _one_of(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, known))}")


def _positive(name: str, value: Any, *, at_most: float) -> None:
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r:.60}; expected a number")
    if not (math.isfinite(value) and 0 < value <= at_most):
        raise ValueError(f"{name} is {value}; expected a positive number of at most {at_most:g}")


def _whole(name: str, value: Any, *, at_least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r:.60}; expected a whole number")
    if value < at_least:
        raise ValueError(f"{name} is {value}; expected {at_least} or more")
    return int(value)
