"""What CloudStorageAccessor writes, BigQueryAccessor loads: the same values, of every type."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
from gcp_accessor.arrow import arrow_schema
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.errors import UnsupportedLocally
from gcp_accessor.type_names import columns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET = "lessons"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", " ", "\n", "\r\n", "a\rb", '"', '""', ",", "\\", "\\N", "NULL", "null", "é", "𝄞", "\ufeff"]
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats()
DECIMALS = st.decimals(-(10**28), 10**28, places=9) | st.sampled_from(
    [Decimal(sign + "9" * 29 + "." + "9" * 9) for sign in ("", "-")]
)
DATES = st.dates() | st.sampled_from([date.min, date.max])
MOMENTS = st.datetimes().map(lambda moment: moment.replace(fold=0)) | st.sampled_from(
    [datetime.min, datetime.max]
)
JSONS = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
# Each type with a value that shows it and with any value it can have.
SCALARS: dict[str, tuple[str, object, st.SearchStrategy[Any]]] = {
    "s": ("STRING", "x", TEXTS),
    "y": ("BYTES", b"\x00\xff", st.binary(max_size=6)),
    "i": ("INT64", 1, INTEGERS),
    "f": ("FLOAT64", 0.5, REALS),
    "n": ("NUMERIC", Decimal("1.000000001"), DECIMALS),
    "b": ("BOOL", True, st.booleans()),
    "d": ("DATE", date(2024, 3, 1), DATES),
    "dt": ("DATETIME", datetime(2024, 3, 1, 9, 0, 0, 1), MOMENTS),
    "t": ("TIME", time(9, 30, 0, 1), st.times().map(lambda when: when.replace(fold=0))),
    "ts": (
        "TIMESTAMP",
        datetime(2024, 3, 1, 9, tzinfo=UTC),
        MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
    ),
    "last": ("STRING", "", TEXTS),
}
POINTS = st.fixed_dictionaries({"x": st.none() | INTEGERS, "note": st.none() | TEXTS})
NESTED: dict[str, tuple[str, object, st.SearchStrategy[Any]]] = {
    "l": ("ARRAY<INT64>", [1, 2], st.lists(INTEGERS, max_size=3)),
    "ls": ("ARRAY<STRING>", ["", "x"], st.lists(TEXTS, max_size=3)),
    "st": ("STRUCT<x INT64, note STRING>", {"x": 1, "note": "a"}, POINTS),
    "lst": (
        "ARRAY<STRUCT<x INT64, note STRING>>",
        [{"x": 1, "note": "a"}],
        st.lists(POINTS, max_size=2),
    ),
}
FORMATS = ["rows.csv.gz", "rows.csv", "rows.ndjson", "rows.ndjson.gz", "rows.parquet"]
SOURCES = ["rows", "records", "frame", "arrow"]


class Halves(NamedTuple):
    store: CloudStorageAccessor
    warehouse: BigQueryAccessor


@pytest.fixture(params=["local", "google"])
def halves(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Halves]:
    """Both accessors on one folder; and over HTTP, where the warehouse reads the other's bucket."""
    root = tmp_path / "place"
    if request.param == "local":
        with CloudStorageAccessor(local=root) as store, BigQueryAccessor(local=root) as warehouse:
            store.create_bucket(BUCKET)
            warehouse.create_dataset("exams")
            warehouse.dataset = "exams"
            yield Halves(store, warehouse)
        return
    from tests.stand_ins.bigquery import BigQueryStandIn

    root.mkdir()
    google_store: CloudStorageAccessor = request.getfixturevalue("google_store")
    engine = DuckDBWarehouse(root, buckets=google_store._backend)
    with BigQueryStandIn(engine) as service, service.accessor(dataset="exams") as warehouse:
        warehouse.create_dataset("exams")
        yield Halves(google_store, warehouse)


def test_every_type_comes_back_as_it_was_written(halves: Halves) -> None:
    """All values at once, in each format and from each form of data."""
    for name in FORMATS:
        kinds = SCALARS if ".csv" in name else SCALARS | NESTED
        for source in SOURCES:
            assert_loads_as_written(halves, name, source, kinds, [])


@pytest.mark.parametrize("name", FORMATS)
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # An example writes, loads and queries: making a failing one smaller would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(source=st.sampled_from(SOURCES), data=st.data())
def test_any_value_comes_back_as_it_was_written(
    halves: Halves, name: str, source: str, data: st.DataObject
) -> None:
    kinds = SCALARS if ".csv" in name else SCALARS | NESTED
    row = st.tuples(
        *(values if "ARRAY" in kind else st.none() | values for kind, _, values in kinds.values())
    )
    assert_loads_as_written(halves, name, source, kinds, data.draw(st.lists(row, max_size=5)))


def assert_loads_as_written(
    halves: Halves,
    name: str,
    source: str,
    kinds: dict[str, tuple[str, object, st.SearchStrategy[Any]]],
    drawn: list[tuple[object, ...]],
) -> None:
    """Write the rows, between one that shows every type and one of NULLs, and load them."""
    schema = {name: kind for name, (kind, _, _) in kinds.items()}
    nulls: list[object] = [[] if "ARRAY" in kind else None for kind in schema.values()]
    shown = [value for _, value, _ in kinds.values()]
    rows: list[list[object]] = [shown, *map(list, drawn), nulls]
    uri = f"gs://{BUCKET}/{name}"

    halves.store.write(
        uri,
        in_form(source, schema, rows),
        header=list(schema) if source == "rows" else None,
    )
    count = halves.warehouse.load(
        uri,
        "t",
        schema=schema,
        skip_leading_rows=1 if ".csv" in name else 0,
        if_exists="replace",
    )

    loaded = halves.warehouse.query("SELECT * FROM t").rows()
    assert count == len(rows)
    assert comparable(loaded) == comparable(rows)


def in_form(source: str, schema: dict[str, str], rows: list[list[object]]) -> object:
    if source == "rows":
        return rows
    records = [dict(zip(schema, row, strict=True)) for row in rows]
    if source == "records":
        return records
    table = pa.Table.from_pylist(records, arrow_schema(columns(schema)))
    return table if source == "arrow" else table.to_pandas(types_mapper=pd.ArrowDtype)


def comparable(rows: list[list[object]]) -> list[str]:
    """Rows in one order, with NaN equal to itself; a table keeps no order."""
    return sorted(repr([_comparable(value) for value in row]) for row in rows)


def _comparable(value: object) -> object:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    if isinstance(value, Decimal):
        return value.normalize() + 0
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return sorted((name, _comparable(item)) for name, item in value.items())
    return value


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.ndjson", "rows.parquet"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_single_column_keeps_its_nulls_and_its_empty_strings(
    halves: Halves, name: str, source: str
) -> None:
    assert_loads_as_written(halves, name, source, {"s": SCALARS["s"]}, [(None,), ("",), (None,)])


@pytest.mark.parametrize("name", ["rows.ndjson.gz", "rows.csv.gz"])
def test_json_comes_back_as_it_was_written(halves: Halves, name: str) -> None:
    values = [{"a": [1, None, {"b": "x\n\"'"}]}, [], "text", 2**40, 0.5, True, None]
    in_csv = name.endswith(".csv.gz")
    records = [
        {"n": n, "j": json.dumps(value) if in_csv and value is not None else value}
        for n, value in enumerate(values)
    ]

    halves.store.write(f"gs://{BUCKET}/{name}", records)
    halves.warehouse.load(
        f"gs://{BUCKET}/{name}",
        "t",
        schema={"n": "INT64", "j": "JSON"},
        skip_leading_rows=int(in_csv),
    )

    assert halves.warehouse.query("SELECT j FROM t ORDER BY n").rows() == [[v] for v in values]


@pytest.mark.parametrize("kind", ["BIGNUMERIC", "GEOGRAPHY"])
def test_a_type_that_the_folder_does_not_have_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    with BigQueryAccessor(local=tmp_path, dataset="exams") as warehouse:
        warehouse.create_dataset("exams")

        with pytest.raises(UnsupportedLocally, match=kind):
            warehouse.load([{"v": None}], "t", schema={"v": kind})


def test_a_header_names_the_columns_that_are_found(halves: Halves) -> None:
    rows = [[date(2024, 3, 1), 1, 0.5, True, "a"], [None, None, None, None, None]]
    halves.store.upload_csv_gzip(BUCKET, "r.csv.gz", rows, header=["d", "i", "f", "b", "s"])

    halves.warehouse.load(f"gs://{BUCKET}/r.csv.gz", "t", skip_leading_rows=1)

    result = halves.warehouse.query("SELECT * FROM t ORDER BY i DESC")
    assert result.rows() == rows
    assert [column.type for column in result.schema] == [
        "DATE",
        "INT64",
        "FLOAT64",
        "BOOL",
        "STRING",
    ]
