"""What a search for a model moves, and where it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from etl_jobs.irt.model.anchors import Anchors, check_against, resolve
from etl_jobs.irt.model.coordinates import AT_BOUND, Coordinates, SlopeKind
from etl_jobs.irt.model.curves import ItemParameters
from etl_jobs.irt.model.priors import Beta, LogNormal, Normal, Priors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Labels
    from etl_jobs.irt.estimation.calibration import Calibration, Model

PopulationKind = Literal["standard normal", "normal", "any shape"]

_SLOPES: dict[Model, SlopeKind] = {"Rasch": "one", "1PL": "shared"}
_COLUMNS: dict[Model, int] = {"3PL": 3, "4PL": 4}
# Where nothing is believed of guesses and slips, a search begins here.
_FIRST_ASYMPTOTE = 0.1


class ItemCounts(Protocol):
    """What a search needs of the answers before it begins: `Responses`, or their counts."""

    @property
    def items(self) -> Labels:
        """One label for each item, shape (items,)."""
        ...

    def answers_per_item(self) -> NDArray[np.int64]:
        """How many persons answered each item, shape (items,)."""
        ...

    def right_per_item(self) -> NDArray[np.int64]:
        """How many persons answered each item correctly, shape (items,)."""
        ...


def design(
    model: Model,
    priors: Priors,
    responses: ItemCounts,
    *,
    anchors: Anchors | Calibration | None = None,
    groups: int = 1,
    population: PopulationKind | None = None,
) -> Coordinates:
    """What a search for this model moves, and where it begins.

    Raises:
        ValueError: The arguments contradict each other, or an anchor is no item.
    """
    slope, columns = _SLOPES.get(model, "own"), _COLUMNS.get(model, 2)
    known, held = resolve(anchors, responses.items)
    check_against(priors, slope, known, held, responses.items)
    if population == "normal" and not held.any() and slope != "one":
        raise ValueError(
            f"in the {model} model the items' scale is that of the persons, whose mean and "
            "deviation nothing else fixes; give anchors, take the Rasch model, or leave "
            "population out"
        )
    if population == "any shape" and (held.any() or slope == "one" or groups > 1):
        raise ValueError(
            "a distribution of any shape has mean 0 and deviation 1, and is that of one group of "
            "persons; leave anchors and groups out, and take the 1PL for the Rasch model"
        )
    guess = _first_guess(responses, priors, slope, columns)
    moves = np.ones((groups, 2), bool)
    moves[0] = held.any(), held.any() or slope == "one"
    if population == "standard normal":
        moves[0] = False
    return Coordinates(
        slope=slope,
        columns=columns,
        logarithmic=isinstance(priors.discrimination, LogNormal),
        fixed=ItemParameters(*(np.where(held, *pair) for pair in zip(known, guess, strict=True))),
        held=held,
        moves=moves,
    )


def settled(parameters: ItemParameters, coordinates: Coordinates) -> ItemParameters:
    """The parameters, an asymptote next to its bound put at it."""
    free = ~coordinates.held
    return parameters._replace(
        lower=np.where(free & (parameters.lower < AT_BOUND), 0.0, parameters.lower),
        upper=np.where(free & (parameters.upper > 1 - AT_BOUND), 1.0, parameters.upper),
    )


def _first_guess(
    responses: ItemCounts, priors: Priors, slope: SlopeKind, columns: int
) -> ItemParameters:
    """Equal discriminations, and the intercepts that the proportions right then call for."""
    answers, right = responses.answers_per_item(), responses.right_per_item()
    typical = 1.0 if slope == "one" else _typical(priors.discrimination)
    lower = _typical_asymptote(priors.lower) if columns > 2 else 0.0
    slip = _typical_asymptote(priors.slip) if columns > 3 else 0.0
    share = ((right + 0.5) / (answers + 1) - lower) / (1 - slip - lower)
    # Fewer may be right than guessing alone makes them.
    share = np.clip(share, 0.02, 0.98) if columns > 2 else share
    # Ability spreads the log-odds, which flattens the proportions by about this much.
    flattening = np.sqrt(1 + typical**2 / 2.89)
    items = np.ones(len(answers))
    return ItemParameters(
        typical * items,
        flattening * np.log(share / (1 - share)),
        lower * items,
        (1 - slip) * items,
    )


def _typical(prior: Normal | LogNormal | None) -> float:
    if prior is None:
        return 1.0
    return float(np.exp(prior.mean)) if isinstance(prior, LogNormal) else prior.mean


def _typical_asymptote(prior: Beta | None) -> float:
    # At 0 an asymptote has no slope to begin with, and beyond a third two of them meet.
    return _FIRST_ASYMPTOTE if prior is None else float(np.clip(prior.mode, 0.02, 1 / 3))
