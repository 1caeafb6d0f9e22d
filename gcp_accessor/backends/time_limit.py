"""How long the requests of a block may take together, whoever repeats them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# On the monotonic clock, for this thread or asyncio task.
_END: ContextVar[float | None] = ContextVar("gcp_accessor_end", default=None)
# A request that gets no time at all says what there was too little of.
_LEAST_SECONDS = 0.1


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Have `seconds_left()` count down in the block; None sets no limit."""
    before = _END.set(None if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _END.reset(before)


def seconds_left() -> float | None:
    """Return what is left for the requests of this block, None if that is not limited."""
    end = _END.get()
    return None if end is None else max(end - time.monotonic(), _LEAST_SECONDS)
