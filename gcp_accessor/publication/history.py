"""The runs there are, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gcp_accessor.byte_sizes import bytes_text
from gcp_accessor.errors import CorruptRun
from gcp_accessor.publication.display import table_html, table_text
from gcp_accessor.publication.names import PLACES, is_run_id
from gcp_accessor.publication.pins import read_pins
from gcp_accessor.publication.place import list_runs
from gcp_accessor.publication.reading import Reading

if TYPE_CHECKING:
    from datetime import date, datetime

    from gcp_accessor.publication.manifest import Manifest
    from gcp_accessor.publication.place import StoredRun
    from gcp_accessor.publication.pointer import Pointer

State = Literal["published", "held", "previous", "committed", "failed", "started"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a few words.

    Attributes:
        created_at: When it was committed; None if it was not.
        rows: Of its table; None if it has none, or was not committed.
        bytes: Of the files of its manifest; of all that it left if it was not committed.
        state: "published"; "held" is published as well, and no other will be before a release;
            "previous" was published before it; "committed" is whole; "failed" cannot be
            committed as it is; "started" may be at work, or was killed.
        pins: By what names it is kept.
    """

    run_id: str
    as_of: date
    created_at: datetime | None
    rows: int | None
    bytes: int
    state: State
    pins: tuple[str, ...] = ()


class Runs(tuple[RunSummary, ...]):
    """Runs, the newest first, which a notebook shows as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        return table_text(_HEADER, self._cells())

    def _repr_html_(self) -> str:
        return table_html(_HEADER, self._cells())

    def _cells(self) -> list[tuple[str, ...]]:
        return [_cells_of(run) for run in self]


class History(Reading):
    """How `Publication` tells what there is."""

    def runs(self, *, last: int | None = 20) -> Runs:
        """Return the runs that are there, the newest day first, and what became of each.

        Args:
            last: How many, as each committed one takes a request; None for all.

        Raises:
            CorruptRun: the pointer, a pin or the manifest of one of them is damaged.

        Example:
            >>> store.publication("lessons/other").runs()
            no runs
        """
        pointer = self._pointer()
        names: dict[str, list[str]] = {}
        for name, run_id in read_pins(self.documents).items():
            names.setdefault(run_id, []).append(name)
        found = sorted(list_runs(self.documents).values(), key=lambda run: run.rank, reverse=True)
        return Runs(
            self._summary(run, pointer, tuple(names.get(run.run_id, ()))) for run in found[:last]
        )

    def resolve(self, run: str) -> str:
        """Return the run that somebody means.

        Args:
            run: A run's name, which is not looked up; "latest", "previous"; or a pin's name.

        Raises:
            CorruptRun: nothing was published, or nothing before it.
            ValueError: it is none of these.
        """
        if is_run_id(run):
            return run
        if run not in PLACES:
            pins = read_pins(self.documents)
            if run not in pins:
                there = f", or a pin: {', '.join(pins)}" if pins else "; there are no pins"
                raise ValueError(
                    f"{run!r} is not a run; expected YYYY-MM-DD-<12 hex digits>, 'latest' or "
                    f"'previous'{there}"
                )
            return pins[run]
        pointer = self._pointer()
        named = pointer.run_id if run == "latest" else pointer.previous
        if named is None:
            raise CorruptRun(f"there is no {run} run at {self.uri}; run the job first")
        return named

    def _summary(self, run: StoredRun, pointer: Pointer, pins: tuple[str, ...]) -> RunSummary:
        if run.find("manifest.json") is None:
            state: State = "started" if run.find("failed.json") is None else "failed"
            return RunSummary(run.run_id, run.as_of, None, None, run.size, state, pins)
        manifest = self.manifest(run.run_id)
        return RunSummary(
            run.run_id,
            run.as_of,
            manifest.created_at,
            rows_of(manifest),
            sum(file.size for file in manifest.files),
            _state_of(run.run_id, pointer),
            pins,
        )


def rows_of(manifest: Manifest) -> int | None:
    """Return how many rows a run's table has, which may be there in several formats."""
    counts: dict[str, int] = {}
    for file in manifest.files:
        if file.rows is not None:
            counts[file.table_name] = counts.get(file.table_name, 0) + file.rows
    return max(counts.values(), default=None)


def _state_of(run_id: str, pointer: Pointer) -> State:
    if run_id == pointer.run_id:
        return "held" if pointer.hold else "published"
    return "previous" if run_id == pointer.previous else "committed"


_HEADER = ("run", "made (UTC)", "rows", "size", "state", "pins")


def _cells_of(run: RunSummary) -> tuple[str, ...]:
    return (
        run.run_id,
        f"{run.created_at:%Y-%m-%d %H:%M}" if run.created_at else "",
        "" if run.rows is None else f"{run.rows:,}",
        bytes_text(run.bytes),
        run.state,
        ", ".join(run.pins),
    )
