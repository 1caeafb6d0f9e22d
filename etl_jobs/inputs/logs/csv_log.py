"""CSV with a header, every value as text."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from etl_jobs.errors import InputError
from etl_jobs.inputs.logs import checked_text
from etl_jobs.inputs.logs.checked_text import CheckedText
from etl_jobs.inputs.logs.columns import named, refuse_repeated

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa


class CsvLog:
    """An open file: see `LogFile`."""

    def __init__(self, path: Path, text: CheckedText) -> None:
        self._path = path
        self._text = text
        self._stream = io.BufferedReader(text, checked_text.BLOCK_BYTES)
        try:
            self.columns = tuple(next(self._rows(self._stream), ()))
        except csv.Error as error:
            raise InputError(f"{path.name}: the header cannot be read: {error}") from error
        if not self.columns:
            raise InputError(f"{path.name} is empty")
        refuse_repeated(self.columns, path.name)

    def batches(self, names: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
        """Return the rows, these columns only."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        if not self._stream.peek(1):
            return
        # Numbers as names: a header may name a column that is not read twice, or not at all.
        numbers = {name: str(self.columns.index(name)) for name in names if name in self.columns}
        included = list(numbers.values()) or ["0"]
        options = {
            "read_options": arrow_csv.ReadOptions(
                block_size=checked_text.BLOCK_BYTES,
                column_names=[str(number) for number in range(len(self.columns))],
            ),
            "parse_options": arrow_csv.ParseOptions(newlines_in_values=True),
            "convert_options": arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(included, pa.string()),
                include_columns=included,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        }
        try:
            with arrow_csv.open_csv(pa.PythonFile(self._stream, mode="r"), **options) as reader:
                # One batch is held back: a quote left open spoils no other than the last.
                held = None
                for batch in reader:
                    if held is not None:
                        yield held
                    held = named(batch, numbers, names)
        except pa.ArrowInvalid as error:
            raise self._explained(error) from error
        if self._text.quotes % 2:
            self._refuse_open_quote()
        if held is not None:
            yield held

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _rows(self, stream: BinaryIO, *, strict: bool = False) -> Iterator[list[str]]:
        """Return the rows as Python reads them, for the header and to find what is wrong."""
        lines = (
            line.decode("utf-8", "replace")
            for line in iter(lambda: stream.readline(checked_text.BLOCK_BYTES), b"")
        )
        # Python's own limit, 128 KiB, would stop at a field that Arrow reads.
        csv.field_size_limit(max(csv.field_size_limit(), checked_text.BLOCK_BYTES))
        return (row for row in csv.reader(lines, strict=strict) if row)

    def _explained(self, error: Exception) -> InputError:
        """Return the error with the row that Arrow does not name."""
        name = self._path.name
        if "straddling" in str(error):
            most = checked_text.BLOCK_BYTES >> 20
            return InputError(f"{name} holds a row of more than {most} MiB; is a quote not closed?")
        # Where Python finds nothing wrong, Arrow's own words have to do.
        with io.BufferedReader(CheckedText(self._path)) as again, suppress(csv.Error):
            for number, row in enumerate(self._rows(again)):
                if len(row) != len(self.columns):
                    found = "1 field" if len(row) == 1 else f"{len(row)} fields"
                    return InputError(
                        f"{name} row {number} has {found}; expected {len(self.columns)} as in "
                        "the header"
                    )
        return InputError(f"{name} cannot be read as CSV: {str(error)[:200]}")

    def _refuse_open_quote(self) -> None:
        """Refuse a quote that swallows the rest of the file; Arrow lets it pass."""
        number = 0
        with io.BufferedReader(CheckedText(self._path)) as again:
            try:
                for _ in self._rows(again, strict=True):
                    number += 1
            except csv.Error:
                raise InputError(
                    f"{self._path.name} row {number}: a quote is not closed; inside a quoted "
                    'value a quote is written twice, ""'
                ) from None
