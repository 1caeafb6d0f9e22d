"""The JSON documents of a publication: created once, or swapped by generation."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcp_accessor.errors import CorruptRun
from gcp_accessor.uris import split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gcp_accessor.backends import StoredObject
    from gcp_accessor.storage import CloudStorageAccessor

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object as it was read, and the generation that it was read at."""

    uri: str
    generation: int
    text: bytes


class Documents:
    """The objects under one address, by their paths below it.

    "Already there" and "not there any more" are answers here, None or False, not errors: a
    publication compares, it does not fail.
    """

    def __init__(self, store: CloudStorageAccessor, uri: str) -> None:
        bucket, path = split_uri(uri if uri.startswith("gs://") else f"gs://{uri}")
        path = path.strip("/")
        self.store = store
        self.bucket = bucket
        self.prefix = f"{path}/" if path else ""
        self.uri = f"gs://{bucket}/{path}" if path else f"gs://{bucket}"

    def uri_of(self, path: str) -> str:
        """Return the full address of a path."""
        return f"{self.uri}/{path}"

    def path_of(self, stored: StoredObject) -> str:
        """Return the path of an object that was listed."""
        return stored.name.removeprefix(self.prefix)

    def find(self, path: str) -> Document | None:
        """Return what is there, with its generation, or None."""
        from google.api_core.exceptions import NotFound

        uri = self.uri_of(path)
        while (stored := self.stat(path)) is not None:
            try:
                text = self.store.read(uri, as_="bytes", generation=stored.generation)
            except NotFound:
                # Replaced between the two requests: another look.
                continue
            return Document(uri, stored.generation, text)
        return None

    def content(self, path: str) -> bytes | None:
        """Return the bytes of what never changes, or None where there is nothing."""
        from google.api_core.exceptions import NotFound

        try:
            content: bytes = self.store.read(self.uri_of(path), as_="bytes")
        except NotFound:
            return None
        return content

    def stat(self, path: str) -> StoredObject | None:
        """Return the object at a path, or None."""
        from google.api_core.exceptions import NotFound

        try:
            return self.store.stat(self.uri_of(path))
        except NotFound:
            return None

    def create(self, path: str, content: Mapping[str, Any]) -> StoredObject | None:
        """Write JSON where there is nothing; None where there is something, which is left."""
        return self.swap(path, content, 0)

    def swap(self, path: str, content: Mapping[str, Any], generation: int) -> StoredObject | None:
        """Write JSON in place of a generation; None where there is another one by now."""
        from google.api_core.exceptions import PreconditionFailed

        try:
            return self.store.write(self.uri_of(path), content, if_generation=generation)
        except PreconditionFailed:
            return None

    def delete(self, path: str, generation: int) -> bool:
        """Delete one generation; False where it is gone already."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        try:
            self.store.delete(self.uri_of(path), if_generation=generation)
        except (NotFound, PreconditionFailed):
            return False
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose paths begin with `prefix`."""
        return self.store.list(self.uri_of(prefix))


_DAMAGE = (AttributeError, KeyError, TypeError, ValueError)


@contextmanager
def damage_of(uri: str) -> Iterator[None]:
    """Raise CorruptRun where the JSON at `uri` is not what this package writes."""
    try:
        yield
    except _DAMAGE as error:
        raise CorruptRun(
            f"{uri} is damaged ({type(error).__name__}: {error}); restore it, or roll back to "
            "another run"
        ) from error


def is_damage(error: CorruptRun) -> bool:
    """Whether a document cannot be read at all, rather than that it is of a newer version."""
    return isinstance(error.__cause__, _DAMAGE)


def parse(
    text: bytes, uri: str, *, newest: int = SCHEMA_VERSION, unsaid: int | None = None
) -> dict[str, Any]:
    """Return the JSON object that is stored at `uri`.

    Args:
        newest: The newest schema version that is understood; all before it are too.
        unsaid: The version of what says none.

    Raises:
        CorruptRun: it is damaged, or a later version of this package wrote it.
    """
    with damage_of(uri):
        content: dict[str, Any] = json.loads(text)
        version = (
            content["schema_version"] if unsaid is None else content.get("schema_version", unsaid)
        )
        if type(version) is not int or version < 1:
            raise ValueError(f"the schema version is {version!r}")
    if version > newest:
        raise CorruptRun(
            f"{uri} has schema version {version}, written by a newer gcp-accessor; this one reads "
            f"up to {newest}: upgrade it"
        )
    return content
