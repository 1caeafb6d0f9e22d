"""Folders whose names survive a loss of power, and what killed processes leave in them."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_folders(folder: Path) -> None:
    """Make the folder and those above it, each one durable."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def remove_empty(folder: Path) -> bool:
    """Remove the folder if nothing is in it; return whether it is gone."""
    try:
        folder.rmdir()
    except OSError:
        # Another object lives in it: it stays.
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what killed processes left: the temporary files that nobody has locked."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
