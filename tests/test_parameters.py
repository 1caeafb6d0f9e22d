"""Python values as typed query parameters."""

from __future__ import annotations

import contextlib
import string
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcp_accessor.parameters import Typed, from_python, names_in
from gcp_accessor.schema import TYPES, Column
from gcp_accessor.type_names import column, columns_from_api, type_name


@dataclass(frozen=True)
class Answer:
    item_id: str
    is_correct: bool


class Level(Enum):
    HARD = 3


class Kind(str, Enum):  # noqa: UP042 - whose str() is not its value
    QUIZ = "quiz"


def inferred(value: object) -> str:
    (parameter,) = from_python({"p": value})
    return type_name(parameter.column)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "STRING"),
        (b"a", "BYTES"),
        (1, "INT64"),
        (True, "BOOL"),
        (1.5, "FLOAT64"),
        (float("nan"), "FLOAT64"),
        (Decimal("1.5"), "NUMERIC"),
        (Decimal("0.1234567891"), "BIGNUMERIC"),
        (Decimal(10) ** 30, "BIGNUMERIC"),
        (date(2024, 3, 1), "DATE"),
        (datetime(2024, 3, 1), "DATETIME"),
        (datetime(2024, 3, 1, tzinfo=UTC), "TIMESTAMP"),
        (time(9, 30), "TIME"),
        ([1, None, 2], "ARRAY<INT64>"),
        ((1, 2.5), "ARRAY<FLOAT64>"),
        ([1, Decimal("1.5")], "ARRAY<NUMERIC>"),
        ({"a": 1, "b": ["x"]}, "STRUCT<a INT64, b ARRAY<STRING>>"),
        (Answer("q1", True), "STRUCT<item_id STRING, is_correct BOOL>"),
        ([Answer("q1", True)], "ARRAY<STRUCT<item_id STRING, is_correct BOOL>>"),
        (np.int64(1), "INT64"),
        (np.bool_(True), "BOOL"),
        (np.array([1.5, 2.5]), "ARRAY<FLOAT64>"),
        (pd.Timestamp("2024-03-01", tz="UTC"), "TIMESTAMP"),
        (np.datetime64("2024-03-01"), "DATE"),
        (np.datetime64("2024-03-01T09:00:00.000001000", "ns"), "DATETIME"),
        (np.array(["2024-03-01", "NaT"], "datetime64[ns]"), "ARRAY<DATETIME>"),
        (pd.Series(pd.to_datetime(["2024-03-01"], utc=True)), "ARRAY<TIMESTAMP>"),
        (Level.HARD, "INT64"),
        (Kind.QUIZ, "STRING"),
        (UUID(int=1), "STRING"),
        (Decimal("1.500000000000000"), "NUMERIC"),
        (Decimal("0E+50"), "NUMERIC"),
        (Typed("DATE", None), "DATE"),
        (
            Typed("array<struct<item string, score float64>>", []),
            "ARRAY<STRUCT<item STRING, score FLOAT64>>",
        ),
    ],
)
def test_a_value_shows_its_type(value: object, expected: str) -> None:
    assert inferred(value) == expected


def test_a_member_of_an_enum_is_its_value_and_a_uuid_its_text() -> None:
    values = {"a": Level.HARD, "b": Kind.QUIZ, "c": [UUID(int=1)], "d": {"e": Kind.QUIZ}}

    found = {each.column.name: each.value for each in from_python(values)}

    assert found == {"a": 3, "b": "quiz", "c": [str(UUID(int=1))], "d": {"e": "quiz"}}
    assert type(found["b"]) is str


def test_a_structs_field_has_a_text_for_its_name() -> None:
    with pytest.raises(TypeError, match="has the field 1; a field's name is a str"):
        from_python({"p": {1: "a"}})


def test_an_aware_datetime_is_turned_to_utc() -> None:
    nine_in_tokyo = datetime(2024, 3, 1, 9, tzinfo=timezone(timedelta(hours=9)))

    (parameter,) = from_python({"p": nine_in_tokyo})

    assert parameter.value == datetime(2024, 3, 1, 0, tzinfo=UTC)
    assert parameter.value.tzinfo is UTC  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r'Typed\("STRING", None\)'),
        (pd.NaT, "shows no type"),
        ([], r'Typed\("ARRAY<STRING>", \[\]\)'),
        ([None], "shows no type"),
        ({"a": None}, "the field p.a is None"),
        (2**63, "beyond INT64's 64 bits"),
        ([1, "a"], "holds both INT64 and STRING"),
        ([[1]], "array of arrays"),
        (Decimal("NaN"), "finite"),
        (Decimal(10) ** 40, "at most 38"),
        (pd.Timestamp("2024-03-01 09:00:00.000000001"), "has nanoseconds"),
        (np.datetime64(1, "ns"), "has nanoseconds"),
        ("a\ud800", "'p' has a lone surrogate"),
        ({"a": ["\ud800"]}, "'a' has"),
        (Typed("JSON", {"a": float("nan")}), "not a JSON"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=9))), "not a TIMESTAMP"),
        (Typed("INT64", "one"), "is 'one', which is not a INT64"),
        (Typed("NUMERIC", Decimal("0.1234567891")), "not a NUMERIC"),
        (Typed("ARRAY<STRING>", None), "give an empty list"),
        (Typed("STRUCT<a INT64>", {"b": 1}), "not a STRUCT<a INT64>"),
        (Typed("INTEGERS", 1), "unknown type 'INTEGERS'"),
        (Typed("ARRAY<INT64", [1]), "unknown type"),
    ],
)
def test_a_value_without_one_clear_type_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_python({"p": value})


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        timedelta(1),
        time(9, tzinfo=UTC),
        1j,
        np.timedelta64(1, "s"),
        pd.Timedelta(1, "s"),
        pd.Period("2024"),
        [object()],
    ],
)
def test_a_class_that_bigquery_has_no_type_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="which no BigQuery type holds"):
        from_python({"p": value})


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "é"])
def test_a_name_that_bigquery_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a parameter's name"):
        from_python({name: 1})


def test_triples_of_the_first_release_are_read_with_their_types() -> None:
    parameters = from_python(
        [("day", "DATE", "2024-03-01"), ("n", "INTEGER", "3"), ("items", "STRING", ["a", "b"])]
    )

    assert [(type_name(p.column), p.value) for p in parameters] == [
        ("DATE", date(2024, 3, 1)),
        ("INT64", 3),
        ("ARRAY<STRING>", ["a", "b"]),
    ]


def test_a_triple_of_another_length_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\(name, type, value\)"):
        from_python([("day", "DATE")])  # type: ignore[list-item]


def test_a_parameter_that_the_statement_uses_must_be_given() -> None:
    with pytest.raises(
        ValueError, match="uses @until, which the parameters do not give; they give since"
    ):
        from_python({"since": 1}, "SELECT @since, @until")


def test_a_parameter_that_the_statement_does_not_use_is_refused() -> None:
    with pytest.raises(ValueError, match="does not use the parameter untli; it uses @until"):
        from_python({"until": 1, "untli": 1}, "SELECT @until")


def test_parameter_names_ignore_case() -> None:
    assert from_python({"Until": 1}, "SELECT @until")


def test_only_parameters_count_as_parameters() -> None:
    sql = r"""
        SELECT @one, '@a', "@b \" @b", r'\@c', '''it's @d''', `@e`, @@session.x, @Two -- @f
        # @g
        /* @h
           @h */ , @one
    """

    assert names_in(sql) == ("one", "Two")


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["INT64", "STRING", "DATE", "NUMERIC", "TIMESTAMP"]).map(
            lambda kind: Column("x", kind)
        ),
        lambda inner: st.one_of(
            inner.map(lambda c: Column("x", c.type, "REPEATED", fields=c.fields)),
            st.dictionaries(
                st.text(string.ascii_lowercase, min_size=1), inner, min_size=1, max_size=3
            ).map(
                lambda fields: Column(
                    "x",
                    "STRUCT",
                    fields=tuple(
                        Column(name, c.type, c.mode, fields=c.fields) for name, c in fields.items()
                    ),
                )
            ),
        ),
        max_leaves=6,
    )
)
def test_a_types_name_is_read_back_as_the_same_type(kind: Column) -> None:
    assert column("x", type_name(kind)) == kind


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_is_a_type_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert column("x", text).type in TYPES


JSON_VALUES: Any = st.recursive(
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(), st.booleans(), st.dates()),
    lambda inner: st.dictionaries(st.text(string.ascii_letters, min_size=1), inner, min_size=1),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES)
def test_an_inferred_value_arrives_unchanged(value: object) -> None:
    (parameter,) = from_python({"p": value})

    assert parameter.value == value
    assert type(parameter.value) is type(value)


def test_a_schema_of_the_api_keeps_its_nested_fields_modes_and_descriptions() -> None:
    schema = [
        {"name": "id", "type": "INTEGER", "mode": "required", "description": "who"},
        {
            "name": "r",
            "type": "RECORD",
            "mode": "REPEATED",
            "fields": [{"name": "f", "type": "FLOAT"}],
        },
    ]

    assert columns_from_api(schema) == (
        Column("id", "INT64", "REQUIRED", "who"),
        Column("r", "STRUCT", "REPEATED", fields=(Column("f", "FLOAT64"),)),
    )
