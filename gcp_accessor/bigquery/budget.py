"""A limit to what all queries of a block may bill together."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition
from typing import TYPE_CHECKING

from gcp_accessor.byte_sizes import bytes_text
from gcp_accessor.errors import CostLimitExceeded, UnsupportedLocally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# The budgets whose blocks this thread, or this asyncio task, is in; the outermost first.
_ENTERED: ContextVar[tuple[Budget, ...]] = ContextVar("gcp_accessor_budgets", default=())
# How often a query that waits for its turn asks after the jobs that were only submitted.
_LOOK_SECONDS = 0.5


class Budget:
    """How many bytes the queries of one `with` block may bill together.

    Made by `BigQueryAccessor.budget()`.

    Attributes:
        max_bytes: All that may be billed.
    """

    def __init__(self, max_bytes: int) -> None:
        if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 1:
            raise ValueError(f"a budget is {max_bytes!r}; expected bytes, at least 1")
        self.max_bytes = max_bytes
        self._spent = 0
        self._held: dict[Reservation, int] = {}
        self._changed = Condition()

    @property
    def spent(self) -> int:
        """The bytes that ended queries have billed."""
        return self._spent

    @property
    def left(self) -> int:
        """The bytes that a query may bill now: neither spent nor held by one that runs."""
        with self._changed:
            return max(self._free(), 0)

    def __repr__(self) -> str:
        with self._changed:
            held, running = sum(self._held.values()), len(self._held)
        text = f"<Budget: {bytes_text(self._spent)} of {bytes_text(self.max_bytes)} spent"
        return f"{text}, {bytes_text(held)} held by {running} that run>" if running else f"{text}>"

    def _take(self, reservation: Reservation, wanted: int, patience: float) -> int:
        """Hold bytes for a query, at most what it wants, and return how many.

        Raises:
            CostLimitExceeded: there is nothing left; or, with its patience at an end, nothing
                that others do not hold.
        """
        end = time.monotonic() + patience
        while True:
            with self._changed:
                others = list(self._held)
                if self._free() >= wanted or not others:
                    return self._hold(reservation, wanted)
            # What was submitted may have ended without anybody having asked.
            ended = [other for other in others if other.settle()]
            if ended:
                continue
            with self._changed:
                left = end - time.monotonic()
                if left <= 0:
                    return self._hold(reservation, wanted)
                self._changed.wait(min(left, _LOOK_SECONDS))

    def _give_back(self, reservation: Reservation, kept: int, billed: int) -> None:
        """Hold only `kept` bytes for the query from now on; it has billed some."""
        with self._changed:
            del self._held[reservation]
            if kept:
                self._held[reservation] = kept
            self._spent += billed
            self._changed.notify_all()

    def _free(self) -> int:
        return self.max_bytes - self._spent - sum(self._held.values())

    def _hold(self, reservation: Reservation, wanted: int) -> int:
        free = self._free()
        if free <= 0:
            held = sum(self._held.values())
            others = (
                f", {held:,} are held by {len(self._held)} that still run" if self._held else ""
            )
            error = CostLimitExceeded(
                f"the budget of {self.max_bytes:,} bytes has nothing left: its queries have "
                f"billed {self._spent:,}{others}; nothing was run"
            )
            error.add_note(
                "Give each query its own max_bytes_billed=, so that they share the budget, or wait "
                "for one with result()."
                if self._held
                else "Read less, or give budget() more bytes."
            )
            raise error
        self._held[reservation] = min(wanted, free)
        return self._held[reservation]


class Reservation:
    """What one query may bill, held in all the budgets that it is charged to.

    Args:
        budgets: The outermost first.
        wanted: Bytes; None wants all that there are.
        patience: Seconds to wait for each budget's other queries.

    Attributes:
        max_bytes: The least that one of them had for it.
        settle: Called by a query that waits: has this one ended, and been charged?
    """

    def __init__(self, budgets: Sequence[Budget], wanted: int | None, patience: float) -> None:
        self.settle: Callable[[], bool] = _runs
        self._budgets: list[Budget] = []
        self.max_bytes = max(budget.max_bytes for budget in budgets) if wanted is None else wanted
        try:
            for budget in budgets:
                self.max_bytes = budget._take(self, self.max_bytes, patience)
                self._budgets.append(budget)
        except CostLimitExceeded:
            self.charge(0)
            raise
        for budget in self._budgets:
            budget._give_back(self, self.max_bytes, 0)

    def charge(self, billed: int) -> None:
        """Charge what the query has billed and hold no more; once, whoever says it first."""
        budgets, self._budgets = self._budgets, []
        for budget in budgets:
            budget._give_back(self, 0, billed)

    def charge_failure(self, error: BaseException) -> None:
        """Charge nothing if BigQuery bills nothing, else all that the query could have billed.

        A query that fails is free. One that was cancelled is not, and nobody knows of one whose
        end was not heard of.
        """
        from google.api_core.exceptions import Cancelled, ClientError

        refused = (ClientError, CostLimitExceeded, UnsupportedLocally, TypeError, ValueError)
        is_free = isinstance(error, refused) and not isinstance(error, Cancelled)
        self.charge(0 if is_free else self.max_bytes)
        if isinstance(error, CostLimitExceeded):
            error.add_note(f"No more than {self.max_bytes:,} bytes were left of the budget for it.")


@contextmanager
def entering(budget: Budget) -> Iterator[None]:
    """Have `entered()` give the budget to whatever this thread or task runs in the block."""
    _ENTERED.set((*_ENTERED.get(), budget))
    try:
        yield
    finally:
        _ENTERED.set(tuple(other for other in _ENTERED.get() if other is not budget))


def entered() -> tuple[Budget, ...]:
    """Return the budgets whose blocks this thread or task is in."""
    return _ENTERED.get()


def _runs() -> bool:
    return False
