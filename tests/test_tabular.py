"""Streams under the formats, NDJSON and Parquet, and what memory they take."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import textwrap
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_accessor import UnsafeContent, tabular
from gcp_accessor.tabular.streams import compressed, decompressed
from tests.tabular_bytes import read, texts, written

ROOT = Path(__file__).resolve().parents[1]


# --- gzip ---------------------------------------------------------------------------------


def test_gzip_carries_neither_time_nor_name() -> None:
    content = written([["q1"]], "csv.gz")

    assert content[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    assert gzip.decompress(content) == b'"q1"\n'


@pytest.mark.parametrize("size", [1_000, 262_144, 262_145, 777_777])
def test_gzip_is_the_same_however_the_content_is_cut(size: int) -> None:
    content = "".join(f"q{number % 911},{number * number}\n" for number in range(90_000)).encode()
    whole, cut = io.BytesIO(), io.BytesIO()
    with compressed(whole) as file:
        file.write(content)

    with compressed(cut) as file:
        for start in range(0, len(content), size):
            file.write(content[start : start + size])

    assert cut.getvalue() == whole.getvalue()
    assert gzip.decompress(whole.getvalue()) == content


def test_a_file_of_several_gzip_members_is_read_whole() -> None:
    content = gzip.compress(b'"q1"\n') + gzip.compress(b'"q2"\n')

    assert read(content, "csv.gz") == [["q1"], ["q2"]]


def test_a_bomb_is_stopped_by_its_ratio_and_let_through_by_word() -> None:
    bomb = gzip.compress(bytes(20 << 20)) * 15

    def size(content: bytes, **options: Any) -> int:
        stream = decompressed(io.BytesIO(content), where="gs://lessons/bomb", **options)
        return sum(len(block) for block in iter(lambda: stream.read(1 << 20), b""))

    with pytest.raises(UnsafeContent, match="more than 500 times its size"):
        size(bomb)
    assert size(bomb, max_bytes=300 << 20) == 300 << 20
    with pytest.raises(UnsafeContent, match="beyond 1,000 bytes"):
        size(bomb, max_bytes=1000)


# --- NDJSON -------------------------------------------------------------------------------


def test_ndjson_is_what_bigquery_loads() -> None:
    records = [
        {"item": "naïve", "tags": ["a"], "at": datetime(2024, 3, 1, tzinfo=UTC), "share": 0.5},
        {"item": None, "more": {"n": float("nan"), "d": Decimal("1.50")}, "blob": b"\x00"},
    ]

    content = written([records[0]], "ndjson") + written([records[1]], "ndjson")

    assert content.decode().splitlines() == [
        '{"item":"naïve","tags":["a"],"at":"2024-03-01T00:00:00+00:00","share":0.5}',
        '{"item":null,"more":{"n":"NaN","d":"1.50"},"blob":"AA=="}',
    ]


@given(st.lists(st.fixed_dictionaries({"a": st.none() | texts, "b": st.integers()}), min_size=1))
@settings(max_examples=100, deadline=None)
def test_records_survive_ndjson_gz(records: list[dict[str, object]]) -> None:
    assert read(written(records, "ndjson.gz"), "ndjson.gz") == records


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'{"a": 1}\n{"a"\n', "line 2, is not JSON"), (b"[1]\n", "line 1, is not a JSON object")],
)
def test_a_broken_line_is_named(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(content, "ndjson")


def test_records_of_different_fields_are_a_table_with_nulls_but_no_rows() -> None:
    content = b'{"a": 1}\n\n{"b": "x"}\n'

    assert read(content, "ndjson", "arrow").to_pylist() == [
        {"a": 1, "b": None},
        {"a": None, "b": "x"},
    ]
    with pytest.raises(ValueError, match=r"record 2 has \['b'\]"):
        read(content, "ndjson", "rows")


# --- Parquet ------------------------------------------------------------------------------


def test_parquet_has_the_same_bytes_however_the_rows_are_cut() -> None:
    table = pa.table({"n": range(300_000), "text": [f"{n % 1000}" for n in range(300_000)]})
    cut = pa.Table.from_batches(table.to_batches(max_chunksize=777))

    whole = written(table, "parquet")

    assert written(cut, "parquet") == whole
    assert written(cut.to_reader(), "parquet") == whole
    file = pq.ParquetFile(io.BytesIO(whole))
    assert file.metadata.row_group(0).num_rows == 1 << 17
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_parquet_of_a_frame_carries_no_notes_of_pandas() -> None:
    frame = pd.DataFrame({"n": [1, 2]}, index=["a", "b"])

    assert pq.read_schema(io.BytesIO(written(frame, "parquet"))).metadata is None
    assert written(frame, "parquet") == written(pa.table({"n": [1, 2]}), "parquet")


def test_parquet_of_rows_finds_types_that_a_late_row_decides() -> None:
    rows: list[list[object]] = [[None, n, None] for n in range(1 << 17)]
    rows.append(["late", 0.5, date(2024, 3, 1)])

    table = read(written(rows, "parquet", ["text", "number", "day"]), "parquet")

    assert [str(kind) for kind in table.schema.types] == ["string", "double", "date32[day]"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a"], [1]], "the values of 'x' have no type in common"),
        ([[None], [None]], "the column 'x' has no value, so its type is unknown"),
    ],
)
def test_parquet_of_rows_without_a_type_is_refused(rows: list[list[object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        written(rows, "parquet", ["x"])


def test_a_table_without_rows_keeps_its_columns() -> None:
    table = pa.table({"n": pa.array([], pa.int64()), "text": pa.array([], pa.string())})

    assert written(table, "csv") == b'"n","text"\n'
    assert read(written(table, "parquet"), "parquet").schema == table.schema


def test_what_is_not_parquet_says_so() -> None:
    with pytest.raises(ValueError, match="gs://lessons/rows is not Parquet"):
        read(b"n,text\n1,a\n", "parquet")


# --- Memory and installation --------------------------------------------------------------


@pytest.mark.parametrize("format_", ["csv.gz", "ndjson.gz"])
def test_memory_does_not_grow_with_the_rows(format_: str) -> None:
    class Nowhere(io.BytesIO):
        def write(self, data: Any) -> int:
            return len(data)

    rows = ({"n": number, "text": f"{number:0100d}"} for number in range(20_000))
    tabular.write(({"n": 1, "text": "to import what it takes"} for _ in "a"), Nowhere(), format_)  # type: ignore[arg-type]
    tracemalloc.start()

    count = tabular.write(rows, Nowhere(), format_)  # type: ignore[arg-type]

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_500_000


def test_rows_need_python_alone_and_the_rest_names_the_extra(tmp_path: Path) -> None:
    program = """
        import sys
        sys.modules["pyarrow"] = sys.modules["pandas"] = sys.modules["numpy"] = None
        from gcp_accessor import CloudStorageAccessor, MissingExtra
        store = CloudStorageAccessor(local=sys.argv[1])
        store.create_bucket("lessons")
        store.upload_csv_gzip("lessons", "rows.csv.gz", [["q1", None]])
        print(store.download_csv_gzip("lessons", "rows.csv.gz"))
        store.write("gs://lessons/a.ndjson", [{"a": 1}])
        print(store.read("gs://lessons/a.ndjson"))
        for use in (
            lambda: store.write("gs://lessons/a.parquet", [{"a": 1}]),
            lambda: store.read("gs://lessons/rows.csv.gz", as_="dataframe"),
        ):
            try:
                use()
            except MissingExtra as error:
                print(error)
        print(store.exists("gs://lessons/a.parquet"))
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [
        "[['q1', None]]",
        "[{'a': 1}]",
        "writing Parquet needs: pip install 'gcp-accessor[pandas]'",
        "reading into a frame or Arrow needs: pip install 'gcp-accessor[pandas]'",
        "False",
    ]
