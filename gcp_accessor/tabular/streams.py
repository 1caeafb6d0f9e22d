"""Streams between an object and its reader or writer: gzip both ways, and a safe end."""

from __future__ import annotations

import gzip
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from gcp_accessor.errors import UnsafeContent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer, WriteableBuffer

    from gcp_accessor.backends import ObjectWriter, StoredObject

MAX_BYTES = 4 << 30
# Rows of a log compress 5 to 50 times; a gzip bomb, about 1,000 times.
_MAX_RATIO = 500
_RATIO_COUNTS_FROM = 256 << 20
_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
# Measured on rows of ids and numbers: ISA-L's level 1 packs 530 MB/s, zlib's level 6 30 MB/s and
# a sixth to a quarter smaller, zlib-ng's level 1 350 MB/s and a third larger. Level 3 is no
# faster, and unlike level 1 it takes other paths on other x86 processors.
_LEVEL = 1
_PACKED_AT_ONCE = 1 << 18


def compressed(sink: ObjectWriter | BinaryIO) -> BinaryIO:
    """Return a gzip stream into `sink`; equal content gives equal bytes.

    So it does however the content is cut into writes, with one version of `isal` on one family
    of processors. The header carries no time and no file name. Closing the stream ends it and
    leaves `sink` open.
    """
    return cast("BinaryIO", _Packed(cast("BinaryIO", sink)))


class _Packed(io.BufferedIOBase):
    """A gzip stream that is written. What the packer gives depends on how it is fed: always so."""

    def __init__(self, sink: BinaryIO) -> None:
        from isal import isal_zlib

        self._sink = sink
        gzip_window = 31
        self._packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, gzip_window)
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        if self.closed:
            raise ValueError("the gzip stream has ended")
        content = memoryview(data).cast("B")
        at = 0
        while len(self._held) + len(content) - at >= _PACKED_AT_ONCE:
            end = at + _PACKED_AT_ONCE - len(self._held)
            self._held += content[at:end]
            self._sink.write(self._packer.compress(self._held))
            self._held.clear()
            at = end
        self._held += content[at:]
        return len(content)

    def close(self) -> None:
        if not self.closed:
            try:
                self._sink.write(self._packer.compress(self._held) + self._packer.flush())
            finally:
                super().close()


@contextmanager
def text_into(
    sink: Sink, encoding: str, newline: str | None, *, packed: bool
) -> Iterator[io.TextIOWrapper]:
    """Give a text stream into `sink`, through gzip if `packed`. An error writes no more."""
    inner = cast("BinaryIO", compressed(cast("BinaryIO", sink)) if packed else sink)
    text = io.TextIOWrapper(inner, encoding, newline=newline)
    try:
        yield text
    except BaseException:
        # First of all: gzip writes its end even when it is only collected.
        sink.discard()
        raise
    if not text.closed:
        text.close()


def decompressed(
    file: BinaryIO, *, where: str, required: bool = False, max_bytes: int | None = None
) -> BinaryIO:
    """Return the content behind `file`, unpacked if it begins as gzip does.

    Args:
        where: The object's address, for messages.
        required: Refuse content that is not gzip.
        max_bytes: How far it may grow. By default 4 GiB, and beyond 256 MiB no more than 500
            times the stored size.
    """
    magic = file.read(2)
    file.seek(0)
    if magic == _GZIP:
        return io.BufferedReader(_Unpacked(file, where, max_bytes), _BLOCK)
    if required:
        found = "empty" if not magic else "not gzip"
        raise ValueError(f"{where} is {found}; expected gzip-compressed content")
    return file


def check_growth(size: int, where: str, max_bytes: int | None) -> None:
    """Refuse content of `size` bytes when decompressed, beyond a limit that is 4 GiB by default.

    Raises:
        UnsafeContent: it is larger.
    """
    limit = MAX_BYTES if max_bytes is None else max_bytes
    if size > limit:
        raise UnsafeContent(
            f"{where} grows beyond {limit:,} bytes when decompressed; if it is what you expect, "
            "give a larger max_bytes="
        )


class _Unpacked(io.RawIOBase):
    """What a gzip stream holds, up to a limit, with errors that name the object."""

    def __init__(self, file: BinaryIO, where: str, max_bytes: int | None) -> None:
        from isal import igzip, isal_zlib

        self._file = file
        self._gzip = cast("gzip.GzipFile", igzip.open(file, "rb"))
        # Its own types say that the error is an Exception's instance; it is a class.
        self._damage = cast("tuple[type[Exception], ...]", (gzip.BadGzipFile, isal_zlib.error))
        self._where = where
        self._limit = MAX_BYTES if max_bytes is None else max_bytes
        self._any_ratio = max_bytes is not None
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            count = self._gzip.readinto(buffer)
        except EOFError as error:
            raise ValueError(
                f"{self._where} is cut short: its gzip stream has no end; write it again"
            ) from error
        except self._damage as error:
            raise ValueError(f"{self._where} is damaged gzip: {error}; write it again") from error
        self._total += count
        self._check()
        return count

    def _check(self) -> None:
        check_growth(self._total, self._where, self._limit)
        if self._any_ratio or self._total < _RATIO_COUNTS_FROM:
            return
        if self._total > _MAX_RATIO * self._file.tell():
            raise UnsafeContent(
                f"{self._where} grows to more than {_MAX_RATIO} times its size when "
                "decompressed, as a gzip bomb does; if it is what you expect, give max_bytes="
            )


class Sink(io.BufferedIOBase):
    """What an `open(uri, "wb")` block writes to.

    Wrappers may close it: only the end of the block publishes. After that nothing more can be
    written. After an error, what a wrapper still holds and writes when it is collected goes
    nowhere.

    Attributes:
        stored: The stored object, once the block has ended.
    """

    stored: StoredObject

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer: ObjectWriter | None = writer

    def writable(self) -> bool:
        """As io asks."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Hand all of the data on."""
        if self._writer is None:
            return memoryview(data).nbytes
        if self.closed:
            raise ValueError("the object's block has ended, or a wrapper has closed the object")
        return self._writer.write(bytes(data))

    def discard(self) -> None:
        """Let everything that is still written go nowhere."""
        self._writer = None

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
