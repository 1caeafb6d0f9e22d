"""The warehouse's one file, which processes open by turns."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from google.api_core.exceptions import ServiceUnavailable

from gcp_accessor.backends.duckdb.errors import MEMORY_VARIABLE, disk_errors
from gcp_accessor.byte_sizes import parse_bytes
from gcp_accessor.errors import QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

# Between two attempts to open a file that another process holds.
_PAUSE_SECONDS = 0.02
_STALE_SECONDS = 86_400
# Another process has the file; a thread of this one is just giving it up.
_NOT_NOW = ("Could not set lock on file", "Unique file handle conflict")
_WAIT_VARIABLE = "GCP_ACCESSOR_LOCAL_WAIT"
_DEFAULT_WAIT_SECONDS = 30.0
# Statements that write take turns within a process, where DuckDB would let one of two fail.
_WRITING: dict[Path, threading.RLock] = {}
_WRITING_GUARD = threading.Lock()


def _forget_turns() -> None:
    # The thread that has its turn when a process is forked is not there in the new one.
    _WRITING.clear()
    _WRITING_GUARD.release()


os.register_at_fork(
    before=_WRITING_GUARD.acquire,
    after_in_parent=_WRITING_GUARD.release,
    after_in_child=_forget_turns,
)


class DatabaseFile:
    """Opens `DIR/warehouse.duckdb` for one operation at a time.

    DuckDB admits one process that writes. The file is opened for each operation (about
    10 ms) and closed after it, so several processes share a folder by turns; threads of one
    process share the open file.

    Attributes:
        wait_seconds: How long to wait for another process. GCP_ACCESSOR_LOCAL_WAIT, or 30.
        memory_bytes: What a statement may hold in memory; more of it goes through the disk.
            GCP_ACCESSOR_LOCAL_MEMORY, or None: DuckDB's own four fifths of the machine.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / "warehouse.duckdb"
        self.scratch = root / ".gcp_accessor" / "warehouse"
        self.wait_seconds = float(os.environ.get(_WAIT_VARIABLE, _DEFAULT_WAIT_SECONDS))
        self.memory_bytes = _memory_bytes()
        self._swept = False
        with _WRITING_GUARD:
            self._writing = _WRITING.setdefault(self.path.absolute(), threading.RLock())

    @contextmanager
    def open(
        self, *, writes: bool = False, timeout: float | None = None
    ) -> Iterator[DuckDBPyConnection]:
        """Yield a connection that works in UTC.

        Raises:
            QueryTimeout: others were at work for longer than `timeout` seconds.
            ServiceUnavailable: another process held the file for longer than wait_seconds.
            OSError: the file cannot be written or read, as on a full disk.
        """
        began = time.monotonic()
        with self._turn(timeout) if writes else nullcontext(), disk_errors(self.path):
            left = None if timeout is None else timeout - (time.monotonic() - began)
            connection = self._connect(left)
            try:
                connection.execute("SET TimeZone = 'UTC'")
                _quiet(connection)
                yield connection
            finally:
                connection.close()

    @contextmanager
    def transaction(self, timeout: float | None = None) -> Iterator[DuckDBPyConnection]:
        """Yield a connection whose writes are all kept, on disk, when the block ends, or none."""
        with self.open(writes=True, timeout=timeout) as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                # An error of DuckDB's may have ended the transaction already.
                with suppress(_duckdb_error()):
                    connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _turn(self, timeout: float | None) -> Iterator[None]:
        if not self._writing.acquire(timeout=-1 if timeout is None else max(timeout, 0.0)):
            raise QueryTimeout(
                f"other statements wrote to {self.path} for {timeout:.3g} s, all the time that "
                "this one had; it was cancelled"
            )
        try:
            yield
        finally:
            self._writing.release()

    def _connect(self, timeout: float | None) -> DuckDBPyConnection:
        import duckdb

        self._sweep()
        settings: dict[str, str | bool | int | float | list[str]] = {
            "temp_directory": str(self.scratch / "duckdb"),
            # A name in a statement is a table; never a file, a variable or the network.
            "autoinstall_known_extensions": "false",
            "python_enable_replacements": "false",
        }
        if self.memory_bytes is not None:
            settings["memory_limit"] = f"{self.memory_bytes}B"
        if not self.path.exists():
            self._create()
        wait = self.wait_seconds if timeout is None else min(timeout, self.wait_seconds)
        deadline = time.monotonic() + wait
        while True:
            try:
                return duckdb.connect(str(self.path), config=settings)
            except duckdb.Error as error:
                if not any(sign in str(error) for sign in _NOT_NOW):
                    raise
                if time.monotonic() >= deadline:
                    raise self._unavailable(error, is_late=wait < self.wait_seconds) from error
            time.sleep(_PAUSE_SECONDS)

    def _unavailable(self, error: Exception, *, is_late: bool) -> Exception:
        """Return what is said when the file was not free in time."""
        # A holder that lets go in this very moment is named by no name, or not at all.
        held = re.search(r"lock is held in (.*?\(?PID (\d+)\)?)", str(error))
        name, process = (held[1], held[2]) if held else ("of no known name", "it")
        if is_late:
            return QueryTimeout(
                f"{self.path} was held by another process, {name}, for all the time that this "
                "statement had; it was cancelled"
            )
        unavailable = ServiceUnavailable(
            f"{self.path} is held by another process, {name}, and was not free within "
            f"{self.wait_seconds:g} s"
        )
        unavailable.add_note(
            f"Wait for process {process} to end, or set {_WAIT_VARIABLE} to more seconds."
        )
        return unavailable

    def _create(self) -> None:
        """Make an empty warehouse aside, then put it into its place.

        Made there, a file cut short by a full disk or a kill could never be opened again.
        """
        import duckdb

        new = self.scratch / f"{uuid4().hex}.duckdb"
        try:
            duckdb.connect(str(new)).close()
            # Of two processes the first one's stays.
            with suppress(FileExistsError):
                os.link(new, self.path)
        finally:
            new.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what killed processes left behind; nothing works for a day on one file."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        if self._swept:
            return
        self._swept = True
        for entry in self.scratch.iterdir():
            # Another process may sweep as well.
            with suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _memory_bytes() -> int | None:
    text = os.environ.get(MEMORY_VARIABLE)
    try:
        return None if text is None else parse_bytes(text)
    except ValueError as error:
        raise ValueError(f"{MEMORY_VARIABLE} is wrong: {error}") from None


def _quiet(connection: DuckDBPyConnection) -> None:
    """Have DuckDB draw no progress bar of its own, as it does in a terminal or a notebook."""
    # In a notebook without ipywidgets it has none, and refuses to be told so.
    [[drawn]] = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    if drawn:
        connection.execute("SET enable_progress_bar = false")


def _duckdb_error() -> type[Exception]:
    import duckdb

    return duckdb.Error
