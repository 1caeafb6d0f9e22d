"""Items held as they are: the scale stays theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from etl_jobs import irt
from tests.irt.simulation import simulate

if TYPE_CHECKING:
    from etl_jobs.irt import Model


@pytest.mark.parametrize("model", ["2PL", "3PL"])
def test_anchors_keep_the_scale_for_other_persons(model: Model) -> None:
    truth = simulate(4000, 24, model=model, mean=0.7, deviation=1.3, seed=7)
    anchors = {
        item: (truth.discrimination[item], truth.intercept[item], truth.lower[item], 1.0)
        for item in range(12)
    }

    found = irt.calibrate(irt.Responses.from_dense(truth.answers), model=model, anchors=anchors)

    (persons,) = found.populations
    assert found.converged
    assert np.array_equal(found.held, np.arange(24) < 12)
    for name in ("discrimination", "intercept", "lower"):
        assert np.array_equal(getattr(found, name)[:12], getattr(truth, name)[:12])
    assert np.all(found.covariance[:12] == 0)
    assert abs(persons.mean - 0.7) < 3 * persons.mean_error
    assert abs(persons.deviation - 1.3) < 3 * persons.deviation_error
    surprise = (found.intercept - truth.intercept)[12:] / found.intercept_error[12:]
    assert np.abs(surprise).max() < 4


def test_a_published_calibration_anchors_the_next_one() -> None:
    truth = simulate(3000, 15, seed=8)
    names = [f"q{item}" for item in range(15)]
    first = irt.calibrate(irt.Responses.from_dense(truth.answers[:, :10], items=names[:10]))
    later = simulate(3000, 15, mean=1.0, deviation=0.8, seed=9, of=truth).answers

    second = irt.calibrate(irt.Responses.from_dense(later[:, 5:], items=names[5:]), anchors=first)

    assert np.array_equal(second.held, [True] * 5 + [False] * 5)
    assert np.array_equal(second.discrimination[:5], first.discrimination[5:])
    assert second.intercept[5:] == pytest.approx(truth.intercept[10:], abs=0.3)
    assert second.populations[0].mean == pytest.approx(1.0, abs=0.12)


def test_anchors_that_say_what_would_be_found_change_nothing() -> None:
    responses = irt.Responses.from_dense(simulate(800, 12).answers)
    free = irt.calibrate(responses, priors=None, tolerance=1e-8)

    held = irt.calibrate(
        responses,
        priors=None,
        tolerance=1e-8,
        anchors={item: (free.discrimination[item], free.intercept[item]) for item in range(6)},
    )

    assert held.discrimination == pytest.approx(free.discrimination, abs=1e-5)
    assert held.intercept == pytest.approx(free.intercept, abs=1e-5)
    assert held.populations[0].mean == pytest.approx(0, abs=1e-5)
    assert held.populations[0].deviation == pytest.approx(1, abs=1e-5)
    assert held.log_likelihood == pytest.approx(free.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("model", ["1PL", "Rasch"])
def test_anchors_of_one_slope_hold_it_for_all(model: Model) -> None:
    truth = simulate(2000, 12, model="1PL", mean=-0.5, deviation=1.2, seed=3)

    found = irt.calibrate(
        irt.Responses.from_dense(truth.answers),
        model=model,
        anchors={item: (1.0, truth.intercept[item]) for item in range(4)},
    )

    assert np.all(found.discrimination == 1)
    assert found.populations[0].mean == pytest.approx(-0.5, abs=0.1)
    assert found.populations[0].deviation == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize("model", ["Rasch", "2PL"])
def test_persons_may_be_held_where_the_items_would_place_them(model: Model) -> None:
    truth = simulate(1500, 10, model=model, mean=0.6, deviation=1.4, seed=5)
    responses = irt.Responses.from_dense(truth.answers)
    kept = {item: (truth.discrimination[item], truth.intercept[item]) for item in range(3)}
    anchors = kept if model == "2PL" else None

    free = irt.calibrate(responses, model=model, anchors=anchors)
    fixed = irt.calibrate(responses, model=model, anchors=anchors, population="standard normal")

    (persons,) = fixed.populations
    assert (persons.mean, persons.deviation) == (0, 1)
    assert (persons.mean_error, persons.deviation_error) == (0, 0)
    assert free.populations[0].deviation == pytest.approx(1.4, abs=0.15)
    assert fixed.log_likelihood < free.log_likelihood - 5
    at_standard = irt.log_likelihood(fixed, responses, persons=irt.Normal(0.0, 1.0))
    assert fixed.log_likelihood == pytest.approx(at_standard, abs=1e-6)


def test_every_group_finds_its_place_on_the_anchors_scale() -> None:
    truth = simulate(1500, 12, mean=0.5, seed=3)
    other = simulate(1500, 12, mean=-0.5, deviation=1.3, seed=4, of=truth).answers
    answers = np.vstack((truth.answers, other))

    found = irt.calibrate(
        irt.Responses.from_dense(answers),
        groups=np.repeat([1, 2], 1500),
        anchors={item: (truth.discrimination[item], truth.intercept[item]) for item in range(6)},
    )

    for population, mean, deviation in zip(found.populations, (0.5, -0.5), (1, 1.3), strict=True):
        assert abs(population.mean - mean) < 3.5 * population.mean_error
        assert abs(population.deviation - deviation) < 3.5 * population.deviation_error


def test_near_standard_errors_are_near_the_joint_ones() -> None:
    truth = simulate(1500, 30, mean=0.5, deviation=1.2)
    responses = irt.Responses.from_dense(truth.answers)
    anchors = {item: (truth.discrimination[item], truth.intercept[item]) for item in range(5)}

    near = irt.calibrate(responses, anchors=anchors, standard_errors="near")
    joint = irt.calibrate(responses, anchors=anchors, standard_errors="joint")

    free = ~near.held
    assert near.discrimination_error[free] == pytest.approx(
        joint.discrimination_error[free], rel=0.05
    )
    assert near.intercept_error[free] == pytest.approx(joint.intercept_error[free], rel=0.05)
    assert near.populations[0].mean_error == pytest.approx(
        joint.populations[0].mean_error, rel=0.05
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"anchors": {"q9": (1.0, 0.0), "q1": (1.0, 0.0)}}, "no item of these responses: q9"),
        ({"anchors": {}}, "there are no anchors"),
        ({"anchors": {"q1": (1.0,)}}, "anchor q1 has parameters of shape"),
        ({"anchors": {"q1": (1.0, 0.0, 0.6, 0.4)}}, "0 <= lower < upper <= 1"),
        ({"anchors": {"q1": (float("nan"), 0.0)}}, "expected finite numbers"),
        ({"anchors": {"q1": (2.0, 0.0)}, "model": "Rasch"}, "anchor q1 has the discrimination 2"),
        (
            {"anchors": {"q1": (2.0, 0.0), "q2": (1.0, 0.0)}, "model": "1PL"},
            "expected 2, as anchor q1 has",
        ),
        (
            {
                "anchors": {"q1": (-1.0, 0.0)},
                "priors": irt.Priors(discrimination=irt.LogNormal(0.0, 0.5)),
            },
            "log-normal prior rules out",
        ),
        ({"population": "normal"}, "nothing else fixes"),
        ({"population": "uniform"}, "'uniform'"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    arguments: dict[str, Any], sentence: str
) -> None:
    responses = irt.Responses.from_dense(simulate(100, 4).answers, items=["q1", "q2", "q3", "q4"])

    with pytest.raises(ValueError, match=sentence):
        irt.calibrate(responses, **arguments)


def test_a_calibration_of_other_items_anchors_nothing() -> None:
    first = irt.calibrate(irt.Responses.from_dense(simulate(100, 4).answers))
    others = irt.Responses.from_dense(simulate(100, 4).answers, items=list("abcd"))

    with pytest.raises(ValueError, match="none of the 4 calibrated items"):
        irt.calibrate(others, anchors=first)


def test_anchors_that_nobody_answered_are_refused() -> None:
    answers = simulate(100, 5).answers
    answers[:, 4] = np.nan

    with pytest.raises(irt.TooFewResponses, match="none of the 1 anchors has an answer"):
        irt.calibrate(irt.Responses.from_dense(answers), anchors={4: (1.0, 0.0)})
