"""The beginning of a run: who works at it, in which order, with which facts; and its failure."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcp_accessor.errors import CorruptRun
from gcp_accessor.publication.claims import is_spared
from gcp_accessor.publication.documents import SCHEMA_VERSION, damage_of, parse
from gcp_accessor.publication.names import check_run_id
from gcp_accessor.publication.place import list_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcp_accessor.publication.documents import Documents

_EXECUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Started:
    """What an execution works from.

    Attributes:
        facts: Those that the first attempt recorded, whoever it was.
        order: The later an execution began, the larger, by the clock of Cloud Storage. All
            attempts and tasks of one execution have the same.
        execution: Its name.
    """

    facts: Mapping[str, Any]
    order: int
    execution: str


def current_execution() -> str:
    """Return the name of Cloud Run's execution; elsewhere a new one, which nobody else has."""
    name = os.environ.get("CLOUD_RUN_EXECUTION")
    if not name:
        return secrets.token_hex(8)
    return name if _EXECUTION.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()


def forced(documents: Documents, run_id: str, execution: str) -> str:
    """Return the name of the run that an execution makes anew, whatever there is of it.

    What one task of the execution decides counts for its other tasks and attempts.
    """
    path = f"forced/{run_id}/{execution}.json"
    text = documents.content(path)
    if text is None:
        there = list_runs(documents, f"{run_id}-")
        number = max((int(name.rpartition("-")[2]) for name in there), default=0) + 1
        name = f"{run_id}-{number}"
        content = {"schema_version": SCHEMA_VERSION, "run_id": name}
        if documents.create(path, content) is not None:
            return name
        text = documents.content(path)
    uri = documents.uri_of(path)
    content = parse(text or b"", uri)
    with damage_of(uri):
        return check_run_id(str(content["run_id"]))


def start(documents: Documents, run_id: str, execution: str, facts: Mapping[str, Any]) -> Started:
    """Mark an execution at a run, and record its facts or read those that are there."""
    mark = f"runs/{run_id}/starts/{execution}.json"
    path = f"runs/{run_id}/start.json"
    while True:
        stored = documents.create(
            mark, {"schema_version": SCHEMA_VERSION, "execution": execution}
        ) or documents.stat(mark)
        # What a collection took meanwhile is made anew.
        if not is_spared(documents, run_id) or stored is None:
            continue
        documents.create(path, {"schema_version": SCHEMA_VERSION, "facts": dict(facts)})
        text = documents.content(path)
        if text is None:
            raise CorruptRun(
                f"{documents.uri_of(path)} was deleted while the run began; start it again"
            )
        content = parse(text, documents.uri_of(path))
        with damage_of(documents.uri_of(path)):
            return Started(dict(content["facts"]), stored.generation, execution)


def fail(documents: Documents, run_id: str, execution: str, sentence: str) -> None:
    """Record that an execution failed for good; what it said first stays."""
    path = f"runs/{run_id}/failed.json"
    content = {"schema_version": SCHEMA_VERSION, "execution": execution, "sentence": sentence}
    while True:
        found = documents.find(path)
        if found is not None and failure_of(found.text, found.uri)[0] == execution:
            return
        if documents.swap(path, content, 0 if found is None else found.generation):
            return


def failure(documents: Documents, run_id: str) -> tuple[str, str] | None:
    """Return the execution that failed last, and what it said; None if none has."""
    found = documents.find(f"runs/{run_id}/failed.json")
    return None if found is None else failure_of(found.text, found.uri)


def failure_of(text: bytes, uri: str) -> tuple[str, str]:
    """Return the execution and the sentence of a `failed.json`."""
    content = parse(text, uri)
    with damage_of(uri):
        return str(content["execution"]), str(content["sentence"])
