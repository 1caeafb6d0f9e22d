"""What a command prints."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def say(line: str) -> None:
    """Print a line at once, so that a log shows how far a run is."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # Whoever listened has left, as `head` does. The work goes on without.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(line: str) -> None:
    """Print on standard error what went wrong."""
    print(f"etl-jobs: {line}", file=sys.stderr, flush=True)


def columns(pairs: Iterable[tuple[str, object]], indent: str = "") -> None:
    """Print names and what is said of them side by side, as wide as the terminal."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    terminal = shutil.get_terminal_size((100, 24)).columns
    for name, text in pairs:
        before = f"{indent}{name:{width}}  "
        say(
            textwrap.fill(
                str(text),
                max(terminal, len(before) + 30),
                initial_indent=before,
                subsequent_indent=" " * len(before),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def rows(number: int) -> str:
    """Return "1 row" or "1,234 rows"."""
    return "1 row" if number == 1 else f"{number:,} rows"
