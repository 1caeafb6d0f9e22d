"""DuckDB's errors as Google's."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from google.api_core.exceptions import BadRequest

from gcp_accessor.errors import UnsupportedLocally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY_VARIABLE = "GCP_ACCESSOR_LOCAL_MEMORY"
_UNSUPPORTED = "UNSUPPORTED: "
_NO_SIGNATURE = re.compile(
    r"Macro (?:gs|x)_(safe_)?((?:cast_)?\w+)\(\) does not support the supplied arguments"
)
_AMBIGUOUS = re.compile(r"Macro (?:gs|x)_(safe_)?((?:cast_)?\w+)\(\) has multiple overloads")


@contextmanager
def google_errors() -> Iterator[None]:
    """Raise what DuckDB says of a statement as BadRequest, or as UnsupportedLocally.

    What is not about the statement (a full disk, a broken file, an interruption) passes.
    """
    import duckdb

    statement_errors = (
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.ConstraintException,
        duckdb.ConversionException,
        duckdb.InvalidInputException,
        duckdb.InvalidTypeException,
        duckdb.NotImplementedException,
        duckdb.OutOfRangeException,
        duckdb.ParserException,
        duckdb.SyntaxException,
        duckdb.TypeMismatchException,
    )
    try:
        yield
    except statement_errors as error:
        # DuckDB's own words are about SQL that the caller has never seen.
        raise translated(error) from None
    except duckdb.OutOfMemoryException as error:
        # As BigQuery says it, which has no memory without an end either.
        exceeded = BadRequest(f"Resources exceeded during query execution: {_first_line(error)}")
        exceeded.add_note(f"Set {MEMORY_VARIABLE} to more, such as 4 GB, or ask for less at once.")
        raise exceeded from None


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise what DuckDB says of its file as OSError: a full disk, a folder it cannot write.

    Ctrl-C during a query, of which DuckDB makes an error, is KeyboardInterrupt again.
    """
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.TransactionException) as error:
        text = _first_line(error)
        # A commit that cannot be written is told as the end of its transaction.
        if isinstance(error, duckdb.TransactionException) and "commit: Could not" not in text:
            raise
        failed = OSError(text.removeprefix("Failed to commit: "))
        failed.add_note(f"check that {path.parent} can be written and that its disk has room")
        raise failed from error
    except (duckdb.InterruptException, RuntimeError) as error:
        # Nobody else interrupts: a timeout has become a QueryTimeout before.
        if isinstance(error, duckdb.InterruptException) or str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def _first_line(error: Exception) -> str:
    return re.sub(r"^[A-Z][\w ]*? Error: ", "", str(error)).split("\n")[0]


def translated(error: Exception) -> Exception:
    """The error that BigQuery would raise where DuckDB raised `error`."""
    text = str(error).split("\n\nLINE ")[0].split("\nLINE ")[0]
    message = re.sub(r"^[A-Z][\w ]*? Error: ", "", text)
    if _UNSUPPORTED in message:
        refused = UnsupportedLocally(
            f"the local warehouse does not run {message.split(_UNSUPPORTED, 1)[1]}"
        )
        refused.add_note("Write it another way, or run it on BigQuery itself.")
        return refused
    if match := _NO_SIGNATURE.search(message) or _AMBIGUOUS.search(message):
        name = match[2].upper()
        return BadRequest(f"No matching signature for {name} with arguments of these types")
    return BadRequest(message)
