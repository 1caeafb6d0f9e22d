"""The errors Google has no type for.

Everything else is raised as `google.api_core.exceptions`, by Google and by the local
backend alike, with a note (`BaseException.add_note`) that says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class CostLimitExceeded(Exception):
    """The query would read more bytes than its limit or budget allows. Nothing was run."""


class QueryTimeout(TimeoutError):
    """The wall clock ran out. The job was cancelled and no longer costs anything."""


class ResultTooLarge(ValueError):
    """The result takes more memory than was allowed. The query has run, and keeps its rows."""


class LoadFailed(Exception):
    """Some rows could not be loaded, and none were.

    Attributes:
        errors: One sentence for each offending row, as far as the engine told.
    """

    def __init__(self, message: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(message, errors)
        self.message = message
        self.errors = errors

    def __str__(self) -> str:
        return "\n  ".join((self.message, *self.errors))


class UnsafeContent(ValueError):
    """The object grows beyond its limit when decompressed, or is a pickle nobody vouched for."""


class SchemaMismatch(ValueError):
    """The data's columns or types are not those that were promised."""


class TransferFailed(Exception):
    """Some of many files could not be transferred. Those that could are whole and in place.

    Its `__cause__` is the first of the errors.

    Attributes:
        errors: What failed, as an address or a path, with the error of each.
        finished: What was transferred, as the call would have returned it.
        unfinished: What was not begun, or cut off when the transfer ended.
    """

    def __init__(
        self,
        message: str,
        errors: Mapping[str, Exception],
        finished: tuple[object, ...],
        unfinished: tuple[str, ...],
    ) -> None:
        super().__init__(message, errors, finished, unfinished)
        self.message = message
        self.errors = errors
        self.finished = finished
        self.unfinished = unfinished

    def __reduce__(self) -> tuple[object, ...]:
        # As an OSError, which every TimeoutError is, it would keep no arguments like these.
        arguments = (self.message, self.errors, self.finished, self.unfinished)
        # Its notes are among what it holds.
        return type(self), arguments, self.__dict__

    def __str__(self) -> str:
        return self.message


class TransferTimeout(TransferFailed, TimeoutError):
    """The deadline of a transfer ran out; the files that it finished are whole and in place."""


class CorruptRun(Exception):
    """A published run is not what its manifest says: an object is gone, changed or unreadable."""


class UnsupportedLocally(NotImplementedError):
    """SQL or an operation that the local engine will not guess. It runs on Google Cloud."""


class MissingExtra(ImportError):
    """An optional dependency is not installed. The message is the command that installs it."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(purpose, extra)
        self.purpose = purpose
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.purpose} needs: pip install 'gcp-accessor[{self.extra}]'"
