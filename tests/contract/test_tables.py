"""Datasets, tables and views: made, described, listed and deleted, on each backend alike."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from gcp_accessor.errors import UnsupportedLocally

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcp_accessor import BigQueryAccessor

ONE = {"n": "INT64"}


# --- datasets -----------------------------------------------------------------------------


def test_a_dataset_that_is_there_is_a_conflict_or_kept(exams: BigQueryAccessor) -> None:
    exams.create_table("t", ONE)

    with pytest.raises(exceptions.Conflict):
        exams.create_dataset("exams")
    exams.create_dataset("exams", if_exists="keep")

    assert exams.tables() == ["t"]


def test_a_dataset_is_made_in_a_place(warehouse: BigQueryAccessor) -> None:
    warehouse.create_dataset("raw", location="US")

    assert warehouse.datasets() == ["raw"]


def test_a_dataset_with_tables_is_deleted_only_when_told_so(exams: BigQueryAccessor) -> None:
    exams.create_table("t", ONE)
    exams.create_view("v", "SELECT n FROM exams.t")

    with pytest.raises(exceptions.BadRequest, match="still in use"):
        exams.delete_dataset("exams")
    assert exams.datasets() == ["exams"]

    exams.delete_dataset("exams", if_not_empty="delete")
    assert exams.datasets() == []


def test_an_absent_dataset_is_not_found_or_ignored(warehouse: BigQueryAccessor) -> None:
    with pytest.raises(exceptions.NotFound):
        warehouse.delete_dataset("nowhere")

    warehouse.delete_dataset("nowhere", if_missing="ignore")


@pytest.mark.parametrize("name", ["a-b", "a.b.c", "`a`", "a;b", "a b", ""])
def test_a_datasets_name_that_breaks_the_rules_is_refused(
    warehouse: BigQueryAccessor, name: str
) -> None:
    actions: list[Callable[[str], Any]] = [
        warehouse.create_dataset,
        warehouse.delete_dataset,
    ]
    for action in actions:
        with pytest.raises(ValueError, match="is not a dataset's name"):
            action(name)


# --- tables -------------------------------------------------------------------------------


def test_a_table_or_view_exists_or_does_not(exams: BigQueryAccessor) -> None:
    exams.create_table("t", ONE)
    exams.create_view("v", "SELECT n FROM exams.t")

    assert exams.exists("t")
    assert exams.exists("exams.v")
    assert not exams.exists("u")
    assert not exams.exists("nowhere.t")


def test_a_table_that_is_there_is_a_conflict_or_kept(exams: BigQueryAccessor) -> None:
    exams.load([[1]], "t", schema=ONE)

    with pytest.raises(exceptions.Conflict):
        exams.create_table("t", ONE)
    exams.create_table("t", {"other": "STRING"}, if_exists="keep")

    assert exams.query("SELECT n FROM t").rows() == [[1]]


def test_a_table_keeps_its_description(exams: BigQueryAccessor) -> None:
    exams.create_table("t", ONE, description="One number a row, from the 'device'")

    assert exams.table("t").description == "One number a row, from the 'device'"


def test_a_partitions_life_needs_partitions(exams: BigQueryAccessor) -> None:
    with pytest.raises(ValueError, match="partition_life is of the days of partition_by="):
        exams.create_table("t", ONE, partition_life=timedelta(days=1))


def test_a_folder_refuses_to_let_partitions_end(tmp_path: Any) -> None:
    from gcp_accessor import BigQueryAccessor

    with BigQueryAccessor(local=tmp_path, dataset="exams") as exams:
        exams.create_dataset("exams")

        with pytest.raises(UnsupportedLocally, match="a local table keeps its partitions"):
            exams.create_table(
                "t", {"day": "DATE"}, partition_by="day", partition_life=timedelta(days=7)
            )


@pytest.mark.parametrize("cluster_by", ["n", ["n", "n"]])
def test_columns_to_cluster_by_are_a_list_without_repetition(
    exams: BigQueryAccessor, cluster_by: Any
) -> None:
    with pytest.raises((TypeError, ValueError), match="cluster_by"):
        exams.create_table("t", ONE, cluster_by=cluster_by)
    with pytest.raises((TypeError, ValueError), match="cluster_by"):
        exams.load([[1]], "t", schema=ONE, cluster_by=cluster_by)


@pytest.mark.parametrize("name", ["t`", "t; DROP TABLE t", "exams.t`x", "exams.`t`"])
def test_a_name_with_a_backtick_or_a_semicolon_is_refused_everywhere(
    exams: BigQueryAccessor, name: str
) -> None:
    actions: list[Callable[[], Any]] = [
        lambda: exams.table(name),
        lambda: exams.exists(name),
        lambda: exams.create_table(name, ONE),
        lambda: exams.create_view(name, "SELECT 1 AS n"),
        lambda: exams.delete_table(name),
        lambda: exams.load([[1]], name, schema=ONE),
        lambda: exams.upsert([[1]], name, ["n"], schema=ONE),
        lambda: exams.copy(name, "u"),
        lambda: exams.export(name, "gs://bucket/t.csv"),
        lambda: exams.query("SELECT 1 AS n", destination=name),
    ]
    for action in actions:
        with pytest.raises(ValueError, match="is not a table name"):
            action()


# --- views --------------------------------------------------------------------------------


def test_a_view_is_read_as_a_table_and_replaced(exams: BigQueryAccessor) -> None:
    exams.load([[1], [2]], "t", schema=ONE)
    exams.create_view("v", "SELECT MAX(n) AS n FROM exams.t", description="The last")

    with pytest.raises(exceptions.Conflict):
        exams.create_view("v", "SELECT MIN(n) AS n FROM exams.t")
    assert exams.query("SELECT n FROM v").scalar() == 2
    assert (exams.table("v").kind, exams.table("v").description) == ("view", "The last")

    exams.create_view("v", "SELECT MIN(n) AS n FROM exams.t", if_exists="replace")
    assert exams.query("SELECT n FROM v").scalar() == 1


def test_a_view_does_not_replace_a_table(exams: BigQueryAccessor) -> None:
    exams.load([[1]], "t", schema=ONE)

    with pytest.raises(exceptions.BadRequest):
        exams.create_view("t", "SELECT 2 AS n", if_exists="replace")

    assert exams.query("SELECT n FROM t").scalar() == 1


@pytest.mark.parametrize("sql", ["SELECT * FROM t", "SELEC 1", "DROP TABLE exams.t", "SELECT @n"])
def test_a_view_that_could_not_be_read_is_refused(exams: BigQueryAccessor, sql: str) -> None:
    exams.create_table("t", ONE)

    with pytest.raises(exceptions.BadRequest):
        exams.create_view("v", sql)

    assert exams.tables() == ["t"]


# --- other projects -----------------------------------------------------------------------


def test_a_default_dataset_may_name_its_project(warehouse: BigQueryAccessor) -> None:
    project = "local" if warehouse.local else "test-project"
    warehouse.create_dataset(f"{project}.exams")
    warehouse.dataset = f"{project}.exams"

    warehouse.load([[1]], "t", schema=ONE)

    assert warehouse.query("SELECT n FROM t").scalar() == 1
    assert warehouse.tables() == warehouse.tables(f"{project}.exams") == ["t"]
    assert str(warehouse.table(f"{project}.exams.t").name) == f"{project}.exams.t"
    assert warehouse.datasets(project) == ["exams"]


def test_another_project_is_not_found(exams: BigQueryAccessor) -> None:
    actions: list[Callable[[], Any]] = [
        lambda: exams.tables("another-project.exams"),
        lambda: exams.datasets("another-project"),
        lambda: exams.table("another-project.exams.t"),
        lambda: exams.delete_dataset("another-project.exams"),
    ]
    for action in actions:
        with pytest.raises(exceptions.NotFound):
            action()
    assert not exams.exists("another-project.exams.t")
