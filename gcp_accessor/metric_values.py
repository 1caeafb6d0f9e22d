"""What Monitoring takes as names, labels and values of a metric, checked before it is sent."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

from gcp_accessor.backends import Distribution, MetricKind
from gcp_accessor.python_values import plain

# Every distribution has these buckets, so that all of one metric can be added up: each is
# about 1.41 times as wide as the one before, from a millionth to 10^18.
BUCKET_SCALE = 2.0**-20
BUCKET_GROWTH = 2.0**0.5
FINITE_BUCKETS = 160

_PART = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LABEL = re.compile(r"[a-z][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_METRIC_LETTERS = 200
_LABEL_KEY_LETTERS = 100
_LABEL_LETTERS = 1024
_MOST_LABELS = 30
# The columns beside the labels in what is read.
_TAKEN = ("at", "value", "task")


def metric_type(prefix: str, metric: str) -> str:
    """Return the metric's whole type, `custom.googleapis.com/<prefix>/<metric>`.

    Raises:
        ValueError: the name is not letters, digits and underscores, in parts between slashes.
    """
    path = f"{prefix}/{metric}"
    whole = f"custom.googleapis.com/{path}"
    if len(whole) > _METRIC_LETTERS or not all(map(_PART.fullmatch, path.split("/"))):
        raise ValueError(
            f"the metric {path!r} cannot be written; expected parts of letters, digits and "
            f"underscores between slashes, each beginning with a letter, as in 'load/rows', and "
            f"at most {_METRIC_LETTERS} letters with 'custom.googleapis.com/'"
        )
    return whole


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels as Monitoring takes them.

    Raises:
        TypeError: a label's value is not text.
        ValueError: a key or a value is not of Monitoring's form, or there are too many.
    """
    if len(labels) > _MOST_LABELS:
        raise ValueError(f"there are {len(labels)} labels; a metric has at most {_MOST_LABELS}")
    for key, value in labels.items():
        if not _LABEL.fullmatch(key) or len(key) > _LABEL_KEY_LETTERS:
            raise ValueError(
                f"the label {key!r} cannot be written; expected a small letter, then letters, "
                f"digits and underscores, at most {_LABEL_KEY_LETTERS}"
            )
        if key in _TAKEN:
            raise ValueError(f"the label {key!r} would be a second column {key!r} when read")
        if not isinstance(value, str):
            raise TypeError(f"the label {key!r} is {value!r}; expected text")
        if not value or len(value) > _LABEL_LETTERS or _CONTROL.search(value):
            raise ValueError(
                f"the label {key!r} is {value[:50]!r}; expected 1 to {_LABEL_LETTERS} letters "
                "without control characters (leave an empty label out)"
            )
    return dict(labels)


def check_value(metric: str, value: object, kind: MetricKind) -> bool | int | float | Distribution:
    """Return the value as a point of this kind holds it.

    Raises:
        TypeError: Monitoring has no place for such a value.
        ValueError: it is not finite, beyond 64 bits, or a counter below zero.
    """
    if kind == "distribution":
        values = plain(value)
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise TypeError(f"{metric!r} is {value!r}; a distribution is made of many numbers")
        return distribution_of(metric, [_number(metric, each) for each in values])
    if kind not in ("gauge", "counter"):
        raise ValueError(f"kind is {kind!r}; expected 'gauge', 'counter' or 'distribution'")
    value = plain(value)
    if kind == "gauge" and isinstance(value, bool):
        return value
    number = _number(metric, value)
    if kind == "counter" and number < 0:
        raise ValueError(f"{metric!r} is {number}; a counter is never below zero")
    return number


def distribution_of(metric: str, values: list[int | float]) -> Distribution:
    """Return the values' count, mean, squared deviations and histogram.

    Raises:
        ValueError: the values are so large that their sum or their deviations are not finite.
    """
    bounds = exponential_bounds(FINITE_BUCKETS, BUCKET_GROWTH, BUCKET_SCALE)
    if not values:
        return Distribution(0, 0.0, 0.0, bounds, ())
    try:
        # fsum rounds once; the second pass does not cancel, as a sum of squares would.
        mean = math.fsum(values) / len(values)
        deviation = math.fsum((each - mean) ** 2 for each in values)
    except OverflowError:
        raise ValueError(
            f"the values of {metric!r} are too large: their sum or their squared deviations are "
            "beyond a float"
        ) from None
    counts = [0] * (len(bounds) + 1)
    for each in values:
        counts[bisect_right(bounds, each)] += 1
    return Distribution(len(values), mean, deviation, bounds, without_trailing_zeros(counts))


def exponential_bounds(finite: int, growth: float, scale: float) -> tuple[float, ...]:
    """Return where exponential buckets meet."""
    return tuple(scale * growth**each for each in range(finite + 1))


def without_trailing_zeros(counts: Iterable[int]) -> tuple[int, ...]:
    """Return the buckets' counts up to the last one that is not empty."""
    held = list(counts)
    while held and not held[-1]:
        held.pop()
    return tuple(held)


def _number(metric: str, value: object) -> int | float:
    value = plain(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        whole = int(value)
        if not -(2**63) <= whole < 2**63:
            raise ValueError(f"{metric!r} is {whole}, which 64 bits do not hold; write a float")
        return whole
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{metric!r} is {number}; expected a finite number")
        return number
    raise TypeError(
        f"{metric!r} is {value!r}, of type {type(value).__name__}; expected an int or a float, "
        "or a bool as a gauge. A text belongs in a label"
    )
