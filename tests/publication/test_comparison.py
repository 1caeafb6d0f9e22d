"""How two runs differ."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_accessor.publication.comparison import _compare

if TYPE_CHECKING:
    from gcp_accessor import CloudStorageAccessor, Publication

COLUMNS = [
    {"name": "as_of", "type": "DATE"},
    {"name": "item_id", "type": "STRING"},
    {"name": "difficulty", "type": "FLOAT64"},
    {"name": "subject", "type": "STRING"},
]


@pytest.fixture
def publication(store: CloudStorageAccessor) -> Publication:
    return store.publication("lessons/items")


def publish(
    publication: Publication, day: int, rows: list[tuple[object, ...]], **facts: object
) -> str:
    run = publication.run(date(2024, 3, day), repr((rows, facts)))
    names = [column["name"] for column in COLUMNS[1:]]
    frame = pd.DataFrame(rows, columns=names).astype({"difficulty": float})
    frame.insert(0, "as_of", date(2024, 3, day))
    run.write("items.csv.gz", lambda: frame, rows=len(frame))
    stated = {"grain": ["as_of", "item_id"], "columns": COLUMNS, "rows": len(frame)}
    run.commit(stated | facts)
    run.publish()
    return run.run_id


def test_settings_inputs_and_figures_that_are_not_the_same_are_listed(
    publication: Publication,
) -> None:
    before = publish(
        publication, 1, [("q1", 0.5, "a")], settings={"model": "2PL"}, queries={"a": 1}
    )
    after = publish(
        publication, 1, [("q1", 0.5, "a")], settings={"model": "1PL", "new": 1}, queries={"a": 2}
    )

    found = publication.diff(before, after)

    assert [(each.name, each.before, each.after) for each in found.facts] == [
        ("settings.model", "2PL", "1PL"),
        ("settings.new", None, 1),
    ]
    assert "settings.model" in repr(found)
    assert "2PL" in found._repr_html_()


def test_rows_are_told_apart_by_the_grain_whatever_the_day(publication: Publication) -> None:
    before = publish(publication, 1, [("007", 0.5, "a"), ("008", -1, None), ("009", 2, "b")])
    after = publish(publication, 2, [("008", 1, None), ("009", 2, "c"), ("010", 0, "d")])

    table = publication.diff(before, after).table

    assert table is not None
    assert table.grain == ("item_id",)
    assert (table.only_before, table.only_after, table.changed, table.equal) == (1, 1, 2, 0)
    changes = {column.name: column for column in table.columns}
    assert changes["difficulty"].rows == changes["subject"].rows == 1
    assert changes["difficulty"].largest == (("008", -1.0, 1.0),)
    assert changes["subject"].largest == ()


def test_a_run_is_equal_to_itself(publication: Publication) -> None:
    run_id = publish(publication, 1, [("007", 0.5, None), ("008", float("nan"), "a")])

    found = publication.diff(run_id, run_id)

    assert found.facts == ()
    assert "state the same" in repr(found)
    assert found.table is not None
    assert (found.table.equal, found.table.changed, found.table.columns) == (2, 0, ())


def test_why_rows_are_not_compared_is_said(
    publication: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = publish(publication, 1, [("007", 0.5, "a")])
    without = publish(publication, 2, [("007", 0.5, "a")], grain=[])
    another = publish(publication, 3, [("007", 0.5, "a")], grain=["subject"])

    assert "does not state its grain" in str(publication.diff(one, without).reason)
    assert "grains are not the same" in str(publication.diff(one, another).reason)
    monkeypatch.setattr("gcp_accessor.publication.comparison._MOST_ROWS", 0)
    assert "has 1 rows; up to 0" in str(publication.diff(one, one).reason)


ROWS = st.dictionaries(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 3)), max_size=20)


@settings(max_examples=100, deadline=None)
@given(one=ROWS, two=ROWS)
def test_every_row_is_counted_once(one: dict[int, int | None], two: dict[int, int | None]) -> None:
    frames = [
        pd.DataFrame({"id": list(rows), "value": list(rows.values())}, dtype="Int64")
        for rows in (one, two)
    ]

    found = _compare(*frames, ["id"])

    both = one.keys() & two.keys()
    assert found.only_before == len(one.keys() - two.keys())
    assert found.only_after == len(two.keys() - one.keys())
    assert found.changed == sum(one[each] != two[each] for each in both)
    assert found.equal + found.changed == len(both)
