"""What is written through `open` is published whole or not at all, through any wrapper."""

from __future__ import annotations

import bz2
import csv
import gc
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gcp_accessor import CloudStorageAccessor

    Interrupt = Callable[[], None]

URI = "gs://lessons/a.bin"
# More than a wrapper holds back, and bytes that do not get smaller.
NOISE = np.random.default_rng(3).bytes(200_000)
TEXT = "thrée\r\n" * 20_000
COUNT = 5_000
TABLE = pa.table({"item": [f"q{number}" for number in range(COUNT)], "n": list(range(COUNT))})


def plain(file: Any, interrupt: Interrupt) -> None:
    file.write(NOISE)
    interrupt()
    file.write(NOISE)


def buffered(file: Any, interrupt: Interrupt) -> None:
    with io.BufferedWriter(file, 1 << 20) as wrapper:
        plain(wrapper, interrupt)


def text(file: Any, interrupt: Interrupt) -> None:
    wrapper = io.TextIOWrapper(file, "utf-8", newline="")
    wrapper.write(TEXT)
    interrupt()
    wrapper.write(TEXT)
    wrapper.close()


def packed(file: Any, interrupt: Interrupt) -> None:
    wrapper = gzip.GzipFile(fileobj=file, mode="wb")
    plain(wrapper, interrupt)
    wrapper.close()


def packed_text(file: Any, interrupt: Interrupt) -> None:
    with gzip.open(file, "wt", encoding="utf-8", newline="") as wrapper:
        wrapper.write(TEXT)
        interrupt()
        wrapper.write(TEXT)


def with_bz2(file: Any, interrupt: Interrupt) -> None:
    with bz2.open(file, "wb") as wrapper:
        plain(wrapper, interrupt)


def with_lzma(file: Any, interrupt: Interrupt) -> None:
    with lzma.open(file, "wb", preset=0) as wrapper:
        plain(wrapper, interrupt)


def with_zip(file: Any, interrupt: Interrupt) -> None:
    with zipfile.ZipFile(file, "w") as archive, archive.open("one", "w") as member:
        plain(member, interrupt)


def with_tar(file: Any, interrupt: Interrupt) -> None:
    info = tarfile.TarInfo("one")
    info.size = len(NOISE)
    with tarfile.open(fileobj=file, mode="w|") as archive:
        archive.addfile(info, io.BytesIO(NOISE))
        interrupt()


def with_csv(file: Any, interrupt: Interrupt) -> None:
    writer = csv.writer(file)
    writer.writerows([["q1", number] for number in range(COUNT)])
    interrupt()
    writer.writerow(["last", 0])


def with_csv_over_text(file: Any, interrupt: Interrupt) -> None:
    with io.TextIOWrapper(file, "utf-8", newline="") as wrapper:
        with_csv(wrapper, interrupt)


def with_json(file: Any, interrupt: Interrupt) -> None:
    class Interrupting(list[int]):
        def __iter__(self) -> Iterator[int]:
            yield from range(COUNT)
            interrupt()

    json.dump(Interrupting([1]), file)


def with_pickle(file: Any, interrupt: Interrupt) -> None:
    pickle.dump(NOISE, file)
    interrupt()


def with_pandas(file: Any, interrupt: Interrupt) -> None:
    TABLE.to_pandas().to_csv(file, index=False)
    interrupt()


def with_packed_pandas(file: Any, interrupt: Interrupt) -> None:
    TABLE.to_pandas().to_csv(file, index=False, compression="gzip", mode="wb")
    interrupt()


def with_pandas_parquet(file: Any, interrupt: Interrupt) -> None:
    TABLE.to_pandas().to_parquet(file)
    interrupt()


def with_parquet(file: Any, interrupt: Interrupt) -> None:
    with pq.ParquetWriter(file, TABLE.schema) as writer:
        writer.write_table(TABLE)
        interrupt()
        writer.write_table(TABLE)


def with_arrow_csv(file: Any, interrupt: Interrupt) -> None:
    with arrow_csv.CSVWriter(file, TABLE.schema) as writer:
        writer.write_table(TABLE)
        interrupt()
        writer.write_table(TABLE)


def with_numpy(file: Any, interrupt: Interrupt) -> None:
    np.save(file, np.arange(100_000))
    interrupt()


def text_into(file: Any, interrupt: Interrupt) -> None:
    file.write(TEXT)
    interrupt()


def rows_of(content: bytes) -> int:
    return sum(1 for _ in csv.reader(io.StringIO(content.decode(), newline="")))


def in_tar(content: bytes) -> bytes | None:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("one")
        return None if member is None else member.read()


TWICE = [*TABLE.to_pylist(), *TABLE.to_pylist()]
# How it is written, in which mode, how it is read back, and what that gives.
WRAPPERS: dict[str, tuple[Callable[[Any, Interrupt], None], str, Callable[[bytes], Any], Any]] = {
    "plain": (plain, "wb", bytes, NOISE * 2),
    "BufferedWriter": (buffered, "wb", bytes, NOISE * 2),
    "TextIOWrapper": (text, "wb", bytes.decode, TEXT * 2),
    "GzipFile": (packed, "wb", gzip.decompress, NOISE * 2),
    "gzip.open": (packed_text, "wb", lambda read: gzip.decompress(read).decode(), TEXT * 2),
    "bz2": (with_bz2, "wb", bz2.decompress, NOISE * 2),
    "lzma": (with_lzma, "wb", lzma.decompress, NOISE * 2),
    "zip": (with_zip, "wb", lambda read: zipfile.ZipFile(io.BytesIO(read)).read("one"), NOISE * 2),
    "tar": (with_tar, "wb", in_tar, NOISE),
    "csv over text": (with_csv_over_text, "wb", rows_of, COUNT + 1),
    "pickle": (with_pickle, "wb", pickle.loads, NOISE),
    "pandas csv.gz": (
        with_packed_pandas,
        "wb",
        lambda read: rows_of(gzip.decompress(read)),
        COUNT + 1,
    ),
    "pandas parquet": (
        with_pandas_parquet,
        "wb",
        lambda read: pd.read_parquet(io.BytesIO(read)).to_dict("records"),
        TABLE.to_pylist(),
    ),
    "ParquetWriter": (
        with_parquet,
        "wb",
        lambda read: pq.read_table(io.BytesIO(read)).to_pylist(),
        TWICE,
    ),
    "Arrow's CSVWriter": (with_arrow_csv, "wb", rows_of, 2 * COUNT + 1),
    "numpy": (with_numpy, "wb", lambda read: np.load(io.BytesIO(read)).sum(), 4_999_950_000),
    "text mode": (text_into, "wt", bytes.decode, TEXT),
    "csv": (with_csv, "wt", rows_of, COUNT + 1),
    "json": (with_json, "wt", lambda read: len(json.loads(read)), COUNT),
    "pandas": (with_pandas, "wt", rows_of, COUNT + 1),
}


class Problem(Exception):
    """Something in the block."""


def write(store: CloudStorageAccessor, wrapper: str, interrupt: Interrupt) -> None:
    run, mode, _, _ = WRAPPERS[wrapper]
    with store.open(URI, mode) as file:  # type: ignore[arg-type]  # a table's str
        run(file, interrupt)


def raising(error: BaseException) -> Interrupt:
    def interrupt() -> None:
        raise error

    return interrupt


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_a_wrapper_writes_is_published_whole(
    store: CloudStorageAccessor, wrapper: str
) -> None:
    _, _, decode, expected = WRAPPERS[wrapper]

    write(store, wrapper, lambda: None)

    assert decode(store.read(URI, as_="bytes")) == expected


@pytest.mark.parametrize("error", [Problem(), KeyboardInterrupt()])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_an_error_behind_a_wrapper_publishes_nothing(
    store: CloudStorageAccessor, wrapper: str, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        write(store, wrapper, raising(error))
    # What the wrappers still hold, they write when they are collected.
    error.__traceback__ = None
    gc.collect(1)

    assert not store.exists(URI)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_block_that_is_never_ended_publishes_nothing(
    store: CloudStorageAccessor, wrapper: str
) -> None:
    store.write(URI, b"as it was")
    run, mode, _, _ = WRAPPERS[wrapper]

    def rows() -> Iterator[int]:
        with store.open(URI, mode) as file:  # type: ignore[arg-type]  # a table's str
            run(file, lambda: None)
            yield 1

    abandoned = rows()
    next(abandoned)
    del abandoned
    gc.collect(1)

    assert store.read(URI) == b"as it was"


@pytest.mark.parametrize("mode", ["wb", "wt"])
def test_a_block_that_is_entered_by_hand_and_forgotten_publishes_nothing(
    store: CloudStorageAccessor, mode: Any
) -> None:
    block = store.open(URI, mode)
    block.__enter__().write("half" if mode == "wt" else b"half")
    del block
    gc.collect(1)

    assert not store.exists(URI)


def test_an_error_after_a_wrapper_was_closed_publishes_nothing(
    store: CloudStorageAccessor,
) -> None:
    with suppress(Problem), store.open(URI, "wb") as file:
        with gzip.open(file, "wt") as wrapper:
            wrapper.write("whole")
        raise Problem

    assert not store.exists(URI)


def test_a_file_that_is_used_without_a_block_says_how_to_use_it(
    store: CloudStorageAccessor,
) -> None:
    with pytest.raises(AttributeError, match=r"`with store.open\(uri, mode\) as file:`"):
        store.open(URI, "wt").write("x")  # type: ignore[attr-defined]

    assert not store.exists(URI)


@pytest.mark.parametrize("mode", ["xb", "ab", "r+b", "w", ""])
def test_a_mode_that_is_not_offered_is_refused(store: CloudStorageAccessor, mode: Any) -> None:
    with pytest.raises(ValueError, match=r"is not one of 'rb', 'wb', 'rt' and 'wt'"):
        store.open(URI, mode).__enter__()
