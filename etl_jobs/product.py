"""What a Python job hands over to be published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcp_accessor.tabular.formats import Format


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
        metrics: Figures about the run, for its manifest.
        notes: What a person should be told, one sentence each.
    """

    files: tuple[File, ...]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
