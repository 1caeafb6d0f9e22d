"""What a person at a terminal is told of a calibration; the report says the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow import Table

    from etl_jobs.calibrate.findings import Findings
    from etl_jobs.irt import Calibration

NO_GROUP = "no group"
# So many items are listed.
_LISTED = 10
_WIDEST_NAME = 40


def notes_of(
    fitted: Calibration, items: Table, figures: Mapping[str, Any], findings: Findings
) -> tuple[str, ...]:
    """Return one sentence each: how large it was, a short test's items, and what stands out."""
    size = f"{items.num_rows:,} items, {figures['students']:,} students"
    state = f"log-likelihood {figures['log_likelihood']:,.3f} after {figures['iterations']} passes"
    return (
        f"{fitted.model} of {size}, {figures['answers']:,} answers: {state}",
        *(_listed(items) if items.num_rows <= _LISTED else ()),
        *_groups(fitted, findings),
        *(
            (f"{figures['anchors']:,} items are anchors and keep their parameters",)
            if figures["anchors"]
            else ()
        ),
        *_pairs(items, findings),
        *_flagged(figures["flagged_items"]),
    )


def _listed(items: Table) -> list[str]:
    rows = items.to_pylist()
    names = [_printable(row["item_name"] or row["item_id"]) for row in rows]
    width = max(len("item"), *map(len, names))
    return [
        f"{'item':{width}}  discrimination  difficulty",
        *(
            f"{name:{width}}  {row['discrimination']:14.3f}  {row['difficulty']:10.3f}"
            for name, row in zip(names, rows, strict=True)
        ),
    ]


def _groups(fitted: Calibration, findings: Findings) -> list[str]:
    if findings.differences is None:
        return []
    reference, compared = findings.differences.reference, findings.differences.compared
    others = ", ".join(_printable(each.focal) for each in compared)
    unequal = sum(flag is not None for flag in findings.differences.flags())
    notes = [
        f"{others} beside {_printable(reference)}: "
        + ("1 item does" if unequal == 1 else f"{unequal:,} items do")
        + " not treat them alike"
    ]
    if len(fitted.populations) > 1:
        notes += [
            f"  {_printable(each.label.name or NO_GROUP)}: {each.persons:,} students, "
            f"mean {each.mean:.2f}, standard deviation {each.deviation:.2f}"
            for each in fitted.populations
        ]
    return notes


def _pairs(items: Table, findings: Findings) -> list[str]:
    pairs = findings.dependent.pairs
    if not pairs:
        return []
    name = {
        row["item_id"]: row["item_name"] or row["item_id"]
        for row in items.select(["item_id", "item_name"]).to_pylist()
    }
    first, second = (_printable(name[each]) for each in pairs[0][:2])
    if len(pairs) == 1:
        return [f"{first} and {second} hang together by more than ability"]
    return [
        f"{len(pairs):,} pairs of items hang together by more than ability, most of all {first} "
        f"and {second}"
    ]


def _flagged(items: int) -> list[str]:
    if not items:
        return []
    which = "1 item is" if items == 1 else f"{items:,} items are"
    return [f"{which} flagged; the report says why"]


def _printable(name: str) -> str:
    """Return a name that keeps to its line, whatever it holds."""
    text = "".join(letter if letter.isprintable() else " " for letter in name)
    return text if len(text) <= _WIDEST_NAME else text[: _WIDEST_NAME - 1] + "…"
