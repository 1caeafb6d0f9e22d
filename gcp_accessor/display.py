"""A result as a notebook shows it: its first rows, and what they cost."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from gcp_accessor.byte_sizes import bytes_text
from gcp_accessor.type_names import type_name

if TYPE_CHECKING:
    from gcp_accessor.backends import QueryStats
    from gcp_accessor.query_result import QueryResult

_SHOWN_ROWS = 10
_SHOWN_LETTERS = 200
_NUMBERS = {"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"}
# Without colours of their own the cells are readable on a light page and on a dark one. A
# sanitised notebook, as on GitHub, loses the styles and keeps the table.
_QUIET = "opacity:.65"
_TYPE = f"font-weight:normal;font-size:smaller;{_QUIET}"


def result_html(result: QueryResult) -> str:
    """Return ten rows of a result as a table, and a line that says what it cost."""
    line = f'<p style="font-size:smaller;{_QUIET}">{escape(cost_line(result))}</p>'
    if not result.schema:
        return line
    aligned = [
        "left" if column.mode == "REPEATED" or column.type not in _NUMBERS else "right"
        for column in result.schema
    ]
    head = "".join(
        f'<th style="text-align:{side}">{escape(column.name)}<br>'
        f'<span style="{_TYPE}">{escape(type_name(column))}</span></th>'
        for column, side in zip(result.schema, aligned, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{side}">{_cell(value)}</td>'
            for value, side in zip(row.values(), aligned, strict=True)
        )
        + "</tr>"
        for row in islice(result, _SHOWN_ROWS)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{line}"


def cost_line(result: QueryResult) -> str:
    """Return in one line how much there is, what was read and billed, how long it took.

    Example:
        '10 of 5,000 rows · 1.2 MiB read · 10.0 MiB billed · 0.8 s · job 5c1f...'
    """
    parts = [*_rows(result), *_cost(result.stats)]
    return " · ".join((*parts, f"{result.stats.seconds:.1f} s", f"job {result.stats.job_id}"))


def _rows(result: QueryResult) -> list[str]:
    if not result.schema:
        return ["no rows to show"]
    total = result.total_rows
    rows = "1 row" if total == 1 else f"{total:,} rows"
    return [f"{_SHOWN_ROWS} of {rows}" if total > _SHOWN_ROWS else rows]


def _cost(stats: QueryStats) -> list[str]:
    if stats.cache_hit:
        return ["from the cache, free"]
    parts = []
    if stats.bytes_processed is not None:
        parts.append(f"{bytes_text(stats.bytes_processed)} read")
    if stats.bytes_billed is not None:
        parts.append(f"{bytes_text(stats.bytes_billed)} billed")
    return parts


def _cell(value: object) -> str:
    if value is None:
        return "<i>NULL</i>"
    text = str(value)
    return escape(text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…")
