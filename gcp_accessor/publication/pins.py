"""Names for runs that are to be kept."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def pin_path(name: str) -> str:
    """Return where a pin is.

    Raises:
        ValueError: no pin can have this name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a pin's name; expected letters, digits, '.', _ or -, up to 100"
        )
    return f"pins/{name}.json"
