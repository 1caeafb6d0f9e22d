"""An examination as a person reads it, and as a machine does."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcp_accessor.doctor import Examination
    from gcp_accessor.doctor.finding import Finding

_MARKS = {"good": "✓", "note": "•", "bad": "✗"}
_PLAIN_MARKS = {"good": "+", "note": "-", "bad": "x"}


def as_text(examination: Examination, encoding: str | None) -> str:
    """Return a line for each finding under its part's name, advice below, and a last word.

    Args:
        encoding: The reader's. One without the marks gets plain ones.
    """
    marks = _MARKS if _can_hold("".join(_MARKS.values()), encoding) else _PLAIN_MARKS
    width = min(shutil.get_terminal_size().columns, 110)
    title_width = max(len(finding.title) for finding in examination.findings)
    blocks, told = [], set[str]()
    for part, findings in groupby(examination.findings, key=lambda finding: finding.part):
        lines = [
            _lines(finding, marks[finding.state], title_width, width, told) for finding in findings
        ]
        blocks.append("\n".join((part, *lines)))
    return "\n\n".join((*blocks, _last_word(examination)))


def as_json(examination: Examination) -> str:
    """Return the examination as one JSON object."""
    findings = [asdict(finding) for finding in examination.findings]
    return json.dumps({"usable": examination.usable, "findings": findings}, indent=2)


def _lines(finding: Finding, mark: str, title_width: int, width: int, told: set[str]) -> str:
    begin = f"  {mark} {finding.title:<{title_width}}  "
    rest = " " * len(begin)
    lines = [_wrapped(finding.text, begin, rest, width)]
    for each in finding.advice:
        # What helps three services is said once.
        if each not in told:
            lines.append(_wrapped(each, f"{rest}> ", f"{rest}  ", width))
            told.add(each)
    return "\n".join(lines)


def _wrapped(text: str, first: str, rest: str, width: int) -> str:
    # A path or a command is to be copied whole.
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _last_word(examination: Examination) -> str:
    broken = [finding.title for finding in examination.findings if finding.state == "bad"]
    return f"Broken: {', '.join(broken)}." if broken else "Nothing is broken."


def _can_hold(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
