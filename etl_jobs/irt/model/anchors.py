"""Items whose parameters are known and held, so that the scale is theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_jobs.irt.model.curves import ItemParameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.answers.responses import Labels
    from etl_jobs.irt.estimation.calibration import Calibration
    from etl_jobs.irt.model.coordinates import SlopeKind
    from etl_jobs.irt.model.models import FloatArray
    from etl_jobs.irt.model.priors import Priors

Anchors = Mapping[Any, Sequence[float]]


def resolve(
    anchors: Anchors | Calibration | None, items: Labels
) -> tuple[ItemParameters, NDArray[np.bool_]]:
    """The parameters of the anchors among the items, NaN for the others, and which are held.

    Raises:
        TypeError: The anchors are neither a mapping nor a calibration.
        ValueError: An anchor is none of the items, or its parameters are no curve's.
    """
    held = np.zeros(len(items), bool)
    table = np.full((len(items), 4), np.nan)
    if anchors is not None:
        if not isinstance(anchors, Mapping) and not hasattr(anchors, "discrimination"):
            raise TypeError(
                f"anchors are of type {type(anchors).__name__}; expected a mapping from items' "
                "labels to their parameters, or a calibration"
            )
        known = anchors if isinstance(anchors, Mapping) else _common(anchors, items)
        index = {label: position for position, label in enumerate(items.tolist())}
        strange = [label for label in known if label not in index]
        if strange:
            raise ValueError(
                f"anchors that are no item of these responses: {_listed(strange)}; leave them "
                "out, or see that labels are of one type"
            )
        if not known:
            raise ValueError("there are no anchors; leave `anchors` out, or give some")
        for label, values in known.items():
            table[index[label]] = _checked(label, values)
            held[index[label]] = True
    return ItemParameters(*table.T.copy()), held


def check_against(
    priors: Priors,
    slope: SlopeKind,
    parameters: ItemParameters,
    held: NDArray[np.bool_],
    items: Labels,
) -> None:
    """Refuse anchors that no item of the model, or of the priors, could be.

    Raises:
        ValueError: They contradict each other; the message names an anchor.
    """
    from etl_jobs.irt.model.priors import LogNormal

    discrimination = parameters.discrimination[held]
    if isinstance(priors.discrimination, LogNormal) and np.any(discrimination <= 0):
        label = items[held][(discrimination <= 0).argmax()]
        raise ValueError(
            f"anchor {label!s} has the discrimination {discrimination.min():g}, which the "
            "log-normal prior rules out; leave the anchor out, or take a normal prior"
        )
    common = 1.0 if slope == "one" else discrimination[0] if held.any() else 1.0
    if slope != "own" and not np.allclose(discrimination, common, rtol=1e-9, atol=0):
        odd = ~np.isclose(discrimination, common, rtol=1e-9, atol=0)
        expected = "1" if slope == "one" else f"{common:g}, as anchor {items[held][0]!s} has"
        raise ValueError(
            f"anchor {items[held][odd.argmax()]!s} has the discrimination "
            f"{discrimination[odd.argmax()]:g}; in this model all items have one, expected "
            f"{expected}; take the 2PL, or other anchors"
        )


def _common(calibration: Calibration, items: Labels) -> dict[Any, FloatArray]:
    """Those of the calibration's items that are among these."""
    present = set(items.tolist())
    columns = np.stack(
        (
            calibration.discrimination,
            calibration.intercept,
            calibration.lower,
            calibration.upper,
        ),
        axis=1,
    )
    common = {
        label: values
        for label, values in zip(calibration.items.tolist(), columns, strict=True)
        if label in present
    }
    if not common:
        raise ValueError(
            f"none of the {len(calibration.items)} calibrated items is among the "
            f"{len(items)} items of these responses, so nothing anchors the scale"
        )
    return common


def _checked(label: object, values: Sequence[float] | FloatArray) -> FloatArray:
    try:
        given = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"anchor {label!s} has the parameters {values!r:.60}; expected numbers"
        ) from error
    if given.ndim != 1 or not 2 <= len(given) <= 4:
        raise ValueError(
            f"anchor {label!s} has parameters of shape {given.shape}; expected discrimination, "
            "intercept, and where there are some the lower and upper asymptote"
        )
    full = np.concatenate((given, [0.0, 1.0][len(given) - 2 :]))
    if not np.all(np.isfinite(full)) or not 0 <= full[2] < full[3] <= 1:
        raise ValueError(
            f"anchor {label!s} has the parameters {full.tolist()}; expected finite numbers and "
            "asymptotes with 0 <= lower < upper <= 1"
        )
    return full


def _listed(labels: list[Any]) -> str:
    shown = ", ".join(str(label) for label in labels[:5])
    return shown + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
