"""BigQuery's place in a folder: GoogleSQL translated, run by DuckDB, refused where it differs."""

from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse

__all__ = ["DuckDBWarehouse"]
