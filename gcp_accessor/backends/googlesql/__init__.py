"""GoogleSQL as DuckDB's SQL: every construct is rewritten faithfully, or refused by name."""
