"""Work on the processors at hand, its result the same however many they are.

Work is cut into strands by its size alone, and the strands' results are put together in their
order: threads only decide when a strand is worked on.

A large matrix product makes the linear algebra library start threads of its own, which wait
for each other by spinning: on cores that others use too, as in a container, that costs ten
times the work itself. While strands are worked on, the library keeps to the thread that asks.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

P = TypeVar("P")
R = TypeVar("R")


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        # Only Linux tells which of them are ours.
        return os.cpu_count() or 1


class Strands:
    """Threads that wait for strands of work; they end when nobody holds this any more.

    Args:
        threads: At most so many; by default as many as there are processors.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = processors() if threads is None else threads

    def map(self, function: Callable[[P], R], strands: Sequence[P]) -> list[R]:
        """What the function makes of each strand, in their order."""
        with self._linear_algebra.limit(limits=1, user_api="blas"):
            if len(strands) == 1 or self._threads == 1:
                return [function(strand) for strand in strands]
            return list(self._pool.map(function, strands))

    @cached_property
    def _linear_algebra(self) -> ThreadpoolController:
        return ThreadpoolController()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "etl-jobs-irt")
