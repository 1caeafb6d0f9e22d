"""Newline-delimited JSON, one object a line, with the types that its values have."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from etl_jobs.errors import InputError
from etl_jobs.inputs.logs import checked_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from etl_jobs.inputs.logs.checked_text import CheckedText


class NdjsonLog:
    """An open file: see `LogFile`."""

    def __init__(self, path: Path, text: CheckedText) -> None:
        self._name = path.name
        self._stream = io.BufferedReader(text, checked_text.BLOCK_BYTES)
        self._first = next(self._blocks(), None)
        if self._first is None:
            raise InputError(f"{path.name} is empty")
        self.columns = tuple(self._first.columns)

    def batches(self, names: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
        """Return the rows, these columns only."""
        if self._first is not None:
            yield self._first.batch(names)
            rows, self._first = self._first.rows, None
            for block in self._blocks(first_row=rows + 1):
                yield block.batch(names)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _blocks(self, first_row: int = 1) -> Iterator[_Records]:
        while text := self._stream.read(checked_text.BLOCK_BYTES):
            rest = self._stream.readline(checked_text.BLOCK_BYTES)
            if len(rest) == checked_text.BLOCK_BYTES:
                raise InputError(
                    f"{self._name} holds a row of more than {checked_text.BLOCK_BYTES >> 20} MiB"
                )
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
        table = arrow_records(text)
        if table is not None:
            self.rows = table.num_rows
            self.columns = dict(zip(table.column_names, table.columns, strict=True))
        else:
            records = self._python_records(text)
            self.rows = len(records)
            names = dict.fromkeys(name for record in records for name in record)
            self.columns = {name: [record.get(name) for record in records] for name in names}

    def batch(self, names: Sequence[str]) -> pa.RecordBatch:
        """Return these columns. One that no record has is NULL in every row."""
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


def arrow_records(text: bytes) -> pa.Table | None:
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
