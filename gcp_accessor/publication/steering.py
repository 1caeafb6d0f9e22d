"""What a person decides: which run is read, whatever is published, and which one is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_accessor.errors import CorruptRun
from gcp_accessor.publication.claims import claim, is_spared
from gcp_accessor.publication.documents import is_damage
from gcp_accessor.publication.names import check_run_id
from gcp_accessor.publication.pins import create_pin, pin_path, read_pin, read_pins
from gcp_accessor.publication.place import list_runs, sha256
from gcp_accessor.publication.pointer import PATH, Pointer, move_pointer, record_pointer
from gcp_accessor.publication.reading import Reading

if TYPE_CHECKING:
    from gcp_accessor.publication.manifest import Manifest
    from gcp_accessor.publication.place import StoredRun


class Steering(Reading):
    """How `Publication` is rolled back and released, and how runs are pinned."""

    def rollback(self, run_id: str) -> Manifest:
        """Publish an earlier run again, and publish no other before `release`.

        Every byte of the run is verified first. Runs go on being made meanwhile; they are
        committed and wait. This also mends a pointer that cannot be read.

        Returns:
            The manifest of the run that is published now.

        Raises:
            CorruptRun: there is no such run, or something of it is gone or changed.
            ValueError: no run can have this name.
        """
        # Before anything is written: there may be no such run.
        self.manifest(check_run_id(run_id))
        if not claim(self.documents, run_id):
            raise CorruptRun(f"run {run_id} of {self.uri} was collected meanwhile; take another")
        manifest, digest, run = self._sound(run_id)
        while True:
            before = self._pointer_or_damage()
            if before.run_id == run_id and before.hold:
                record_pointer(self.documents)
                return manifest
            if move_pointer(
                self.documents,
                before,
                run_id=run_id,
                as_of=manifest.as_of,
                order=run.order,
                manifest_sha256=digest,
                hold=True,
            ):
                return manifest

    def release(self) -> Manifest:
        """End a rollback: publish the newest committed run, as if there had been none.

        Newest is what it would have been: the latest day, and of one day the execution that
        began last. Every byte of it is verified first. Where the newest run is published and
        there is no hold, nothing is done; killed at any moment, a second call does the rest.

        Returns:
            The manifest of the run that is published now.

        Raises:
            CorruptRun: nothing was ever published, or something of the newest run is damaged;
                then the hold stays.
        """
        while True:
            before = self._pointer()
            runs = [run for run in list_runs(self.documents).values() if run.find("manifest.json")]
            if before.run_id is None or not runs:
                # Nothing was published, or its own run is gone as well: this says which.
                return self._published_manifest()
            newest = max(runs, key=lambda each: each.rank)
            if not before.hold and newest.rank[:2] <= before.rank:
                record_pointer(self.documents)
                return self._published_manifest()
            if not claim(self.documents, newest.run_id):
                # Its end was decided before, and it is gone now.
                continue
            manifest, digest, run = self._sound(newest.run_id)
            # Whoever committed a run since that list saw the hold, and left the rest to this:
            # another look finds it.
            move_pointer(
                self.documents,
                before,
                run_id=run.run_id,
                as_of=manifest.as_of,
                order=run.order,
                manifest_sha256=digest,
            )

    def pin(self, name: str, run_id: str) -> Manifest:
        """Give a committed run a name by which it is read and for which it is kept.

        When this returns, no collection takes the run before the pin is removed, not even one
        that was at work meanwhile. Repeating it changes nothing.

        Raises:
            CorruptRun: there is no such run, or it is damaged.
            ValueError: the name is no name, or is another run's.
        """
        manifest = self.manifest(run_id)
        if not create_pin(self.documents, name, run_id):
            there = read_pin(self.documents, name)
            if there not in (None, run_id):
                raise ValueError(
                    f"the pin {name!r} of {self.uri} is of run {there}; remove it first, or take "
                    "another name"
                )
        if is_spared(self.documents, run_id) and self._is_committed(run_id):
            return manifest
        self.unpin(name)
        raise CorruptRun(f"run {run_id} of {self.uri} was collected meanwhile; nothing was pinned")

    def unpin(self, name: str) -> None:
        """Remove a pin, if there is one. Its run is then kept no longer than others."""
        path = pin_path(name)
        stored = self.documents.stat(path)
        if stored is not None:
            self.documents.delete(path, stored.generation)

    def pins(self) -> dict[str, str]:
        """Return the run of each pin, by the pins' names in order.

        Raises:
            CorruptRun: a pin is damaged.
        """
        return read_pins(self.documents)

    def _sound(self, run_id: str) -> tuple[Manifest, str, StoredRun]:
        """Return a run with its manifest's digest, if every byte of it is what it was."""
        manifest, text = self._manifest(run_id, None)
        for file in manifest.files:
            with self.open(manifest, file):
                pass
        return manifest, sha256(text), list_runs(self.documents, run_id)[run_id]

    def _is_committed(self, run_id: str) -> bool:
        return self.documents.stat(f"runs/{run_id}/manifest.json") is not None

    def _pointer_or_damage(self) -> Pointer:
        """Return the pointer; where it cannot be read, one without a run in its place."""
        try:
            return self._pointer()
        except CorruptRun as error:
            stored = self.documents.stat(PATH)
            if not is_damage(error) or stored is None:
                raise
            return Pointer(stored.generation)
