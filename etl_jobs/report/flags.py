"""What the flags on an item mean to the person who reads the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# These items are only waiting for answers: nothing is wrong with them, as far as anyone knows.
WAITING = ("too_few_answers", "no_answers")
# These are about groups of students.
DIFFERENCES = frozenset({"large_dif", "moderate_dif"})


@dataclass(frozen=True)
class Flag:
    """A flag's name in the data, its short label, and one sentence of explanation."""

    name: str
    label: str
    meaning: str


KNOWN = {
    flag.name: flag
    for flag in (
        Flag(
            "negative_discrimination",
            "Negative discrimination",
            "Stronger students get it wrong more often than weaker ones: "
            "look for a wrong answer key first.",
        ),
        Flag(
            "low_discrimination",
            "Low discrimination",
            "It hardly separates stronger from weaker students: "
            "look for unclear wording or a second right answer.",
        ),
        Flag(
            "all_right",
            "Everyone right",
            "Nobody got it wrong, so the answers only say that it is easy, not how easy.",
        ),
        Flag(
            "all_wrong",
            "Everyone wrong",
            "Nobody got it right: look for a wrong answer key. "
            "If the key is right, the answers do not say how hard it is.",
        ),
        Flag(
            "misfit",
            "Does not follow its curve",
            "Its answers depart from what the model expects by more than chance: "
            "look at its dots beside its curve.",
        ),
        Flag(
            "large_dif",
            "Unequal for two groups",
            "Equally able students of two groups do not do equally well on it: "
            "look for what only one group can know.",
        ),
        Flag(
            "moderate_dif",
            "Somewhat unequal for two groups",
            "Equally able students of two groups do a little differently on it.",
        ),
        Flag(
            "local_dependence",
            "Hangs together with another item",
            "Who gets another item right gets this one right more often than ability explains: "
            "look for a shared text, or one giving away the other.",
        ),
        Flag(
            "unconnected",
            "Not connected",
            "No student links it to most items, so its numbers cannot be compared with theirs.",
        ),
        Flag(
            "extreme_difficulty",
            "Extreme difficulty",
            "Its difficulty lies far outside the abilities of these students.",
        ),
        Flag(
            "too_few_answers",
            "Too few answers",
            "Its numbers rest mostly on what items are usually like. "
            "Nothing is wrong with it: wait for more answers.",
        ),
        Flag(
            "no_answers",
            "No answers",
            "Nobody has answered it, so its numbers are what items are usually like.",
        ),
    )
}


def explained(name: str) -> Flag:
    """Return the flag's explanation; an unknown flag is its own label."""
    return KNOWN.get(name) or Flag(name, name.replace("_", " ").capitalize() or name, "")


def in_use(flags: Sequence[tuple[str, ...]]) -> list[tuple[Flag, int]]:
    """Return each flag that occurs and on how many items, known ones first."""
    counts = Counter(name for names in flags for name in set(names))
    order = {name: place for place, name in enumerate(KNOWN)}
    # Waiting is no fault of the item, so it comes after everything else.
    names = sorted(counts, key=lambda name: (name in WAITING, order.get(name, len(order)), name))
    return [(explained(name), counts[name]) for name in names]


def meaningful(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags worth telling: with too few answers the others mean nothing yet."""
    return tuple(name for name in names if name in WAITING) or names


def needs_more_answers(names: tuple[str, ...]) -> bool:
    """Whether the item is only waiting for answers."""
    return any(name in WAITING for name in names)


def needs_a_look(names: tuple[str, ...]) -> bool:
    """Whether a person should read the item."""
    return bool(names) and not needs_more_answers(names)


def kind(flags: tuple[str, ...]) -> str:
    """Return how an item is drawn: `look`, `wait` or `fine`."""
    return "look" if needs_a_look(flags) else "wait" if needs_more_answers(flags) else "fine"
