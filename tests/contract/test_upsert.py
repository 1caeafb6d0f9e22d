"""Rows put into a table by their key: new ones inserted, known ones updated, all or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gcp_accessor import BigQueryAccessor


@pytest.mark.parametrize(
    ("sql", "counts"),
    [
        ("INSERT INTO t (k, v) VALUES (3, 'c'), (4, 'd')", (2, 0, 0)),
        ("UPDATE t SET v = 'x' WHERE k = 1", (0, 1, 0)),
        ("DELETE FROM t WHERE k > 0", (0, 0, 2)),
        (
            "MERGE INTO t USING (SELECT 2 AS k UNION ALL SELECT 3) AS s ON t.k = s.k "
            "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, 'new')",
            (1, 0, 1),
        ),
    ],
)
def test_a_statement_tells_how_many_rows_it_changed(
    exams: BigQueryAccessor, sql: str, counts: tuple[int, int, int]
) -> None:
    exams.load([[1, "a"], [2, "b"]], "t", schema={"k": "INT64", "v": "STRING"})

    changes = exams.query(sql).stats.changes

    assert changes is not None
    assert (changes.inserted, changes.updated, changes.deleted) == counts
    assert exams.query("SELECT 1 AS n").stats.changes is None
