"""The calibration in plain sentences, for a reader who knows no psychometrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.report.flags import Flag, in_use, needs_a_look, needs_more_answers
from etl_jobs.report.numerals import counted, fixed, percent, whole
from etl_jobs.report.precision import most_precise, typical_error

if TYPE_CHECKING:
    from etl_jobs.report.data import ReportData


@dataclass(frozen=True)
class Reason:
    """Why some items need a look, and how many do for that reason."""

    flag: Flag
    items: str


@dataclass(frozen=True)
class Summary:
    """What stands at the top of the page.

    Attributes:
        lead: Who answered what.
        verdict: How many items a person should read.
        reasons: Why, most serious first.
        overlap: Whether some item has more than one reason.
        waiting: How many items have too few answers to judge, or nothing.
        measuring: What the test is like for these students.
        warning: Why the numbers must not be used, or nothing.
    """

    lead: str
    verdict: str
    reasons: tuple[Reason, ...]
    overlap: bool
    waiting: str
    measuring: tuple[str, ...]
    warning: str


def summarise(data: ReportData) -> Summary:
    """Return the sentences at the top of the page."""
    items = len(data.item_id)
    answers = int(np.sum(data.answers))
    look = [flags for flags in data.flags if needs_a_look(flags)]
    wait = sum(map(needs_more_answers, data.flags))
    return Summary(
        lead=(
            f"{counted(data.students, 'student')} gave {counted(answers, 'answer')} "
            f"to {counted(items, 'item')}."
        ),
        verdict=_verdict(len(look), items - wait),
        reasons=tuple(
            Reason(flag, counted(count, "item"))
            for flag, count in in_use(look)
        ),
        overlap=any(len(flags) > 1 for flags in look),
        waiting=_waiting(wait),
        measuring=tuple(filter(None, (_difficulty(data), _precision(data), _scale(data)))),
        warning=(
            ""
            if data.converged
            else "The calibration did not converge. Do not use these item parameters."
        ),
    )  # fmt: skip


def _waiting(wait: int) -> str:
    if not wait:
        return ""
    have, them = ("has", "it") if wait == 1 else ("have", "them")
    return (
        f"{counted(wait, 'item')} {have} too few answers to be judged yet; "
        f"nothing is wrong with {them}, more answers will tell."
    )


def _verdict(look: int, judged: int) -> str:
    if not judged:
        return "No item has enough answers to be judged."
    if not look:
        return "No item stands out: none needs a look."
    needs = "needs" if look == 1 else "need"
    return f"{whole(look)} of {counted(judged, 'item')} {needs} a look."


def _difficulty(data: ReportData) -> str:
    answers = float(np.sum(data.answers))
    judged = np.array([not needs_more_answers(flags) for flags in data.flags])
    known = data.difficulty[judged & np.isfinite(data.difficulty)]
    if not answers or not len(known):
        return ""
    right = np.nansum(np.asarray(data.share_correct) * np.asarray(data.answers)) / answers
    typical = float(np.median(known))
    above = (typical - data.ability_mean) / data.ability_deviation
    fit = (
        "easy for these students" if above < -0.5
        else "hard for these students" if above > 0.5
        else "about as hard as these students are able"
    )  # fmt: skip
    return (
        f"{percent(float(right))} of the answers are right. The items are {fit}: "
        f"the typical item's difficulty is {fixed(typical, 1)}, "
        f"and the average student's ability is {fixed(data.ability_mean, 1)}."
    )


def _precision(data: ReportData) -> str:
    best, typical = most_precise(data), typical_error(data)
    if best is None or typical is None:
        return ""
    ability, error = best
    above = (ability - data.ability_mean) / data.ability_deviation
    whom = (
        "below-average students" if above < -0.5
        else "above-average students" if above > 0.5
        else "average students"
    )  # fmt: skip
    told = (
        f"The test measures {whom} most precisely: at ability {fixed(ability, 1)} "
        f"the standard error is {fixed(error)}"
    )
    answered = float(np.sum(data.answers)) / max(data.students, 1)
    if answered > 0.9 * len(data.item_id):
        return f"{told}."
    return (
        f"{told} for someone who answers every item, and about {fixed(typical)} "
        f"for someone with the average number of answers, {whole(answered)}."
    )


def _scale(data: ReportData) -> str:
    anchors = 0 if data.anchored is None else int(np.sum(data.anchored))
    if not anchors:
        return ""
    keep = "keeps its numbers" if anchors == 1 else "keep their numbers"
    return (
        f"{counted(anchors, 'anchor item')} {keep} from an earlier run, so that abilities and "
        f"difficulties can be compared with that run's. On its scale these students have the "
        f"mean {fixed(data.ability_mean)} and the standard deviation "
        f"{fixed(data.ability_deviation)}."
    )
