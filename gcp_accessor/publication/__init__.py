"""How a run becomes the truth: immutable parts, a manifest that commits, a pointer that publishes.

    <uri>/runs/<run_id>/start.json                  create-only: the facts of the first attempt
    <uri>/runs/<run_id>/starts/<execution>.json     create-only: its generation orders executions
    <uri>/runs/<run_id>/<task>-<attempt>/<file>     create-only
    <uri>/runs/<run_id>/tasks/<task>.json           create-only: the files of one task
    <uri>/runs/<run_id>/manifest.json               create-only: COMMIT
    <uri>/runs/<run_id>/failed.json                 why the last one to fail cannot succeed
    <uri>/latest.json                               compare-and-swap: PUBLISH
    <uri>/published/<generation>.json               create-only: every pointer there was
    <uri>/pins/<name>.json                          a run that is kept

Every write but the pointer's is create-only, so a second writer never changes what a first one
left; "already there" means compare, not fail. A reader starts at the pointer and reads exactly
what the manifest lists. It never lists a prefix.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gcp_accessor.publication.collection import Collecting, Collection
from gcp_accessor.publication.history import History, Runs, RunSummary
from gcp_accessor.publication.manifest import Manifest, PublishedFile
from gcp_accessor.publication.reading import Published
from gcp_accessor.publication.run import Outcome, PublicationRun
from gcp_accessor.publication.starts import Started, current_execution
from gcp_accessor.publication.steering import Steering

if TYPE_CHECKING:
    from datetime import date

__all__ = [
    "Publication",
    "PublicationRun",
    "Published",
    "PublishedFile",
    "Manifest",
    "Outcome",
    "Collection",
    "Runs",
    "RunSummary",
    "Started",
]


class Publication(History, Steering, Collecting):
    """A place in Cloud Storage where one complete, checked run is the published one.

    Example:
        >>> publication = store.publication("gs://models/irt")
        >>> publication.latest() is None
        True
    """

    def run(
        self, as_of: date, fingerprint: str, *, task: int = 0, tasks: int = 1
    ) -> PublicationRun:
        """Return the run of a day whose inputs and settings have this fingerprint.

        Nothing is written yet. Equal days and fingerprints name the same run, so a repeated
        run finds what a former attempt left.

        Args:
            as_of: The UTC day the run describes.
            fingerprint: A text or digest that changes whenever the bytes might.
            task: Which of `tasks` parallel tasks this one is, from 0.
        """
        if not 0 <= task < tasks:
            raise ValueError(f"task {task} of {tasks}: expected 0 to {tasks - 1}")
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
        run_id = f"{as_of.isoformat()}-{digest}"
        return PublicationRun(self, run_id, as_of, task, tasks, current_execution())
