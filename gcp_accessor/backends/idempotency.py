"""A key of the caller's as the id of a job."""

from __future__ import annotations

import hashlib
import re

_MAX_KEY_LETTERS = 500
_SHOWN_LETTERS = 100
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_-]")


def job_id_of(key: str) -> str:
    """Return the id of the job that first runs under this key; the same on any machine.

    A key of letters, digits, `_` and `-` is the id itself. In any other, such letters become
    `-`, and the end of a hash keeps two keys apart.
    """
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_KEY_LETTERS:
        raise ValueError(
            f"idempotency_key is {key!r}; expected a text of 1 to {_MAX_KEY_LETTERS} letters"
        )
    readable = _NOT_IN_AN_ID.sub("-", key)
    if readable == key:
        return key
    return f"{readable[:_SHOWN_LETTERS]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
