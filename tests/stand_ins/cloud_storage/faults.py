"""What may befall a request on its way."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """What befalls one request.

    - "status": it has no effect and is answered with `status`
    - "reset": the connection drops before it takes effect
    - "lost reply": the connection drops after it took effect
    - "broken upload": of what it carries `after` bytes arrive, in whole 256 KiB, before it is
      answered with `status`
    - "cut": the connection drops after `after` bytes of the answer
    - "slow": it waits for `seconds` before it takes effect
    - "trickle": the answer comes in pieces of 1 KiB, one each `seconds`
    - "damaged": the first byte of the answer is another
    - "page": a proxy answers it with a page and "200 OK"
    - "none": nothing, so that the next request meets the next fault

    Attributes:
        method: Whom it befalls, the next request of this method; None is any.
    """

    kind: Literal[
        "status",
        "reset",
        "lost reply",
        "broken upload",
        "cut",
        "slow",
        "trickle",
        "damaged",
        "page",
        "none",
    ]
    status: int = 503
    method: str | None = None
    after: int = 0
    seconds: float = 0.0


class Faults:
    """Those that are still to come, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque()
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._waiting.extend(faults)

    def next(self, method: str) -> Fault:
        with self._lock:
            for fault in self._waiting:
                if fault.method in (None, method):
                    self._waiting.remove(fault)
                    return fault
        return Fault("none")
