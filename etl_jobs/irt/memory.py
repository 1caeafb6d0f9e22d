"""Asking before a large allocation whether there is memory for it.

The kernel grants what it does not have and later kills the process without a word; a sentence
beforehand, with the estimate in it, is worth the reading of two small files.
"""

from __future__ import annotations

import os
from pathlib import Path

# Smaller requests are not worth the question.
_WORTH_ASKING = 2**28
_GROUPS = (
    # A container's own limit, and what is used of it: version 2, then version 1.
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def require_memory(size: float, what: str, instead: str) -> None:
    """Refuse a request that the machine, or the container, has no memory for.

    Args:
        size: The estimate, in bytes.
        what: What takes it, as the subject of a sentence with a singular verb.
        instead: What to do instead, as an imperative.

    Raises:
        MemoryError: Less is free.

    Example:
        >>> require_memory(8e15, "such a table", "ask for fewer")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        MemoryError: such a table takes about 8,000,000.0 GB and ... GB are free; ask for fewer
    """
    if size < _WORTH_ASKING:
        return
    free = free_memory()
    if size > free:
        raise MemoryError(
            f"{what} takes about {size / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are free; {instead}"
        )


def free_memory() -> float:
    """Bytes that can be had without swapping; infinite where the system does not tell."""
    free = _machine_free()
    for limit, used in _GROUPS:
        allowed, taken = _number(limit), _number(used)
        if allowed is not None and taken is not None:
            free = min(free, max(allowed - taken, 0.0))
    return free


def _machine_free() -> float:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        # Not Linux: what the machine has is the best that can be said.
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _number(path: str) -> float | None:
    try:
        return float(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        # No such group, or "max": no limit of its own.
        return None
