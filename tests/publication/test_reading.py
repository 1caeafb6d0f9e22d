"""Reading what is published: tables, parts of tables, pins, and nothing that is not whole."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from gcp_accessor import CloudStorageAccessor, CorruptRun

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor import Publication
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

DAY = date(2024, 3, 1)
URI = "gs://lessons/items"
FRAME = pd.DataFrame({"item_id": ["007", "008"], "difficulty": [0.5, -1.0]})
COLUMNS = [{"name": "item_id", "type": "STRING"}, {"name": "difficulty", "type": "FLOAT64"}]


@pytest.fixture
def publication(store: CloudStorageAccessor) -> Publication:
    return store.publication(URI)


def publish(publication: Publication, day: date = DAY, **files: object) -> str:
    run = publication.run(day, "settings")
    for name, content in files.items():
        run.write(name.replace("_", "."), lambda content=content: content)
    run.commit({"columns": COLUMNS})
    assert run.publish() == "published"
    return run.run_id


@pytest.mark.parametrize("name", ["items_parquet", "items_csv_gz"])
def test_without_a_name_the_runs_table_is_a_frame_with_its_types(
    publication: Publication, name: str
) -> None:
    run_id = publish(publication, note_txt="a note", **{name: FRAME})

    frame, manifest = publication.read()

    assert manifest.run_id == run_id
    assert frame["item_id"].tolist() == ["007", "008"]
    assert frame["difficulty"].tolist() == [0.5, -1.0]


def test_parquet_comes_before_csv(publication: Publication) -> None:
    publish(publication, items_csv_gz=FRAME, items_parquet=FRAME.assign(of="parquet"))

    assert "of" in publication.read().content


def test_without_a_table_or_with_several_the_files_are_named(publication: Publication) -> None:
    publish(publication, note_txt="a note")
    with pytest.raises(ValueError, match=r"has no table; its files are: note\.txt"):
        publication.read()

    publish(publication, date(2024, 3, 2), a_parquet=FRAME, b_parquet=FRAME)
    with pytest.raises(ValueError, match=r"has the tables a\.parquet, b\.parquet; name one"):
        publication.read()
    assert len(publication.read("b.parquet", as_="dataframe").content) == 2


@pytest.mark.parametrize("form", ["dataframe", "arrow", "records", "rows"])
@pytest.mark.parametrize("ending", ["parquet", "csv.gz"])
def test_what_several_tasks_wrote_is_one_table(
    publication: Publication, ending: str, form: str
) -> None:
    for task in range(3):
        run = publication.run(DAY, "settings", task=task, tasks=3)
        rows = pd.DataFrame({"task": [task, task]})
        run.write(f"items-{task:05d}.{ending}", lambda rows=rows: rows, rows=2)
        run.commit({})
    run.publish()

    content = publication.read(f"items.{ending}", as_=form).content

    if form == "arrow":
        content = content.to_pandas()
    if form in ("dataframe", "arrow"):
        assert content["task"].tolist() == [0, 0, 1, 1, 2, 2]
    elif form == "records":
        assert [int(row["task"]) for row in content] == [0, 0, 1, 1, 2, 2]
    else:
        rows = content[1:] if ending == "csv.gz" else content
        assert [int(row[0]) for row in rows] == [0, 0, 1, 1, 2, 2]
    assert publication.read().content["task"].tolist() == [0, 0, 1, 1, 2, 2]
    assert publication.runs()[0].rows == 6


def test_parts_that_make_no_table_are_refused_together(publication: Publication) -> None:
    for task in range(2):
        run = publication.run(DAY, "settings", task=task, tasks=2)
        run.write(f"note-{task:05d}.txt", lambda: "a")
        run.commit({})
    run.publish()

    with pytest.raises(ValueError, match=r"2 tasks wrote parts of 'note\.txt'"):
        publication.read("note.txt")
    assert publication.read("note-00001.txt").content == "a"


def test_a_pinned_run_is_read_by_its_name(publication: Publication) -> None:
    first = publish(publication, note_txt="first")
    publication.pin("exam-2024", first)
    publish(publication, date(2024, 3, 2), note_txt="second")

    assert publication.read("note.txt", pin="exam-2024").content == "first"
    assert publication.read("note.txt", run_id=first).content == "first"
    assert publication.read("note.txt").content == "second"
    with pytest.raises(CorruptRun, match=r"no pin 'exam'; it has exam-2024"):
        publication.read("note.txt", pin="exam")
    with pytest.raises(ValueError, match="give one of them"):
        publication.read("note.txt", pin="exam-2024", run_id=first)


@pytest.mark.parametrize("at", [0, 3, -1])
def test_a_flipped_byte_on_the_disk_is_told_whatever_the_times_say(
    local_store: CloudStorageAccessor, tmp_path: Path, at: int
) -> None:
    publication = local_store.publication(URI)
    publish(publication, items_parquet=FRAME)
    path = next((tmp_path / "place" / "buckets").rglob("items.parquet"))
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    import os

    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(CorruptRun, match=r"items\.parquet is not what run .* wrote"):
        publication.read()


def test_a_byte_that_the_service_itself_lost_is_told(
    google_store: CloudStorageAccessor, cloud_storage: CloudStorageStandIn
) -> None:
    publication = google_store.publication(URI)
    publish(publication, note_txt="a note")
    name = publication.latest().files[0].object_name
    held = cloud_storage.buckets["lessons"][name]
    held.content = b"b note"

    with pytest.raises(CorruptRun, match=r"note\.txt is not what run"):
        publication.read("note.txt")


class Meanwhile(CloudStorageAccessor):
    """Lets something happen before the next object of a name is opened."""

    def open(self, uri: str, *arguments: object, **options: object) -> object:
        if hasattr(self, "meanwhile") and uri.endswith(self.before):
            meanwhile = self.meanwhile
            del self.meanwhile
            meanwhile()
        return super().open(uri, *arguments, **options)


def test_a_reader_whose_run_is_collected_reads_the_one_that_is_published_by_then(
    local_store: CloudStorageAccessor, tmp_path: Path
) -> None:
    publication = local_store.publication(URI)
    publish(publication, note_txt="first")
    first = publication.latest()
    reader = Meanwhile(local=tmp_path / "place")

    def collected() -> None:
        publish(publication, date(2024, 3, 2), note_txt="second")
        local_store.delete(publication.files(first)[0])

    reader.meanwhile, reader.before = collected, "note.txt"

    content, manifest = reader.publication(URI).read("note.txt")

    assert content == "second"
    assert manifest.as_of == date(2024, 3, 2)


def test_a_pinned_reader_does_not_wander_to_another_run(publication: Publication) -> None:
    run_id = publish(publication, note_txt="first")
    publish(publication, date(2024, 3, 2), note_txt="second")
    uri = publication.files(publication.manifest(run_id))[0]
    publication.store.delete(uri)

    with pytest.raises(CorruptRun, match=r"note\.txt .*is gone"):
        publication.read("note.txt", run_id=run_id)


def test_a_manifest_of_another_run_is_refused(publication: Publication) -> None:
    first = publish(publication, note_txt="first")
    second = publish(publication, date(2024, 3, 2), note_txt="second")
    store = publication.store
    store.write(
        f"{URI}/runs/{first}/manifest.json",
        store.read(f"{URI}/runs/{second}/manifest.json", as_="bytes"),
    )

    with pytest.raises(CorruptRun, match=f"it is of the run {second}"):
        publication.read("note.txt", run_id=first)


def test_a_manifest_that_lists_a_foreign_object_is_refused(publication: Publication) -> None:
    run_id = publish(publication, note_txt="first")
    uri = f"{URI}/runs/{run_id}/manifest.json"
    content = publication.store.read(uri)
    content["files"][0]["object_name"] = "secrets/key.txt"
    publication.store.write(uri, content)

    with pytest.raises(CorruptRun, match=r"secrets/key\.txt, which is not of the run"):
        publication.manifest(run_id)


def test_a_notebook_shows_a_manifest_and_the_runs(publication: Publication) -> None:
    run = publication.run(DAY, "settings")
    run.write("items.csv.gz", lambda: FRAME, rows=2)
    manifest = run.commit({"job": "<items>", "settings": {"a": 1}})
    run.publish()

    assert "&lt;items&gt;" in manifest._repr_html_()
    assert "items.csv.gz" in manifest._repr_html_()
    assert f'<td style="text-align:left">{run.run_id}</td>' in publication.runs()._repr_html_()
    assert f"{run.run_id}" in repr(publication.runs())
    assert "published" in repr(publication.runs())
