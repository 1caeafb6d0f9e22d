"""Rows of an object one by one, and what a writer of rows leaves behind when it fails."""

from __future__ import annotations

import csv
import gzip
import io
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import NotFound

from gcp_accessor import UnsafeContent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor import CloudStorageAccessor

ROWS: list[list[str | None]] = [["item", "note"], ["q1", None], ["q2", ""], ["q3", "a\nb"]]


@pytest.mark.parametrize("name", ["notes.csv.gz", "notes.csv"])
def test_iter_rows_yields_what_download_gives(store: CloudStorageAccessor, name: str) -> None:
    store.write(f"gs://lessons/{name}", ROWS)

    found = list(store.iter_rows(f"gs://lessons/{name}"))

    assert found == ROWS
    assert found == store.read(f"gs://lessons/{name}", as_="rows")


def test_iter_rows_goes_on_with_the_version_it_began_with(store: CloudStorageAccessor) -> None:
    many = [[f"q{number}", str(number)] for number in range(50_000)]
    store.upload_csv_gzip("lessons", "items.csv.gz", many)
    rows = store.iter_rows("gs://lessons/items.csv.gz")
    first = next(rows)

    store.upload_csv_gzip("lessons", "items.csv.gz", [["other", 0]])

    assert [first, *rows] == many


def test_iter_records_is_the_same_for_each_format(store: CloudStorageAccessor) -> None:
    records = [{"item": f"q{number}", "note": None} for number in range(5_000)]

    for ending in ("csv", "csv.gz", "ndjson", "ndjson.gz"):
        store.write(f"gs://lessons/notes.{ending}", records)
        assert list(store.iter_records(f"gs://lessons/notes.{ending}")) == records, ending

    store.write("gs://lessons/notes.parquet", [*records, {"item": "last", "note": "x"}])
    assert list(store.iter_records("gs://lessons/notes.parquet"))[:-1] == records


def test_iter_records_takes_a_header_for_rows_without_one(store: CloudStorageAccessor) -> None:
    store.upload_csv_gzip("lessons", "items.csv.gz", [["q1", 0.5], ["q2", None]])

    records = store.iter_records("gs://lessons/items.csv.gz", header=["item", "difficulty"])

    assert list(records) == [
        {"item": "q1", "difficulty": "0.5"},
        {"item": "q2", "difficulty": None},
    ]
    with pytest.raises(ValueError, match="names a column twice: a, a"):
        list(store.iter_records("gs://lessons/items.csv.gz", header=["a", "a"]))
    with pytest.raises(ValueError, match="has 2 values in row 1; its header has 1"):
        list(store.iter_records("gs://lessons/items.csv.gz", header=["a"]))


def test_what_cannot_be_gone_through_says_why(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/note.txt", "hello")
    store.write("gs://lessons/notes.ndjson", [{"a": 1}])
    store.write("gs://lessons/bomb.csv.gz", gzip.compress(b"0,\n" * 1_000_000))

    with pytest.raises(NotFound, match=r"absent\.csv\.gz"):
        next(store.iter_rows("gs://lessons/absent.csv.gz"))
    with pytest.raises(ValueError, match=r"gs://lessons/note\.txt has no rows to go through"):
        next(store.iter_rows("gs://lessons/note.txt"))
    with pytest.raises(ValueError, match=r"gs://lessons/notes\.ndjson has no rows"):
        next(store.iter_rows("gs://lessons/notes.ndjson"))
    with pytest.raises(ValueError, match="is not CSV, and names its columns itself"):
        next(store.iter_records("gs://lessons/notes.ndjson", header=["a"]))
    with pytest.raises(UnsafeContent, match="beyond 1,000,000 bytes"):
        list(store.iter_rows("gs://lessons/bomb.csv.gz", max_bytes=1_000_000))


def test_rows_that_end_in_an_error_leave_what_was_there(store: CloudStorageAccessor) -> None:
    def failing() -> Iterator[list[int]]:
        for number in range(100_000):
            yield [number, number]
        raise OSError("the source is gone")

    store.upload_csv_gzip("lessons", "items.csv.gz", [["q1", 1]])

    with pytest.raises(OSError, match="the source is gone"):
        store.upload_csv_gzip("lessons", "items.csv.gz", failing())

    assert store.download_csv_gzip("lessons", "items.csv.gz") == [["q1", "1"]]


def test_any_csv_reader_reads_what_is_written(store: CloudStorageAccessor) -> None:
    rows = [[f"q{number}", f'say "{number}", {number}\r\n'] for number in range(3_000)]

    store.upload_csv_gzip("lessons", "quotes.csv.gz", rows)

    content = gzip.decompress(store.read("gs://lessons/quotes.csv.gz", as_="bytes"))
    assert list(csv.reader(io.StringIO(content.decode(), newline=""))) == rows


def test_csv_is_read_into_a_frame_with_the_types_it_is_given(store: CloudStorageAccessor) -> None:
    uri = "gs://lessons/students.csv.gz"
    store.write(uri, [{"student_id": "007", "score": None}, {"student_id": "", "score": 1}])

    frame = store.read(uri, as_="dataframe", types={"student_id": "STRING", "score": "FLOAT64"})

    assert frame["student_id"].tolist() == ["007", ""]
    assert frame["score"].isna().tolist() == [True, False]
    with pytest.raises(ValueError, match="types= is for CSV as 'dataframe' or 'arrow'"):
        store.read(uri, types={"student_id": "STRING"})
