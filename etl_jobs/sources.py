"""The tables our jobs read but do not make, as `sql/sources.yaml` declares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from pathlib import Path

_KEYS = frozenset({"description", "grain", "columns", "optional"})


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
        """The columns that a file must hold, or that its mapping must make."""
        return tuple(column.name for column in self.columns if column.name not in self.optional)


def load_sources(folder: Path | None = None) -> dict[str, Source]:
    """Return each source by its table's name.

    Args:
        folder: The folder of SQL whose `sources.yaml` is read; by default the project's.

    Raises:
        ValueError: the file cannot be read, or declares something that a source does not have.
    """
    import yaml

    from etl_jobs.plain_yaml import yaml_problem

    if folder is None:
        from etl_jobs.job import sql_folder

        folder = sql_folder()
    path = folder / "sources.yaml"
    try:
        tables = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError("sources.yaml is not UTF-8") from error
    except yaml.YAMLError as error:
        raise ValueError(f"sources.yaml is not valid YAML{yaml_problem(error)}") from error
    if not isinstance(tables, dict) or not all(isinstance(each, dict) for each in tables.values()):
        raise ValueError("sources.yaml: expected a mapping of tables, each with its columns")
    return {table: _source(table, declared) for table, declared in tables.items()}


def _source(table: str, declared: dict[str, object]) -> Source:
    if set(declared) - {"optional"} != _KEYS - {"optional"}:
        raise ValueError(
            f"sources.yaml: {table} has the keys {', '.join(declared)}; "
            "expected description, grain, columns and perhaps optional"
        )
    columns, grain, optional = declared["columns"], declared["grain"], declared.get("optional", [])
    if not (isinstance(columns, dict) and isinstance(grain, list) and isinstance(optional, list)):
        raise ValueError(
            f"sources.yaml: {table} needs a mapping of columns; grain and optional are lists"
        )
    stray = {*grain, *optional} - set(columns)
    if stray:
        raise ValueError(f"sources.yaml: {table} has no column {min(stray)!r}")
    return Source(
        table=table,
        description=str(declared["description"]),
        grain=tuple(grain),
        columns=tuple(_column(name, str(text)) for name, text in columns.items()),
        optional=frozenset(optional),
    )


def _column(name: str, text: str) -> Column:
    type_, _, meaning = text.partition(",")
    if not meaning.strip():
        raise ValueError(f"sources.yaml: {name} is {text!r}; expected 'TYPE, meaning'")
    return Column(name, type_.strip(), description=meaning.strip())
