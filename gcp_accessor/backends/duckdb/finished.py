"""The keys of finished statements and loads, kept in the warehouse itself.

A key is written in the transaction of the rows that it stands for, so that both are there or
neither. The table is in DuckDB's own schema `main`, which is no dataset.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import Conflict

from gcp_accessor.backends import Changes, QueryStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    from gcp_accessor.backends import Statement

_TABLE = "main.gcp_accessor_finished"


def run_once(
    connection: DuckDBPyConnection, key: str | None, asked: str, run: Callable[[], Any]
) -> Any:
    """Run something within a transaction, or return what came of it under the same key.

    Args:
        connection: Whose transaction it is.
        key: None always runs it.
        asked: What `run` does.
        run: Returns what JSON can hold.

    Raises:
        Conflict: the key was used for something else.
    """
    if key is None:
        return run()
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {_TABLE} "
        "(key VARCHAR PRIMARY KEY, asked VARCHAR, outcome VARCHAR, finished_at TIMESTAMPTZ)"
    )
    found = connection.execute(
        f"SELECT asked, outcome FROM {_TABLE} WHERE key = $key", {"key": key}
    ).fetchall()
    if not found:
        outcome = run()
        connection.execute(
            f"INSERT INTO {_TABLE} VALUES ($key, $asked, $outcome, now())",
            {"key": key, "asked": asked, "outcome": json.dumps(outcome)},
        )
        return outcome
    earlier, outcome = found[0]
    if earlier != asked:
        conflict = Conflict(f"Already Exists: Job local:{key}")
        conflict.add_note(
            f"The job id {key!r} belongs to another statement, or to the same one with other "
            "values or another destination; use another id."
        )
        raise conflict
    return json.loads(outcome)


def asked(*what: object) -> str:
    """Return one short text for what is asked, of values whose `repr` tells all."""
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


def asked_by(statement: Statement) -> str:
    """Return what a statement asks for: not how it is limited or named."""
    return asked(
        statement.sql,
        statement.parameters,
        statement.default_dataset,
        statement.destination and statement.destination.whole,
        statement.destination and statement.if_exists,
        statement.partition_by,
        statement.cluster_by,
    )


def as_outcome(stats: QueryStats) -> dict[str, Any]:
    """Return the stats as JSON holds them."""
    return asdict(stats)


def as_stats(outcome: dict[str, Any]) -> QueryStats:
    """Return the stats that were kept."""
    changes = outcome["changes"]
    return QueryStats(**{**outcome, "changes": changes and Changes(**changes)})
