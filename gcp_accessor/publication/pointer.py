"""`latest.json`: which run is the published one, moved by compare-and-swap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from gcp_accessor.publication.documents import damage_of, parse
from gcp_accessor.publication.names import check_run_id

if TYPE_CHECKING:
    from gcp_accessor.publication.documents import Documents

PATH = "latest.json"
TRAIL = "published/"
# 2 has the order of executions and the generation that it replaced.
_SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class Pointer:
    """What `latest.json` says.

    Attributes:
        generation: Of the object as it was read; 0 while nothing was ever published.
        order: Of the execution that published the run; 0 where an old version did.
        previous: The run that was published before.
        hold: No run is published until a release.
        replaces: The generation of the pointer that this one was put in place of. It ties each
            pointer to the one before, so that one that was put back by hand is told from one
            that was swapped in.
    """

    generation: int = 0
    run_id: str | None = None
    as_of: date | None = None
    order: int = 0
    manifest_sha256: str | None = None
    previous: str | None = None
    hold: bool = False
    replaces: int | None = None

    @property
    def rank(self) -> tuple[date, int]:
        """What a run has to be above to take over."""
        return (self.as_of or date.min, self.order)


def pointer_of(text: bytes, uri: str, generation: int) -> Pointer:
    """Return the pointer that a text says.

    Raises:
        CorruptRun: it is damaged, or a later version of this package wrote it.
    """
    content = parse(text, uri, newest=_SCHEMA_VERSION)
    with damage_of(uri):
        return _pointer_from(content, generation)


def read_pointer(documents: Documents) -> Pointer:
    """Return the pointer as it is now.

    Raises:
        CorruptRun: it is damaged, or a later version of this package wrote it.
    """
    found = documents.find(PATH)
    return Pointer() if found is None else pointer_of(found.text, found.uri, found.generation)


def move_pointer(
    documents: Documents,
    before: Pointer,
    *,
    run_id: str,
    as_of: date,
    order: int,
    manifest_sha256: str,
    hold: bool = False,
) -> Pointer | None:
    """Put a pointer to a run in place of `before`; None if that is not the pointer any more."""
    content = {
        "schema_version": _SCHEMA_VERSION,
        "run_id": run_id,
        "as_of": as_of.isoformat(),
        "order": order,
        "manifest_sha256": manifest_sha256,
        "previous": before.previous if before.run_id == run_id else before.run_id,
        "hold": hold,
        "replaces": before.generation,
    }
    stored = documents.swap(PATH, content, before.generation)
    if stored is None:
        return None
    _record(documents, stored.generation, content)
    return _pointer_from(content, stored.generation)


def record_pointer(documents: Documents) -> None:
    """Note the pointer in the trail, where whoever moved it was killed before noting it."""
    found = documents.find(PATH)
    if found is None:
        return
    content = parse(found.text, found.uri, newest=_SCHEMA_VERSION)
    _record(documents, found.generation, content)


def trail_path(generation: int) -> str:
    """Return where the pointer of a generation is noted; in the order of the generations."""
    return f"{TRAIL}{generation:020d}.json"


def _record(documents: Documents, generation: int, content: dict[str, Any]) -> None:
    documents.create(trail_path(generation), content)


def _pointer_from(content: dict[str, Any], generation: int) -> Pointer:
    # What an old version wrote has neither an order nor a pointer before it.
    is_old = content["schema_version"] == 1
    previous, hold = content["previous"], content["hold"]
    if not isinstance(hold, bool):
        raise ValueError(f"hold is {hold!r}")
    return Pointer(
        generation,
        check_run_id(content["run_id"]),
        date.fromisoformat(content["as_of"]),
        0 if is_old else int(content["order"]),
        content["manifest_sha256"],
        None if previous is None else check_run_id(previous),
        hold,
        None if is_old else int(content["replaces"]),
    )
