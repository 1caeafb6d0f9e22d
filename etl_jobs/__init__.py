"""SQL-first jobs: raw logs become features and trained models in Cloud Storage."""
