"""What a calibration in the warehouse leaves behind when it is killed, and who takes it away."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from etl_jobs.calibrate.leftovers import Leftovers
from etl_jobs.calibrate.tables import RunTables
from etl_jobs.cli import main
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

if TYPE_CHECKING:
    from gcp_accessor.backends import StoredObject

LSAT6 = f"raw.answers={Path(__file__).parents[1]}/examples/lsat6.csv.gz"
DEAD, LIVE = "2024-03-30-0123456789ab", "2024-03-31-ba9876543210"
AT_ONCE = timedelta(0)


@pytest.fixture
def leftovers(tmp_path: Path) -> Leftovers:
    warehouse = BigQueryAccessor(local=tmp_path, dataset="etl")
    warehouse.create_dataset("etl")
    store = CloudStorageAccessor(local=tmp_path)
    store.create_bucket("etl", if_exists="keep")
    return Leftovers(warehouse, store, "gs://etl/calibrate/warehouse")


def work(leftovers: Leftovers, run_id: str) -> None:
    """What a run has made when it is killed after its second pass."""
    leftovers.begin(run_id)
    tables = RunTables(leftovers.warehouse, run_id)
    for name in ("calibration_items", "calibration_answers"):
        leftovers.warehouse.load(pa.table({"item": [1]}), tables.name(name))
    for number in (1, 2):
        uri = f"{leftovers.of_run(run_id)}/pass-000{number}.npz"
        leftovers.store.write(uri, b"sums", format="bytes")


def left(leftovers: Leftovers) -> tuple[set[str], set[str]]:
    """The runs that have tables, and those that have objects."""
    tables = {
        name.partition("__")[2].replace("_", "-") for name in leftovers.warehouse.tables("etl")
    }
    objects = {stored.name.split("/")[2] for stored in leftovers.store.list(leftovers.uri)}
    return tables, objects


def test_a_run_that_was_abandoned_long_ago_is_swept_and_the_live_one_stays(
    leftovers: Leftovers,
) -> None:
    work(leftovers, DEAD)
    work(leftovers, LIVE)

    swept = leftovers.sweep(LIVE, life=AT_ONCE)

    assert swept == [DEAD]
    assert left(leftovers) == ({LIVE}, {LIVE})


def test_a_run_that_was_at_work_within_a_week_is_left_alone(leftovers: Leftovers) -> None:
    work(leftovers, DEAD)
    work(leftovers, LIVE)

    swept = leftovers.sweep(LIVE)

    assert swept == []
    assert left(leftovers) == ({DEAD, LIVE}, {DEAD, LIVE})


def test_a_run_that_is_begun_again_meanwhile_is_left_alone(
    leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(leftovers, DEAD)
    work(leftovers, LIVE)
    write = CloudStorageAccessor.write

    def begun_again_first(
        store: CloudStorageAccessor, uri: str, data: object, **options: object
    ) -> StoredObject:
        if "if_generation" in options:
            leftovers.begin(DEAD)
        return write(store, uri, data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(CloudStorageAccessor, "write", begun_again_first)

    swept = leftovers.sweep(LIVE, life=AT_ONCE)

    assert swept == []
    assert left(leftovers) == ({DEAD, LIVE}, {DEAD, LIVE})


def test_a_sweep_that_was_killed_is_finished_by_the_next(
    leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(leftovers, DEAD)
    work(leftovers, LIVE)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(CloudStorageAccessor, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            leftovers.sweep(LIVE, life=AT_ONCE)
    leftovers.begin(LIVE)

    assert leftovers.sweep(LIVE, life=AT_ONCE) == [DEAD]
    assert left(leftovers) == ({LIVE}, {LIVE})


def test_a_calibration_sweeps_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftovers: Leftovers
) -> None:
    work(leftovers, DEAD)
    monkeypatch.setattr(Leftovers.sweep, "__kwdefaults__", {"life": AT_ONCE})

    arguments = ("--input", LSAT6, "--as-of", "2024-03-31", "--set", "engine=warehouse")
    assert main(["run", "calibrate", "--local", str(tmp_path), *arguments]) == 0

    assert not list(leftovers.store.list(leftovers.uri))
    assert not [name for name in leftovers.warehouse.tables() if name.startswith("calibration_")]
