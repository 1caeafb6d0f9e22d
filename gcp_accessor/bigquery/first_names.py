"""The BigQuery methods of 0.0.6, with their names, order of arguments and return values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from gcp_accessor.arguments import check_choice
from gcp_accessor.backends import IfExists, LoadSettings, Statement
from gcp_accessor.bigquery.queries import Queries
from gcp_accessor.errors import UnsupportedLocally
from gcp_accessor.parameters import Parameters, from_python
from gcp_accessor.schema import TableName, check_dataset
from gcp_accessor.type_names import columns_from_api
from gcp_accessor.uris import split_object_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gcp_accessor.backends import FileFormat
    from gcp_accessor.query_result import QueryResult

Output = Literal["rows", "records", "dataframe", "arrow", "batches"]
_IF_EXISTS: dict[str | None, IfExists] = {
    None: "fail",
    "WRITE_EMPTY": "fail",
    "WRITE_APPEND": "append",
    "WRITE_TRUNCATE": "replace",
}
_DISPOSITIONS = ("CREATE_NEVER", "CREATE_IF_NEEDED")
_GOOGLES_FORMATS = ("AVRO", "DATASTORE_BACKUP", "ORC")
_FORMATS: dict[str, FileFormat] = {
    "CSV": "csv",
    "NEWLINE_DELIMITED_JSON": "ndjson",
    "PARQUET": "parquet",
}
# Of the options that only Google has, these change how a query runs, not what it gives.
_HARMLESS_LOCALLY = {
    "allow_large_results",
    "job_id_prefix",
    "location",
    "priority",
    "project",
    "use_query_cache",
}


class FirstNames(Queries):
    """What `BigQueryAccessor` offered first; new code has `query`, `load` and `table`."""

    def get_dataset(self) -> list[str]:
        """Return the names of the project's datasets."""
        return self._backend.datasets()

    def get_table_name(self, dataset: str) -> list[str]:
        """Return the names of the dataset's tables.

        Raises:
            google.api_core.exceptions.NotFound: there is no such dataset.
        """
        return self._backend.tables(check_dataset(dataset))

    def check_if_dataset_exists(self, dataset: str) -> bool:
        """Return whether the dataset exists."""
        check_dataset(dataset)
        if self.local is not None:
            return dataset in self._backend.datasets()
        from google.api_core.exceptions import NotFound

        from gcp_accessor.backends.google.advice import advice

        # One small request, where listing datasets or tables takes one for every page.
        try:
            with advice():
                self.bq_client.get_dataset(dataset)
        except NotFound:
            return False
        return True

    def check_if_table_exists(self, dataset: str, table_name: str) -> bool:
        """Return whether the table exists; without its dataset it does not."""
        from google.api_core.exceptions import NotFound

        try:
            self._backend.table(TableName.of(dataset, table_name))
        except NotFound:
            return False
        return True

    def create_table_from_json(
        self, path_schema_file: str | Path, dataset: str, table_name: str
    ) -> str:
        """Make an empty table from a file that holds a schema as BigQuery's API writes it.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it does not hold a schema.
            google.api_core.exceptions.NotFound: there is no such dataset.
            google.api_core.exceptions.Conflict: the table exists.
        """
        text = Path(path_schema_file).read_text(encoding="utf-8")
        try:
            schema = columns_from_api(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path_schema_file} does not hold a schema, a JSON list of objects with name, "
                f"type and perhaps mode, description and fields: {error}"
            ) from error
        self._backend.create_table(TableName.of(dataset, table_name), schema, None, ())
        return "Table could successfully be created on bigquery"

    def load_data_from_gcs(
        self,
        dataset: str,
        uris: str | Sequence[str],
        table_name: str,
        location: str | None = None,
        skip_leading_rows: int = 0,
        source_format: str = "CSV",
        create_disposition: str = "CREATE_NEVER",
        write_disposition: str = "WRITE_EMPTY",
    ) -> str:
        """Load objects from Cloud Storage into a table.

        `load` does it too, and returns the number of rows. The formats AVRO, ORC and
        DATASTORE_BACKUP are Google's alone.

        Raises:
            LoadFailed: rows do not fit their columns.
            google.api_core.exceptions.NotFound: there is no such table, and
                `create_disposition` is "CREATE_NEVER".
        """
        name = TableName.of(dataset, table_name)
        uris = [uris] if isinstance(uris, str) else list(uris)
        for uri in uris:
            split_object_uri(uri)
        check_choice("source_format", source_format, (*_FORMATS, *_GOOGLES_FORMATS))
        check_choice("create_disposition", create_disposition, _DISPOSITIONS)
        if_exists = _if_exists(write_disposition)
        if source_format in _FORMATS:
            schema = None
            if create_disposition == "CREATE_NEVER":
                schema = self._backend.table(name).schema
            settings = LoadSettings(
                name,
                _FORMATS[source_format],
                schema=schema,
                if_exists=if_exists,
                skip_leading_rows=skip_leading_rows,
                timeout=self._timeout(None),
                labels=self.labels,
            )
            self._backend.load_uris(uris, settings)
        else:
            self._load_as_google_does(
                name, uris, location, source_format, create_disposition, write_disposition
            )
        return "Loading data is finished"

    def execute_query(
        self,
        query: str,
        job_id: str | None = None,
        job_id_prefix: str | None = None,
        location: str | None = None,
        timeout: float | None = None,
        page_size: int = 0,  # noqa: ARG002 - it holds its place in 0.0.6's order
        project: str | None = None,
        allow_large_results: bool = False,
        destination: Any = None,
        destination_encryption_configuration: Any = None,
        dry_run: bool = False,
        labels: Mapping[str, str] | None = None,
        priority: str | None = None,
        query_parameters: Parameters | None = None,
        schema_update_options: Sequence[str] | None = None,
        table_definitions: Mapping[str, Any] | None = None,
        time_partitioning: Any = None,
        udf_resources: Sequence[Any] | None = None,
        use_legacy_sql: bool = False,
        use_query_cache: bool | None = None,
        write_disposition: str | None = None,
        *,
        output: Output = "rows",
    ) -> Any:
        """Run one statement and return its rows as a list of lists.

        `query` is the shorter way. Unlike 0.0.6's, this forces no location, asks for no cache
        setting unless told to, and cancels the job when `timeout` seconds have passed.

        Args:
            query: GoogleSQL, or with `use_legacy_sql` BigQuery's first dialect.
            job_id: An id to give the job. If the same statement already ran under it, its
                result is returned and nothing runs.
            job_id_prefix: Of the id that is made up otherwise.
            location: Of the job. None lets BigQuery find it from the tables.
            timeout: Seconds of wall clock. None waits to the end.
            page_size: Ignored: rows are fetched in large pages.
            project: Who pays for this job.
            allow_large_results: Legacy SQL only.
            destination: A table's name, or a TableReference, to write. All the rows that it
                then holds are returned, as BigQuery answers; `query` leaves them in it.
            destination_encryption_configuration: Google only.
            dry_run: Return the `Estimate` of what it would read, and run nothing.
            labels: Put on this job, beside the accessor's.
            priority: "INTERACTIVE" or "BATCH".
            query_parameters: (name, type, value) triples, or a mapping of names to values.
            schema_update_options: Google only.
            table_definitions: Google only.
            time_partitioning: Of the destination. Google only.
            udf_resources: Google only.
            use_legacy_sql: Google only.
            use_query_cache: None leaves BigQuery's default.
            write_disposition: What happens to the destination's rows; None is "WRITE_EMPTY".
            output: The form of the rows. "batches" are Arrow's, fetched as they are read.

        Raises:
            QueryTimeout: it took longer than `timeout`.
            UnsupportedLocally: an option that only Google has, on a folder.
        """
        check_choice("output", output, get_args(Output))
        options = {
            "job_id_prefix": job_id_prefix,
            "location": location,
            "project": project,
            "allow_large_results": allow_large_results or None,
            "destination_encryption_configuration": destination_encryption_configuration,
            "priority": priority,
            "schema_update_options": schema_update_options,
            "table_definitions": table_definitions,
            "time_partitioning": time_partitioning,
            "udf_resources": udf_resources,
            "use_legacy_sql": use_legacy_sql or None,
            "use_query_cache": use_query_cache,
        }
        statement = Statement(
            query,
            from_python(query_parameters, None if use_legacy_sql else query),
            default_dataset=None if use_legacy_sql else self.dataset,
            destination=_destination(destination, self.dataset),
            returns_stored=True,
            if_exists=_if_exists(write_disposition),
            max_bytes_billed=self._limit(None),
            timeout=self._timeout(timeout),
            labels={**self.labels, **(labels or {})},
            job_id=job_id,
            job_options=self._possible({k: v for k, v in options.items() if v is not None}),
        )
        if dry_run:
            return self._backend.estimate(statement)
        return _as(output, self._run(statement))

    def _possible(self, options: dict[str, object]) -> dict[str, object]:
        if self.local is None:
            return options
        refused = sorted(options.keys() - _HARMLESS_LOCALLY)
        if refused:
            raise UnsupportedLocally(
                f"{', '.join(refused)} would change the result, and only Google has it; leave it "
                f"out on the folder {self.local}"
            )
        return {}

    def _load_as_google_does(
        self,
        name: TableName,
        uris: list[str],
        location: str | None,
        source_format: str,
        create_disposition: str,
        write_disposition: str,
    ) -> None:
        client = self.bq_client
        from google.cloud import bigquery

        from gcp_accessor.backends.google.advice import advice
        from gcp_accessor.backends.google.schema import table_reference

        config = bigquery.LoadJobConfig(
            source_format=source_format,
            create_disposition=create_disposition,
            write_disposition=write_disposition,
        )
        with advice():
            client.load_table_from_uri(
                uris, table_reference(name, client.project), location=location, job_config=config
            ).result()


def _if_exists(write_disposition: str | None) -> IfExists:
    if write_disposition not in _IF_EXISTS:
        raise ValueError(
            f"write_disposition is {write_disposition!r}; expected WRITE_EMPTY, WRITE_APPEND or "
            "WRITE_TRUNCATE"
        )
    return _IF_EXISTS[write_disposition]


def _destination(destination: Any, default_dataset: str | None) -> TableName | None:
    if destination is None:
        return None
    if hasattr(destination, "table_id"):
        return TableName(destination.table_id, destination.dataset_id, destination.project)
    return TableName.parse(str(destination), default_dataset=default_dataset)


def _as(output: Output, result: QueryResult) -> object:
    match output:
        case "rows":
            return result.rows()
        case "records":
            return result.records()
        case "dataframe":
            return result.to_dataframe()
        case "arrow":
            return result.to_arrow()
    return result.batches()
