"""Columns and table names: one description of a table for every half of the library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from unicodedata import category

from gcp_accessor.arguments import check_text

Mode = Literal["NULLABLE", "REQUIRED", "REPEATED"]

# BigQuery's legacy names and aliases, as its API still answers with them.
_STANDARD_TYPES = {
    "INTEGER": "INT64",
    "INT": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "RECORD": "STRUCT",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
TYPES = frozenset(
    {
        *("STRING", "BYTES", "BOOL", "JSON", "STRUCT", "GEOGRAPHY", "INTERVAL"),
        *("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"),
        *("DATE", "DATETIME", "TIME", "TIMESTAMP"),
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class Column:
    """One column of a table or a result.

    Attributes:
        type: GoogleSQL's name: "INT64", not "INTEGER"; "STRUCT", not "RECORD". For an array
            it is the element's type and `mode` is "REPEATED".
        fields: The fields of a STRUCT, otherwise empty.
    """

    name: str
    type: str
    mode: Mode = "NULLABLE"
    description: str | None = None
    fields: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        standard = _STANDARD_TYPES.get(self.type.upper(), self.type.upper())
        if standard not in TYPES:
            raise ValueError(
                f"column {self.name!r} has the unknown type {self.type!r}; "
                f"expected one of {', '.join(sorted(TYPES))}"
            )
        object.__setattr__(self, "type", standard)

    def __repr__(self) -> str:
        # A notebook shows many at a time; what is as usual is not said of each.
        unusual = {
            "mode": self.mode if self.mode != "NULLABLE" else None,
            "description": self.description,
            "fields": self.fields or None,
        }
        said = [f"{name}={value!r}" for name, value in unusual.items() if value is not None]
        return f"Column({', '.join([repr(self.name), repr(self.type), *said])})"


_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9](?::[a-z0-9.-]+)?|local"
_DATASET = r"[A-Za-z0-9_]{1,1024}"
_NAME = re.compile(
    rf"(?:(?:(?P<project>{_PROJECT})\.)?(?P<dataset>{_DATASET})\.)?"
    r"(?P<table>[^.$]+)"
    r"(?:\$(?P<partition>[0-9]{4}(?:[0-9]{2}){0,3}))?"
)


def check_dataset(name: str) -> str:
    """Return `name`, of the form `[project.]dataset`, if a dataset could have it.

    Raises:
        TypeError: it is not a str.
        ValueError: it could not.
    """
    check_text("the dataset's name", name)
    if not re.fullmatch(rf"(?:(?:{_PROJECT})\.)?{_DATASET}", name):
        raise ValueError(f"{name!r} is not a dataset's name; expected letters, digits and _")
    return name


def _is_table(name: str) -> bool:
    """Letters, marks, digits, dashes and spaces of any script; around a name a space is a slip."""
    kinds = (category(letter) for letter in name)
    return (
        name == name.strip()
        and len(name.encode()) <= 1024
        and all(kind[0] in "LMN" or kind in {"Pc", "Pd", "Zs"} for kind in kinds)
    )


@dataclass(frozen=True, slots=True, repr=False)
class TableName:
    """A validated table name, `[project.][dataset.]table[$partition]`.

    Only names that pass `parse` are ever placed in a statement.
    """

    table: str
    dataset: str | None = None
    project: str | None = None
    partition: str | None = None

    @classmethod
    def parse(cls, name: str, *, default_dataset: str | None = None) -> TableName:
        """Return the parts of `name`, its dataset filled in from the default.

        Raises:
            TypeError: the name is not a str.
            ValueError: the name breaks BigQuery's rules, or has no dataset and none is the
                default.
        """
        check_text("the table's name", name)
        match = _NAME.fullmatch(name)
        if match is None or not _is_table(match["table"]):
            raise ValueError(
                f"{name!r} is not a table name; expected [project.]dataset.table[$YYYYMMDD], "
                "in letters, digits, _, - and spaces inside"
            )
        project, dataset = match["project"], match["dataset"]
        if dataset is None and default_dataset is not None:
            # The default may name its project too: "project.dataset".
            project, _, dataset = default_dataset.rpartition(".")
        if dataset is None:
            raise ValueError(
                f"the table {name!r} has no dataset; write dataset.{name}, or give the accessor "
                "dataset="
            )
        return cls(match["table"], dataset, project or None, match["partition"])

    @classmethod
    def of(cls, dataset: str, table: str) -> TableName:
        """Return the name of a dataset's table, from `table` or `table$YYYYMMDD`.

        Raises:
            TypeError: one of them is not a str.
            ValueError: one of them breaks BigQuery's rules.
        """
        check_dataset(dataset)
        check_text("the table's name", table)
        if "." in table:
            raise ValueError(f"{table!r} is not a table's name; expected it without its dataset")
        return cls.parse(table, default_dataset=dataset)

    @property
    def whole(self) -> TableName:
        """The table without its partition."""
        return TableName(self.table, self.dataset, self.project)

    def __repr__(self) -> str:
        return f"TableName.parse({str(self)!r})"

    def __str__(self) -> str:
        name = ".".join(part for part in (self.project, self.dataset, self.table) if part)
        return f"{name}${self.partition}" if self.partition else name
