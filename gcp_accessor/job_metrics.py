"""The `with` block around a job that measures it and stays out of its way."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_LOGGER = logging.getLogger("gcp_accessor")
_OURS = frozenset({"success", "seconds"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a job, as it was given: nothing of it is checked yet."""

    name: str
    value: object
    labels: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None


class JobMetrics:
    """What one run of a job adds to Monitoring; `MonitoringAccessor.job` makes it.

    Attributes:
        failure: After the block, the error that came of writing; None if there was none.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Figure], Mapping[str, str], list[str]], None],
        name: str,
        labels: Mapping[str, str],
    ) -> None:
        self._write = write
        self._name = name
        self._labels = labels
        self._figures: dict[str, object] = {}
        self._more: list[Figure] = []
        self.failure: Exception | None = None

    def record(self, **figures: object) -> None:
        """Keep figures of the job, to be written as `job/<name>` when the block ends.

        Args:
            figures: Each an int, a float, a bool, or an iterable of numbers, which becomes a
                distribution. None is not written, so that a figure that an engine does not
                know needs no question. A name that is given again is replaced.
        """
        self._figures.update(figures)

    def add(
        self,
        name: str,
        value: object,
        labels: Mapping[str, str] | None = None,
        *,
        unit: str | None = None,
    ) -> None:
        """Keep one figure that has a unit, or labels that tell it from others of its name.

        Args:
            name: What is written as `job/<name>`; it may have slashes.
            value: As `record` takes it; None is not written.
            labels: Besides the job's own. A name with labels stands for several series, and each
                may be given once.
            unit: As Monitoring writes it: "s", "By", "1". The first one stays.

        Example:
            >>> with metrics.job("clean") as job:
            ...     job.add("rows_dropped", 25, {"reason": "no time"}, unit="1")
        """
        self._more.append(Figure(name, value, labels or {}, unit))

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = time.monotonic() - self._begun
        given = [*(Figure(*each) for each in self._figures.items()), *self._more]
        figures = [
            *(each for each in given if each.name not in _OURS and each.value is not None),
            Figure("success", int(_succeeded(error))),
            Figure("seconds", seconds, unit="s"),
        ]
        problems = [
            f"{name!r} is measured by the block itself"
            for name in sorted(_OURS & {each.name for each in given})
        ]
        try:
            self._write(figures, {**self._labels, "job": self._name}, problems)
        except Exception as failure:
            # The one place where any error may end here: a job's result is worth more than its
            # metrics. Ctrl-C is no Exception and goes on.
            self.failure = failure
            problems.append(f"{type(failure).__name__}: {_with_notes(failure)}")
        if problems:
            _LOGGER.warning(
                "of the job %r, metrics were not written: %s", self._name, "; ".join(problems)
            )


def _succeeded(error: BaseException | None) -> bool:
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0))


def _with_notes(error: Exception) -> str:
    return ". ".join((str(error), *getattr(error, "__notes__", ())))
