"""What an examination finds: one thing, how it stands, and what to do about it."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

State = Literal["good", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: What it belongs to: "Google Cloud", "Folder", "Installed".
        title: What was looked at: "account".
        state: "bad" is broken and needed; a "note" is worth knowing.
        text: What was found.
        advice: What to do, a sentence or a command each.
    """

    part: str
    title: str
    state: State
    text: str
    advice: tuple[str, ...] = ()


class TookTooLong(Exception):
    """It gave no answer in its time."""


class Pending(Generic[T]):
    """A call on its way, in a thread that keeps no process alive."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._begun = time.monotonic()
        self._outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]]
        self._outcome = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(call,), daemon=True).start()

    def result(self, seconds: float) -> T:
        """Return what the call returned, or raise what it raised.

        Raises:
            TookTooLong: it has not come to its end within these seconds from its beginning.
        """
        left = self._begun + seconds - time.monotonic()
        try:
            value, error = self._outcome.get(timeout=max(left, 0))
        except queue.Empty:
            raise TookTooLong(f"no answer within {seconds:g} s") from None
        if error is not None:
            raise error
        return cast("T", value)

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._outcome.put((call(), None))
        # To be raised where the result is asked for.
        except BaseException as error:
            self._outcome.put((None, error))


def begin(call: Callable[[], T]) -> Pending[T]:
    """Start a call that may hang, as a name server or a metadata server can."""
    return Pending(call)
