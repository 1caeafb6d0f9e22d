"""BigQuery's datasets and tables: described, listed, made, deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from google.api_core import exceptions
from google.cloud import bigquery

from gcp_accessor.backends import Table
from gcp_accessor.backends.google.advice import advice
from gcp_accessor.backends.google.schema import (
    columns,
    partition_life,
    schema_fields,
    table_name,
    table_reference,
)

if TYPE_CHECKING:
    from gcp_accessor.schema import Column, TableName


class Tables:
    """What `GoogleWarehouse` does with datasets, and with tables as a whole."""

    client: bigquery.Client

    def table(self, name: TableName) -> Table:
        """Return the table as BigQuery describes it."""
        with advice():
            found = self.client.get_table(table_reference(name.whole, self.client.project))
        is_view = found.table_type in {"VIEW", "MATERIALIZED_VIEW"}
        # What an external table holds is not BigQuery's, which sees no change of it.
        is_stored = found.table_type in {"TABLE", "SNAPSHOT"}
        partitioning = found.time_partitioning
        return Table(
            name=table_name(found.reference),
            schema=columns(found.schema),
            rows=found.num_rows if is_stored else None,
            bytes=found.num_bytes if is_stored else None,
            kind="view" if is_view else "table",
            version=_version(found) if is_stored else None,
            partition_by=partitioning.field if partitioning else None,
            partition_life=partition_life(partitioning),
            cluster_by=tuple(found.clustering_fields or ()),
            description=found.description,
            view_sql=(found.view_query or found.mview_query) if is_view else None,
        )

    def exists(self, name: TableName) -> bool:
        """Return whether there is such a table or view, by one request."""
        try:
            with advice():
                self.client.get_table(table_reference(name.whole, self.client.project))
        except exceptions.NotFound:
            return False
        return True

    def tables(self, dataset: str) -> list[str]:
        """Return the names of the dataset's tables and views."""
        with advice():
            return [table.table_id for table in self.client.list_tables(dataset)]

    def datasets(self, project: str | None = None) -> list[str]:
        """Return the names of a project's datasets."""
        with advice():
            return [dataset.dataset_id for dataset in self.client.list_datasets(project)]

    def create_dataset(self, dataset: str, *, location: str | None = None) -> None:
        """Create a dataset, in the client's location if none is said."""
        reference = bigquery.DatasetReference.from_string(dataset, self.client.project)
        new = bigquery.Dataset(reference)
        if location is not None:
            new.location = location
        with advice():
            self.client.create_dataset(new)

    def delete_dataset(self, dataset: str, *, contents: bool) -> None:
        """Delete a dataset; with tables in it only if they are to go as well."""
        with advice():
            self.client.delete_dataset(dataset, delete_contents=contents)

    def create_table(
        self,
        name: TableName,
        schema: tuple[Column, ...],
        partition_by: str | None,
        cluster_by: tuple[str, ...],
        *,
        description: str | None = None,
        partition_life: timedelta | None = None,
    ) -> None:
        """Create an empty table."""
        table = bigquery.Table(table_reference(name, self.client.project), schema_fields(schema))
        table.description = description
        if partition_by is not None:
            partitioning = bigquery.TimePartitioning(field=partition_by)
            if partition_life is not None:
                partitioning.expiration_ms = partition_life // timedelta(milliseconds=1)
            table.time_partitioning = partitioning
        if cluster_by:
            table.clustering_fields = list(cluster_by)
        with advice():
            self.client.create_table(table)

    def create_view(
        self, name: TableName, sql: str, *, replace: bool, description: str | None
    ) -> None:
        """Create a view, or give the one that is there another query."""
        view = bigquery.Table(table_reference(name, self.client.project))
        view.view_query = sql
        view.description = description
        with advice():
            try:
                self.client.create_table(view)
            except exceptions.Conflict:
                if not replace:
                    raise
                self.client.update_table(view, ["view_query", "description"])

    def delete_table(self, name: TableName) -> None:
        """Delete a table, a view or, named with its `$`, one partition."""
        with advice():
            self.client.delete_table(table_reference(name, self.client.project))


def _version(table: bigquery.Table) -> str:
    streamed = table.streaming_buffer.estimated_rows if table.streaming_buffer else 0
    return f"{table.modified.isoformat()}/{table.num_rows}/{table.num_bytes}/{streamed}"
