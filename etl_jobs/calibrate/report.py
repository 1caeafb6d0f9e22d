"""A calibration made ready to be drawn: curves, fit, abilities, and what to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_jobs.calibrate.dependence import FEWEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow import Table

    from etl_jobs.calibrate.findings import Findings
    from etl_jobs.calibrate.groups import StudentGroups
    from etl_jobs.irt import Calibration, Responses
    from etl_jobs.report import Group, ReportData
    from etl_jobs.report.data import Differences, Floats, Pair

_BINS = 40
# S-X2 is for complete data, and its time grows with the square of the items.
_MOST_ITEMS_FOR_SCORES = 150


def report_of(
    fitted: Calibration,
    responses: Responses,
    items: Table,
    findings: Findings,
    groups: StudentGroups | None,
    rejected: Mapping[str, Any],
    figures: Mapping[str, Any],
    settings: Mapping[str, object],
) -> ReportData:
    """The report's data, from a calibration and its items as they are published."""
    import numpy as np

    from etl_jobs import irt
    from etl_jobs.calibrate.groups import everybody
    from etl_jobs.report import ReportData

    def column(name: str) -> Any:
        return items[name].to_pandas().to_numpy(float, na_value=np.nan)

    def error(name: str) -> Any:
        # What is held was not estimated here: a dash, not an error of 0.
        return np.where(fitted.held, np.nan, column(name))

    students = everybody(fitted)
    abilities = irt.estimate_abilities(fitted, responses, persons=students).ability
    counts, edges = np.histogram(abilities, bins=_BINS, range=(-4.0, 4.0))
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
        infit=findings.fit.infit,
        outfit=findings.fit.outfit,
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
        groups=_groups(fitted, responses, groups),
        differences=_differences(findings),
        pairs=_pairs(fitted, findings),
        information=irt.information_curve(fitted, fitted.nodes),
        standard_error=irt.measurement_error(fitted, fitted.nodes),
        facts={
            **({"Attempt that counts": str(settings["attempt"])} if "attempt" in settings else {}),
            "Priors": str(settings["priors"]),
            "Log-likelihood": figures["log_likelihood"],
            "Passes over the answers": figures["iterations"],
            "Largest scaled score": figures["score"],
            "Pairs of items compared (Q3)": _compared(findings),
        },
        left_out=dict(rejected),
    )


def _compared(findings: Findings) -> int | str:
    """How many pairs of items were compared, or why none was."""
    if not findings.dependent.students:
        return "none, of so many items"
    return findings.dependent.compared or f"none has {FEWEST} students"


def _groups(
    fitted: Calibration, responses: Responses, groups: StudentGroups | None
) -> tuple[Group, ...]:
    """The groups with their students; with means where they are populations of their own."""
    import numpy as np

    from etl_jobs.report import Group
    from etl_jobs.report.data import NO_GROUP

    if groups is None:
        return ()
    if len(fitted.populations) > 1:
        return tuple(
            Group(
                name=each.label.name or NO_GROUP,
                students=each.persons,
                mean=each.mean,
                deviation=each.deviation,
            )
            for each in fitted.populations
        )
    answered = responses.answers_per_person() > 0
    # The last place is that of students of no group.
    place = np.where(groups.group < 0, len(groups.names), groups.group)[answered]
    students = np.bincount(place, minlength=len(groups.names) + 1).tolist()
    return tuple(
        Group(name=name, students=count, mean=float("nan"), deviation=float("nan"))
        for name, count in zip((*groups.names, NO_GROUP), students, strict=True)
        if count
    )


def _differences(findings: Findings) -> Differences | None:
    from etl_jobs.report.data import Differences

    found = findings.differences
    if found is None:
        return None
    return Differences(
        reference=found.reference,
        group=[str(name) for name in found.group],
        delta=found.delta,
        delta_se=found.delta_error,
    )


def _pairs(fitted: Calibration, findings: Findings) -> tuple[Pair, ...]:
    from etl_jobs.report.data import Pair

    place = {str(item): number for number, item in enumerate(fitted.items)}
    return tuple(
        Pair(
            first=place[pair.first],
            second=place[pair.second],
            q3=pair.q3,
            students=pair.students,
        )
        for pair in findings.dependent.pairs
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
    """The p-values of S-X2, where answers are complete, of one population, items not too many."""
    from etl_jobs import irt

    given = responses.answers_per_person()
    items = len(responses.items)
    complete = bool(((given == 0) | (given == items)).all())
    if items > _MOST_ITEMS_FOR_SCORES or len(fitted.populations) > 1 or not complete:
        return None
    return irt.summed_score_fit(fitted, responses).p_value
