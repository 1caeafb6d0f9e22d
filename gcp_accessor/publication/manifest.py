"""What one committed run holds and where it came from."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from gcp_accessor.byte_sizes import bytes_text
from gcp_accessor.publication.display import table_html
from gcp_accessor.publication.documents import SCHEMA_VERSION, damage_of, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PART = re.compile(r"-\d{5}(?=\.)", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of a run.

    Attributes:
        name: What the run calls it, "item_parameters.json".
        object_name: Its full name in the bucket.
        rows: None for a file that is not a table.
    """

    name: str
    object_name: str
    generation: int
    size: int
    crc32c: str
    rows: int | None = None

    @property
    def table_name(self) -> str:
        """The name of what it is a part of, "items.parquet" of "items-00000.parquet"."""
        return _PART.sub("", self.name)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one committed run holds and where it came from.

    Attributes:
        run_id: `<as_of>-<hash>`; the hash covers everything that decides the bytes.
        facts: What the job says of the run: parameters, inputs, checks, metrics.
        previous: The run that was published when this one was committed.
    """

    run_id: str
    as_of: date
    created_at: datetime
    files: tuple[PublishedFile, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    previous: str | None = None

    def file(self, name: str) -> PublishedFile:
        """Return the file that the run calls `name`.

        Raises:
            KeyError: the run has no such file; the message lists those it has.
        """
        for file in self.files:
            if file.name == name:
                return file
        there = ", ".join(file.name for file in self.files) or "none"
        raise KeyError(f"run {self.run_id} has no file {name!r}; it has {there}")

    def column_types(self) -> dict[str, str]:
        """Return the types of the columns of the run's table in BigQuery's words, if stated."""
        columns = self.facts.get("columns")
        if not isinstance(columns, list) or not all(isinstance(each, dict) for each in columns):
            return {}
        return {each["name"]: each["type"] for each in columns if {"name", "type"} <= each.keys()}

    def _repr_html_(self) -> str:
        facts = [
            ("run", self.run_id),
            ("as of", self.as_of.isoformat()),
            ("made", f"{self.created_at:%Y-%m-%d %H:%M:%S} UTC"),
            *((name, str(value)) for name, value in self.facts.items() if _is_short(value)),
            *((file.name, bytes_text(file.size)) for file in self.files),
        ]
        return table_html(("", ""), facts)


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float)


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as it is stored."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": manifest.run_id,
        "as_of": manifest.as_of.isoformat(),
        "created_at": manifest.created_at.isoformat(),
        "previous": manifest.previous,
        "files": [asdict(file) for file in manifest.files],
        "facts": dict(manifest.facts),
    }


def manifest_from_json(text: bytes, uri: str) -> Manifest:
    """Return the manifest that is stored at `uri`.

    Raises:
        CorruptRun: the text is damaged, or a manifest of a later version.
    """
    content = parse(text, uri)
    with damage_of(uri):
        return Manifest(
            content["run_id"],
            date.fromisoformat(content["as_of"]),
            datetime.fromisoformat(content["created_at"]),
            tuple(PublishedFile(**file) for file in content["files"]),
            content["facts"],
            content["previous"],
        )


def marker_to_json(files: Iterable[PublishedFile], tasks: int) -> dict[str, Any]:
    """Return what one of so many tasks of a run leaves when it is done."""
    listed = [asdict(file) for file in files]
    return {"schema_version": SCHEMA_VERSION, "tasks": tasks, "files": listed}


def marker_from_json(text: bytes, uri: str, tasks: int | None = None) -> list[PublishedFile]:
    """Return the files that a task made.

    Args:
        tasks: Of how many tasks it has to be.

    Raises:
        CorruptRun: the text is damaged, or a marker of a later version.
        ValueError: it is one of another number of tasks, whose parts are others.
    """
    # The first version said neither.
    content = parse(text, uri, unsaid=1)
    with damage_of(uri):
        found = content.get("tasks")
        files = [PublishedFile(**file) for file in content["files"]]
    if tasks is not None and found not in (None, tasks):
        raise ValueError(
            f"{uri} is of a run of {found} tasks, this one is of {tasks}, whose parts are others; "
            "make the number of tasks a part of the fingerprint"
        )
    return files
