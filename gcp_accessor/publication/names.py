"""What runs, pins and files of a publication may be called."""

from __future__ import annotations

import re
from datetime import date

# What stands for a run wherever one is named.
PLACES = ("latest", "previous")
_RUN = re.compile(r"\d{4}-\d{2}-\d{2}-[0-9a-f]{12}(-\d+)?", re.ASCII)
_PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", re.ASCII)


def is_run_id(text: str) -> bool:
    """Return whether a run could have this name: its day, the hash of what decides its bytes."""
    if not _RUN.fullmatch(text):
        return False
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def check_run_id(run_id: str) -> str:
    """Return the name if a run could have it.

    Raises:
        ValueError: it could not.
    """
    if not is_run_id(run_id):
        raise ValueError(f"{run_id!r} is not a run; expected YYYY-MM-DD-<12 hex digits>")
    return run_id


def check_pin_name(name: str) -> str:
    """Return the name if a pin could have it.

    Raises:
        ValueError: it could not.
    """
    if not _PIN.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a pin's name; expected letters, digits, '.', _ or -, up to 100"
        )
    return name


def check_file_name(name: str) -> str:
    """Return the name if a file of a run could have it.

    Raises:
        ValueError: it could not.
    """
    if not _FILE.fullmatch(name):
        raise ValueError(f"{name!r} is not a file name; expected letters, digits, '.', _ or -")
    return name
