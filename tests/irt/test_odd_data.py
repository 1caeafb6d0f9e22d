"""Whatever few and odd answers there are: a maximum, or one of our own errors."""

from __future__ import annotations

from typing import Literal

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from etl_jobs import irt

PRIORS = (
    None,
    irt.DEFAULT_PRIORS,
    irt.Priors(irt.LogNormal(0.0, 0.5), irt.Normal(0.0, 3.0), irt.Beta(2.0, 8.0), None),
)


@given(
    answers=npst.arrays(
        float,
        st.tuples(st.integers(2, 25), st.integers(2, 8)),
        elements=st.sampled_from([0.0, 1.0, np.nan]),
    ),
    model=st.sampled_from(irt.MODELS),
    priors=st.sampled_from(PRIORS),
    with_groups=st.booleans(),
    with_anchor=st.booleans(),
    standard_errors=st.sampled_from(["joint", "near", "none"]),
)
@example(
    # Abilities that are known for certain, whose spread rounding takes below zero.
    answers=np.array([[0.0] * 4, [1.0, 0.0, 0.0, 0.0], [0.0] * 4, [0.0] * 4]),
    model="Rasch",
    priors=PRIORS[2],
    with_groups=True,
    with_anchor=False,
    standard_errors="joint",
)
@settings(max_examples=60, deadline=None)
def test_a_calibration_is_finite_or_refused_in_words(
    answers: np.ndarray,
    model: irt.Model,
    priors: irt.Priors | None,
    with_groups: bool,
    with_anchor: bool,
    standard_errors: Literal["joint", "near", "none"],
) -> None:
    responses = irt.Responses.from_dense(answers)

    try:
        found = irt.calibrate(
            responses,
            model=model,
            priors=priors,
            groups=np.arange(len(answers)) % 2 if with_groups else None,
            anchors={0: (1.0, 0.5)} if with_anchor else None,
            standard_errors=standard_errors,
            max_iterations=200,
        )
    except irt.CalibrationError:
        return

    assert found.converged
    assert found.score <= 0.01
    assert found.log_likelihood <= 0
    for name in ("discrimination", "intercept", "lower", "upper"):
        assert np.all(np.isfinite(getattr(found, name)))
    assert np.all(found.lower < found.upper)
    if with_anchor:
        assert (found.discrimination[0], found.intercept[0]) == (1.0, 0.5)
    # What is not certain is not negative: it is a number, or said not to be known.
    variances = np.diagonal(found.covariance, axis1=1, axis2=2)
    assert np.all((variances >= 0) | np.isnan(variances))
