"""A bar for what takes long, where a person is watching."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from gcp_accessor.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Wanted = Literal["auto", "on", "off"]

# What is over sooner shows no bar.
_PATIENCE_SECONDS = 0.5
_DRAW_SECONDS = 0.1
_TICK_SECONDS = 0.5
# Set by Cloud Run for a job and for a service; nobody watches either.
_UNATTENDED = ("CLOUD_RUN_JOB", "K_SERVICE")
_WITH_TOTAL = "{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {elapsed}<{remaining}"
_WITHOUT_TOTAL = "{desc} {n_fmt} {elapsed}"
_CLOCK = "{desc} {elapsed}"


@contextmanager
def progress(
    title: str, total: int | None, unit: str, wanted: Wanted = "auto"
) -> Iterator[Callable[[int], None]]:
    """Give a function that says how much more is done, for as long as the block lasts.

    It may be called from several threads, as often as one likes, and with 0 so that the clock
    goes on. The bar stands in stderr, is drawn ten times a second at most, and is gone when the
    block ends.

    Args:
        title: What is being done: "upload items.csv.gz".
        total: How much there is to do; None if nobody knows.
        unit: Of what is counted: "B" is written as KB, MB, ...; "s", a wait, as the time alone.
        wanted: "auto" shows a bar in a terminal and in a notebook, if tqdm is installed, for
            what takes longer than half a second; never in a job. "on" shows it anywhere and at
            once, "off" nowhere.

    Raises:
        MissingExtra: "on", and tqdm is not installed.

    Example:
        >>> with progress("upload", 3, "files", "off") as advance:
        ...     advance(1)
    """
    if wanted not in ("auto", "on", "off"):
        raise ValueError(f"progress is {wanted!r}; expected 'auto', 'on' or 'off'")
    if wanted == "off" or (wanted == "auto" and not _is_watched()):
        yield _unseen
        return
    try:
        from tqdm import tqdm
    except ImportError as error:
        if wanted == "on":
            raise MissingExtra("a progress bar", "progress") from error
        yield _unseen
        return

    # An interval would have tqdm start a thread, for bars whose steps become slower.
    bar = type("Bar", (tqdm,), {"monitor_interval": 0})(
        desc=title,
        total=total,
        unit=unit,
        unit_scale=unit == "B",
        leave=False,
        delay=_PATIENCE_SECONDS if wanted == "auto" else 0,
        mininterval=_DRAW_SECONDS,
        # Of fixed size, so that the time alone decides when to draw.
        miniters=0,
        dynamic_ncols=True,
        bar_format=_form(total, unit),
    )
    lock = threading.Lock()

    def advance(more: int) -> None:
        with lock:
            bar.update(more)

    try:
        yield advance
    finally:
        bar.close()


@contextmanager
def clock(title: str, wanted: Wanted = "auto") -> Iterator[None]:
    """Show how long the block lasts, where `progress` would show a bar; it need say nothing.

    Example:
        >>> with clock("query", "off"):
        ...     answer = 6 * 7
    """
    with progress(title, None, "s", wanted) as advance:
        if advance is _unseen:
            yield
            return
        over = threading.Event()

        def tick() -> None:
            while not over.wait(_TICK_SECONDS):
                advance(0)

        ticking = threading.Thread(target=tick, daemon=True)
        ticking.start()
        try:
            yield
        finally:
            over.set()
            ticking.join()


def _unseen(more: int) -> None:
    del more


def _form(total: int | None, unit: str) -> str:
    # Bytes are scaled: 3.00MB.
    counted = "B" if unit == "B" else f" {unit}"
    if total:
        return _WITH_TOTAL.replace("{total_fmt}", "{total_fmt}" + counted)
    return _CLOCK if unit == "s" else _WITHOUT_TOTAL.replace("{n_fmt}", "{n_fmt}" + counted)


def _is_watched() -> bool:
    if any(name in os.environ for name in _UNATTENDED):
        return False
    # None where Python has no console at all.
    in_terminal = sys.stderr is not None and sys.stderr.isatty()
    return in_terminal or _in_notebook()


def _in_notebook() -> bool:
    # Within a notebook IPython is imported already.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None
