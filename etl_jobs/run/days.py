"""Whose rows a day of an output table has, kept beside the runs: `<job>/days/<day>.json`.

A table's partition is replaced by a job that looks at nothing but the table. That two runs do not
replace one day in turns is settled here, by compare-and-swap: a run claims the day, replaces it,
and then confirms its claim. A run that is killed in between, or meets another, leaves a day that
no run takes for its own.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from etl_jobs.errors import TryAgain

if TYPE_CHECKING:
    from datetime import date

    from gcp_accessor import CloudStorageAccessor

State = Literal["replacing", "done", "torn"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands of a day.

    Attributes:
        order: Of the execution that wrote it; a later execution's is larger.
        generation: Of the object; 0 while there is none.
    """

    run_id: str | None = None
    order: int = 0
    state: State = "torn"
    generation: int = 0


class Day:
    """One day of an output table."""

    def __init__(self, store: CloudStorageAccessor, uri: str) -> None:
        self._store = store
        self._uri = uri

    def mark(self) -> Mark:
        """Return what stands of the day; a mark of nobody's while nothing does."""
        from google.api_core.exceptions import NotFound

        try:
            generation = self._store.stat(self._uri).generation
            found = self._store.read(self._uri, as_="json", generation=generation)
        except NotFound:
            if not self._store.exists(self._uri):
                return Mark()
            # Replaced between the two requests.
            return self.mark()
        # The first version wrote the run alone.
        return Mark(found["run_id"], found.get("order", 0), found.get("state", "done"), generation)

    def is_of(self, run_id: str) -> bool:
        """Return whether the day has the rows of this run, for certain."""
        mark = self.mark()
        return mark.run_id == run_id and mark.state == "done"

    def is_kept(self, run_id: str, order: int) -> bool:
        """Return whether the day has the rows of this run, from now on as this execution's."""
        from google.api_core.exceptions import PreconditionFailed

        while True:
            mark = self.mark()
            if mark.run_id != run_id or mark.state != "done":
                return False
            if mark.order >= order:
                return True
            with suppress(PreconditionFailed):
                self._write(run_id, order, "done", mark.generation)

    def claim(self, run_id: str, order: int) -> Mark | None:
        """Say that this run replaces the day now; None if the rows are a later execution's."""
        from google.api_core.exceptions import PreconditionFailed

        while True:
            before = self.mark()
            if before.order > order:
                return None
            try:
                generation = self._write(run_id, order, "replacing", before.generation)
            except PreconditionFailed:
                continue
            return Mark(run_id, order, "replacing", generation)

    def confirm(self, claim: Mark) -> None:
        """Say that the day has the rows of the run that claimed it.

        Raises:
            TryAgain: another run claimed the day meanwhile, so that its rows may be either's.
        """
        from google.api_core.exceptions import PreconditionFailed

        while True:
            try:
                self._write(str(claim.run_id), claim.order, "done", claim.generation)
                return
            except PreconditionFailed:
                now = self.mark()
            if now.run_id == claim.run_id and now.state != "torn":
                # The reply was lost, or another attempt of this run is at it: the same rows.
                return
            if self._tear(now):
                raise TryAgain(
                    f"the runs {claim.run_id} and {now.run_id} replaced one day of a table at the "
                    f"same time, and no run trusts it now ({self._uri}); run again"
                )

    def _tear(self, mark: Mark) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        if mark.state == "torn":
            return True
        try:
            self._write(str(mark.run_id), mark.order, "torn", mark.generation)
        except PreconditionFailed:
            return False
        return True

    def _write(self, run_id: str, order: int, state: State, generation: int) -> int:
        content = {"schema_version": 1, "run_id": run_id, "order": order, "state": state}
        return self._store.write(self._uri, content, if_generation=generation).generation


def version_before(store: CloudStorageAccessor, publication: str, day: date) -> str:
    """Return what changes whenever a day of a job's table before this one is replaced."""
    folder = f"{publication}/days/"
    marks = sorted((each.uri.removeprefix(folder), each.generation) for each in store.list(folder))
    earlier = [mark for mark in marks if mark[0] < f"{day}.json"]
    return hashlib.sha256(repr(earlier).encode()).hexdigest()[:16]
