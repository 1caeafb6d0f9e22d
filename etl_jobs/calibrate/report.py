"""A calibration made ready to be drawn: curves, fit, abilities, and what to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow import Table

    from etl_jobs.irt import Calibration, MeanSquares, Responses
    from etl_jobs.report import ReportData
    from etl_jobs.report.data import Floats

_BINS = 40
# Linacre's (2002) bound of what is still productive for measurement is 1.5; this is Wright's
# (1994) for a run of the mill test. A departure must also be more than chance.
_MISFIT = 1.3
_BEYOND_CHANCE = 3.0
# S-X2 is for complete data, and its time grows with the square of the items.
_MOST_ITEMS_FOR_SCORES = 150


def item_flags(fitted: Calibration, fit: MeanSquares) -> tuple[tuple[str, ...], ...]:
    """Each item's flags, "misfit" among them: answers noisier than the model by more than chance.

    An item that was never going to follow a curve, because its discrimination is low or
    negative, is flagged for that alone.
    """
    noisy = ((fit.infit > _MISFIT) & (fit.infit_z > _BEYOND_CHANCE)) | (
        (fit.outfit > _MISFIT) & (fit.outfit_z > _BEYOND_CHANCE)
    )
    return tuple(
        (*flags, "misfit") if misfits and not flags else tuple(flags)
        for flags, misfits in zip(fitted.flags, noisy.tolist(), strict=True)
    )


def report_of(
    fitted: Calibration,
    responses: Responses,
    items: Table,
    fit: MeanSquares,
    rejected: Mapping[str, Any],
    figures: Mapping[str, Any],
    settings: Mapping[str, object],
) -> ReportData:
    """The report's data, from a calibration and its items as they are published."""
    import numpy as np

    from etl_jobs import irt
    from etl_jobs.report import ReportData

    def column(name: str) -> Any:
        return items[name].to_pandas().to_numpy(float, na_value=np.nan)

    def error(name: str) -> Any:
        # What is held was not estimated here: a dash, not an error of 0.
        return np.where(fitted.held, np.nan, column(name))

    abilities = irt.estimate_abilities(fitted, responses).ability
    counts, edges = np.histogram(abilities, bins=_BINS, range=(-4.0, 4.0))
    [students] = fitted.populations
    return ReportData(
        title="Item calibration",
        as_of=settings["as_of"],  # type: ignore[arg-type]
        model=fitted.model,
        converged=fitted.converged,
        students=fitted.persons,
        item_id=items["item_id"].to_pylist(),
        item_name=items["item_name"].to_pylist(),
        subject=items["subject"].to_pylist(),
        answers=fitted.answers,
        share_correct=column("share_correct"),
        discrimination=column("discrimination"),
        discrimination_se=error("discrimination_error"),
        difficulty=column("difficulty"),
        difficulty_se=error("difficulty_error"),
        **_asymptotes(fitted),
        infit=fit.infit,
        outfit=fit.outfit,
        fit_p=_score_fit(fitted, responses),
        anchored=fitted.held if fitted.held.any() else None,
        flags=[tuple(str(flags).split()) for flags in items["flags"].to_pylist()],
        theta=fitted.nodes,
        answers_at=fitted.expected_answers,
        right_at=fitted.expected_right,
        ability_edges=edges,
        ability_counts=counts,
        ability_mean=students.mean,
        ability_deviation=students.deviation,
        information=irt.information_curve(fitted, fitted.nodes),
        standard_error=irt.measurement_error(fitted, fitted.nodes),
        facts={
            **({"Attempt that counts": str(settings["attempt"])} if "attempt" in settings else {}),
            "Priors": str(settings["priors"]),
            "Log-likelihood": figures["log_likelihood"],
            "Passes over the answers": figures["iterations"],
            "Largest scaled score": figures["score"],
        },
        left_out=dict(rejected),
    )


def _asymptotes(fitted: Calibration) -> dict[str, Any]:
    """Those that the model has."""
    columns: dict[str, Any] = {}
    if fitted.model in ("3PL", "4PL"):
        columns |= {"lower": fitted.lower, "lower_se": fitted.lower_error}
    if fitted.model == "4PL":
        columns |= {"upper": fitted.upper, "upper_se": fitted.upper_error}
    return columns


def _score_fit(fitted: Calibration, responses: Responses) -> Floats | None:
    """The p-values of S-X2, where answers are complete and items not too many."""
    from etl_jobs import irt

    given = responses.answers_per_person()
    items = len(responses.items)
    if items > _MOST_ITEMS_FOR_SCORES or not bool(((given == 0) | (given == items)).all()):
        return None
    return irt.summed_score_fit(fitted, responses).p_value
