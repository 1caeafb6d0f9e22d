"""Files of this machine that become objects: many at once, each complete or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gcp_accessor.storage.connection import Connection
from gcp_accessor.storage.places import IfFileExists, check_if_exists, is_content, outgoing
from gcp_accessor.storage.transfer import Transfer, about_one_file, bar
from gcp_accessor.tabular.formats import content_type_of
from gcp_accessor.uris import split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gcp_accessor.backends import StoredObject
    from gcp_accessor.storage.places import Pair

_BLOCK = 1 << 20


class Uploads(Connection):
    """How `CloudStorageAccessor` makes objects of files."""

    def upload(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        uri: str,
        *,
        if_exists: IfFileExists = "replace",
        max_workers: int = 8,
        deadline: float | None = None,
    ) -> tuple[StoredObject, ...]:
        """Upload files as they are, several at once. Return their objects, in order of paths.

        Each object appears complete or not at all, its checksum verified. A worker
        holds a few requests of 8 MiB, however large its file is.

        Args:
            paths: A file, a folder with all that is in it, a glob such as `out/**/*.csv.gz`, or
                several of these. Below a folder and a glob's fixed beginning, names are kept.
            uri: `gs://bucket/name` for one file, or the folder `gs://bucket/folder/`.
            if_exists: "replace" overwrites. "refresh" leaves an object whose size and checksum
                are the file's, and replaces any other. "fail" writes only what is not there.
            max_workers: How many files are on their way at once.
            deadline: Seconds until the call returns, whatever the network does. A small file
                whose request is out by then may still arrive, whole.

        Raises:
            FileNotFoundError: there is no such file; nothing is uploaded.
            TransferFailed: some of several files failed. A single one raises its own error, as
                of `write`.
            TransferTimeout: the deadline is over.

        Example:
            >>> [each.name for each in store.upload(folder / "reports", "gs://lessons/2024/")]
            ['2024/items.html', '2024/notes/students.html']
        """
        check_if_exists(if_exists)
        bucket, name = split_uri(uri)
        pairs = outgoing(paths, bucket, name)
        with (
            Transfer("uploaded", max_workers, deadline) as transfer,
            bar(f"upload {uri}", pairs, self.progress) as advance,
        ):

            def send(pair: Pair) -> StoredObject:
                found = self._same(pair) if if_exists == "refresh" else None
                if found is not None:
                    advance(found.size)
                    return found
                return self._send(pair, transfer, advance, if_exists)

            return tuple(
                transfer.move(
                    pairs, send, name=lambda pair: str(pair.path), goes_on_after=about_one_file()
                )
            )

    def _send(
        self,
        pair: Pair,
        transfer: Transfer,
        advance: Callable[[int], None],
        if_exists: IfFileExists,
    ) -> StoredObject:
        with (
            pair.path.open("rb") as file,
            self._writer(
                pair.bucket,
                pair.name,
                content_type_of(pair.name),
                "fail" if if_exists == "fail" else "replace",
                None,
                transfer.remaining(),
            ) as writer,
        ):
            before = os.fstat(file.fileno())
            while block := file.read(_BLOCK):
                transfer.check()
                writer.write(block)
                advance(len(block))
            after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise ValueError(f"{pair.path} changed while it was uploaded; nothing was stored")
            transfer.check()
        return writer.stored

    def _same(self, pair: Pair) -> StoredObject | None:
        """The object, if it is there with the file's content."""
        from google.api_core.exceptions import NotFound

        try:
            stored = self._backend.stat(pair.bucket, pair.name)
        except NotFound:
            return None
        return stored if is_content(pair.path, stored) else None
