"""Whether answers can determine what is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl_jobs.irt.answers.connections import joined_groups
from etl_jobs.irt.errors import TooFewResponses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_jobs.irt.answers.responses import Labels, Responses
    from etl_jobs.irt.model.coordinates import Coordinates
    from etl_jobs.irt.model.priors import Priors


def require_enough(responses: Responses, coordinates: Coordinates, priors: Priors) -> None:
    """Refuse what cannot be determined.

    Raises:
        TooFewResponses: The message says what there is, names items and says what it takes.
    """
    answers, right = responses.answers_per_item(), responses.right_per_item()
    persons = int(np.count_nonzero(responses.answers_per_person()))
    items = int(np.count_nonzero(answers))
    if responses.answers == 0:
        raise TooFewResponses("there is no answer to calibrate from")
    if persons < 2:
        raise TooFewResponses(f"only {persons} person gave answers; calibration needs at least 2")
    if items < 2:
        raise TooFewResponses(f"only {items} item has answers; calibration needs at least 2")
    if right.sum() in (0, responses.answers):
        which = "right" if right.any() else "wrong"
        raise TooFewResponses(
            f"all {responses.answers} answers are {which}: nothing tells the items apart"
        )
    if coordinates.held.any() and not answers[coordinates.held].any():
        raise TooFewResponses(
            f"none of the {coordinates.held.sum()} anchors has an answer, so nothing ties these "
            "persons to the anchors' scale; calibrate without anchors, or with others"
        )
    if priors.intercept is None:
        alike = ((right == 0) | (right == answers)) & ~coordinates.held
        if alike.any():
            raise TooFewResponses(
                f"without a prior for the intercept, items need right and wrong answers; "
                f"all answers are alike, or there are none, for {_listed(responses.items[alike])}"
            )
    needs_prior = coordinates.slope == "own" and not coordinates.held.any()
    if priors.discrimination is None and needs_prior and items < 3:
        raise TooFewResponses(
            f"{items} items cannot tell their discriminations without a prior; it takes 3"
        )


def require_groups(labels: Labels, groups: Sequence[Responses], coordinates: Coordinates) -> None:
    """Refuse groups of persons whose distribution nothing determines.

    Raises:
        TooFewResponses: The message names the group, and says what it lacks.
    """
    joined = joined_groups(groups, coordinates.held)
    for label, group, (moves, _), is_joined in zip(
        labels, groups, coordinates.moves, joined, strict=True
    ):
        answers = int(group.answers)
        persons = int(np.count_nonzero(group.answers_per_person()))
        if persons < 2:
            raise TooFewResponses(
                f"group {label!s} has {persons} persons with answers; it takes 2, or no groups"
            )
        if not moves:
            continue
        right = int(group.correct.sum())
        if right in (0, answers):
            raise TooFewResponses(
                f"all {answers} answers of group {label!s} are {'right' if right else 'wrong'}: "
                "nothing tells how able it is; leave it out, or join it to another"
            )
        if not is_joined:
            scale = "the anchors" if coordinates.held.any() else f"group {labels[0]!s}"
            raise TooFewResponses(
                f"group {label!s} shares no item with {scale}, directly or through other "
                "groups, so nothing places it on the same scale; calibrate it by itself"
            )


def _listed(items: Labels) -> str:
    shown = ", ".join(str(item) for item in items[:5])
    return shown + (f" and {len(items) - 5} more" if len(items) > 5 else "")
