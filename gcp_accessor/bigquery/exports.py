"""Tables and results written to Cloud Storage, by BigQuery itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from gcp_accessor.arguments import check_choice
from gcp_accessor.backends import FileFormat
from gcp_accessor.bigquery.queries import Queries
from gcp_accessor.bigquery.uploads import format_of
from gcp_accessor.uris import split_object_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcp_accessor.backends import QueryStats
    from gcp_accessor.parameters import Parameters

_QUERY = re.compile(r"\s*(SELECT|WITH)\s", re.IGNORECASE)


class Exports(Queries):
    """What `BigQueryAccessor` does with rows that leave it as files."""

    def export(
        self,
        table: str,
        uri: str,
        *,
        format: Literal["infer", "csv", "ndjson", "parquet"] = "infer",
    ) -> None:
        """Write a table to one object, or with a `*` in `uri` to as many as it takes.

        A CSV begins with a line of the columns' names. One object takes a gigabyte of rows.

        Args:
            table: The whole of it, or with `$YYYYMMDD` one day.
            uri: `gs://bucket/name`; ending in .gz, or in .parquet, it is compressed.
            format: "infer" goes by the name's ending.

        Raises:
            google.api_core.exceptions.NotFound: there is no such table or bucket.
        """
        from google.api_core.exceptions import NotFound

        try:
            self._backend.export(self._name(table), *_place(uri, format))
        except (NotFound, ValueError) as error:
            # A table may have such a name; hardly any has.
            if isinstance(table, str) and _QUERY.match(table):
                error.add_note("For the rows of a query there is export_query().")
            raise

    def export_query(
        self,
        sql: str,
        uri: str,
        params: Parameters | None = None,
        *,
        format: Literal["infer", "csv", "ndjson", "parquet"] = "infer",
        max_bytes_billed: int | None = None,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> QueryStats:
        """Write what a query gives to one object, or with a `*` in `uri` to as many as it takes.

        The rows go from BigQuery to Cloud Storage without coming here. They are those of the
        table that BigQuery keeps for every result, so that no destination is to be named.

        Args:
            sql: One query; values belong in `params`, as `@name`.
            uri: As for `export`.
            params: As for `query`.
            format: As for `export`.
            max_bytes_billed: A query that would bill more is not run.
            timeout: Seconds of wall clock that the query may take.
            labels: Put on the query, beside the accessor's.

        Returns:
            The query's job and what it cost; the export itself is free.

        Raises:
            ValueError: the statement gives no rows; it was run.

        Example:
            >>> warehouse.export_query(
            ...     "SELECT score FROM answers WHERE event_date = @day",
            ...     "gs://lessons/scores.csv.gz",
            ...     {"day": date(2024, 3, 1)},
            ... ).bytes_processed
            16
        """
        place = _place(uri, format)
        result = self.query(
            sql, params, max_bytes_billed=max_bytes_billed, timeout=timeout, labels=labels
        )
        if not result.schema:
            raise ValueError(f"the statement {sql[:60]!r} gives no rows that could be exported")
        self._backend.export_rows(result._cursor, *place)
        return result.stats


def _place(
    uri: str, format: Literal["infer", "csv", "ndjson", "parquet"]
) -> tuple[str, FileFormat, bool]:
    """Return the address, the format, and whether the file is to be compressed."""
    check_choice("format", format, ("infer", *get_args(FileFormat)))
    split_object_uri(uri)
    if uri.count("*") > 1:
        raise ValueError(f"{uri!r} has more than one *; BigQuery numbers the files in one place")
    kind = format_of(uri, format)
    return uri, kind, kind == "parquet" or uri.endswith(".gz")
