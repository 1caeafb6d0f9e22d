"""What calibrations in the warehouse keep until they are over, and who takes it away.

A run that is over takes its tables and passes away itself. One that was killed keeps them, so
that it can go on; if nobody starts it again, the next run takes them away after a week.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from etl_jobs.calibrate.tables import RunTables

if TYPE_CHECKING:
    from datetime import datetime

    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

# A run shows that it lives with every pass, and no query may take longer than six hours.
LIFE = timedelta(days=7)
_MARK = "begun.json"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The folder `warehouse/` of a publication: one folder for each run that is not over.

    Args:
        uri: The folder of all runs.
    """

    warehouse: BigQueryAccessor
    store: CloudStorageAccessor
    uri: str

    def of_run(self, run_id: str) -> str:
        """Return the folder of one run."""
        return f"{self.uri}/{run_id}"

    def begin(self, run_id: str) -> None:
        """Say that a run is at work, before it makes anything."""
        self.store.write(f"{self.of_run(run_id)}/{_MARK}", {"run_id": run_id})

    def end(self, run_id: str) -> None:
        """Take away what a run kept, the mark last: killed here, the next run does the rest."""
        RunTables(self.warehouse, run_id).drop()
        mark = f"{self.of_run(run_id)}/{_MARK}"
        for uri in [stored.uri for stored in self.store.list(f"{self.of_run(run_id)}/")]:
            if uri != mark:
                self._delete(uri)
        self._delete(mark)

    def sweep(self, live: str, *, life: timedelta = LIFE) -> list[str]:
        """Take away what other runs left that have not been at work for long.

        By the bucket's clock alone, whose present is the last that the live run wrote.

        Args:
            live: The run that asks, whose own things stay.
            life: How long a run without a sign of life is left alone.

        Returns:
            The runs that were swept.
        """
        from google.api_core.exceptions import PreconditionFailed

        signs: dict[str, datetime] = {}
        marks: dict[str, int] = {}
        for stored in self.store.list(f"{self.uri}/"):
            run_id, _, name = stored.uri.removeprefix(f"{self.uri}/").partition("/")
            if stored.updated is not None:
                signs[run_id] = max(signs.get(run_id, stored.updated), stored.updated)
            if name == _MARK:
                marks[run_id] = stored.generation
        swept = []
        for run_id, generation in marks.items():
            if run_id == live or signs[live] - signs[run_id] < life:
                continue
            try:
                # Whoever begins the run again writes its mark: then it is theirs.
                self.store.write(
                    f"{self.of_run(run_id)}/{_MARK}",
                    {"run_id": run_id, "swept_by": live},
                    if_generation=generation,
                )
            except PreconditionFailed:
                continue
            self.end(run_id)
            swept.append(run_id)
        return swept

    def _delete(self, uri: str) -> None:
        from contextlib import suppress

        from google.api_core.exceptions import NotFound

        # Another process at the same work may have been quicker.
        with suppress(NotFound):
            self.store.delete(uri)
