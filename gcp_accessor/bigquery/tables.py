"""Datasets and tables: listed, made, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gcp_accessor.bigquery.connection import Connection
from gcp_accessor.type_names import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

    def tables(self, dataset: str | None = None) -> list[str]:
        """Return the names of a dataset's tables and views; None means the default dataset."""
        dataset = dataset or self.dataset
        if dataset is None:
            raise ValueError("name a dataset, or give the accessor dataset=")
        return self._backend.tables(dataset)

    def datasets(self) -> list[str]:
        """Return the names of the project's datasets."""
        return self._backend.datasets()

    def create_dataset(self, name: str) -> None:
        """Make an empty dataset.

        Raises:
            google.api_core.exceptions.Conflict: there is one already.
        """
        self._backend.create_dataset(name)

    def create_table(
        self,
        name: str,
        schema: Sequence[Column] | Mapping[str, str],
        *,
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
    ) -> None:
        """Make an empty table.

        Args:
            name: Its dataset must exist.
            schema: Columns, or a mapping of names to types like `{"tags": "ARRAY<STRING>"}`.
            partition_by: A DATE or TIMESTAMP column that splits the table by day.
            cluster_by: Columns that order it.

        Raises:
            google.api_core.exceptions.Conflict: there is one already.
        """
        self._backend.create_table(
            self._name(name), columns(schema), partition_by, tuple(cluster_by)
        )

    def delete_table(self, name: str, *, if_missing: Literal["fail", "ignore"] = "fail") -> None:
        """Delete a table, a view, or with `$YYYYMMDD` one day of a table."""
        from google.api_core.exceptions import NotFound

        try:
            self._backend.delete_table(self._name(name))
        except NotFound:
            if if_missing == "fail":
                raise
