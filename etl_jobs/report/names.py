"""Items' names, which may be anything: long, right to left, full of angle brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_jobs.report.data import ReportData


def name_of(data: ReportData, item: int) -> str:
    """Return what a person calls the item, or its id where that is all there is."""
    return clean(data.item_name[item] or data.item_id[item])


def shortened(name: str, longest: int) -> str:
    """Return the name, or its beginning and an ellipsis."""
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"


def clean(text: str) -> str:
    """Return text that HTML and UTF-8 can hold: no control characters, no half surrogates."""
    if text.isprintable():
        return text
    shown = "".join(" " if c in "\t\n\r" else "\ufffd" if _control(c) else c for c in text)
    return shown.encode("utf-8", "replace").decode()


def _control(character: str) -> bool:
    return ord(character) < 32 or 127 <= ord(character) < 160
