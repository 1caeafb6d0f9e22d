"""Objects that become files of this machine: many at once, each complete or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from gcp_accessor.storage.connection import Connection
from gcp_accessor.storage.places import (
    IfFileExists,
    check_apart,
    check_if_exists,
    incoming,
    is_content,
    refuse_links,
    start_of,
)
from gcp_accessor.storage.transfer import Transfer, about_one_file, bar
from gcp_accessor.uris import check_name, split_glob, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gcp_accessor.storage.places import Pair


class Downloads(Connection):
    """How `CloudStorageAccessor` makes files of objects."""

    def download(
        self,
        uris: str | Iterable[str],
        folder: str | os.PathLike[str],
        *,
        if_exists: IfFileExists = "replace",
        max_workers: int = 8,
        deadline: float | None = None,
    ) -> tuple[Path, ...]:
        """Download objects as they are stored, several at once. Return their files, in order.

        Each file appears complete, verified and on disk, or not at all: until then it is beside
        its place, with a name that ends in .part. Nothing is ever written outside of the
        folder. Memory stays flat.

        Args:
            uris: The object `gs://bucket/name`, all below `gs://bucket/folder/`, a glob such as
                `gs://bucket/2024/**/*.csv.gz` as for `list`, or several of these. Below a
                folder and a glob's fixed beginning, names are kept.
            folder: Made if it is not there.
            if_exists: "replace" overwrites. "refresh" leaves a file whose size and checksum are
                the object's, and replaces any other. "fail" writes only what is not there.
            max_workers: How many objects are on their way at once.
            deadline: Seconds until the call returns, whatever the network does.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object, or none that matches.
            UnsafeContent: an object's name leads out of the folder; nothing is downloaded.
            FileExistsError: a file is there and if_exists is "fail"; nothing is downloaded.
            TransferFailed: some of several objects failed. A single one raises its own error.
            TransferTimeout: the deadline is over.

        Example:
            >>> [path.name for path in store.download("gs://lessons/*.csv.gz", folder)]
            ['items.csv.gz']
        """
        check_if_exists(if_exists)
        target = Path(folder)
        wanted = [uris] if isinstance(uris, str) else list(uris)
        with Transfer("downloaded", max_workers, deadline) as transfer:
            # What is there takes requests too, and they are waited for no longer than others.
            (pairs,) = transfer.move(
                [target], lambda target: self._pairs(wanted, target, if_exists)
            )
            if if_exists == "fail":
                _refuse_existing(pairs)
            with bar(f"download {wanted[0] if wanted else ''}", pairs, self.progress) as advance:

                def fetch(pair: Pair) -> Path:
                    if (
                        if_exists == "refresh"
                        and pair.stored
                        and is_content(pair.path, pair.stored)
                    ):
                        advance(pair.size or 0)
                    else:
                        self._fetch(pair, target, transfer, advance, if_exists)
                    return pair.path

                return tuple(
                    transfer.move(
                        pairs, fetch, name=lambda pair: pair.uri, goes_on_after=about_one_file()
                    )
                )

    def _pairs(self, uris: list[str], folder: Path, if_exists: IfFileExists) -> list[Pair]:
        pairs = []
        for uri in uris:
            bucket, path = split_uri(uri)
            start = start_of(path)
            if start is None:
                check_name(path)
                # What else would be a request is asked for only where it is compared.
                stored = self._backend.stat(bucket, path) if if_exists == "refresh" else None
                pairs.append(incoming(bucket, path, path.rfind("/") + 1, folder, stored))
            else:
                pairs += self._listed(bucket, path, start, folder)
        check_apart(pairs)
        return pairs

    def _listed(self, bucket: str, path: str, start: int, folder: Path) -> Iterator[Pair]:
        prefix, pattern = split_glob(path)
        found = False
        for stored in self._backend.list(bucket, prefix):
            if pattern is None or pattern.fullmatch(stored.name):
                found = True
                # A console leaves an empty "a/" where somebody made a folder.
                if stored.size or not stored.name.endswith("/"):
                    yield incoming(bucket, stored.name, start, folder, stored)
        if not found:
            from google.api_core.exceptions import NotFound

            raise NotFound(f"there is no object at gs://{bucket}/{path}")

    def _fetch(
        self,
        pair: Pair,
        folder: Path,
        transfer: Transfer,
        advance: Callable[[int], None],
        if_exists: IfFileExists,
    ) -> None:
        pair.path.parent.mkdir(parents=True, exist_ok=True)
        refuse_links(pair.path, folder)
        # Of its own, so that two downloads of one object do not meet in it.
        part = pair.path.with_name(f"{pair.path.name[:50]}.{secrets.token_hex(4)}.part")
        try:
            with transfer.part(part):
                with part.open("xb") as file:
                    self._backend.download(
                        pair.bucket,
                        pair.name,
                        cast("BinaryIO", _Watched(file, transfer, advance)),
                        generation=pair.stored.generation if pair.stored else None,
                        seconds=transfer.remaining(),
                    )
                    file.flush()
                    os.fsync(file.fileno())
                with transfer.step():
                    if if_exists == "fail":
                        # Unlike a rename, refuses what has come there meanwhile.
                        pair.path.hardlink_to(part)
                    else:
                        part.replace(pair.path)
        except OSError as error:
            error.add_note(
                f"{pair.uri} was not downloaded, what was there is untouched: check that {folder} "
                "can be written and that its disk has room"
            )
            raise


class _Watched:
    """A file that a download fills only while its transfer goes on."""

    def __init__(self, file: BinaryIO, transfer: Transfer, advance: Callable[[int], None]) -> None:
        self._file = file
        self._transfer = transfer
        self._advance = advance

    def write(self, data: bytes) -> int:
        self._transfer.check()
        self._file.write(data)
        self._advance(len(data))
        return len(data)

    def seek(self, position: int) -> int:
        self._advance(position - self._file.tell())
        return self._file.seek(position)

    def truncate(self) -> int:
        return self._file.truncate()


def _refuse_existing(pairs: list[Pair]) -> None:
    for pair in pairs:
        if pair.path.exists():
            raise FileExistsError(f"{pair.path} is there already, and if_exists is 'fail'")
