"""How a run that somebody needs is kept from a collection that runs at the same moment.

Whoever is about to rely on a run first writes something that a collection looks for (the mark of
an execution, a claim, a pin), and then looks for the run's `collected.json`. A collection first
writes that, as an intention, and then looks for such things; only if there is none does it make
the intention a decision, by compare-and-swap. So one of the two always sees the other:

- an intention is vetoed, by deleting it;
- a decision lists every object that goes, with its generation. Anybody may finish it, any number
  of times: what is written afterwards has another generation and stays.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gcp_accessor.publication.documents import SCHEMA_VERSION, damage_of, parse

if TYPE_CHECKING:
    from gcp_accessor.publication.documents import Document, Documents


def tombstone_path(run_id: str) -> str:
    """Return where the end of a run is announced."""
    return f"runs/{run_id}/collected.json"


def claim(documents: Documents, run_id: str) -> bool:
    """Keep a committed run as if it were young; False, and nothing is left, if it is gone."""
    path = f"runs/{run_id}/claims/{secrets.token_hex(8)}.json"
    stored = documents.create(path, {"schema_version": SCHEMA_VERSION})
    if is_spared(documents, run_id) and documents.stat(f"runs/{run_id}/manifest.json"):
        return True
    if stored is not None:
        documents.delete(path, stored.generation)
    return False


def is_spared(documents: Documents, run_id: str) -> bool:
    """Return whether a run stays, now that it was marked as needed.

    False means that its end was decided before. All that it had is deleted then, and it may be
    begun anew.
    """
    path = tombstone_path(run_id)
    # Nearly always there is none, which one request tells.
    while (found := documents.find(path)) is not None:
        if decided_of(found) is not None:
            finish(documents, run_id, found)
            return False
        documents.delete(path, found.generation)
    return True


def decided_of(tombstone: Document) -> list[tuple[str, int]] | None:
    """Return the objects that go, by path and generation; None while it is an intention."""
    content = parse(tombstone.text, tombstone.uri)
    with damage_of(tombstone.uri):
        if content["state"] == "intended":
            return None
        return [(str(path), int(generation)) for path, generation in content["objects"]]


def finish(documents: Documents, run_id: str, tombstone: Document) -> None:
    """Delete what a decision lists, in its order, and then the decision."""
    for path, generation in decided_of(tombstone) or ():
        documents.delete(path, generation)
    documents.delete(tombstone_path(run_id), tombstone.generation)
