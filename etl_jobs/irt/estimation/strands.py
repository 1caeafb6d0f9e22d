"""Work on the processors at hand, its result the same however many they are.

Work is cut into strands by its size alone, and the strands' results are put together in their
order: threads only decide when a strand is worked on.

A large matrix product makes the linear algebra library start threads of its own, which wait
for each other by spinning: on cores that others use too, as in a container, that costs ten
times the work itself. While strands are worked on, the library keeps to the thread that asks.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

P = TypeVar("P")
R = TypeVar("R")

# What to give back when all are outside again, and once more for everybody who is inside: setting
# the limit takes as long as the sums of a small calibration.
_INSIDE: list[Any] = []
_LOCK = threading.Lock()


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        # Only Linux tells which of them are ours.
        return os.cpu_count() or 1


def in_strands(
    function: Callable[[P], R], strands: Sequence[P], *, threads: int | None = None
) -> list[R]:
    """What the function makes of each strand, in their order.

    Args:
        function: Must not call this one again.
        strands: The parts of the work.
        threads: At most so many; by default as many as there are processors.
    """
    workers = processors() if threads is None else threads
    with one_thread():
        if len(strands) <= 1 or workers == 1:
            return [function(strand) for strand in strands]
        return list(_pool(workers).map(function, strands))


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it linear algebra keeps to the thread that asks; it may be entered again within."""
    with _LOCK:
        if not _INSIDE:
            _INSIDE.append(_linear_algebra().limit(limits=1, user_api="blas"))
        _INSIDE.append(_INSIDE[0])
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            # Whoever leaves last gives the threads back.
            if len(_INSIDE) == 1:
                _INSIDE.pop().restore_original_limits()


# Both are found once in a process: it takes longer than a small calibration.


@cache
def _linear_algebra() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    # A child process is forked without the threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
    return ThreadPoolExecutor(threads, "etl-jobs-irt")
