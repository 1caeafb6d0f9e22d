"""The page on item response theory as it stands."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs import irt

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "irt.md"


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    failed, tried = doctest.testfile(str(PAGE), module_relative=False, verbose=False)

    assert tried > 15
    assert failed == 0


def test_the_page_names_every_model_and_every_flag() -> None:
    page = PAGE.read_text(encoding="utf-8")

    for name in (*irt.MODELS, *irt.FLAGS):
        assert name in page


def test_the_page_states_the_default_priors() -> None:
    page = PAGE.read_text(encoding="utf-8")
    priors = irt.DEFAULT_PRIORS

    assert isinstance(priors.discrimination, irt.Normal)
    assert f"normal({priors.discrimination.mean:g}, {priors.discrimination.deviation:g})" in page
    assert priors.intercept is not None
    assert f"normal({priors.intercept.mean:g}, {priors.intercept.deviation:g})" in page
    assert priors.lower is not None
    assert priors.lower == priors.slip
    assert f"beta({priors.lower.alpha:g}, {priors.lower.beta:g})" in page
