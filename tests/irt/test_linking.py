"""Linking two scales: a published example, exact recovery, and what cannot be linked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_jobs import irt
from etl_jobs.irt.model.quadrature import Grid

# Example 1 of Kolen's program STUIRT: the common items of Kolen & Brennan's forms X and Y, in
# the 3PL with the constant 1.7. Columns: a, b, c.
FORM_X = np.array(
    [
        (0.4551, -0.7101, 0.2087),
        (0.5839, -0.8567, 0.2038),
        (0.7544, 0.0212, 0.1600),
        (0.6633, 0.0506, 0.1240),
        (1.0690, 0.9610, 0.2986),
        (0.9672, 0.1950, 0.0535),
        (0.3479, 2.2768, 0.1489),
        (1.4579, 1.0241, 0.2453),
        (1.8811, 1.4062, 0.1992),
        (0.7020, 2.2401, 0.0853),
        (1.4080, 1.5556, 0.0789),
        (1.2993, 2.1589, 0.1075),
    ]
)
FORM_Y = np.array(
    [
        (0.4416, -1.3349, 0.1559),
        (0.5730, -1.3210, 0.1913),
        (0.5987, -0.7098, 0.1177),
        (0.6041, -0.3539, 0.0818),
        (0.9902, 0.5320, 0.3024),
        (0.8081, -0.1156, 0.0648),
        (0.4140, 2.5538, 0.2410),
        (1.3554, 0.5811, 0.2243),
        (1.0417, 0.9392, 0.1651),
        (0.6336, 1.8960, 0.0794),
        (1.1347, 1.0790, 0.0630),
        (0.9255, 2.1337, 0.1259),
    ]
)
ABILITIES = [-4.0, -3.111, -2.222, -1.333, -0.4444, 0.4444, 1.333, 2.222, 3.111, 4.0]
DENSITY_X = [1.008e-4, 0.00276, 0.03021, 0.142, 0.3149, 0.3158, 0.1542, 0.03596, 0.003925, 1.862e-4]
DENSITY_Y = [1.173e-4, 0.003242, 0.03449, 0.1471, 0.3148, 0.311, 0.1526, 0.03406, 0.00251, 1.116e-4]


def published(form: np.ndarray) -> irt.ItemBank:
    slope = 1.7 * form[:, 0]
    return irt.ItemBank.of(range(len(form)), slope, -slope * form[:, 1], form[:, 2])


@pytest.mark.parametrize(
    ("method", "slope", "intercept", "tolerance"),
    [
        ("mean-sigma", 1.168891, -0.515543, 1e-6),
        ("mean-mean", 1.217266, -0.557156, 1e-6),
        ("haebara", 1.067800, -0.471281, 1e-4),
        ("stocking-lord", 1.083417, -0.487619, 1e-4),
    ],
)
def test_the_published_example_is_reproduced(
    method: irt.LinkMethod, slope: float, intercept: float, tolerance: float
) -> None:
    persons_x = Grid(np.array(ABILITIES), np.log(DENSITY_X))
    persons_y = Grid(np.array(ABILITIES), np.log(DENSITY_Y))

    found = irt.link(
        published(FORM_X),
        published(FORM_Y),
        method=method,
        new_persons=persons_x,
        old_persons=persons_y,
    )

    assert found.slope == pytest.approx(slope, abs=tolerance)
    assert found.intercept == pytest.approx(intercept, abs=tolerance)


@given(
    slope=st.floats(0.4, 2.5),
    intercept=st.floats(-2, 2),
    method=st.sampled_from(["stocking-lord", "haebara", "mean-sigma", "mean-mean"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_a_scale_that_was_stretched_and_shifted_is_found_again(
    slope: float, intercept: float, method: irt.LinkMethod, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    old = irt.ItemBank.of(
        range(10),
        draw.lognormal(0, 0.3, 10),
        draw.normal(0, 1, 10),
        draw.uniform(0, 0.2, 10),
        draw.uniform(0.9, 1, 10),
    )
    there = irt.Link(slope, intercept, method, old.items, 0.0)
    new = there.inverse().apply(old)

    found = irt.link(new, old, method=method)

    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), abs=1e-6)
    assert found.criterion == pytest.approx(0, abs=1e-10)
    back = found.apply(new)
    assert back.discrimination == pytest.approx(old.discrimination, abs=1e-5)
    assert back.difficulty == pytest.approx(old.difficulty, abs=1e-5)
    ability = np.linspace(-2, 2, 5)
    assert irt.probability(
        found.abilities(ability), back.discrimination, back.intercept
    ) == pytest.approx(irt.probability(ability, new.discrimination, new.intercept), abs=1e-9)


def test_two_calibrations_of_different_persons_meet_on_one_scale() -> None:
    draw = np.random.default_rng(12)
    slope, level = draw.lognormal(0, 0.25, 40), draw.normal(0, 1, 40)

    def answers(items: slice, mean: float, deviation: float) -> irt.Responses:
        ability = mean + deviation * draw.standard_normal((5000, 1))
        right = 1 / (1 + np.exp(-(ability * slope[items] + level[items])))
        labels = np.arange(40)[items]
        return irt.Responses.from_dense(draw.random(right.shape) < right, items=labels)

    old = irt.calibrate(answers(slice(0, 25), 0.0, 1.0))
    new = irt.calibrate(answers(slice(10, 40), 0.6, 1.3))

    found = irt.link(new, old)

    # An item's curve on the old scale errs at an ability as its curve on the new one did.
    linked = found.apply(new).covariance
    assert linked is not None
    at_origin = np.array([found.intercept, 1.0])
    error = np.einsum("m,imn,n->i", at_origin, linked, at_origin)
    assert error == pytest.approx(new.covariance[:, 1, 1])
    assert len(found.items) == 15
    assert found.slope == pytest.approx(1.3, abs=0.08)
    assert found.intercept == pytest.approx(0.6, abs=0.08)
    moved = found.apply(new)
    (persons,) = moved.populations
    assert (persons.mean, persons.deviation) == pytest.approx((0.6, 1.3), abs=0.08)
    assert list(moved.items) == list(range(10, 40))
    assert np.sqrt(np.mean((moved.intercept - level[10:]) ** 2)) < 0.12


def test_the_persons_of_a_link_may_be_said_as_for_abilities() -> None:
    # Where the curves differ the link depends on where the persons are.
    here, there = irt.Normal(1.0, 0.7), irt.Normal(-0.5, 1.2)
    group = irt.Population("b", 100, 1.0, 0.7)
    nodes = np.linspace(-8, 8, 61)

    def grid(persons: irt.Normal) -> Grid:
        log_weights = -(nodes**2) / 2
        log_weights -= np.log(np.exp(log_weights).sum())
        return Grid(persons.mean + persons.deviation * nodes, log_weights)

    usual = irt.link(published(FORM_X), published(FORM_Y))
    said = irt.link(published(FORM_X), published(FORM_Y), new_persons=here, old_persons=there)
    of_group = irt.link(published(FORM_X), published(FORM_Y), new_persons=group, old_persons=there)
    by_grid = irt.link(
        published(FORM_X), published(FORM_Y), new_persons=grid(here), old_persons=grid(there)
    )

    assert abs(said.slope - usual.slope) > 1e-3
    assert (said.slope, said.intercept) == pytest.approx((by_grid.slope, by_grid.intercept))
    assert (of_group.slope, of_group.intercept) == (said.slope, said.intercept)
    with pytest.raises(TypeError, match=r"expected Normal\(mean, deviation\)"):
        irt.link(published(FORM_X), published(FORM_Y), new_persons=(0, 1))  # type: ignore[arg-type]


def test_chosen_items_alone_carry_the_link() -> None:
    old = irt.ItemBank.of(list("abcd"), [1.0, 1.2, 0.8, 1.0], [0.0, 0.5, -0.5, 1.0])
    changed = irt.ItemBank.of(list("abcd"), [1.0, 1.2, 0.8, 2.0], [0.0, 0.5, -0.5, -3.0])

    every = irt.link(changed, old)
    chosen = irt.link(changed, old, common=["a", "b", "c"])

    assert (chosen.slope, chosen.intercept) == pytest.approx((1, 0), abs=1e-6)
    assert abs(every.slope - 1) + abs(every.intercept) > 0.05
    assert list(chosen.items) == ["a", "b", "c"]


def test_scales_without_enough_in_common_are_refused() -> None:
    one = irt.ItemBank.of(list("abc"), [1.0, 1.0, -1.0], [0.0, 0.0, 1.0])
    other = irt.ItemBank.of(list("cde"), 1.0, [0.0, 1.0, 2.0])

    with pytest.raises(ValueError, match="0 items with positive discriminations"):
        irt.link(one, other)
    with pytest.raises(ValueError, match="item d is not in both"):
        irt.link(one, other, common=["d"])
    with pytest.raises(ValueError, match="one difficulty"):
        irt.link(one, one, method="mean-sigma")
    with pytest.raises(ValueError, match="stocking-lord, haebara"):
        irt.link(one, one, method="tucker")  # type: ignore[arg-type]
