"""The bytes of a text file, decompressed and checked while they are read.

Each check says where in the file the trouble is, before any parser trips over it.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from etl_jobs.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

# How much is read at a time, and the longest row. More would only hold more in memory.
BLOCK_BYTES = 2 << 20
# Logs shrink to a fifth or a twentieth. A file that grows far beyond that was made to.
_FREE_BYTES = 1 << 30
_MAX_GROWTH = 250

_OTHER_CONTENT = {
    b"\x1f\x8b": "is gzip-compressed; name it {name}.gz",
    b"PAR1": "is a Parquet file; name it so that it ends in .parquet",
    b"PK\x03\x04": "is a zip archive or an Excel workbook; save it as CSV",
    b"\xff\xfe": "is UTF-16; convert it with: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "is UTF-16; convert it with: iconv -f UTF-16 -t UTF-8",
}
_BOM = b"\xef\xbb\xbf"


class CheckedText(io.RawIOBase):
    """The UTF-8 text of a plain or `.gz` file, without a byte order mark.

    Memory stays flat. Reading raises InputError at a broken or bottomless gzip stream, at a
    NUL byte, and at the first byte that is not UTF-8.

    Attributes:
        quotes: How many '"' were read so far.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._size = path.stat().st_size
        self._plain: BinaryIO = path.open("rb")
        self._source: BinaryIO = self._plain
        self._position = 0
        self._unfinished = b""
        self._start = b""
        self.quotes = 0
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        if self._name.lower().endswith(".gz"):
            magic = self._plain.read(2)
            if magic and magic != b"\x1f\x8b":
                raise InputError(
                    f"{self._name} is not gzip-compressed, although its name says so; rename it "
                    f"to {self._name[:-3]} if it is plain text"
                )
            self._plain.seek(0)
            self._source = cast("BinaryIO", gzip.GzipFile(fileobj=self._plain))
        start = self._read(4)
        for magic, advice in _OTHER_CONTENT.items():
            if start.startswith(magic):
                raise InputError(f"{self._name} {advice.format(name=self._name)}")
        self._start = start.removeprefix(_BOM)
        self._position = len(start) - len(self._start)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer with checked bytes and return how many; 0 at the end."""
        view = memoryview(buffer).cast("B")
        chunk, self._start = self._start[: len(view)], self._start[len(view) :]
        chunk += self._read(len(view) - len(chunk))
        self._check(chunk)
        view[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Close the file."""
        # A GzipFile leaves the file under it open.
        self._source.close()
        self._plain.close()
        super().close()

    def _read(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except EOFError as error:
            raise InputError(
                f"{self._name} is a broken gzip file: it ends too early; copy it again"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"{self._name} is a broken gzip file: {error}; copy it again"
            ) from error
        except OSError as error:
            raise InputError(f"{self._name} cannot be read: {error.strerror}") from error

    def _check(self, chunk: bytes) -> None:
        if not chunk and self._unfinished:
            raise self._not_utf8(self._unfinished, 0)
        nul = chunk.find(b"\0")
        if nul >= 0:
            raise InputError(
                f"{self._name} holds a NUL byte at byte {self._position + nul:,}; expected text "
                "in UTF-8"
            )
        text = self._unfinished + chunk
        try:
            text.decode("utf-8")
            self._unfinished = b""
        except UnicodeDecodeError as error:
            # A character may continue in the next chunk.
            if error.end != len(text) or error.reason != "unexpected end of data":
                raise self._not_utf8(text, error.start) from None
            self._unfinished = text[error.start :]
        self._position += len(chunk)
        self.quotes += chunk.count(b'"')
        if self._position > max(_FREE_BYTES, _MAX_GROWTH * self._size):
            raise InputError(
                f"{self._name} grows from {self._size:,} to more than {self._position:,} bytes "
                "when decompressed; if it is meant to, decompress it first"
            )

    def _not_utf8(self, text: bytes, start: int) -> InputError:
        position = self._position - len(self._unfinished) + start
        return InputError(
            f"{self._name} is not UTF-8: byte 0x{text[start]:02x} at byte {position:,}; convert "
            "it, for example with: iconv -f WINDOWS-1252 -t UTF-8"
        )
