"""What an earlier version published is read, succeeded and rolled back to by this one.

`published_by_0.1.0/` is what version 0.1.0 left of `etl-jobs run calibrate` on
`examples/lsat6.csv.gz` for 2024-03-31; `generations.json` are the generations its objects had.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_jobs.cli import main
from gcp_accessor import CloudStorageAccessor, CorruptRun
from tests.proof.shelf import FolderShelf, ServiceShelf

if TYPE_CHECKING:
    from gcp_accessor import Publication
    from tests.proof.shelf import Shelf

RECORDED = Path(__file__).with_name("published_by_0.1.0")
LOG = Path(__file__).resolve().parents[2] / "examples" / "lsat6.csv.gz"
RUN_ID = "2024-03-31-f4c600001fac"
DAY = date(2024, 3, 31)
POINTER = "calibrate/latest.json"


def restore(shelf: Shelf) -> None:
    """Put what the earlier version left onto a shelf."""
    generations = json.loads((RECORDED / "generations.json").read_text())
    for name, generation in generations.items():
        shelf.put(name, (RECORDED / name).read_bytes(), generation)


@pytest.fixture
def shelf(store: CloudStorageAccessor, request: pytest.FixtureRequest) -> Shelf:
    if store.local is not None:
        made: Shelf = FolderShelf(store.local / "buckets" / "lessons")
    else:
        made = ServiceShelf(request.getfixturevalue("cloud_storage"), "lessons")
    restore(made)
    return made


@pytest.fixture
def publication(store: CloudStorageAccessor, shelf: Shelf) -> Publication:
    return store.publication("gs://lessons/calibrate")


def publish(publication: Publication, day: date, fingerprint: str) -> str:
    run = publication.run(day, fingerprint)
    run.start({})
    run.write("item_parameters.json", lambda: {"as_of": day.isoformat()})
    run.commit({"job": "calibrate"})
    assert run.publish() == "published"
    return run.run_id


def test_what_an_earlier_version_published_is_read(publication: Publication) -> None:
    content, manifest = publication.read("item_parameters.json")
    table = publication.read("item_parameters.csv.gz").content
    page = publication.read("report.html").content

    assert (manifest.run_id, manifest.as_of) == (RUN_ID, DAY)
    assert [item["item_name"] for item in content["items"]] == [f"Item {n}" for n in range(1, 6)]
    assert len(table) == 6
    assert page.startswith("<!doctype html>")
    assert publication.verify() == []


@pytest.mark.parametrize("day", [DAY, date(2024, 4, 1)], ids=["same day", "next day"])
def test_the_next_run_takes_over_from_an_earlier_versions(
    day: date, publication: Publication
) -> None:
    run_id = publish(publication, day, "the next")

    latest = publication.latest()
    assert latest is not None
    assert (latest.run_id, latest.previous) == (run_id, RUN_ID)
    assert publication.read("report.html", run_id=RUN_ID).manifest.run_id == RUN_ID
    assert publication.verify() == []


def test_an_earlier_day_does_not_take_over_from_an_earlier_versions(
    publication: Publication,
) -> None:
    run = publication.run(date(2024, 3, 30), "a backfill")
    run.start({})
    run.commit({})

    assert run.publish() == "newer is published"

    assert publication.read("report.html").manifest.run_id == RUN_ID


def test_one_rolls_back_to_an_earlier_versions_run_and_on_again(publication: Publication) -> None:
    run_id = publish(publication, date(2024, 4, 1), "the next")

    publication.rollback(RUN_ID)
    assert publication.read("report.html").manifest.run_id == RUN_ID

    publication.release()
    assert publication.read("item_parameters.json").manifest.run_id == run_id


def test_collection_leaves_an_earlier_versions_run_alone_while_it_is_the_previous_one(
    publication: Publication,
) -> None:
    publish(publication, date(2024, 4, 1), "the next")

    publication.collect(keep=1, dry_run=False)

    assert publication.read("report.html", run_id=RUN_ID).manifest.run_id == RUN_ID


def test_the_main_job_goes_on_where_an_earlier_version_stopped(tmp_path: Path) -> None:
    restore(FolderShelf(tmp_path / "buckets" / "etl"))
    source = f"raw.answers={LOG}"
    command = ["run", "calibrate", "--local", str(tmp_path), "--input", source]

    assert main([*command, "--as-of", "2024-04-01"]) == 0

    publication = CloudStorageAccessor(local=tmp_path).publication("etl/calibrate")
    content, manifest = publication.read("item_parameters.json")
    earlier = publication.read("item_parameters.json", run_id=RUN_ID).content
    assert manifest.as_of == date(2024, 4, 1)
    assert manifest.previous == RUN_ID
    assert [item["item_id"] for item in content["items"]] == [
        item["item_id"] for item in earlier["items"]
    ]


@pytest.mark.parametrize(
    "document", [POINTER, f"calibrate/runs/{RUN_ID}/manifest.json"], ids=["pointer", "manifest"]
)
def test_what_a_later_version_writes_is_refused_with_what_to_do(
    document: str, publication: Publication, shelf: Shelf
) -> None:
    content = json.loads(shelf.content(document)) | {"schema_version": 99}
    shelf.put(document, json.dumps(content).encode(), shelf.generation(document))

    with pytest.raises(CorruptRun, match=r"written by a newer gcp-accessor.*upgrade"):
        publication.latest() if document == POINTER else publication.manifest(RUN_ID)


def test_nothing_is_published_over_a_later_versions_pointer(
    publication: Publication, shelf: Shelf
) -> None:
    content = json.loads(shelf.content(POINTER)) | {"schema_version": 99}
    shelf.put(POINTER, json.dumps(content).encode(), shelf.generation(POINTER))

    with pytest.raises(CorruptRun, match="upgrade"):
        publish(publication, date(2024, 4, 1), "the next")

    assert json.loads(shelf.content(POINTER)) == content
