"""The commands for what is published: typed as a person types them, in a folder."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from etl_jobs.cli import main
from etl_jobs.commands import gc
from etl_jobs.commands.publications import publication as publication_of
from etl_jobs.place import Place
from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor import Publication
    from tests.stand_ins.cloud_storage import CloudStorageStandIn

COLUMNS = [{"name": "item_id", "type": "STRING"}, {"name": "difficulty", "type": "FLOAT64"}]


def publish(publication: Publication, day: int, model: str, difficulty: float) -> str:
    run = publication.run(date(2024, 3, day), model)
    frame = pd.DataFrame({"item_id": ["007", "008"], "difficulty": [difficulty, 1.0]})
    run.write("item_parameters.csv.gz", lambda: frame, rows=2)
    run.commit(
        {
            "version": "0.1.0",
            "settings": {"model": model},
            "inputs": {},
            "metrics": {},
            "rows": 2,
            "grain": ["item_id"],
            "columns": COLUMNS,
        }
    )
    run.publish()
    return run.run_id


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path / "demo"))
    store = CloudStorageAccessor(local=tmp_path / "demo")
    store.create_bucket("etl")
    return Place(BigQueryAccessor(local=tmp_path / "demo"), store, "etl")


@pytest.fixture
def publication(place: Place) -> Publication:
    return publication_of(place, "calibrate")


@pytest.fixture
def runs(publication: Publication) -> list[str]:
    return [publish(publication, 1, "2PL", 0.5), publish(publication, 2, "1PL", -0.5)]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_runs_lists_what_became_of_each(
    runs: list[str], publication: Publication, capsys: pytest.CaptureFixture[str]
) -> None:
    publication.pin("exam", runs[0])

    header, newest, previous = said(capsys, "runs", "calibrate").splitlines()

    assert header.split() == ["run", "made", "(UTC)", "rows", "size", "state", "pins"]
    assert newest.split()[0] == runs[1]
    assert newest.endswith("published")
    assert previous.split()[-2:] == ["previous", "exam"]
    assert len(said(capsys, "runs", "calibrate", "--last", "1").splitlines()) == 2


def test_diff_names_settings_and_the_rows_that_moved(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "diff", "calibrate", "previous", "latest")

    assert f"{runs[0]} -> {runs[1]}" in text
    assert "2PL -> 1PL" in text
    assert "rows by item_id: 1 equal, 1 changed, 0 only before, 0 only after" in text
    assert "007: 0.5 -> -0.5" in text
    assert "they state the same" in said(capsys, "diff", "calibrate", runs[0], runs[0])


def test_a_rollback_holds_until_the_release(
    runs: list[str], publication: Publication, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "rollback", "calibrate", "previous")

    assert f"{runs[0]} is published, and held" in text
    assert "etl-jobs release calibrate" in text
    assert publication.resolve("latest") == runs[0]
    assert "a rollback holds what is published" in said(capsys, "show", "calibrate")
    assert f"{runs[1]} is published" in said(capsys, "release", "calibrate")
    assert publication.resolve("latest") == runs[1]
    assert "holds" not in said(capsys, "show", "calibrate")


def test_a_pin_keeps_a_run_under_a_name_by_which_it_is_shown(
    runs: list[str], publication: Publication, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"{runs[0]} is kept as exam" in said(capsys, "pin", "calibrate", "exam", "previous")

    assert runs[0] in said(capsys, "show", "calibrate", "--pin", "exam")
    assert runs[0] in said(capsys, "show", "calibrate", "--run", "exam")
    assert runs[1] in said(capsys, "show", "calibrate")
    assert "no longer kept as exam" in said(capsys, "unpin", "calibrate", "exam")
    assert publication.pins() == {}
    assert "no pin 'exam'" in said(capsys, "unpin", "calibrate", "exam", code=1)


def test_verify_ends_with_1_and_names_the_damage(
    runs: list[str], publication: Publication, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "verify") == "calibrate: sound\n"
    publication.store.delete(publication.files(publication.latest())[0])

    assert main(["verify", "calibrate"]) == 1

    captured = capsys.readouterr()
    assert "calibrate: DAMAGED" in captured.out
    assert "gone: run" in captured.out
    assert "1 object is not what was published" in captured.err
    assert said(capsys, "verify", "calibrate", "--run", "previous") == "calibrate: sound\n"


def test_gc_says_what_would_go_and_deletes_when_told_to(
    publication: Publication, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [publish(publication, day, "2PL", 0.0) for day in range(1, 6)]
    options = ["gc", "--keep", "1", "--longest-task", "1"]

    text = said(capsys, *options)
    assert "calibrate: 0 runs would be deleted (0 objects, 0 bytes), 5 kept" in text
    assert "nothing was deleted; add --delete to do it" in text
    text = said(capsys, *options, "--delete")
    assert "deletions in gs://etl are final: it has no soft delete" in text
    assert len(publication.runs()) == len(runs)


def test_gc_refuses_what_could_be_alive(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "gc", "--older-than", "4", code=2)

    assert "less than a task may take (120 hours)" in text
    assert "--longest-task" in text


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("rollback calibrate 2024-03-02-000000000000", 1, "holds no committed run"),
        ("rollback calibrate yesterday", 2, "'yesterday' is not a run"),
        ("rollback calibrat latest", 2, "there is no job 'calibrat'; did you mean calibrate?"),
        ("runs features/items", 1, "features/items has published nothing in gs://etl"),
        ("runs calibrat", 2, "did you mean calibrate?"),
        ("release features/items", 1, "nothing is published at gs://etl/features/items"),
        ("diff calibrate latest nothing", 2, "'nothing' is not a run"),
        ("pin calibrate ../x latest", 2, "is not a pin's name"),
        ("show calibrate --run latest --pin exam", 2, "give one of them"),
        ("show calibrate --pin exam", 1, "has no pin 'exam'; it has none"),
        ("verify --run latest", 2, "--run is of one job"),
        ("verify calibrat", 2, "there is no job 'calibrat'; did you mean calibrate?"),
        ("verify features/items", 1, "features/items has published nothing in gs://etl"),
        ("gc calibrat", 2, "there is no job 'calibrat'; did you mean calibrate?"),
        ("pin calibrate latest previous", 2, "'latest' is the name of another run"),
        ("verify calibrate --run 2024-03-02-000000000000", 1, "holds no committed run"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(
    arguments: str,
    code: int,
    sentence: str,
    runs: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, *arguments.split(), code=code)

    assert sentence in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("command", ["runs calibrate", "show calibrate", "verify", "gc"])
def test_a_folder_without_runs_is_told_in_one_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, *command.split(), "--local", str(tmp_path / "none"), code=1)

    assert text.startswith(f"etl-jobs: the folder {tmp_path / 'none'} holds no bucket etl")
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_number_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["gc", f"--keep={value}"])

    assert stopped.value.code == 2
    assert "is not a whole number of 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (None, "is not known: this account lacks storage.buckets.get"),
        ({"retentionDurationSeconds": "604800"}, "can be undone for 7 days"),
        ({"retentionDurationSeconds": "0"}, "are final: it has no soft delete"),
    ],
)
def test_whether_deletions_are_final_is_said_as_far_as_it_is_known(
    policy: dict[str, str] | None,
    sentence: str,
    google_store: CloudStorageAccessor,
    cloud_storage: CloudStorageStandIn,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    if policy is not None:
        cloud_storage.bucket_properties["lessons"]["softDeletePolicy"] = policy

    gc._warn(Place(BigQueryAccessor(local=tmp_path), google_store, "lessons"))

    assert sentence in capsys.readouterr().out
