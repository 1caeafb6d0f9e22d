"""What a Python job is given, and what it hands over to be published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyarrow import Table

    from etl_jobs.contract import Query
    from etl_jobs.place import Place
    from gcp_accessor import PublicationRun
    from gcp_accessor.query_result import QueryResult
    from gcp_accessor.tabular.formats import Format


@dataclass(frozen=True, slots=True)
class Work:
    """One run of a Python job, before it has made anything.

    Attributes:
        query: Runs one of the job's queries, by name, and gives its rows.
        steps: Its queries over tables of its own, by name.
        settings: The whole plan's, by name; `as_of` is among them.
        max_bytes: A byte budget in place of the queries' own.
    """

    query: Callable[[str], QueryResult]
    steps: Mapping[str, Query]
    settings: Mapping[str, object]
    place: Place
    run: PublicationRun
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class File:
    """One file that a job wants published.

    Attributes:
        content: Whatever `CloudStorageAccessor.write` takes for the format.
        rows: How many rows it holds; None if it is not a table.
    """

    name: str
    content: object
    format: Format | Literal["infer"] = "infer"
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What a Python job made of the rows it read.

    Attributes:
        table: The rows of the day in the job's output table, if it has one.
        metrics: Figures about the run, for its manifest.
        notes: What a person should be told, one sentence each.
    """

    files: tuple[File, ...]
    table: Table | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
