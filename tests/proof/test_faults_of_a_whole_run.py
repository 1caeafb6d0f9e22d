"""A few cells of the matrix of faults; `nox -s proof -- faults` goes through all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof import faults
from tests.proof.faults import Cell, Undisturbed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "prepared"
    faults.prepare(folder)
    return folder


@pytest.fixture(scope="module")
def expected(prepared: Path) -> Undisturbed:
    return faults.undisturbed(prepared)


@pytest.mark.parametrize(
    ("service", "fault", "place", "went"),
    [
        ("storage", "lost reply", 0.45, "succeeded"),
        ("storage", "reset three times", 0.8, "succeeded"),
        ("storage", "403", 0.9, "failed, then succeeded"),
        ("bigquery", "backendError", 0.3, "succeeded"),
        ("bigquery", "lost reply", 0.7, "succeeded"),
        ("bigquery", "accessDenied", 0.5, "failed, then succeeded"),
    ],
)
def test_a_fault_somewhere_in_a_whole_run_loses_and_doubles_nothing(
    service: str, fault: str, place: float, went: str, prepared: Path, expected: Undisturbed
) -> None:
    requests = expected.storage_requests if service == "storage" else expected.warehouse_requests

    ended = faults.disturb(prepared, Cell(service, fault, round(place * requests)), expected)

    assert ended.went == went
    assert went != "succeeded" or ended.jobs == 0


def test_an_object_damaged_on_its_way_is_told_in_a_sentence(
    prepared: Path, expected: Undisturbed
) -> None:
    # Wherever a manifest is read for the first time.
    number = next(
        number
        for number, request in enumerate(expected.requests, start=1)
        if request.startswith("GET /download") and request.endswith("manifest.json")
    )

    ended = faults.disturb(prepared, Cell("storage", "damaged", number), expected)

    assert ended.went == "failed, then succeeded"
