"""Data into tables, and from one to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from gcp_accessor.arguments import check_choice
from gcp_accessor.backends import FileFormat, LoadSettings
from gcp_accessor.backends.time_limit import within
from gcp_accessor.bigquery.connection import Connection
from gcp_accessor.bigquery.uploads import is_uri, objects_format, upload
from gcp_accessor.type_names import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gcp_accessor.backends import IfExists, Table
    from gcp_accessor.schema import Column, TableName


class Data(Connection):
    """What `BigQueryAccessor` does with the rows of tables."""

    def load(
        self,
        data: Any,
        table: str,
        *,
        format: Literal["infer", "csv", "ndjson", "parquet"] = "infer",
        schema: Sequence[Column] | Mapping[str, str] | None = None,
        if_exists: IfExists = "fail",
        partition_by: str | None = None,
        cluster_by: Sequence[str] = (),
        skip_leading_rows: int = 0,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> int:
        """Load data into a table and return how many rows were added.

        All rows arrive or none. Frames and Arrow travel as Parquet, rows and records as
        newline-delimited JSON through a temporary file, so that memory stays flat.

        Args:
            data: A DataFrame (its index is left out), an Arrow table or reader, records
                (mappings, dataclasses or named tuples), rows (sequences, which need a schema),
                the path of a local file, a `gs://` URI with at most one `*`, which stands for
                any letters, or a list of such URIs.
            table: Made if it does not exist; with `$YYYYMMDD` one of its days.
            format: Of a file; "infer" goes by its name: .csv, .csv.gz, .ndjson, .jsonl,
                .json, each also .gz, and .parquet.
            schema: Columns, or a mapping of names to types. Without one, Parquet, frames and
                Arrow say their own, records show theirs (or take an existing table's), and a
                CSV or JSON file is looked at by the engine.
            if_exists: What happens to the table's rows; "fail" admits an empty table.
            partition_by: A DATE or TIMESTAMP column that splits a new table by day.
            cluster_by: Columns that order a new table.
            skip_leading_rows: Lines of a CSV before its data, 1 for a header.
            timeout: Seconds of wall clock.
            labels: Put on this job, beside the accessor's.
            idempotency_key: The load takes effect once under this key, as `query` says of its
                own; again, it returns the rows of that time. The table, the format, `if_exists`
                and the URIs must be the same. What a file, a frame or rows hold is not compared.

        Raises:
            LoadFailed: rows do not fit their columns; it names them, as far as the engine does.
            SchemaMismatch: records disagree about a column's type, or show none.
            FileNotFoundError: there is no such file.
            google.api_core.exceptions.Conflict: the table has rows and if_exists is "fail".

        Example:
            >>> items = [{"item_id": "q1", "tags": ["sets"]}, {"item_id": "q2", "tags": []}]
            >>> warehouse.load(items, "items", cluster_by=["item_id"])
            2
            >>> warehouse.load([["q3", None]], "notes", schema={"item": "STRING", "note": "STRING"})
            1
        """
        name = self._name(table)
        settings = LoadSettings(
            name,
            "ndjson",
            if_exists=if_exists,
            partition_by=partition_by,
            cluster_by=names("cluster_by", cluster_by),
            skip_leading_rows=skip_leading_rows,
            timeout=self._timeout(timeout),
            labels={**self.labels, **(labels or {})},
            idempotency_key=idempotency_key,
        )

        def table_schema() -> tuple[Column, ...] | None:
            there = None if if_exists == "replace" else self._found(name, settings.timeout)
            return None if there is None else there.schema

        known = None if schema is None else columns(schema)
        return self._send(data, format, known, table_schema, settings).rows

    def _send(
        self,
        data: Any,
        format: Literal["infer", "csv", "ndjson", "parquet"],
        schema: tuple[Column, ...] | None,
        table_schema: Callable[[], tuple[Column, ...] | None],
        settings: LoadSettings,
    ) -> _Sent:
        """Load data of any form; `settings` say everything but its format and schema."""
        check_choice("format", format, ("infer", *get_args(FileFormat)))
        uris = [data] if is_uri(data) else data
        if isinstance(uris, list | tuple) and uris and is_uri(uris[0]):
            kind = objects_format(uris, format)
            _check_shape(schema, settings)
            rows = self._backend.load_uris(
                list(uris), replace(settings, format=kind, schema=schema)
            )
            return _Sent(rows, schema)
        with upload(data, format, schema, table_schema) as ready:
            _check_shape(ready.schema, settings)
            rows = self._backend.load_file(
                ready.file, replace(settings, format=ready.format, schema=ready.schema)
            )
            return _Sent(rows, ready.schema, ready.present)

    def copy(
        self,
        source: str,
        destination: str,
        *,
        if_exists: IfExists = "fail",
        idempotency_key: str | None = None,
    ) -> None:
        """Copy a table or, named with its `$YYYYMMDD`, one day; at once or not at all.

        Args:
            if_exists: What happens to the destination's rows.
            idempotency_key: The copy takes effect once under this key, as `query` says of its own.
        """
        self._backend.copy(self._name(source), self._name(destination), if_exists, idempotency_key)

    def _found(self, name: TableName, timeout: float | None) -> Table | None:
        from google.api_core.exceptions import NotFound

        try:
            with within(timeout):
                return self._backend.table(name.whole)
        except NotFound:
            return None


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was loaded.

    Attributes:
        schema: None if the engine found it in the files.
        present: The columns that records name; None if they cannot lack any.
    """

    rows: int
    schema: tuple[Column, ...] | None
    present: frozenset[str] | None = None


def _check_shape(schema: tuple[Column, ...] | None, settings: LoadSettings) -> None:
    """Raise ValueError if the table is to be shaped by a column that the data does not have."""
    if schema is None:
        return
    known = {column.name.lower() for column in schema}
    shaping = {"partition_by": [settings.partition_by], "cluster_by": settings.cluster_by}
    for argument, wanted in shaping.items():
        for name in wanted:
            if name is not None and name.lower() not in known:
                listed = ", ".join(column.name for column in schema)
                raise ValueError(f"{argument} names {name!r}; the data's columns are {listed}")


def names(argument: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that an argument lists.

    Raises:
        TypeError: it is one string, whose letters would be taken for columns.
        ValueError: it repeats one.
    """
    if isinstance(given, str):
        raise TypeError(f"{argument} is the string {given!r}; expected a list: [{given!r}]")
    listed = tuple(given)
    if len(set(listed)) < len(listed):
        raise ValueError(f"{argument} repeats a column: {', '.join(listed)}")
    return listed
