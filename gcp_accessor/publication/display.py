"""Runs and manifests as a terminal and as a notebook show them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS = {"rows", "size"}


def table_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under a header in columns, or "no runs"."""
    if not rows:
        return "no runs"
    lines = [header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    return "\n".join(
        "  ".join(
            f"{cell:>{width}}" if name in _NUMBERS else f"{cell:{width}}"
            for name, cell, width in zip(header, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the same as an HTML table without colours, which any page can show."""
    if not rows:
        return "<p>no runs</p>"
    head = "".join(f"<th{_side(name)}>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_side(name)}>{escape(cell)}</td>" for name, cell in zip(header, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _side(name: str) -> str:
    return f' style="text-align:{"right" if name in _NUMBERS else "left"}"'
