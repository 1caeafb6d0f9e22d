"""How a run becomes the truth: immutable parts, a manifest that commits, a pointer that publishes.

    <uri>/runs/<run_id>/start.json                  create-only: the facts of the first attempt
    <uri>/runs/<run_id>/starts/<execution>.json     create-only: its generation orders executions
    <uri>/runs/<run_id>/<task>-<attempt>/<file>     create-only
    <uri>/runs/<run_id>/tasks/<task>.json           create-only: the files of one task
    <uri>/runs/<run_id>/manifest.json               create-only: COMMIT
    <uri>/runs/<run_id>/failed.json                 why the last one to fail cannot succeed
    <uri>/latest.json                               compare-and-swap: PUBLISH
    <uri>/published/<generation>.json               create-only: every pointer there was
    <uri>/forced/<run_id>/<execution>.json          create-only: which run it made anew
    <uri>/pins/<name>.json                          a run that is kept

Every write but the pointer's is create-only, so a second writer never changes what a first one
left; "already there" means compare, not fail. A reader starts at the pointer and reads exactly
what the manifest lists. It never lists a prefix.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime

from gcp_accessor.publication.collection import Collecting, Collection
from gcp_accessor.publication.comparison import Comparing, Difference
from gcp_accessor.publication.history import History, Runs, RunSummary
from gcp_accessor.publication.manifest import Manifest, PublishedFile
from gcp_accessor.publication.reading import Published
from gcp_accessor.publication.run import Outcome, PublicationRun
from gcp_accessor.publication.starts import Started, current_execution, forced
from gcp_accessor.publication.steering import Steering
from gcp_accessor.publication.verification import Damage, Verifying

__all__ = [
    "Publication",
    "PublicationRun",
    "Published",
    "PublishedFile",
    "Manifest",
    "Outcome",
    "Collection",
    "Damage",
    "Difference",
    "Runs",
    "RunSummary",
    "Started",
]


class Publication(History, Steering, Collecting, Verifying, Comparing):
    """A place in Cloud Storage where one complete, checked run is the published one.

    Example:
        >>> publication = store.publication("gs://models/irt")
        >>> publication.latest() is None
        True
    """

    def run(
        self,
        as_of: date,
        fingerprint: str,
        *,
        task: int = 0,
        tasks: int = 1,
        force: bool = False,
    ) -> PublicationRun:
        """Return the run of a day whose inputs and settings have this fingerprint.

        Equal days and fingerprints name the same run, so a repeated run finds what a former
        attempt left. Nothing is written yet, and without force nothing is read.

        Args:
            as_of: The UTC day the run describes.
            fingerprint: A text or digest that changes whenever the bytes might.
            task: Which of `tasks` parallel tasks this one is, from 0.
            force: Make the run anew, as `<run_id>-<n>`, whatever there is. All attempts and tasks
                of one execution mean the same new run.

        Raises:
            TypeError: as_of is not a day, but a moment or a text.
            ValueError: there is no such task.
        """
        if not isinstance(as_of, date) or isinstance(as_of, datetime):
            raise TypeError(f"as_of is {as_of!r}; expected a day, a datetime.date in UTC")
        if not 0 <= task < tasks:
            raise ValueError(f"task {task} of {tasks}: expected 0 to {tasks - 1}")
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
        run_id = f"{as_of.isoformat()}-{digest}"
        execution = current_execution()
        if force:
            run_id = forced(self.documents, run_id, execution)
        return PublicationRun(self, run_id, as_of, task, tasks, execution)
