"""Numbers of bytes as people write and read them."""

from __future__ import annotations

import re

_SMALL = ("kB", "MB", "GB", "TB", "PB")
_UNITS = {
    "b": 1,
    **{unit.lower(): 1000**power for power, unit in enumerate(_SMALL, start=1)},
    **{f"{unit[0]}ib".lower(): 1024**power for power, unit in enumerate(_SMALL, start=1)},
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)


def parse_bytes(text: str) -> int:
    """Return a number of bytes from "500", "10GB" (powers of 1000) or "1.5 GiB" (of 1024).

    Raises:
        ValueError: the text is none of these.

    Example:
        >>> parse_bytes("10GB")
        10000000000
    """
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].lower() or "b" if match else None
    if match is None or unit not in _UNITS:
        raise ValueError(f"{text!r} is not a size; write for example 20 GB or 500 MiB")
    return int(float(match[1]) * _UNITS[unit])


def bytes_text(count: int) -> str:
    """Return a number of bytes to read, in powers of 1024 as BigQuery bills them.

    Example:
        >>> bytes_text(1536)
        '1.5 KiB'
    """
    if count < 1024:
        return f"{count} {'byte' if count == 1 else 'bytes'}"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        # What would be rounded up to 1024.0 is one of the next unit.
        if size < 1023.95 or unit == "TiB":
            break
    return f"{size:,.1f} {unit}"
