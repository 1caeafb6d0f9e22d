"""Persons whose abilities are not normal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from etl_jobs import irt
from etl_jobs.irt.model.shape import COEFFICIENTS, AnyShape, Shape

WIDE = np.linspace(-12, 12, 4001)


def draw_abilities(kind: str, persons: int, draw: np.random.Generator) -> np.ndarray:
    """Of mean 0 and deviation 1."""
    if kind == "skewed":
        return (draw.gamma(2.0, 1.0, persons) - 2) / np.sqrt(2)
    if kind == "two-humped":
        return draw.choice([-0.9, 0.9], persons) + draw.normal(0, np.sqrt(0.19), persons)
    return draw.standard_normal(persons)


def density(kind: str, ability: np.ndarray) -> np.ndarray:
    if kind == "skewed":
        return np.sqrt(2) * stats.gamma(2.0).pdf(np.sqrt(2) * ability + 2)
    humps = [stats.norm(middle, np.sqrt(0.19)).pdf(ability) for middle in (-0.9, 0.9)]
    return np.mean(humps, axis=0)


def simulate(kind: str, persons: int, items: int, seed: int) -> tuple[np.ndarray, ...]:
    """Answers, discriminations, intercepts and abilities."""
    draw = np.random.default_rng(seed)
    slope, level = draw.lognormal(0.0, 0.3, items), draw.normal(0.0, 1.2, items)
    ability = draw_abilities(kind, persons, draw)
    right = special.expit(np.outer(ability, slope) + level)
    return (draw.random(right.shape) < right).astype(float), slope, level, ability


@pytest.mark.parametrize("kind", ["skewed", "two-humped"])
def test_items_are_recovered_where_a_normal_distribution_leads_them_astray(kind: str) -> None:
    answers, slope, level, ability = simulate(kind, 20_000, 25, seed=2)
    responses = irt.Responses.from_dense(answers)

    normal = irt.calibrate(responses, priors=None)
    free = irt.calibrate(responses, priors=None, population="any shape")

    assert free.converged
    assert free.log_likelihood > normal.log_likelihood + 100
    for name, true in (("discrimination", slope), ("intercept", level)):
        off = np.sqrt(np.mean((getattr(free, name) - true) ** 2))
        assert off < 0.75 * np.sqrt(np.mean((getattr(normal, name) - true) ** 2))
        # As far off as their errors say, which those under the normal are not.
        surprise = (getattr(free, name) - true) / getattr(free, f"{name}_error")
        assert np.sqrt(np.mean(surprise**2)) < 1.5
    grid = np.linspace(-2.5, 2.5, 51)
    found = free.populations[0].density(grid)
    apart = {"skewed": 0.2, "two-humped": 0.12}[kind]
    assert np.abs(found - density(kind, grid)).max() < apart
    # Abilities go by it, too.
    errors = [
        np.mean((irt.estimate_abilities(bank, responses).ability - ability) ** 2)
        for bank in (normal, free)
    ]
    assert errors[1] < errors[0]


def test_where_persons_are_normal_both_agree() -> None:
    answers, slope, _, _ = simulate("normal", 4000, 20, seed=5)
    responses = irt.Responses.from_dense(answers)

    normal = irt.calibrate(responses)
    free = irt.calibrate(responses, population="any shape")

    # Twice the gain is chi-squared with six degrees of freedom, or less.
    gain = free.log_likelihood - normal.log_likelihood
    assert -1e-3 < gain < stats.chi2(COEFFICIENTS).ppf(0.9999) / 2
    assert free.discrimination == pytest.approx(normal.discrimination, abs=0.1)
    assert np.sqrt(np.mean((free.discrimination - slope) ** 2)) < 1.3 * np.sqrt(
        np.mean((normal.discrimination - slope) ** 2)
    )
    assert (free.populations[0].mean, free.populations[0].deviation) == (0, 1)


def test_the_maximum_is_one_of_a_plainly_written_likelihood() -> None:
    answers, _, _, _ = simulate("two-humped", 400, 6, seed=3)

    found = irt.calibrate(irt.Responses.from_dense(answers), population="any shape", tolerance=1e-7)

    shape = np.array(found.populations[0].shape)
    top = np.concatenate((found.discrimination, found.intercept, shape))

    def height(point: np.ndarray) -> float:
        slope, level, waves = point[:6], point[6:12], point[12:]
        ability = WIDE[::20]
        log_density = Shape(tuple(waves)).log_density(ability)
        weight = np.exp(log_density - special.logsumexp(log_density))
        right = special.expit(np.outer(slope, ability) + level[:, np.newaxis])
        each = answers @ np.log(right) + (1 - answers) @ np.log1p(-right)
        belief = -(((slope - 1) / 0.5) ** 2).sum() / 2 - ((level / 2) ** 2).sum() / 2
        fit = special.logsumexp(each, axis=1, b=weight).sum()
        return float(fit + belief - (waves**2).sum() / 2)

    moves = 1e-3 * np.eye(len(top))
    slopes = [(height(top + move) - height(top - move)) / 2e-3 for move in moves]
    bends = [(2 * height(top) - height(top + m) - height(top - m)) / 1e-6 for m in moves]
    assert np.all(np.array(bends) > 0)
    # In standard errors.
    assert np.abs(slopes / np.sqrt(bends)).max() < 0.02


@given(
    coefficients=st.lists(st.floats(-2, 2), min_size=COEFFICIENTS, max_size=COEFFICIENTS),
)
@settings(max_examples=50, deadline=None)
def test_every_shape_has_mean_0_and_deviation_1(coefficients: list[float]) -> None:
    weight = np.exp(Shape(tuple(coefficients)).log_weights(WIDE))

    assert weight @ WIDE == pytest.approx(0, abs=1e-4)
    assert weight @ WIDE**2 == pytest.approx(1, abs=1e-3)
    assert np.all(weight[np.abs(WIDE) < 5] > 0)


def test_a_shape_knows_its_slope_and_curvature_and_no_coefficients_are_normal() -> None:
    ability = np.linspace(-3, 3, 13)

    normal, shaped = AnyShape(0.5, 2.0), AnyShape(0.5, 2.0, Shape((0.4, -0.8)))

    assert normal.log_density(ability) == pytest.approx(irt.Normal(0.5, 2.0).log_density(ability))
    assert normal.slope(ability) == pytest.approx((0.5 - ability) / 4, abs=1e-7)
    assert normal.curvature(ability) == pytest.approx(0.25, abs=1e-5)
    ahead, behind = shaped.log_density(ability + 1e-3), shaped.log_density(ability - 1e-3)
    assert shaped.slope(ability) == pytest.approx((ahead - behind) / 2e-3, abs=1e-5)


def test_the_order_of_rows_changes_nothing() -> None:
    answers, _, _, _ = simulate("skewed", 500, 8, seed=1)
    order = np.random.default_rng(4).permutation(500)

    plain, shuffled = (
        irt.calibrate(irt.Responses.from_dense(each), population="any shape")
        for each in (answers, answers[order])
    )

    assert np.array_equal(plain.discrimination, shuffled.discrimination)
    assert plain.populations == shuffled.populations


def test_the_shape_survives_being_written_down() -> None:
    answers, _, _, _ = simulate("skewed", 800, 8, seed=1)
    responses = irt.Responses.from_dense(answers)
    found = irt.calibrate(responses, population="any shape")

    read = irt.items_from_json(irt.items_to_json(found))

    assert read.populations[0].shape == found.populations[0].shape
    for method in ("EAP", "MAP"):
        kept = irt.estimate_abilities(read, responses, method=method)
        direct = irt.estimate_abilities(found, responses, method=method)
        assert kept.ability == pytest.approx(direct.ability)
        assert np.all(np.isfinite(direct.standard_error))


def test_a_shape_is_refused_where_the_scale_is_not_the_persons() -> None:
    answers, _, _, _ = simulate("normal", 200, 6, seed=1)
    responses = irt.Responses.from_dense(answers, items=list("abcdef"))

    for other in (
        {"groups": np.arange(200) % 2},
        {"anchors": {"a": (1.0, 0.0)}},
        {"model": "Rasch"},
    ):
        with pytest.raises(ValueError, match="any shape has mean 0 and deviation 1"):
            irt.calibrate(responses, population="any shape", **other)  # type: ignore[arg-type]
    found = irt.calibrate(responses, population="any shape")
    with pytest.raises(ValueError, match="M2 is for persons whose distribution is normal"):
        irt.model_fit(found, responses)


def test_a_search_that_is_cut_short_says_so_and_keeps_to_its_iterations() -> None:
    answers, _, _, _ = simulate("skewed", 500, 10, seed=1)
    responses = irt.Responses.from_dense(answers)

    found = irt.calibrate(responses, population="any shape", max_iterations=12, on_failure="return")

    assert not found.converged
    # The look at the finer grid comes on top.
    assert found.iterations <= 16
    with pytest.raises(irt.NotConverged, match="not converged after"):
        irt.calibrate(responses, population="any shape", max_iterations=12)
