"""What the texts that are typed after an option stand for."""

from __future__ import annotations

import argparse
import re
from datetime import date


def day(text: str) -> date:
    """Return the UTC day that `text` is."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; expected YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not in the calendar") from None


def assignment(text: str) -> tuple[str, str]:
    """Return the name and the value of "NAME=VALUE"."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} has no value; expected NAME=VALUE")
    return name, value


def count(text: str) -> int:
    """Return the whole number, 1 or more, that `text` is."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def size(text: str) -> int:
    """Return the bytes that "20GB" stands for."""
    from gcp_accessor.byte_sizes import parse_bytes

    try:
        number = parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if number == 0:
        raise argparse.ArgumentTypeError("nothing can be read within 0 bytes")
    return number
