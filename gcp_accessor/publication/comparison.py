"""How two runs differ: what they were told, what they read, what they found, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from gcp_accessor.publication.display import table_html, table_text
from gcp_accessor.publication.history import rows_of
from gcp_accessor.publication.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from gcp_accessor.publication.manifest import Manifest

# What differs between any two runs, and says nothing about what they made.
_INCIDENTAL = {"queries", "notes"}
_MOST_ROWS = 2_000_000
_LARGEST = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One fact of two runs; None where a run does not state it.

    Attributes:
        name: Its name in the manifests, such as "settings.model".
    """

    name: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """How the values of one column differ, over the rows that both runs have.

    Attributes:
        rows: In how many rows.
        largest: Of a number, the rows that moved most: the grain, before, after.
    """

    name: str
    rows: int
    largest: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How the tables of two runs differ, by their grain.

    Attributes:
        only_before: How many rows only the first run has.
        changed: How many rows both have, with another value in some column.
        columns: The columns whose values differ, those that differ most often first.
    """

    grain: tuple[str, ...]
    only_before: int
    only_after: int
    changed: int
    equal: int
    columns: tuple[ColumnChanges, ...]

    def __str__(self) -> str:
        return (
            f"rows by {', '.join(self.grain)}: {self.equal:,} equal, {self.changed:,} changed, "
            f"{self.only_before:,} only before, {self.only_after:,} only after"
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """How two runs differ, which a notebook shows as a table.

    Attributes:
        facts: Settings, inputs, digests of the SQL, versions, row counts, metrics and files
            that are not the same.
        table: None where the rows are not compared.
        reason: Why they are not; None where they are.
    """

    before: Manifest
    after: Manifest
    facts: tuple[Change, ...]
    table: TableDifference | None
    reason: str | None = None

    def __repr__(self) -> str:
        if not self.facts:
            facts = f"{self.before.run_id} and {self.after.run_id} state the same"
        else:
            facts = table_text(self._header(), self._cells())
        return f"{facts}\n{self._rows()}"

    def _repr_html_(self) -> str:
        return f"{table_html(self._header(), self._cells())}<p>{escape(self._rows())}</p>"

    def _rows(self) -> str:
        """Return how the rows differ, in a line for each column."""
        if self.table is None:
            return f"rows were not compared: {self.reason}"
        columns = (f"{each.name}: changed in {each.rows:,}" for each in self.table.columns)
        return "\n".join((str(self.table), *columns))

    def _header(self) -> tuple[str, ...]:
        return ("", self.before.run_id, self.after.run_id)

    def _cells(self) -> list[tuple[str, ...]]:
        return [(each.name, _text(each.before), _text(each.after)) for each in self.facts]


class Comparing(Reading):
    """How `Publication` compares runs."""

    def diff(self, before: str, after: str) -> Difference:
        """Return how two committed runs differ.

        Rows are told apart by the grain that the manifest states, and compared in memory, up
        to two million of them. Every byte that is read is verified.

        Args:
            before: A run's name.
            after: Another's.

        Raises:
            CorruptRun: there is no such run, or it is damaged.
        """
        one, two = self.manifest(before), self.manifest(after)
        facts = tuple(_changes(dict(_facts_of(one)), dict(_facts_of(two))))
        reason = _why_not(one, two)
        table = None
        if reason is None:
            frames = self._frame(one), self._frame(two)
            # The day tells runs apart, not their rows.
            keys = [
                name
                for name in two.facts["grain"]
                if all(name in frame for frame in frames)
                and not (_is_day(frames[0], name, one) and _is_day(frames[1], name, two))
            ]
            table = _compare(*frames, keys) if keys else None
            reason = None if keys else "their tables have no column of their grain"
        return Difference(one, two, facts, table, reason)

    def _frame(self, manifest: Manifest) -> pd.DataFrame:
        frame: pd.DataFrame = self._published(manifest, None, "dataframe").content
        return frame


def _facts_of(manifest: Manifest) -> Iterator[tuple[str, object]]:
    yield "as_of", manifest.as_of.isoformat()
    # A table's columns come as a list, in which one that is new would move all others.
    types = manifest.column_types()
    yield from _flat("", {**manifest.facts, "columns": types} if types else manifest.facts)
    for file in manifest.files:
        yield f"files.{file.name}", file.crc32c


def _flat(above: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in facts.items():
        if name in _INCIDENTAL:
            continue
        if isinstance(value, Mapping):
            yield from _flat(f"{above}{name}.", value)
        else:
            yield f"{above}{name}", value


def _changes(before: dict[str, object], after: dict[str, object]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))


def _why_not(one: Manifest, two: Manifest) -> str | None:
    """Return why the rows of two runs cannot be compared, or None if they can."""
    for manifest in (one, two):
        if not manifest.facts.get("grain"):
            return f"run {manifest.run_id} does not state its grain"
        if not any(file.name.endswith((".parquet", ".csv.gz")) for file in manifest.files):
            return f"run {manifest.run_id} published no table"
        rows = rows_of(manifest) or 0
        if rows > _MOST_ROWS:
            return f"run {manifest.run_id} has {rows:,} rows; up to {_MOST_ROWS:,} are compared"
    if one.facts["grain"] != two.facts["grain"]:
        return "their grains are not the same"
    return None


def _compare(one: pd.DataFrame, two: pd.DataFrame, keys: Sequence[str]) -> TableDifference:
    values = [str(name) for name in two if name in one and name not in keys]
    both = one.merge(two, on=list(keys), how="outer", suffixes=(None, "\0"), indicator="\0where")
    counts = both["\0where"].value_counts()
    both = both[both["\0where"] == "both"]
    differs = {name: _differs(both[name], both[f"{name}\0"]) for name in values}
    changed = sum(differs.values(), start=both["\0where"].isna())
    columns = [
        ColumnChanges(name, int(rows.sum()), _largest(both[rows], name, keys))
        for name, rows in differs.items()
        if rows.any()
    ]
    columns.sort(key=lambda column: -column.rows)
    return TableDifference(
        tuple(keys),
        int(counts["left_only"]),
        int(counts["right_only"]),
        int((changed > 0).sum()),
        int((changed == 0).sum()),
        tuple(columns),
    )


def _is_day(frame: pd.DataFrame, name: str, manifest: Manifest) -> bool:
    values = frame[name].unique()
    return len(values) == 1 and str(values[0])[:10] == manifest.as_of.isoformat()


def _differs(before: pd.Series[Any], after: pd.Series[Any]) -> pd.Series[Any]:
    # A missing value is the same as a missing value.
    same = (before == after) | (before.isna() & after.isna())
    return ~same.fillna(False).astype(bool)


def _largest(
    rows: pd.DataFrame, name: str, keys: Sequence[str]
) -> tuple[tuple[str, float, float], ...]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    before, after = rows[name], rows[f"{name}\0"]
    for series in (before, after):
        if not is_numeric_dtype(series) or is_bool_dtype(series):
            return ()
    # A value that appeared or went away did not move.
    there = before.notna() & after.notna()
    before, after = before[there].astype(float), after[there].astype(float)
    moved = (after - before).abs().nlargest(_LARGEST).index
    return tuple(
        (
            ", ".join(str(rows.at[at, key]) for key in keys),
            float(before[at]),
            float(after[at]),
        )
        for at in moved
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
