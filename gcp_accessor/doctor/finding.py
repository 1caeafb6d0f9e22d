"""What an examination finds: one thing, how it stands, and what to do about it."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

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


class Pending(queue.SimpleQueue["tuple[T | None, BaseException | None]"]):
    """A call on its way, in a thread that keeps no process alive."""

    def result(self, seconds: float) -> T:
        """Return what the call returned, or raise what it raised.

        Raises:
            TookTooLong: it has not come to its end within these seconds from now.
        """
        try:
            value, error = self.get(timeout=seconds)
        except queue.Empty:
            raise TookTooLong(f"no answer within {seconds:g} s") from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]


def begin(call: Callable[[], T]) -> Pending[T]:
    """Start a call that may hang, as a name server or a metadata server can."""
    pending: Pending[T] = Pending()

    def run() -> None:
        try:
            pending.put((call(), None))
        # To be raised where the result is asked for.
        except BaseException as error:
            pending.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    return pending
