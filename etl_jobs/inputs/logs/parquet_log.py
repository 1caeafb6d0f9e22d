"""Parquet, with the types that its columns have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.errors import InputError
from etl_jobs.inputs.logs.columns import named, refuse_repeated

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    import pyarrow as pa

_ROWS = 65_536


class ParquetLog:
    """An open file: see `LogFile`."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._path = path
        try:
            self._file = parquet.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error
        self.columns = tuple(self._file.schema_arrow.names)
        refuse_repeated(self.columns, path.name)

    def batches(self, names: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
        """Return the rows, these columns only."""
        import pyarrow as pa

        present = {name: name for name in names if name in self.columns}
        batches = self._file.iter_batches(
            batch_size=_ROWS, columns=list(present) or self.columns[:1]
        )
        try:
            for batch in batches:
                # Parquet says that its texts are UTF-8; nobody has looked yet.
                batch.validate(full=True)
                yield named(batch, present, names)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _broken(self, error: Exception) -> InputError:
        reason = str(error).splitlines()[0]
        return InputError(f"{self._path.name} is not a sound Parquet file: {reason}")
