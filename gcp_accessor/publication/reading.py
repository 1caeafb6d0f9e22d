"""Reading a run: pointer -> manifest -> exactly the listed files, every byte of them verified."""

from __future__ import annotations

import difflib
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

from gcp_accessor.errors import CorruptRun
from gcp_accessor.publication.documents import damage_of
from gcp_accessor.publication.manifest import manifest_from_json
from gcp_accessor.publication.names import check_run_id
from gcp_accessor.publication.pins import pin_names, read_pin
from gcp_accessor.publication.place import PlaceOfRuns, list_runs, sha256
from gcp_accessor.publication.tables import joined, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor.publication.manifest import Manifest, PublishedFile
    from gcp_accessor.tabular import As

_BLOCK = 1 << 20


class Published(NamedTuple):
    """What was read, and the manifest of the run that it is of."""

    content: Any
    manifest: Manifest


class Reading(PlaceOfRuns):
    """How `Publication` reads runs."""

    def latest(self) -> Manifest | None:
        """Return the manifest of the published run, or None before the first one.

        Raises:
            CorruptRun: the pointer or the manifest is damaged, or the manifest is not the one
                that was published.
        """
        found = self._latest()
        return None if found is None else found[0]

    def is_held(self) -> bool:
        """Whether a rollback keeps every other run from being published."""
        return self._pointer().hold

    def manifest(self, run_id: str) -> Manifest:
        """Return the manifest of a committed run, published or not.

        Raises:
            CorruptRun: there is no such run, or its manifest is broken.
        """
        return self._manifest(check_run_id(run_id), None)[0]

    def pinned(self, name: str) -> Manifest:
        """Return the manifest of the run that a pin names.

        Raises:
            CorruptRun: there is no such pin, or its run is damaged.
        """
        run_id = read_pin(self.documents, name)
        if run_id is None:
            there = ", ".join(pin_names(self.documents)) or "none"
            raise CorruptRun(f"{self.uri} has no pin {name!r}; it has {there}")
        return self.manifest(run_id)

    def read(
        self,
        name: str | None = None,
        *,
        run_id: str | None = None,
        pin: str | None = None,
        as_: As | Literal["infer"] = "infer",
    ) -> Published:
        """Return one file of the published run, with the run's manifest.

        Every byte that is read is verified: what comes is what the run wrote, or an error
        that says which object is damaged. A reader never sees half of a run, nor files of two.

        Args:
            name: What the run calls the file. By default the run's table as a DataFrame: its
                Parquet, else its csv.gz. Where several tasks each wrote a part of it, as
                `items-00000.parquet` of `items.parquet`, their rows come one after the other.
            run_id: Read this committed run instead.
            pin: Read the run that this pin names.
            as_: As for `CloudStorageAccessor.read`.

        Raises:
            CorruptRun: nothing is published, or an object is gone or changed.
            KeyError: the run has no such file.
            ValueError: both run_id and pin are given, or the run has no table or several.

        Example:
            >>> run = store.publication("lessons/items").run(date(2024, 3, 1), "settings")
            >>> file = run.write("items.json", lambda: [1, 2])
            >>> manifest = run.commit({"job": "items"})
            >>> run.publish()
            'published'
            >>> content, manifest = store.publication("lessons/items").read("items.json")
            >>> content, manifest.as_of
            ([1, 2], datetime.date(2024, 3, 1))
        """
        if run_id is not None and pin is not None:
            raise ValueError("a run is named by run_id or by pin; give one of them")
        if run_id is not None or pin is not None:
            manifest = self.pinned(pin) if pin is not None else self.manifest(str(run_id))
            return self._published(manifest, name, as_)
        try:
            return self._published(self._published_manifest(), name, as_)
        except CorruptRun as error:
            # A run may be collected while it is read, once two others were published. The
            # pointer, if it has moved on, leads to one that is there.
            if not is_gone(error):
                raise
            return self._published(self._published_manifest(), name, as_)

    def files(self, manifest: Manifest) -> list[str]:
        """Return the full addresses of a run's files, in the order they were written."""
        return [self._uri_of(file) for file in manifest.files]

    @contextmanager
    def open(self, manifest: Manifest, file: PublishedFile) -> Iterator[BinaryIO]:
        """Give one file of a run as a binary file, all of its bytes verified before.

        Raises:
            CorruptRun: the object is gone or changed.
        """
        from google.api_core.exceptions import NotFound

        uri = self._uri_of(file)
        with ExitStack() as opened:
            try:
                content = opened.enter_context(self.store.open(uri, generation=file.generation))
            except NotFound as error:
                raise _gone(manifest.run_id, uri, file) from error
            except Exception as error:
                # Of Google's client, which is not imported here for the sake of a type.
                if type(error).__name__ != "DataCorruption":
                    raise
                raise CorruptRun(
                    f"{uri} is not what run {manifest.run_id} wrote: {error}"
                ) from error
            size, checksum = _checked(content)
            if (size, checksum) != (file.size, file.crc32c):
                raise CorruptRun(_changed(manifest.run_id, uri, file, size, checksum))
            content.seek(0)
            yield content

    def _latest(self) -> tuple[Manifest, bytes] | None:
        while True:
            pointer = self._pointer()
            if pointer.run_id is None:
                return None
            try:
                return self._manifest(pointer.run_id, pointer.manifest_sha256)
            except CorruptRun as error:
                if not is_gone(error) or self._pointer().generation == pointer.generation:
                    raise

    def _published_manifest(self) -> Manifest:
        manifest = self.latest()
        if manifest is None:
            raise CorruptRun(f"nothing is published at {self.uri}; run the job first")
        return manifest

    def _published(
        self, manifest: Manifest, name: str | None, as_: As | Literal["infer"]
    ) -> Published:
        if name is None:
            files = table_of(manifest)
            as_ = "dataframe" if as_ == "infer" else as_
        else:
            files = [file for file in manifest.files if name in (file.name, file.table_name)]
            if not files:
                # Which says what there is.
                manifest.file(name)
        parts = [self._content(manifest, file, as_) for file in files]
        return Published(parts[0] if len(parts) == 1 else joined(parts, files), manifest)

    def _content(self, manifest: Manifest, file: PublishedFile, as_: As | Literal["infer"]) -> Any:
        from gcp_accessor import tabular
        from gcp_accessor.tabular.formats import format_of

        form, uri = format_of(file.name), self._uri_of(file)
        with self.open(manifest, file) as content:
            types = None
            if form is not None and form.startswith("csv") and as_ in ("dataframe", "arrow"):
                # CSV does not say that "007" is a text; the manifest does.
                first = next(tabular.blocks(content, form, "rows", where=uri), [])
                content.seek(0)
                stated = manifest.column_types()
                types = {name: stated[name] for name in chain(*first[:1]) if name in stated}
            return tabular.read(content, form, as_, where=uri, types=types)

    def _uri_of(self, file: PublishedFile) -> str:
        return f"gs://{self.documents.bucket}/{file.object_name}"

    def _check_stored(self, run_id: str, file: PublishedFile) -> None:
        """Compare what the store says of an object with what the manifest does."""
        from google.api_core.exceptions import NotFound

        uri = self._uri_of(file)
        try:
            stored = self.store.stat(uri, generation=file.generation)
        except NotFound as error:
            raise _gone(run_id, uri, file) from error
        if (stored.size, stored.crc32c) != (file.size, file.crc32c):
            raise CorruptRun(_changed(run_id, uri, file, stored.size, stored.crc32c))

    def _manifest(self, run_id: str, digest: str | None) -> tuple[Manifest, bytes]:
        """Return a run's manifest and its bytes, compared with the digest if there is one."""
        from google.api_core.exceptions import NotFound

        path = f"runs/{run_id}/manifest.json"
        uri = self.documents.uri_of(path)
        text = self.documents.content(path)
        if text is None:
            raise CorruptRun(
                f"{self.uri} holds no committed run {run_id}{self._near(run_id)}"
            ) from NotFound(uri)
        if digest not in (None, sha256(text)):
            raise CorruptRun(f"{uri} is not the manifest that was published")
        manifest = manifest_from_json(text, uri)
        folder = f"{self.documents.prefix}runs/{run_id}/"
        with damage_of(uri):
            if manifest.run_id != run_id:
                raise ValueError(f"it is of the run {manifest.run_id}")
            for file in manifest.files:
                if not file.object_name.startswith(folder):
                    raise ValueError(f"it lists {file.object_name}, which is not of the run")
        return manifest, text

    def _near(self, run_id: str) -> str:
        """Return the committed runs whose names are near, as the rest of a sentence."""
        from google.api_core.exceptions import Forbidden

        try:
            runs = [run for run in list_runs(self.documents).values() if run.find("manifest.json")]
        except Forbidden:
            # Whoever only reads need not be allowed to list.
            return ""
        names = [run.run_id for run in runs]
        same_day = [name for name in names if name[:10] == run_id[:10]]
        near = same_day or difflib.get_close_matches(run_id, names, n=3, cutoff=0) or names[-3:]
        if not near:
            return "; it holds none"
        return f" (never there, or collected); near it are {', '.join(sorted(near)[-3:])}"


def is_gone(error: CorruptRun) -> bool:
    """Whether a run cannot be read because something of it is not there."""
    from google.api_core.exceptions import NotFound

    return isinstance(error.__cause__, NotFound)


def _gone(run_id: str, uri: str, file: PublishedFile) -> CorruptRun:
    return CorruptRun(
        f"run {run_id} lists {uri} at generation {file.generation}, which is gone; restore the "
        "object, or publish another run"
    )


def _changed(run_id: str, uri: str, file: PublishedFile, size: int, checksum: str) -> str:
    return (
        f"{uri} is not what run {run_id} wrote: expected {file.size} bytes with crc32c "
        f"{file.crc32c}, found {size} with {checksum}"
    )


def _checked(content: BinaryIO) -> tuple[int, str]:
    """Return the size and the checksum of the bytes themselves."""
    import google_crc32c

    running, size = google_crc32c.Checksum(), 0
    while block := content.read(_BLOCK):
        running.update(block)
        size += len(block)
    return size, b64encode(running.digest()).decode()
