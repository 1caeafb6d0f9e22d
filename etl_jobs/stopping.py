"""Being told to stop: by Ctrl-C, which gives the work up, or by SIGTERM, which puts it off.

A signal is raised in whatever line is running, and some lines swallow what is raised in them: the
import of a library, a callback, a destructor. So it is remembered too, and looked at again before
anything is done that others see.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl_jobs.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_RAISED: dict[signal.Signals, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
# What this process has been told. A signal is the process's, so this is too.
_told: list[signal.Signals] = []


@contextmanager
def heard() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C and Terminated on SIGTERM, and remember them.

    A signal that the process was started to ignore stays ignored. Outside of the main thread,
    which alone hears signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _told.clear()
    before = {which: signal.getsignal(which) for which in _RAISED}
    heeded = [which for which, handler in before.items() if handler != signal.SIG_IGN]
    for which in heeded:
        signal.signal(which, _remember)
    try:
        yield
    finally:
        for which in heeded:
            signal.signal(which, before[which])
        _told.clear()


def told() -> signal.Signals | None:
    """Return the first signal that asked this process to stop; None if none has."""
    return _told[0] if _told else None


def heed() -> None:
    """Raise again what was raised when this process was told to stop, if it was.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        Terminated: SIGTERM came.
    """
    which = told()
    if which is not None:
        raise _RAISED[which]


def _remember(number: int, _: FrameType | None) -> None:
    which = signal.Signals(number)
    _told.append(which)
    raise _RAISED[which]
