"""The calibration in plain sentences, for a reader who knows no psychometrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.report.data import NO_GROUP
from etl_jobs.report.flags import DIFFERENCES, Flag, in_use, needs_a_look, needs_more_answers
from etl_jobs.report.labels import LONGEST
from etl_jobs.report.names import clean, name_of, shortened
from etl_jobs.report.numerals import counted, fixed, percent, whole
from etl_jobs.report.precision import most_precise, typical_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.report.data import Group, ReportData

# So many pairs of items, and so many groups, are named.
_PAIRS_TOLD = 3
_SIDES_TOLD = 4


@dataclass(frozen=True)
class Reason:
    """Why some items need a look, how many do for that reason, and which, if few words tell."""

    flag: Flag
    items: str
    named: str


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
            Reason(flag, counted(count, "item"), _named(data, flag.name))
            for flag, count in in_use(look)
        ),
        overlap=any(len(flags) > 1 for flags in look),
        waiting=_waiting(wait),
        measuring=tuple(
            filter(None, (_difficulty(data), _precision(data), _groups(data), _scale(data)))
        ),
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


def _named(data: ReportData, flag: str) -> str:
    """Return which items hang together, or for whom how many items are harder or easier."""
    if flag == "local_dependence" and data.pairs:
        told = [
            " with ".join(_short_name(name_of(data, item)) for item in (pair.first, pair.second))
            for pair in data.pairs[:_PAIRS_TOLD]
        ]
        if len(data.pairs) > _PAIRS_TOLD:
            told.append(f"and {counted(len(data.pairs) - _PAIRS_TOLD, 'more pair')}")
        return "; ".join(told) + "."
    if flag in DIFFERENCES and data.differences is not None:
        delta, group = data.differences.delta, data.differences.group
        sides = Counter(
            f"{'harder' if delta[item] < 0 else 'easier'} for {_short_name(group[item])}"
            for item, names in enumerate(data.flags)
            if flag in names and np.isfinite(delta[item])
        )
        return ", ".join(f"{whole(n)} {side}" for side, n in sides.most_common(_SIDES_TOLD)) + "."
    return ""


def _short_name(name: str) -> str:
    return shortened(clean(name), LONGEST)


def _groups(data: ReportData) -> str:
    told = data.differences
    if told is None:
        return ""
    others = [each for each in data.groups if each.name not in (told.reference, NO_GROUP)]
    them = " and ".join(_short_name(each.name) for each in others)
    unequal = sum(not DIFFERENCES.isdisjoint(flags) for flags in data.flags)
    verdict = (
        "no item treats them differently" if not unequal
        else "1 item treats them differently" if unequal == 1
        else f"{whole(unequal)} items treat them differently"
    )  # fmt: skip
    whose = f"the group {them}" if len(others) == 1 else f"the groups {them}"
    return (
        f"Students of {whose if len(others) < 3 else f'{len(others)} groups'} were compared with "
        f"equally able ones of {_short_name(told.reference)}: {verdict}.{_apart(data, others)}"
    )


def _apart(data: ReportData, others: Sequence[Group]) -> str:
    """Return how far the ability of one other group is from that of the reference."""
    first = data.groups[0].mean
    if len(others) != 1 or not np.isfinite(first + others[0].mean):
        return ""
    away = others[0].mean - first
    where = "above" if away > 0 else "below"
    reference = _short_name(data.groups[0].name)
    return f" On average, their ability is {fixed(abs(away))} {where} that of {reference}."


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
