"""Datasets and tables: listed, made, deleted."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from gcp_accessor.arguments import check_choice, check_statement
from gcp_accessor.bigquery.connection import Connection
from gcp_accessor.bigquery.data import names
from gcp_accessor.schema import check_dataset
from gcp_accessor.type_names import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from gcp_accessor.backends import Table
    from gcp_accessor.schema import Column


class Tables(Connection):
    """What `BigQueryAccessor` does with datasets, and with tables as a whole."""

    def table(self, name: str) -> Table:
        """Return a table's schema, size and version.

        Raises:
            google.api_core.exceptions.NotFound: there is no such table.
        """
        return self._backend.table(self._name(name))

    def exists(self, name: str) -> bool:
        """Return whether there is such a table or view; False also without its dataset."""
        return self._backend.exists(self._name(name))

    def tables(self, dataset: str | None = None) -> list[str]:
        """Return the names of a dataset's tables and views.

        Args:
            dataset: `dataset` or `project.dataset`; None means the default dataset.

        Raises:
            google.api_core.exceptions.NotFound: there is no such dataset.
        """
        dataset = dataset or self.dataset
        if dataset is None:
            raise ValueError("name a dataset, or give the accessor dataset=")
        return self._backend.tables(check_dataset(dataset))

    def datasets(self, project: str | None = None) -> list[str]:
        """Return the names of a project's datasets; None means the accessor's project."""
        return self._backend.datasets(project)

    def create_dataset(
        self,
        name: str,
        *,
        location: str | None = None,
        if_exists: Literal["fail", "keep"] = "fail",
    ) -> None:
        """Make an empty dataset.

        Args:
            name: `dataset` or `project.dataset`.
            location: Where its tables are kept, for good. None is the accessor's location.
            if_exists: "keep" leaves a dataset that is there as it is.

        Raises:
            google.api_core.exceptions.Conflict: there is one already.
        """
        check_choice("if_exists", if_exists, ("fail", "keep"))
        with _kept(if_exists):
            self._backend.create_dataset(check_dataset(name), location=location)

    def delete_dataset(
        self,
        name: str,
        *,
        if_not_empty: Literal["fail", "delete"] = "fail",
        if_missing: Literal["fail", "ignore"] = "fail",
    ) -> None:
        """Delete a dataset, by default only an empty one.

        Args:
            name: `dataset` or `project.dataset`.
            if_not_empty: "delete" deletes its tables and views with it.

        Raises:
            google.api_core.exceptions.BadRequest: it holds tables, and `if_not_empty` is
                "fail".
            google.api_core.exceptions.NotFound: there is no such dataset.
        """
        check_choice("if_not_empty", if_not_empty, ("fail", "delete"))
        with _missed(if_missing):
            self._backend.delete_dataset(check_dataset(name), contents=if_not_empty == "delete")

    def create_table(
        self,
        name: str,
        schema: Sequence[Column] | Mapping[str, str],
        *,
        partition_by: str | None = None,
        partition_life: timedelta | None = None,
        cluster_by: Sequence[str] = (),
        description: str | None = None,
        if_exists: Literal["fail", "keep"] = "fail",
    ) -> None:
        """Make an empty table.

        Args:
            name: Its dataset must exist.
            schema: Columns, or a mapping of names to types like `{"tags": "ARRAY<STRING>"}`.
            partition_by: A DATE or TIMESTAMP column that splits the table by day.
            partition_life: How long after its day a partition is deleted. None keeps it as
                the dataset says. A folder keeps everything, and refuses this.
            cluster_by: Columns that order it.
            description: What a row of it is.
            if_exists: "keep" leaves a table that is there as it is, whatever its columns.

        Raises:
            google.api_core.exceptions.Conflict: there is one already.
            UnsupportedLocally: `partition_life`, on a folder.
        """
        check_choice("if_exists", if_exists, ("fail", "keep"))
        if partition_life is not None and partition_by is None:
            raise ValueError("partition_life is of the days of partition_by=; there is none")
        with _kept(if_exists):
            self._backend.create_table(
                self._name(name),
                columns(schema),
                partition_by,
                names("cluster_by", cluster_by),
                description=description,
                partition_life=partition_life,
            )

    def create_view(
        self,
        name: str,
        sql: str,
        *,
        description: str | None = None,
        if_exists: Literal["fail", "replace"] = "fail",
    ) -> None:
        """Make a view: a query that is read as a table.

        Args:
            sql: One query, whose tables are named with their datasets.
            description: What a row of it is.
            if_exists: "replace" gives a view that is there this query.

        Raises:
            google.api_core.exceptions.BadRequest: the query is wrong, or it is to replace a
                table.
            google.api_core.exceptions.Conflict: there is a view or table already.
        """
        check_choice("if_exists", if_exists, ("fail", "replace"))
        check_statement(sql)
        self._backend.create_view(
            self._name(name), sql, replace=if_exists == "replace", description=description
        )

    def delete_table(self, name: str, *, if_missing: Literal["fail", "ignore"] = "fail") -> None:
        """Delete a table, a view, or with `$YYYYMMDD` one day of a table.

        Raises:
            google.api_core.exceptions.NotFound: there is none, and `if_missing` is "fail".
        """
        with _missed(if_missing):
            self._backend.delete_table(self._name(name))


@contextmanager
def _kept(if_exists: Literal["fail", "keep"]) -> Iterator[None]:
    from google.api_core.exceptions import Conflict

    try:
        yield
    except Conflict:
        if if_exists == "fail":
            raise


@contextmanager
def _missed(if_missing: Literal["fail", "ignore"]) -> Iterator[None]:
    from google.api_core.exceptions import NotFound

    check_choice("if_missing", if_missing, ("fail", "ignore"))
    try:
        yield
    except NotFound:
        if if_missing == "fail":
            raise
