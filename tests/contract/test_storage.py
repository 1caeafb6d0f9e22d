"""What holds for CloudStorageAccessor on every backend."""

from __future__ import annotations

import gzip
import io
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed

from gcp_accessor import GoogleCloudStorageAccessor, UnsafeContent

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor import CloudStorageAccessor

# Over the 8 MiB that go in one request.
LARGE = bytes(range(256)) * (40 << 10)


# --- Objects ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run.json", {"run": "2024-03-01", "metrics": [1, 2.5, None], "name": "Zoë"}),
        ("note.txt", "a line\r\nand another\n"),
        ("report.html", "<p>ok</p>"),
        ("model.bin", b"\x00\x1f\x8b\xff"),
        ("empty.bin", b""),
    ],
)
def test_what_is_written_is_read_back(store: CloudStorageAccessor, name: str, data: object) -> None:
    store.write(f"gs://lessons/{name}", data)

    assert store.read(f"gs://lessons/{name}") == data


def test_a_large_object_is_written_and_read_back(store: CloudStorageAccessor) -> None:
    stored = store.write("gs://lessons/large.bin", LARGE)

    assert store.read("gs://lessons/large.bin") == LARGE
    assert stored == store.stat("gs://lessons/large.bin")


def test_write_returns_the_object_as_stat_sees_it(store: CloudStorageAccessor) -> None:
    stored = store.write("gs://lessons/irt/items.json", [1])

    assert stored == store.stat("gs://lessons/irt/items.json")
    assert stored.uri == "gs://lessons/irt/items.json"
    assert stored.size == len(b"[\n  1\n]\n")
    assert stored.content_type == "application/json"
    assert stored.updated is not None
    assert abs(datetime.now(UTC) - stored.updated).total_seconds() < 60


@pytest.mark.parametrize(
    "name",
    [
        "a b.txt",
        "50%.txt",
        "%41.txt",
        "a+b&c=d.txt",
        "q?.txt",
        "#1.txt",
        "日本語/é.txt",
        "a'\"b.txt",
    ],
)
def test_an_object_may_have_any_name(store: CloudStorageAccessor, name: str) -> None:
    store.write(f"gs://lessons/{name}", "text")

    assert store.read(f"gs://lessons/{name}") == "text"
    assert [stored.name for stored in store.list("gs://lessons/")] == [name]


@pytest.mark.parametrize(
    "uri",
    [
        "lessons/a.txt",
        "s3://lessons/a.txt",
        "gs://lessons",
        "gs://lessons/",
        "gs://lessons/..",
        "gs://lessons/a\nb",
        "gs://Lessons/a",
        "gs://../a",
        "gs://a..b/a",
        "gs://lessons/" + "x" * 1025,
    ],
)
def test_an_address_that_cannot_be_is_refused(store: CloudStorageAccessor, uri: str) -> None:
    with pytest.raises(ValueError, match=r"expected|at most"):
        store.write(uri, b"")


def test_exists_tells_whether_the_object_is_there(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/a.txt", "a")

    assert store.exists("gs://lessons/a.txt")
    assert not store.exists("gs://lessons/b.txt")
    assert not store.exists("gs://no-such-bucket/a.txt")


def test_a_deleted_object_is_gone(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/a/b.txt", "a")

    store.delete("gs://lessons/a/b.txt")

    assert not store.exists("gs://lessons/a/b.txt")
    assert list(store.list("gs://lessons/")) == []
    with pytest.raises(NotFound):
        store.delete("gs://lessons/a/b.txt")


@pytest.mark.parametrize(
    "operation",
    [
        lambda store: store.write("gs://no-such-bucket/a.txt", "a"),
        lambda store: store.write("gs://no-such-bucket/a.bin", LARGE),
        lambda store: store.read("gs://no-such-bucket/a.txt"),
        lambda store: store.stat("gs://no-such-bucket/a.txt"),
        lambda store: list(store.list("gs://no-such-bucket/")),
        lambda store: store.delete("gs://no-such-bucket/a.txt"),
    ],
)
def test_a_missing_bucket_is_not_found_and_the_note_says_how_to_make_it(
    store: CloudStorageAccessor, operation: Callable[[Any], object]
) -> None:
    with pytest.raises(NotFound) as caught:
        operation(store)

    notes = getattr(caught.value, "__notes__", [])
    # A description's answer has no body to tell bucket and object apart by.
    assert any("no-such-bucket" in note for note in notes)


def test_a_missing_object_is_not_found(store: CloudStorageAccessor) -> None:
    for operation in (store.read, store.stat, store.delete):
        with pytest.raises(NotFound, match=r"lessons/a\.txt"):
            operation("gs://lessons/a.txt")


def test_a_bucket_is_created_once(store: CloudStorageAccessor) -> None:
    store.create_bucket("exams-2024")

    store.write("gs://exams-2024/a.txt", "a")
    store.create_bucket("exams-2024", if_exists="keep")
    with pytest.raises(Conflict):
        store.create_bucket("exams-2024")
    assert store.read("gs://exams-2024/a.txt") == "a"


# --- Lists --------------------------------------------------------------------------------


def test_a_list_is_in_the_order_of_names_and_may_take_pages(
    request: pytest.FixtureRequest, store: CloudStorageAccessor
) -> None:
    names = ["a.txt", "a/1.txt", "a/b/2.txt", "a0.txt", "b/3.csv", "b/4.txt"]
    for name in reversed(names):
        store.write(f"gs://lessons/{name}", name.encode())
    if "cloud_storage" in request.fixturenames:
        request.getfixturevalue("cloud_storage").page_size = 2

    listed = list(store.list("gs://lessons"))

    assert [stored.name for stored in listed] == names
    assert listed[0] == store.stat("gs://lessons/a.txt")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ["a.txt", "a/1.txt", "a/b/2.txt", "a0.txt", "b/3.csv"]),
        ("a", ["a.txt", "a/1.txt", "a/b/2.txt", "a0.txt"]),
        ("a/", ["a/1.txt", "a/b/2.txt"]),
        ("a/b/2.txt", ["a/b/2.txt"]),
        ("*.txt", ["a.txt", "a0.txt"]),
        ("a/*.txt", ["a/1.txt"]),
        ("**.txt", ["a.txt", "a/1.txt", "a/b/2.txt", "a0.txt"]),
        ("a/**/2.txt", ["a/b/2.txt"]),
        ("?/?.*", ["a/1.txt", "b/3.csv"]),
        ("[ab]/[!1].csv", ["b/3.csv"]),
        ("../", []),
        ("nothing/here/", []),
    ],
)
def test_a_list_takes_a_prefix_or_a_glob(
    store: CloudStorageAccessor, path: str, expected: list[str]
) -> None:
    for name in ["a.txt", "a/1.txt", "a/b/2.txt", "a0.txt", "b/3.csv"]:
        store.write(f"gs://lessons/{name}", b"")

    assert [stored.name for stored in store.list(f"gs://lessons/{path}")] == expected


def test_get_uris_list_leaves_out_names_with_the_delimiter_after_the_prefix(
    store: CloudStorageAccessor,
) -> None:
    for name in ["a/1.txt", "a/b/2.txt", "c.txt"]:
        store.write(f"gs://lessons/{name}", b"")

    assert store.get_uris_list("lessons", "a/", "/") == ["gs://lessons/a/1.txt"]
    assert store.get_uris_list("lessons", "a/") == [
        "gs://lessons/a/1.txt",
        "gs://lessons/a/b/2.txt",
    ]


# --- Preconditions ------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"second", LARGE], ids=["small", "large"])
def test_write_refuses_to_replace_when_asked_to_fail(
    store: CloudStorageAccessor, data: bytes
) -> None:
    store.write("gs://lessons/a.bin", b"first", if_exists="fail")

    with pytest.raises(PreconditionFailed) as caught:
        store.write("gs://lessons/a.bin", data, if_exists="fail")

    assert "somebody else wrote gs://lessons/a.bin first" in caught.value.__notes__[0]
    assert store.read("gs://lessons/a.bin") == b"first"


def test_write_replaces_only_the_generation_it_was_given(store: CloudStorageAccessor) -> None:
    first = store.write("gs://lessons/a.bin", b"1", if_generation=0)
    second = store.write("gs://lessons/a.bin", b"2", if_generation=first.generation)

    for stale in (0, first.generation, second.generation + 1):
        with pytest.raises(PreconditionFailed):
            store.write("gs://lessons/a.bin", b"3", if_generation=stale)

    assert second.generation > first.generation
    assert store.read("gs://lessons/a.bin") == b"2"


def test_write_to_a_generation_of_a_missing_object_is_refused(store: CloudStorageAccessor) -> None:
    with pytest.raises(PreconditionFailed):
        store.write("gs://lessons/a.bin", b"1", if_generation=7)

    assert not store.exists("gs://lessons/a.bin")


def test_delete_takes_only_the_generation_it_was_given(store: CloudStorageAccessor) -> None:
    first = store.write("gs://lessons/a.bin", b"1")
    second = store.write("gs://lessons/a.bin", b"2")

    with pytest.raises(PreconditionFailed):
        store.delete("gs://lessons/a.bin", if_generation=first.generation)
    store.delete("gs://lessons/a.bin", if_generation=second.generation)

    assert not store.exists("gs://lessons/a.bin")


def test_a_replaced_generation_is_no_longer_found(store: CloudStorageAccessor) -> None:
    first = store.write("gs://lessons/a.bin", b"1")
    second = store.write("gs://lessons/a.bin", b"2")

    assert store.read("gs://lessons/a.bin", generation=second.generation) == b"2"
    for operation in (store.read, store.stat):
        with pytest.raises(NotFound):
            operation("gs://lessons/a.bin", generation=first.generation)


def test_a_name_never_gets_a_generation_twice(store: CloudStorageAccessor) -> None:
    generations = []
    for _ in range(5):
        generations.append(store.write("gs://lessons/a.bin", b"same").generation)
        store.delete("gs://lessons/a.bin")

    assert generations == sorted(set(generations))


def test_of_eight_creators_one_wins(store: CloudStorageAccessor) -> None:
    start = threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait()
        try:
            store.write("gs://lessons/lock.json", {"by": number}, if_exists="fail")
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))

    assert won.count(True) == 1
    assert store.read("gs://lessons/lock.json") == {"by": won.index(True)}


def test_compare_and_swap_loses_no_update(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/count.json", 0)

    def add_five(_: int) -> None:
        added = 0
        while added < 5:
            found = store.stat("gs://lessons/count.json").generation
            try:
                count = store.read("gs://lessons/count.json", generation=found)
                store.write("gs://lessons/count.json", count + 1, if_generation=found)
                added += 1
            except (NotFound, PreconditionFailed):
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_five, range(4)))

    assert store.read("gs://lessons/count.json") == 20


def test_contradicting_preconditions_are_refused(store: CloudStorageAccessor) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        store.write("gs://lessons/a.bin", b"", if_exists="fail", if_generation=3)
    with pytest.raises(ValueError, match="expected 'replace' or 'fail'"):
        store.write("gs://lessons/a.bin", b"", if_exists="overwrite")  # type: ignore[arg-type]


# --- Streams ------------------------------------------------------------------------------


def plain(file: Any) -> Any:
    return file


def through_text(file: Any) -> Any:
    return io.TextIOWrapper(file, "latin-1", write_through=True)


def through_gzip(file: Any) -> Any:
    return gzip.GzipFile(fileobj=file, mode="wb", compresslevel=0)


class Interrupted(BaseException):
    """As KeyboardInterrupt is: not an Exception."""


@pytest.mark.parametrize("size", [10, 9 << 20], ids=["small", "large"])
@pytest.mark.parametrize("wrap", [plain, through_text, through_gzip])
def test_an_error_in_a_writing_block_publishes_nothing(
    store: CloudStorageAccessor, wrap: Callable[[Any], Any], size: int
) -> None:
    store.write("gs://lessons/a.bin", b"as it was")

    with suppress(Interrupted), store.open("gs://lessons/a.bin", "wb") as file:
        wrapped = wrap(file)
        wrapped.write("x" * size if wrap is through_text else b"x" * size)
        raise Interrupted
    del wrapped

    assert store.read("gs://lessons/a.bin") == b"as it was"


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_an_error_in_a_text_block_publishes_nothing(store: CloudStorageAccessor, name: str) -> None:
    with suppress(Interrupted), store.open(f"gs://lessons/{name}", "wt") as file:
        file.write("half of it")
        raise Interrupted

    assert not store.exists(f"gs://lessons/{name}")


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_text_is_streamed_through_gzip_where_the_name_says_so(
    store: CloudStorageAccessor, name: str
) -> None:
    text = "one\r\ntwo\nthrée\n"

    with store.open(f"gs://lessons/{name}", "wt") as file:
        file.write(text)

    with store.open(f"gs://lessons/{name}", "rt") as file:
        assert file.read() == text
    raw = store.read(f"gs://lessons/{name}", as_="bytes")
    assert (gzip.decompress(raw) if name.endswith(".gz") else raw) == text.encode()


def test_a_block_may_hand_its_file_to_wrappers_that_close_it(store: CloudStorageAccessor) -> None:
    with store.open("gs://lessons/a.txt", "wb") as file, io.TextIOWrapper(file, "utf-8") as text:
        text.write("whole")

    assert store.read("gs://lessons/a.txt") == "whole"
    assert file.stored == store.stat("gs://lessons/a.txt")


def test_nothing_can_be_written_after_the_block(store: CloudStorageAccessor) -> None:
    with store.open("gs://lessons/a.bin", "wb") as file:
        file.write(b"whole")

    with pytest.raises(ValueError, match="block has ended"):
        file.write(b"more")
    assert store.read("gs://lessons/a.bin") == b"whole"


def test_a_reading_block_can_seek_in_one_version(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/a.bin", LARGE)

    with store.open("gs://lessons/a.bin", "rb") as file:
        store.write("gs://lessons/a.bin", b"newer")
        file.seek(1000)
        read = file.read(10)

    assert read == LARGE[1000:1010]


# --- Rows ---------------------------------------------------------------------------------


ROWS = [["q1", -0.42, None], ["", 1, True], ['a "b", c', "two\r\nlines\n", "naïve 🙂"]]
READ = [["q1", "-0.42", None], ["", "1", "true"], ['a "b", c', "two\r\nlines\n", "naïve 🙂"]]


def test_rows_are_downloaded_as_they_were_uploaded(store: CloudStorageAccessor) -> None:
    stored = store.upload_csv_gzip("lessons", "rows.csv.gz", ROWS)

    assert store.download_csv_gzip("lessons", "rows.csv.gz") == READ
    assert stored.rows == 3
    assert stored.content_type == "application/gzip"
    assert store.stat(stored.uri).crc32c == stored.crc32c


def test_an_upload_unpacks_as_it_did_in_the_first_release(store: CloudStorageAccessor) -> None:
    body, status = store.upload_csv_gzip("lessons", "rows.csv.gz", ROWS)

    assert body == {"message": "Gzip file is successfully uploaded on gcs", "result": 200}
    assert status == 200
    assert GoogleCloudStorageAccessor is type(store)


def test_the_same_rows_are_the_same_bytes(store: CloudStorageAccessor) -> None:
    header = ["item", "difficulty"]
    rows = [["q1", 0.5], ["q2", None]]
    table = pa.table({"item": ["q1", "q2"], "difficulty": [0.5, None]})

    stored = [
        store.upload_csv_gzip("lessons", "rows.csv.gz", rows, header=header),
        store.upload_csv_gzip("lessons", "rows.csv.gz", iter(rows), header=header),
        store.upload_csv_gzip("lessons", "rows.csv.gz", map(tuple, rows), header=header),
        store.upload_csv_gzip(
            "lessons", "rows.csv.gz", [dict(zip(header, row, strict=True)) for row in rows]
        ),
        store.upload_csv_gzip("lessons", "rows.csv.gz", table),
        store.upload_csv_gzip("lessons", "rows.csv.gz", table.to_reader()),
        store.upload_csv_gzip("lessons", "rows.csv.gz", pd.DataFrame(rows, columns=header)),
    ]

    assert len({each.crc32c for each in stored}) == 1
    assert [each.rows for each in stored] == [2] * 7
    assert store.download_csv_gzip("lessons", "rows.csv.gz")[0] == header


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("q1,q2", "not one str"),
        (b"q1,q2", "not one bytes"),
        ({"q1": 0.5}, "not one dict"),
        (7, "not one int"),
        ([], "no rows"),
        (iter([]), "no rows"),
        ([[]], "row 1 has 0 values"),
        ([["q1", 1], ["q2"]], "row 2 has 1 values; expected 2"),
        ([["q1", 1], "q2"], "row 2 is a str"),
        ([["q1", 1], 2], "row 2 is a int"),
        ([{"item": "q1"}, {"name": "q2"}], r"record 2 has \['name'\]"),
        ([["q1"], ["\ud800"]], "row 2 has a lone surrogate"),
    ],
)
def test_what_is_not_rows_is_refused_and_nothing_is_written(
    store: CloudStorageAccessor, rows: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        store.upload_csv_gzip("lessons", "rows.csv.gz", rows)

    assert not store.exists("gs://lessons/rows.csv.gz")


def test_upload_csv_gzip_refuses_to_replace_when_asked_to_fail(store: CloudStorageAccessor) -> None:
    store.upload_csv_gzip("lessons", "rows.csv.gz", [["first"]])

    with pytest.raises(PreconditionFailed):
        store.upload_csv_gzip("lessons", "rows.csv.gz", [["second"]], if_exists="fail")

    assert store.download_csv_gzip("lessons", "rows.csv.gz") == [["first"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q1,q2\n", "is not gzip; expected"),
        (b"", "is empty; expected gzip"),
        (gzip.compress(b"q1,q2\n" * 1000, mtime=0)[:-10], "is cut short"),
        (gzip.compress(b"q1,q2\n", mtime=0)[:-8] + bytes(8), "is damaged gzip"),
        (gzip.compress(b'"q1', mtime=0), "is not CSV: line 1"),
        (gzip.compress(b'"q1"x,q2\n', mtime=0), "is not CSV: line 1"),
        (gzip.compress("é".encode("latin-1"), mtime=0), "is not UTF-8 text"),
    ],
    ids=["plain", "empty", "short", "damaged", "open quote", "text after quote", "latin-1"],
)
def test_a_damaged_download_is_one_clear_sentence(
    store: CloudStorageAccessor, content: bytes, message: str
) -> None:
    store.write("gs://lessons/rows.csv.gz", content)

    with pytest.raises(ValueError, match=rf"gs://lessons/rows\.csv\.gz {message}"):
        store.download_csv_gzip("lessons", "rows.csv.gz")


def test_a_gzip_bomb_is_stopped_at_the_limit(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/rows.csv.gz", gzip.compress(b"0" * 5_000_000))

    with pytest.raises(UnsafeContent, match="beyond 1,000,000 bytes when decompressed"):
        store.download_csv_gzip("lessons", "rows.csv.gz", max_bytes=1_000_000)

    assert len(store.download_csv_gzip("lessons", "rows.csv.gz", max_bytes=5_000_000)[0]) == 1


def test_a_parquet_bomb_is_stopped_before_it_is_unpacked(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/rows.parquet", pa.table({"n": pa.array(range(200_000))}))

    with pytest.raises(UnsafeContent, match="beyond 1,000,000 bytes when decompressed"):
        store.read("gs://lessons/rows.parquet", max_bytes=1_000_000)

    assert store.read("gs://lessons/rows.parquet", max_bytes=9_000_000).num_rows == 200_000


def test_a_bomb_is_stopped_also_where_text_is_streamed(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/log.txt.gz", gzip.compress(b"0" * 5_000_000))

    with (
        store.open("gs://lessons/log.txt.gz", "rt", max_bytes=1_000_000) as file,
        pytest.raises(UnsafeContent, match="beyond 1,000,000 bytes when decompressed"),
    ):
        file.read()


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "ndjson", "jsonl.gz", "parquet"])
def test_a_frame_is_read_back_from_each_format(store: CloudStorageAccessor, ending: str) -> None:
    frame = pd.DataFrame({"item": ["q1", "", None], "answers": [3, 0, 2], "share": [0.5, 0.1, 1]})
    uri = f"gs://lessons/items.{ending}"

    store.write(uri, frame)

    pd.testing.assert_frame_equal(store.read(uri, as_="dataframe"), frame)
    assert store.read(uri, as_="arrow").column("item").to_pylist() == ["q1", "", None]


@pytest.mark.parametrize("ending", ["csv.gz", "ndjson", "parquet"])
def test_rows_and_records_are_read_from_each_format(
    store: CloudStorageAccessor, ending: str
) -> None:
    records = [{"item": "q1", "text": ""}, {"item": "q2", "text": None}]
    uri = f"gs://lessons/items.{ending}"

    store.write(uri, records)

    assert store.read(uri, as_="records") == records
    rows = store.read(uri, as_="rows")
    # Only CSV holds its header as a row.
    assert (rows[1:] if ending == "csv.gz" else rows) == [["q1", ""], ["q2", None]]


def test_plain_rows_need_a_header_where_columns_have_names(store: CloudStorageAccessor) -> None:
    with pytest.raises(ValueError, match="give header="):
        store.write("gs://lessons/items.parquet", [["q1", 1]])

    store.write("gs://lessons/items.parquet", [["q1", 1]], header=["item", "answers"])

    assert store.read("gs://lessons/items.parquet").to_pylist() == [{"item": "q1", "answers": 1}]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("items", [["q1"]], "does not say its format"),
        ("items.csv.gz", "q1,q2", "no place for a str"),
        ("note.txt", ["q1"], "takes a str, not a list"),
        ("run.json", float("nan"), "not JSON compliant"),
    ],
)
def test_data_that_does_not_fit_its_name_is_refused(
    store: CloudStorageAccessor, name: str, data: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        store.write(f"gs://lessons/{name}", data)

    assert not store.exists(f"gs://lessons/{name}")


def test_a_format_may_be_said_instead_of_inferred(store: CloudStorageAccessor) -> None:
    stored = store.write("gs://lessons/run", {"run": 1}, format="json")

    assert store.read("gs://lessons/run", as_="json") == {"run": 1}
    assert stored.size == len(b'{\n  "run": 1\n}\n')


@pytest.mark.parametrize("as_", ["rows", "records", "arrow", "table"])
def test_what_has_no_rows_is_not_read_as_rows(store: CloudStorageAccessor, as_: Any) -> None:
    store.write("gs://lessons/note.txt", "text")

    with pytest.raises(ValueError, match=r"note\.txt has no rows|as_ is 'table'"):
        store.read("gs://lessons/note.txt", as_=as_)


def test_a_pickled_accessor_works_elsewhere(store: CloudStorageAccessor) -> None:
    store.write("gs://lessons/a.txt", "text")

    copy = pickle.loads(pickle.dumps(store))

    assert copy.read("gs://lessons/a.txt") == "text"
    copy.close()
