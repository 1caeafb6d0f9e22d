"""Many files on their way at once, until a deadline that holds.

The threads are daemons: neither the deadline nor Ctrl-C waits for a server that is silent.
What such a thread finds when it wakes is that its transfer is over, and then it changes nothing
any more.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar, cast

from gcp_accessor.errors import TransferFailed, TransferTimeout, UnsafeContent
from gcp_accessor.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gcp_accessor.accessor import Progress
    from gcp_accessor.storage.places import Pair

I = TypeVar("I")  # noqa: E741 - an item, beside its result
R = TypeVar("R")

_NAME = "gcp-accessor-transfer"
# Between two tries of Google's retry, which ends rather than pause beyond its end.
_LONGEST_PAUSE = 60.0


class _Over(Exception):
    """The transfer has ended while a thread was still at work."""


class Transfer:
    """One transfer: whether it still goes on, and for how long.

    Args:
        title: What was done to a file that is through, for messages: "downloaded".
        max_workers: How many items are moved at once.
        deadline: Seconds from now; None is for ever.
    """

    def __init__(self, title: str, max_workers: int, deadline: float | None) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; expected 1 or more")
        if deadline is not None and deadline <= 0:
            raise ValueError(f"deadline is {deadline}; expected seconds, more than 0")
        self._title = title
        self._max_workers = max_workers
        self._seconds = deadline
        self._until = None if deadline is None else time.monotonic() + deadline
        self._lock = threading.Lock()
        self._is_over = False
        self._parts: set[Path] = set()

    def __enter__(self) -> Transfer:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._is_over = True
            for part in self._parts:
                part.unlink(missing_ok=True)

    def remaining(self) -> float | None:
        """Return the seconds that are left, or None if there is no deadline."""
        return None if self._until is None else max(self._until - time.monotonic(), 0.001)

    def check(self) -> None:
        """Stop the thread that asks, if the transfer is over."""
        if self._is_over:
            raise _Over

    @contextmanager
    def step(self) -> Iterator[None]:
        """Do what must not happen once the transfer is over."""
        with self._lock:
            self.check()
            yield

    @contextmanager
    def part(self, path: Path) -> Iterator[None]:
        """Own a file that is gone when the block, or the transfer, ends."""
        with self.step():
            self._parts.add(path)
        try:
            yield
        finally:
            with self._lock:
                path.unlink(missing_ok=True)
                self._parts.discard(path)

    def move(
        self,
        items: Sequence[I],
        action: Callable[[I], R],
        *,
        name: Callable[[I], str] = str,
        goes_on_after: tuple[type[Exception], ...] = (),
    ) -> list[R]:
        """Return what `action` makes of each item, in their order.

        Args:
            name: What an item is called in an error.
            goes_on_after: Errors that are about one item alone. After any other, nothing
                more is begun.

        Raises:
            TransferTimeout: the deadline is over.
            TransferFailed: some of several items failed. A single one raises its own error.
        """
        waiting = deque(enumerate(items))
        outcomes: queue.SimpleQueue[tuple[int, R | None, Exception | None, int]]
        outcomes = queue.SimpleQueue()

        def work() -> None:
            while True:
                try:
                    at, item = waiting.popleft()
                except IndexError:
                    return
                try:
                    outcomes.put((at, action(item), None, 0))
                except Exception as error:
                    dropped = 0 if isinstance(error, goes_on_after) else _emptied(waiting)
                    outcomes.put((at, None, error, dropped))

        for _ in range(min(self._max_workers, len(items))):
            # Each in the caller's context, so that traces keep together.
            run = contextvars.copy_context().run
            threading.Thread(target=run, args=(work,), name=_NAME, daemon=True).start()
        results: dict[int, R] = {}
        errors: dict[int, Exception] = {}
        expected, is_late = len(items), False
        try:
            while len(results) + len(errors) < expected and not is_late:
                at, result, error, dropped = outcomes.get(timeout=self.remaining())
                expected -= dropped
                if error is None:
                    results[at] = cast("R", result)
                elif not (is_late := self._is_late(error)):
                    errors[at] = error
        except queue.Empty:
            is_late = True
        finally:
            _emptied(waiting)
        if errors or is_late:
            rest = (at for at in range(len(items)) if at not in results and at not in errors)
            raise self._failure(
                {name(items[at]): error for at, error in sorted(errors.items())},
                tuple(result for _, result in sorted(results.items())),
                tuple(name(items[at]) for at in rest),
                is_late=is_late,
            )
        return [result for _, result in sorted(results.items())]

    def _is_late(self, error: Exception) -> bool:
        from google.api_core.exceptions import RetryError

        if self._until is None:
            return False
        margin = _LONGEST_PAUSE if isinstance(error, RetryError) else 0
        return time.monotonic() + margin >= self._until

    def _failure(
        self,
        errors: dict[str, Exception],
        finished: tuple[object, ...],
        unfinished: tuple[str, ...],
        *,
        is_late: bool,
    ) -> Exception:
        first = next(iter(errors.items()), None)
        count = len(errors) + len(finished) + len(unfinished)
        if first is not None and count == 1:
            return first[1]
        parts = [f"{len(finished)} of {count} files were {self._title}"]
        if first is not None:
            parts.append(f"{len(errors)} failed, first {first[0]}: {first[1]}")
        if is_late:
            parts.append(f"the deadline of {self._seconds:g} s is over")
        kind = TransferTimeout if is_late else TransferFailed
        failure = kind("; ".join(parts), errors, finished, unfinished)
        if first is not None:
            failure.__cause__ = first[1]
        return failure


def about_one_file() -> tuple[type[Exception], ...]:
    """Return the errors that are about one file alone: the others may still be moved."""
    from google.api_core.exceptions import NotFound, PreconditionFailed

    return (NotFound, PreconditionFailed, UnsafeContent, FileExistsError)


def bar(
    title: str, pairs: list[Pair], wanted: Progress
) -> AbstractContextManager[Callable[[int], None]]:
    """Give a function that says how many more bytes are there."""
    sizes = [pair.size for pair in pairs]
    known = sum(size for size in sizes if size is not None)
    return progress(title, None if None in sizes else known, "B", wanted)


def _emptied(waiting: deque[tuple[int, I]]) -> int:
    """How many items were taken from the threads, who come for them at the same time."""
    count = 0
    with suppress(IndexError):
        while True:
            waiting.popleft()
            count += 1
    return count
