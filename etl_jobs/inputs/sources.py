"""The tables our jobs read but do not make, as `sql/sources.yaml` declares them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gcp_accessor.schema import Column

_COLUMN = re.compile(r"(?P<type>\w+), (?P<meaning>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """One table that is filled from outside.

    Attributes:
        table: Its name, `dataset.table`.
        grain: The columns that tell one row from another, once replays are gone.
        optional: The columns that a file may lack; they are then NULL in every row.
    """

    table: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    optional: frozenset[str] = frozenset()

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that a file must hold, or its mapping must make."""
        return tuple(column.name for column in self.columns if column.name not in self.optional)


def load_sources(path: Path | None = None) -> dict[str, Source]:
    """Return each source by its table's name.

    Args:
        path: Another file than the `sources.yaml` beside the queries.
    """
    import yaml

    if path is None:
        from etl_jobs.job import sql_folder

        path = sql_folder() / "sources.yaml"
    tables = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        table: Source(
            table=table,
            description=declared["description"],
            grain=tuple(declared["grain"]),
            columns=tuple(_column(name, text) for name, text in declared["columns"].items()),
            optional=frozenset(declared.get("optional", ())),
        )
        for table, declared in tables.items()
    }


def _column(name: str, text: str) -> Column:
    match = _COLUMN.fullmatch(text)
    if match is None:
        raise ValueError(f"sources.yaml: {name} is {text!r}; expected 'TYPE, meaning'")
    return Column(name, match["type"], description=match["meaning"])
