"""Whatever goes into a query as a parameter comes back as it went, on each backend."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gcp_accessor.parameters import Typed

if TYPE_CHECKING:
    from gcp_accessor import BigQueryAccessor


class Level(Enum):
    HARD = 3


MOMENTS = st.datetimes().map(lambda moment: moment.replace(fold=0))
SCALARS: list[st.SearchStrategy[Any]] = [
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.decimals(-(10**28), 10**28, places=9),
    st.dates(),
    MOMENTS,
    MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
    st.times().map(lambda when: when.replace(fold=0)),
]
NAMES = st.sampled_from(["a", "b", "item_id", "select", "_"])
STRUCTS = st.lists(NAMES, unique=True, min_size=1, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: st.one_of(SCALARS) for name in names})
)
FLAT = st.fixed_dictionaries({"x": SCALARS[3], "y": SCALARS[0], "z": SCALARS[8]})
ARRAYS = st.one_of([st.lists(values, min_size=1, max_size=3) for values in SCALARS])
VALUES = st.one_of(
    *SCALARS,
    ARRAYS,
    STRUCTS,
    st.lists(FLAT, min_size=1, max_size=3),
    st.fixed_dictionaries(
        {"inner": STRUCTS, "many": ARRAYS, "records": st.lists(FLAT, min_size=1)}
    ),
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(values=st.lists(VALUES, min_size=1, max_size=6))
def test_any_parameter_comes_back_as_it_went(
    warehouse: BigQueryAccessor, values: list[object]
) -> None:
    params = {f"p{at}": value for at, value in enumerate(values)}

    result = warehouse.query("SELECT " + ", ".join(f"@{name} AS {name}" for name in params), params)

    assert comparable(result.rows()[0]) == comparable(values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int32(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.datetime64("2024-03-01"), date(2024, 3, 1)),
        (np.array([[1, 2]])[0], [1, 2]),
        (pd.Timestamp("2024-03-01 09:00", tz="Europe/Zurich"), datetime(2024, 3, 1, 8, tzinfo=UTC)),
        (pd.Series(["a", "b"]), ["a", "b"]),
        (UUID(int=1), str(UUID(int=1))),
        (Level.HARD, 3),
        (Typed("DATETIME", datetime.min), datetime.min),
        (Typed("TIMESTAMP", datetime.max.replace(tzinfo=UTC)), datetime.max.replace(tzinfo=UTC)),
        (Typed("TIME", time.max), time.max),
        (Typed("STRUCT<a INT64, b ARRAY<STRING>>", {"a": None}), {"a": None, "b": []}),
        (Typed("ARRAY<STRUCT<a DATE>>", [{"a": None}]), [{"a": None}]),
        (Decimal("9" * 29 + "." + "9" * 9), Decimal("9" * 29 + "." + "9" * 9)),
    ],
)
def test_a_value_of_another_library_comes_back_as_python_has_it(
    warehouse: BigQueryAccessor, value: object, expected: object
) -> None:
    if isinstance(value, Typed) and isinstance(value.value, dict):
        value = Typed(value.type, {**value.value, "b": []})

    assert warehouse.query("SELECT @p AS p", {"p": value}).scalar() == expected


def comparable(value: object) -> object:
    """Return a value whose NaN equals itself."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items()}
    return value
