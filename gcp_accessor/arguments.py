"""What the arguments of a call must be, said in the same words everywhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_SQL_FILE = re.compile(r"[^\s;]+\.sql", re.IGNORECASE)
# Lower-case letters of any script, digits, _ and -, as BigQuery admits them.
_LABEL = re.compile(r"[^\W\d_][\w-]{0,62}")
_LABEL_VALUE = re.compile(r"[\w-]{0,63}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"{name} is {value!r}; expected {', '.join(others)} or {last}")


def check_seconds(name: str, value: object) -> None:
    """Raise TypeError or ValueError unless the value is a number above 0, or None."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}; expected a number of seconds, or None for no limit")
    if not value > 0:
        raise ValueError(
            f"{name} is {value!r}; expected seconds, more than 0, or None for no limit"
        )


def check_count(name: str, value: object, *, at_least: int) -> None:
    """Raise TypeError or ValueError unless the value is a whole number, not less, or None."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; expected a whole number")
    if value < at_least:
        raise ValueError(f"{name} is {value}; expected at least {at_least}, or None")


def check_labels(labels: object) -> None:
    """Raise TypeError or ValueError unless Google Cloud takes these labels on its resources."""
    if not isinstance(labels, Mapping):
        raise TypeError(f"labels are a mapping of names to values, not a {type(labels).__name__}")
    for pair in labels.items():
        for text, form in zip(pair, (_LABEL, _LABEL_VALUE), strict=True):
            if not isinstance(text, str) or not form.fullmatch(text) or text != text.lower():
                raise ValueError(
                    f"the label {pair[0]!r}: {pair[1]!r} cannot be; expected lower-case letters, "
                    "digits, _ and -, at most 63 of each, the name beginning with a letter"
                )


def check_statement(sql: object) -> None:
    """Raise TypeError or ValueError if this cannot be a statement, as an empty one cannot."""
    if isinstance(sql, os.PathLike):
        raise TypeError(f"the statement is the path {os.fspath(sql)!r}; give its read_text()")
    if not isinstance(sql, str):
        raise TypeError(f"the statement is a {type(sql).__name__}; expected GoogleSQL as a str")
    if not sql.strip():
        raise ValueError("the statement is empty; expected GoogleSQL")
    if _SQL_FILE.fullmatch(sql):
        raise ValueError(
            f"the statement is a file's name, {sql!r}; give what it holds: "
            f"Path({sql!r}).read_text()"
        )
    check_text("the statement", sql)


def check_text(what: str, text: object) -> None:
    """Raise TypeError or ValueError unless this is a str that UTF-8 can hold."""
    if not isinstance(text, str):
        raise TypeError(f"{what} is {text!r}; expected a str, not a {type(text).__name__}")
    utf8(what, text)


def utf8(what: str, text: str) -> bytes:
    """Return the text as bytes.

    Raises:
        ValueError: it has half of a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        near = text[max(error.start - 10, 0) : error.end + 10]
        raise ValueError(
            f"{what} has a lone surrogate, which UTF-8 cannot hold, in {near!r}; read its source "
            "with the right encoding"
        ) from error
