"""The statements of an upsert. Names alone are written into them, quoted; values never are."""

# ruff: noqa: S608 - a name cannot be a query parameter, and each one is checked and quoted

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcp_accessor.schema import TableName

TIMES = "gcp_accessor_times"


@dataclass(frozen=True, slots=True)
class Merge:
    """Staged rows on their way into a table.

    Attributes:
        columns: What the staged rows bring, the key among it.
        partition_by: The key's column that splits the table by day, if one does.
    """

    table: TableName
    staged: TableName
    key: tuple[str, ...]
    columns: tuple[str, ...]
    partition_by: str | None = None

    def wrong_keys(self, limit: int) -> str:
        """The statement that finds keys which several rows have, or which hold a NULL."""
        key = ", ".join(map(_quoted, self.key))
        nulls = " OR ".join(f"{_quoted(name)} IS NULL" for name in self.key)
        return (
            f"SELECT {key}, COUNT(*) AS {TIMES} FROM {_table(self.staged)} GROUP BY {key} "
            f"HAVING COUNT(*) > 1 OR {nulls} ORDER BY {key} LIMIT {limit}"
        )

    def days(self) -> str:
        """The statement that finds between which values of the partition column the rows lie."""
        by = _quoted(self.partition_by or "")
        return f"SELECT MIN({by}) AS first, MAX({by}) AS last FROM {_table(self.staged)}"

    def statement(self) -> str:
        """The MERGE. With a partition column it takes the parameters @first and @last."""
        condition = " AND ".join(
            f"target.{_quoted(name)} = staged.{_quoted(name)}" for name in self.key
        )
        if self.partition_by is not None:
            # It follows from the key, but only constants let BigQuery leave partitions unread.
            condition += f" AND target.{_quoted(self.partition_by)} BETWEEN @first AND @last"
        others = [name for name in self.columns if name not in self.key]
        changes = ", ".join(f"{_quoted(name)} = staged.{_quoted(name)}" for name in others)
        update = f"WHEN MATCHED THEN UPDATE SET {changes} " if changes else ""
        listed = ", ".join(map(_quoted, self.columns))
        values = ", ".join(f"staged.{_quoted(name)}" for name in self.columns)
        return (
            f"MERGE INTO {_table(self.table)} AS target USING {_table(self.staged)} AS staged "
            f"ON {condition} {update}WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({values})"
        )


def _table(name: TableName) -> str:
    # A TableName has passed `parse`, which admits neither a backtick nor a backslash.
    return f"`{name}`"


def _quoted(name: str) -> str:
    if "`" in name or "\\" in name or not name.isprintable():
        raise ValueError(f"{name!r} is not a column's name; expected letters, digits and _")
    return f"`{name}`"
