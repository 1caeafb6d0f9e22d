"""The `with` block around a job that measures it and stays out of its way."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_LOGGER = logging.getLogger("gcp_accessor")
_OURS = frozenset({"success", "seconds"})


class JobMetrics:
    """What one run of a job adds to Monitoring; `MonitoringAccessor.job` makes it."""

    def __init__(
        self,
        write: Callable[[Mapping[str, object], Mapping[str, str], list[str]], None],
        name: str,
        labels: Mapping[str, str],
    ) -> None:
        self._write = write
        self._name = name
        self._labels = labels
        self._figures: dict[str, object] = {}

    def record(self, **figures: object) -> None:
        """Keep figures of the job, to be written as `job/<name>` when the block ends.

        Args:
            figures: Each an int, a float, a bool, or an iterable of numbers, which becomes a
                distribution. None is not written, so that a figure that an engine does not
                know needs no question. A name that is given again is replaced.
        """
        self._figures.update(figures)

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
        problems = [
            f"{name!r} is measured by the block itself"
            for name in sorted(_OURS & self._figures.keys())
        ]
        known = {name: value for name, value in self._figures.items() if value is not None}
        figures = {**known, "success": int(_succeeded(error)), "seconds": seconds}
        try:
            self._write(figures, {**self._labels, "job": self._name}, problems)
        except Exception as failure:
            # The one place where any error may end here: a job's result is worth more than its
            # metrics. Ctrl-C is no Exception and goes on.
            problems.append(f"{type(failure).__name__}: {_with_notes(failure)}")
        if problems:
            _LOGGER.warning(
                "of the job %r, metrics were not written: %s", self._name, "; ".join(problems)
            )


def _succeeded(error: BaseException | None) -> bool:
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0))


def _with_notes(error: Exception) -> str:
    return ". ".join((str(error), *getattr(error, "__notes__", ())))
