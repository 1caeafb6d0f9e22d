"""A log as it lies on disk, CSV, NDJSON or Parquet, as batches of named columns.

CSV gives every column as text. NDJSON and Parquet keep the types they have. Memory stays
flat: a block at a time.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from etl_jobs.checked_text import CheckedText
from etl_jobs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

# Also the longest row of a text file.
BLOCK_BYTES = 8 << 20
_PARQUET_ROWS = 65_536


class LogFile(Protocol):
    """An open log.

    Attributes:
        columns: The columns it holds. NDJSON may bring more later on.
    """

    columns: tuple[str, ...]

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Return the rows, these columns only. One that the file lacks is NULL in every row."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_log(path: Path) -> LogFile:
    """Return the log in a file, its format told by the file's name.

    Raises:
        InputError: there is no such file, it is empty, or it is not what its name says.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a file")
        if not path.exists():
            raise InputError(f"there is no file {path}")
        if not path.is_file():
            raise InputError(f"{path} is not a plain file")
        kind = _kind(path.name)
        if path.stat().st_size == 0:
            raise InputError(f"{path.name} is empty")
        if kind == "parquet":
            return _ParquetLog(path)
        text = CheckedText(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return _CsvLog(path, text) if kind == "csv" else _NdjsonLog(path, text)
    except BaseException:
        text.close()
        raise


def _kind(name: str) -> Literal["csv", "ndjson", "parquet"]:
    lower = name.lower()
    if lower.endswith((".csv", ".csv.gz")):
        return "csv"
    if lower.endswith((".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")):
        return "ndjson"
    if lower.endswith(".parquet"):
        return "parquet"
    raise InputError(
        f"the ending of {name} stands for no format that is read; expected .csv, .ndjson or "
        ".jsonl, each perhaps with .gz behind it, or .parquet"
    )


# --- CSV -----------------------------------------------------------------------------------


class _CsvLog:
    def __init__(self, path: Path, text: CheckedText) -> None:
        self._path = path
        self._text = text
        self._stream = io.BufferedReader(text, BLOCK_BYTES)
        try:
            self.columns = tuple(next(self._rows(self._stream), ()))
        except csv.Error as error:
            raise InputError(f"{path.name}: the header cannot be read: {error}") from error
        if not self.columns:
            raise InputError(f"{path.name} is empty")
        _refuse_repeated(self.columns, path.name)

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        if not self._stream.peek(1):
            return
        # Numbers as names: a header may name a column that is not read twice, or not at all.
        numbers = {name: str(self.columns.index(name)) for name in names if name in self.columns}
        included = list(numbers.values()) or ["0"]
        options = {
            "read_options": arrow_csv.ReadOptions(
                block_size=BLOCK_BYTES,
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
                    held = _named(batch, numbers, names)
        except pa.ArrowInvalid as error:
            raise self._explained(error) from error
        if self._text.quotes % 2:
            self._refuse_open_quote()
        if held is not None:
            yield held

    def close(self) -> None:
        self._stream.close()

    def _rows(self, stream: BinaryIO, *, strict: bool = False) -> Iterator[list[str]]:
        """Return the rows as Python reads them, for the header and to find what is wrong."""
        lines = (
            line.decode("utf-8", "replace")
            for line in iter(lambda: stream.readline(BLOCK_BYTES), b"")
        )
        return (row for row in csv.reader(lines, strict=strict) if row)

    def _explained(self, error: Exception) -> InputError:
        """Return the error with the row that Arrow does not name."""
        name = self._path.name
        if "straddling" in str(error):
            return InputError(
                f"{name} holds a row of more than {BLOCK_BYTES >> 20} MiB; is a quote not closed?"
            )
        with io.BufferedReader(CheckedText(self._path)) as again:
            for number, row in enumerate(self._rows(again)):
                if len(row) != len(self.columns):
                    found = "1 field" if len(row) == 1 else f"{len(row)} fields"
                    return InputError(
                        f"{name} row {number} has {found}; expected {len(self.columns)} as in "
                        "the header"
                    )
        return InputError(f"{name} cannot be read as CSV: {error}")

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


# --- NDJSON --------------------------------------------------------------------------------


class _NdjsonLog:
    def __init__(self, path: Path, text: CheckedText) -> None:
        self._name = path.name
        self._stream = io.BufferedReader(text, BLOCK_BYTES)
        self._first = next(self._blocks(), None)
        if self._first is None:
            raise InputError(f"{path.name} is empty")
        self.columns = tuple(self._first.columns)

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if self._first is not None:
            yield self._first.batch(names)
            rows, self._first = self._first.rows, None
            for block in self._blocks(first_row=rows + 1):
                yield block.batch(names)

    def close(self) -> None:
        self._stream.close()

    def _blocks(self, first_row: int = 1) -> Iterator[_Records]:
        while text := self._stream.read(BLOCK_BYTES):
            rest = self._stream.readline(BLOCK_BYTES)
            if len(rest) == BLOCK_BYTES:
                raise InputError(f"{self._name} holds a row of more than {BLOCK_BYTES >> 20} MiB")
            if (text + rest).strip():
                block = _Records(self._name, text + rest, first_row)
                first_row += block.rows
                yield block


class _Records:
    """The records of some lines, one column a time.

    Arrow reads them when it can; where it cannot, Python reads them line by line, to find the
    line that is wrong, or because values of several types stand in one column.
    """

    def __init__(self, name: str, text: bytes, first_row: int) -> None:
        self._name = name
        self._first_row = first_row
        self.columns: dict[str, pa.ChunkedArray | list[object]]
        table = _arrow_records(text)
        if table is not None:
            self.rows = table.num_rows
            self.columns = dict(zip(table.column_names, table.columns, strict=True))
        else:
            records = self._python_records(text)
            self.rows = len(records)
            names = dict.fromkeys(name for record in records for name in record)
            self.columns = {name: [record.get(name) for record in records] for name in names}

    def batch(self, names: Sequence[str]) -> pa.RecordBatch:
        import pyarrow as pa

        return pa.record_batch([self._array(name) for name in names], names=list(names))

    def _array(self, name: str) -> pa.Array:
        import pyarrow as pa

        values = self.columns.get(name)
        if values is None:
            return pa.nulls(self.rows)
        if not isinstance(values, list):
            return values.combine_chunks()
        types = {type(value) for value in values if value is not None}
        if types in ({int, float}, {float}):
            return pa.array(values, pa.float64())
        if types == {bool}:
            return pa.array(values, pa.bool_())
        return pa.array([self._text(name, row, value) for row, value in enumerate(values)])

    def _text(self, name: str, row: int, value: object) -> str | None:
        if value is None or isinstance(value, str):
            text = value
        elif isinstance(value, bool | int | float):
            text = json.dumps(value)
        else:
            raise InputError(
                f"{self._name} row {self._first_row + row}: {name} is {str(value)[:60]!r}; "
                "expected one text, number or boolean"
            )
        return text

    def _python_records(self, text: bytes) -> list[dict[str, object]]:
        lines = [line for line in text.split(b"\n") if line.strip()]
        return [self._record(line, row) for row, line in enumerate(lines, self._first_row)]

    def _record(self, line: bytes, row: int) -> dict[str, object]:
        try:
            record = json.loads(line)
            # Half of a character that JSON spells in two: no text holds it.
            json.dumps(record, ensure_ascii=False).encode("utf-8")
        except RecursionError:
            raise InputError(f"{self._name} row {row} is nested too deeply") from None
        except UnicodeEncodeError as error:
            raise InputError(f"{self._name} row {row} is not Unicode: {error.reason}") from None
        except ValueError as error:
            raise InputError(f"{self._name} row {row} is not JSON: {error}") from None
        if not isinstance(record, dict):
            raise InputError(
                f"{self._name} row {row} is {str(line[:60], 'utf-8', 'replace')!r}; expected one "
                'object a line, such as {"answer_id": "1"}'
            )
        return record


def _arrow_records(text: bytes) -> pa.Table | None:
    """Return the records, or None where Arrow fails or would change a value."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import json as arrow_json

    def read(texts: Iterable[str] = ()) -> pa.Table:
        schema = pa.schema([(name, pa.string()) for name in texts])
        options = arrow_json.ParseOptions(explicit_schema=schema)
        return arrow_json.read_json(pa.BufferReader(text), parse_options=options)

    try:
        table = read()
        # It takes an id such as "2024-03-01" for a time.
        times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
        table = read(times) if times else table
    except pa.ArrowInvalid:
        return None
    for field, column in zip(table.schema, table.columns, strict=True):
        # A whole number beyond INT64 became a float, and may have lost digits.
        if (
            pa.types.is_floating(field.type)
            and pc.any(pc.greater_equal(pc.abs(column), 2.0**53)).as_py()
        ):
            return None
    return table


# --- Parquet -------------------------------------------------------------------------------


class _ParquetLog:
    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._path = path
        try:
            self._file = parquet.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error
        self.columns = tuple(self._file.schema_arrow.names)
        _refuse_repeated(self.columns, path.name)

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        present = {name: name for name in names if name in self.columns}
        batches = self._file.iter_batches(
            batch_size=_PARQUET_ROWS, columns=list(present) or self.columns[:1]
        )
        try:
            for batch in batches:
                # Parquet says that its texts are UTF-8; nobody has looked yet.
                batch.validate(full=True)
                yield _named(batch, present, names)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def close(self) -> None:
        self._file.close()

    def _broken(self, error: Exception) -> InputError:
        reason = str(error).splitlines()[0]
        return InputError(f"{self._path.name} is not a sound Parquet file: {reason}")


# --- All of them ---------------------------------------------------------------------------


def _named(batch: pa.RecordBatch, columns: dict[str, str], names: Sequence[str]) -> pa.RecordBatch:
    """Return the wanted columns in order, `columns` being what the batch calls them."""
    import pyarrow as pa

    arrays = [
        batch.column(columns[name]) if name in columns else pa.nulls(batch.num_rows)
        for name in names
    ]
    return pa.record_batch(arrays, names=list(names))


def _refuse_repeated(columns: Sequence[str], name: str) -> None:
    for column, times in Counter(columns).items():
        if times > 1 and column:
            raise InputError(f"{name} has {times} columns named {column!r}; expected one")
