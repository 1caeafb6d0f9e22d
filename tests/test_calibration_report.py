"""What a calibration tells its report: fit, anchors, asymptotes, and which items misfit."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from etl_jobs import irt
from etl_jobs.calibrate.findings import Findings
from etl_jobs.calibrate.items import item_table
from etl_jobs.calibrate.report import report_of

if TYPE_CHECKING:
    from etl_jobs.calibrate.groups import StudentGroups
    from etl_jobs.report import ReportData

FIGURES = {"log_likelihood": -1.0, "iterations": 9, "score": 0.001}
SETTINGS = {"as_of": date(2024, 3, 1), "priors": "default"}


def simulate(persons: int = 1500, items: int = 12) -> np.ndarray:
    draw = np.random.default_rng(7)
    log_odds = draw.standard_normal((persons, 1)) - np.linspace(-1.5, 1.5, items)
    return (draw.random((persons, items)) < 1 / (1 + np.exp(-log_odds))).astype(float)


def report(
    answers: np.ndarray, groups: StudentGroups | None = None, **arguments: Any
) -> ReportData:
    responses = irt.Responses.from_dense(answers)
    fitted = irt.calibrate(responses, **arguments)
    findings = Findings.of(fitted, responses, groups)
    names: list[dict[str, object]] = [{}] * len(fitted.items)
    items = item_table(fitted, names, findings.flags(fitted), findings.differences)
    return report_of(fitted, responses, items, findings, groups, {}, FIGURES, SETTINGS)


def test_items_that_follow_the_model_have_no_flag() -> None:
    told = report(simulate())

    assert told.flags == [()] * 12
    assert told.infit == pytest.approx(np.ones(12), abs=0.15)
    assert told.lower is None
    assert told.anchored is None
    assert told.own_scale


def test_an_item_that_does_not_follow_its_curve_is_flagged_as_such() -> None:
    # Held at a curve that its answers are far from: many able persons get it wrong.
    told = report(simulate(), anchors={0: (2.0, 4.0), 1: (1.0, 1.2), 2: (1.0, 1.0)})

    assert told.flags[0] == ("misfit",)
    assert told.flags[3:] == [()] * 9
    assert told.fit_p is not None
    assert told.fit_p[0] < 1e-6


def test_an_anchor_has_no_standard_error_and_the_students_have_their_own_mean() -> None:
    anchors = {item: (1.0, 1.0 - level) for item, level in ((0, -1.5), (6, 0.136), (11, 1.5))}

    told = report(simulate(), anchors=anchors)

    assert told.anchored is not None
    assert np.flatnonzero(told.anchored).tolist() == [0, 6, 11]
    assert np.isnan(told.difficulty_se[[0, 6, 11]]).all()
    assert np.isfinite(told.difficulty_se[[1, 2, 3]]).all()
    # Every anchor is one easier than it was, so persons stand one lower.
    assert told.ability_mean == pytest.approx(-1.0, abs=0.1)


def test_asymptotes_are_told_where_the_model_has_them() -> None:
    three, four = report(simulate(), model="3PL"), report(simulate(), model="4PL")

    assert three.lower is not None
    assert three.upper is None
    assert four.upper is not None
    assert np.all((four.asymptotes[0] >= 0) & (four.asymptotes[1] <= 1))


def test_scores_are_not_compared_where_answers_have_gaps() -> None:
    answers = simulate()
    answers[::3, 5] = np.nan

    told = report(answers)

    assert told.fit_p is None
    assert told.infit is not None
    assert np.all(np.isfinite(told.infit))
