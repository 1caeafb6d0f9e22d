"""Every case under tests/sql, with its rows in both orders; every query under sql/."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from etl_jobs.calibrate.tables import COLUMNS as TABLES_OF_A_RUN
from etl_jobs.contract import Query, parse_sql
from etl_jobs.job import Jobs
from etl_jobs.sources import load_sources
from gcp_accessor import BigQueryAccessor, Column

CASES = Path(__file__).parent / "sql"
QUERIES = Jobs().queries
CASE_PATHS = sorted(CASES.rglob("*.yaml"))


def case_name(path: Path) -> str:
    return path.relative_to(CASES).with_suffix("").as_posix()


def columns_of(table: str) -> tuple[Column, ...]:
    """A table's columns, as sources.yaml, or whatever makes it, declares them."""
    sources = load_sources()
    if table in sources:
        return sources[table].columns
    if table in TABLES_OF_A_RUN:
        return TABLES_OF_A_RUN[table]
    jobs = Jobs().by_name.values()
    return next(job.table.columns for job in jobs if job.table and job.output == table)


def value_of(column: Column, value: object) -> object:
    if column.type == "TIMESTAMP" and isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value


def rows_of(columns: tuple[Column, ...], given: dict | list) -> list[dict[str, object]]:
    """The rows of one table, each with every column."""
    spec = given if isinstance(given, dict) else {"rows": given}
    rows = []
    for row in spec["rows"]:
        stated = {**spec.get("defaults", {}), **row}
        assert set(stated) <= {column.name for column in columns}, f"unknown column in {row}"
        rows.append({column.name: value_of(column, stated.get(column.name)) for column in columns})
    return rows


@pytest.fixture
def warehouse(tmp_path: Path) -> BigQueryAccessor:
    warehouse = BigQueryAccessor(local=tmp_path, dataset="etl")
    for dataset in ("raw", "etl"):
        warehouse.create_dataset(dataset)
    return warehouse


@pytest.mark.parametrize("order", ["as_written", "reversed"])
@pytest.mark.parametrize("path", CASE_PATHS, ids=case_name)
def test_the_query_returns_what_the_case_expects(
    path: Path, order: str, warehouse: BigQueryAccessor
) -> None:
    query = QUERIES[path.parent.relative_to(CASES).as_posix()]
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    for table, given in case["given"].items():
        columns = columns_of(table)
        rows = rows_of(columns, given)
        if order == "reversed":
            rows.reverse()
        nullable = tuple(Column(column.name, column.type) for column in columns)
        warehouse.create_table(table, nullable)
        if rows:
            warehouse.load(rows, table, schema=nullable, if_exists="append")
    settings = {p.name: p.default for p in query.parameters if p.default} | case.get("with", {})

    result = warehouse.query(query.sql, settings)

    types = {column.name: column for column in query.columns}
    found = result.records()
    expected = [
        {name: value_of(types[name], value) for name, value in row.items()}
        for row in case["expect"]
    ]
    if parse_sql(query.sql).args.get("order") is None:
        # A case states its rows in the order of the grain.
        found.sort(key=lambda row: [str(row[name]) for name in query.grain])
    shown = [
        {name: row[name] for name in (wanted or row)}
        for row, wanted in zip(found, expected, strict=False)
    ]
    assert shown == expected
    assert len(found) == len(expected), f"found {found}"
    check_against_header(query, result.schema, found)


def check_against_header(
    query: Query, schema: tuple[Column, ...], found: list[dict[str, object]]
) -> None:
    assert [(c.name, c.type) for c in schema] == [(c.name, c.type) for c in query.columns]
    grains = [tuple(row[name] for name in query.grain) for row in found]
    assert len(set(grains)) == len(grains)
    for column in query.columns:
        if column.mode == "REQUIRED":
            assert all(row[column.name] is not None for row in found), column.name


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_has_a_case(name: str) -> None:
    assert any(path.parent.relative_to(CASES).as_posix() == name for path in CASE_PATHS)


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_gives_the_promised_columns_on_empty_tables(
    name: str, warehouse: BigQueryAccessor
) -> None:
    query = QUERIES[name]
    for table in query.reads:
        columns = tuple(Column(c.name, c.type) for c in columns_of(table))
        warehouse.create_table(table, columns)
    anything = {"STRING": "a", "INT64": 1, "FLOAT64": 1.0, "DATE": date(2024, 3, 1)}
    settings = {
        p.name: p.parse(p.default) if p.default else anything[p.type] for p in query.parameters
    }

    result = warehouse.query(query.sql, settings)

    assert [(c.name, c.type) for c in result.schema] == [(c.name, c.type) for c in query.columns]
    assert result.rows() == []
