"""Whether what is published is still what was: each damage by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gcp_accessor.errors import CorruptRun
from gcp_accessor.publication.manifest import marker_from_json
from gcp_accessor.publication.names import check_run_id
from gcp_accessor.publication.pins import pin_names, pin_path, read_pin
from gcp_accessor.publication.place import list_runs, sha256
from gcp_accessor.publication.pointer import PATH, TRAIL, Pointer, pointer_of
from gcp_accessor.publication.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor.publication.manifest import Manifest, PublishedFile
    from gcp_accessor.publication.place import StoredRun

Kind = Literal[
    "gone", "size", "checksum", "digest", "unreadable", "marker", "missing run", "old pointer"
]

# Of so many pointers it is remembered which manifest they were of.
_REMEMBERED = 100


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was published. As a text, it is one sentence.

    Attributes:
        kind: "gone", "size" and "checksum" are of a run's file; "digest" is a manifest that is
            not the one that was published; "unreadable" is a document that is broken or of a
            newer version; "marker" a task whose files are not the manifest's; "missing run" a
            pointer or a pin without its run; "old pointer" one that was put back by hand.
        uri: The object.
    """

    kind: Kind
    uri: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Verifying(Reading):
    """How `Publication` is verified."""

    def verify(self, run_id: str | None = None) -> list[Damage]:
        """Return all that is damaged, of all that is kept or of one run; nothing if all is well.

        Every byte of every committed run is read and compared with its manifest, the manifests
        with the digests they were published under, the pointer with the trail of all pointers.
        Nothing is written.

        Raises:
            CorruptRun: there is no such run.
            ValueError: no run can have this name.
        """
        trail, found = self._trail()
        published = {pointer.run_id: pointer for pointer in trail}
        if run_id is not None:
            runs = list_runs(self.documents, f"{check_run_id(run_id)}/")
            if run_id not in runs or runs[run_id].find("manifest.json") is None:
                self.manifest(run_id)
            return self._damage_of_run(runs[run_id], published.get(run_id))
        found += [*self._damage_of_pointer(trail), *self._damage_of_pins()]
        for run in list_runs(self.documents).values():
            if run.find("manifest.json") is not None:
                found += self._damage_of_run(run, published.get(run.run_id))
        return found

    def _trail(self) -> tuple[list[Pointer], list[Damage]]:
        """Return the last pointers there were, the newest last, and what of them is damaged."""
        paths = sorted(self.documents.path_of(each) for each in self.documents.list(TRAIL))
        trail: list[Pointer] = []
        damages: list[Damage] = []
        for path in paths[-_REMEMBERED:]:
            text, uri = self.documents.content(path), self.documents.uri_of(path)
            name = path.removeprefix(TRAIL).removesuffix(".json")
            if text is not None and name.isdigit():
                try:
                    trail.append(pointer_of(text, uri, int(name)))
                except CorruptRun as error:
                    damages.append(Damage("unreadable", uri, str(error)))
        return trail, damages

    def _damage_of_pointer(self, trail: list[Pointer]) -> Iterator[Damage]:
        uri = self.documents.uri_of(PATH)
        newest = trail[-1] if trail else Pointer()
        try:
            pointer = self._pointer()
        except CorruptRun as error:
            yield Damage("unreadable", uri, str(error))
            return
        if pointer.run_id is None:
            if newest.run_id is not None:
                advice = f"roll back to {newest.run_id} and release"
                yield Damage("gone", uri, f"{uri} is gone, run {newest.run_id} was there: {advice}")
            return
        # Each pointer names the one in whose place it was put. One that was put back names one
        # from before the newest that was noted.
        is_noted = pointer == newest
        follows = pointer.generation > newest.generation and (
            (pointer.replaces or 0) >= newest.generation
        )
        if trail and not is_noted and not follows:
            sentence = (
                f"{uri} was put back to run {pointer.run_id}, or edited; the last run that was "
                f"published is {newest.run_id}: roll back to it and release"
            )
            yield Damage("old pointer", uri, sentence)
        try:
            self._manifest(pointer.run_id, None)
        except CorruptRun as error:
            if self.documents.stat(f"runs/{pointer.run_id}/manifest.json") is None:
                yield Damage("missing run", uri, f"{uri} names a run that is not there: {error}")
            return
        try:
            self._manifest(pointer.run_id, pointer.manifest_sha256)
        except CorruptRun as error:
            manifest_uri = self.documents.uri_of(f"runs/{pointer.run_id}/manifest.json")
            if not any(each.run_id == pointer.run_id for each in trail):
                yield Damage("digest", manifest_uri, str(error))

    def _damage_of_pins(self) -> Iterator[Damage]:
        for name in pin_names(self.documents):
            uri = self.documents.uri_of(f"pins/{name}.json")
            try:
                run_id = read_pin(self.documents, name)
            except CorruptRun as error:
                yield Damage("unreadable", uri, str(error))
                continue
            except ValueError:
                # Nobody reads by such a name: it is no pin.
                continue
            if run_id is not None and self.documents.stat(f"runs/{run_id}/manifest.json") is None:
                sentence = f"the pin {pin_path(name)} names the run {run_id}, which is not there"
                yield Damage("missing run", uri, f"{sentence}: unpin it")

    def _damage_of_run(self, run: StoredRun, pointer: Pointer | None) -> list[Damage]:
        found = list(self._damage_of_objects(run, pointer))
        # Collected while it was read: its manifest went first.
        if found and self.documents.stat(f"runs/{run.run_id}/manifest.json") is None:
            return []
        return found

    def _damage_of_objects(self, run: StoredRun, pointer: Pointer | None) -> Iterator[Damage]:
        uri = self.documents.uri_of(f"runs/{run.run_id}/manifest.json")
        try:
            manifest, text = self._manifest(run.run_id, None)
        except CorruptRun as error:
            yield Damage("unreadable", uri, str(error))
            return
        start = run.find("start.json")
        # A run that was collected since, and made anew, has another manifest.
        is_same = pointer and (start is None or start.generation < pointer.generation)
        if pointer and is_same and pointer.manifest_sha256 != sha256(text):
            yield Damage("digest", uri, f"{uri} is not the manifest that was published")
        for file in manifest.files:
            try:
                with self.open(manifest, file):
                    pass
            except CorruptRun as error:
                kind = _kind_of(run, file)
                yield Damage(kind, f"gs://{self.documents.bucket}/{file.object_name}", str(error))
        yield from self._damage_of_markers(run, manifest)

    def _damage_of_markers(self, run: StoredRun, manifest: Manifest) -> Iterator[Damage]:
        folder = f"runs/{run.run_id}/tasks/"
        names = [path.removeprefix(folder) for path, _ in run.objects if path.startswith(folder)]
        listed: list[PublishedFile] = []
        uri = self.documents.uri_of(folder)
        for task in range(len(names)):
            uri = self.documents.uri_of(f"{folder}{task}.json")
            text = self.documents.content(f"{folder}{task}.json")
            if text is None:
                yield Damage("marker", uri, f"{uri} is gone, though later tasks left theirs")
                return
            try:
                listed += marker_from_json(text, uri)
            except CorruptRun as error:
                yield Damage("unreadable", uri, str(error))
                return
        if tuple(listed) != manifest.files:
            sentence = f"what the tasks of run {run.run_id} say they wrote is not what its manifest"
            yield Damage("marker", uri, f"{sentence} lists; readers go by the manifest")


def _kind_of(run: StoredRun, file: PublishedFile) -> Kind:
    stored = next((each for _, each in run.objects if each.name == file.object_name), None)
    if stored is None or stored.generation != file.generation:
        return "gone"
    return "size" if stored.size != file.size else "checksum"
