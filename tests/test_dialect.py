"""GoogleSQL on the local engine: what runs gives what BigQuery documents, the rest is refused."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from decimal import Decimal
from pathlib import Path

import pytest
from google.api_core.exceptions import BadRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcp_accessor.backends import Parameter, Statement
from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from gcp_accessor.backends.googlesql.functions import admitted
from gcp_accessor.errors import UnsupportedLocally
from gcp_accessor.schema import Column, TableName

UTC = dt.UTC


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    made = DuckDBWarehouse(tmp_path_factory.mktemp("local"))
    made.create_dataset("d")
    made.run(
        Statement(
            """
            SELECT 1 AS n, 'a' AS s, 0.5 AS x, NUMERIC '1.25' AS m, DATE '2024-02-29' AS day,
              TIMESTAMP '2024-02-29 23:30:00+00' AS at, TRUE AS b, [1, 2] AS list,
              STRUCT('in' AS label, 7 AS rank) AS pair
            UNION ALL
            SELECT 2, 'b', -0.5, NUMERIC '2.5', DATE '2024-03-01',
              TIMESTAMP '2024-03-01 00:15:00+00', FALSE, [3], STRUCT('out' AS label, 8 AS rank)
            UNION ALL
            SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, [], NULL
            """,
            destination=TableName("t", "d"),
        )
    )
    return made


def rows(warehouse: DuckDBWarehouse, sql: str, *parameters: Parameter) -> list[list[object]]:
    return list(warehouse.run(Statement(sql, parameters, default_dataset="d")).rows())


def value(warehouse: DuckDBWarehouse, expression: str, *parameters: Parameter) -> object:
    return rows(warehouse, f"SELECT {expression}", *parameters)[0][0]


# Each expression and its value as BigQuery's documentation, or its reference implementation,
# has it. A group is one statement, so that the whole table is quick.
VALUES: dict[str, list[tuple[str, object]]] = {
    "numbers": [
        ("7 / 2", 3.5),
        ("0.1 + 0.2", 0.30000000000000004),
        ("2147483647 + 1", 2147483648),
        ("-9223372036854775808", -9223372036854775808),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("NUMERIC '1.5' + 1", Decimal("2.5")),
        ("DIV(-7, 2)", -3),
        ("MOD(-7, 2)", -1),
        ("SAFE_DIVIDE(1, 0)", None),
        ("SAFE_DIVIDE(1, 4)", 0.25),
        ("ABS(-3)", 3),
        ("SIGN(-3)", -1),
        ("SIGN(-2.5)", -1.0),
        ("ROUND(2.5)", 3.0),
        ("ROUND(-2.5)", -3.0),
        ("ROUND(3)", 3.0),
        ("ROUND(123.456, 1)", 123.5),
        ("ROUND(123.456, -1)", 120.0),
        ("TRUNC(-2.7)", -2.0),
        ("CEIL(2)", 2.0),
        ("CEILING(1.5)", 2.0),
        ("FLOOR(-2.5)", -3.0),
        ("SQRT(9)", 3.0),
        ("POW(2, 10)", 1024.0),
        ("POWER(2, -1)", 0.5),
        ("EXP(0)", 1.0),
        ("LN(1)", 0.0),
        ("LOG(8, 2)", 3.0),
        ("LOG10(1000)", pytest.approx(3.0)),
        ("SAFE.LN(-1)", None),
        ("SAFE.LN(0)", None),
        ("SAFE.SQRT(-1)", None),
        ("SAFE.EXP(1000)", None),
        ("GREATEST(1, 3, 2)", 3),
        ("GREATEST(1, NULL)", None),
        ("LEAST(1, 2.5)", 1.0),
        ("IS_NAN(CAST('nan' AS FLOAT64))", True),
        ("IS_INF(CAST('-inf' AS FLOAT64))", True),
        ("GENERATE_ARRAY(1, 4)", [1, 2, 3, 4]),
        ("GENERATE_ARRAY(4, 1, -2)", [4, 2]),
        ("GENERATE_ARRAY(2, 1)", []),
    ],
    "casts": [
        ("CAST(2.5 AS INT64)", 3),
        ("CAST(-2.5 AS INT64)", -3),
        ("CAST(0.49999999999999994 AS INT64)", 0),
        ("CAST('12' AS INT64)", 12),
        ("CAST('0x1f' AS INT64)", 31),
        ("CAST(TRUE AS INT64)", 1),
        ("CAST(NUMERIC '2.5' AS INT64)", 3),
        ("SAFE_CAST('1.5' AS INT64)", None),
        ("SAFE_CAST('x' AS INT64)", None),
        ("SAFE_CAST('' AS INT64)", None),
        ("SAFE_CAST('99999999999999999999' AS INT64)", None),
        ("SAFE_CAST('1_000' AS FLOAT64)", None),
        ("SAFE_CAST('1e3' AS FLOAT64)", 1000.0),
        ("SAFE_CAST('.5' AS FLOAT64)", 0.5),
        ("CAST('infinity' AS FLOAT64)", math.inf),
        ("SAFE_CAST('yes' AS BOOL)", None),
        ("CAST('TRUE' AS BOOL)", True),
        ("CAST(0 AS BOOL)", False),
        ("CAST(1.0 AS STRING)", "1"),
        ("CAST(0.1 AS STRING)", "0.1"),
        ("CAST(0.1 + 0.2 AS STRING)", "0.30000000000000004"),
        ("CAST(1e20 AS STRING)", "1e+20"),
        ("CAST(1.5e-7 AS STRING)", "1.5e-07"),
        ("CAST(-0.0 AS STRING)", "0"),
        ("CAST(CAST('-inf' AS FLOAT64) AS STRING)", "-inf"),
        ("CAST(12 AS STRING)", "12"),
        ("CAST(TRUE AS STRING)", "true"),
        ("CAST(NUMERIC '1.50' AS STRING)", "1.5"),
        ("CAST(NUMERIC '100' AS STRING)", "100"),
        ("CAST(b'abc' AS STRING)", "abc"),
        ("SAFE_CAST(FROM_HEX('ff') AS STRING)", None),
        ("CAST(DATE '2024-01-05' AS STRING)", "2024-01-05"),
        ("CAST(TIMESTAMP '2024-01-05 10:00:00+00' AS STRING)", "2024-01-05 10:00:00+00"),
        ("CAST(TIMESTAMP '2024-01-05 10:00:00.45' AS STRING)", "2024-01-05 10:00:00.450+00"),
        ("CAST(DATETIME '2024-01-05 10:00:00.000001' AS STRING)", "2024-01-05 10:00:00.000001"),
        ("SAFE_CAST('2024/01/05' AS DATE)", None),
        ("SAFE_CAST('2024-02-30' AS DATE)", None),
        ("CAST('2024-1-5' AS DATE)", dt.date(2024, 1, 5)),
        ("CAST('2024-01-05' AS TIMESTAMP)", dt.datetime(2024, 1, 5, tzinfo=UTC)),
        ("CAST('2024-01-05T10:00:00Z' AS TIMESTAMP)", dt.datetime(2024, 1, 5, 10, tzinfo=UTC)),
        ("CAST('2024-01-05 10:00:00 UTC' AS TIMESTAMP)", dt.datetime(2024, 1, 5, 10, tzinfo=UTC)),
        ("CAST('2024-01-05 10:00:00 +02:00' AS TIMESTAMP)", dt.datetime(2024, 1, 5, 8, tzinfo=UTC)),
        ("CAST('2024-1-5 1:2:3-8' AS TIMESTAMP)", dt.datetime(2024, 1, 5, 9, 2, 3, tzinfo=UTC)),
        ("SAFE_CAST('soon' AS TIMESTAMP)", None),
        ("SAFE_CAST('10:00' AS TIME)", None),
        ("CAST('10:20:30' AS TIME)", dt.time(10, 20, 30)),
        ("CAST('1.5' AS NUMERIC)", Decimal("1.5")),
        ("CAST(1 AS NUMERIC)", Decimal(1)),
        ("CAST('ab' AS BYTES)", b"ab"),
        ("CAST(TIMESTAMP '2024-01-05 10:00:00+00' AS DATE)", dt.date(2024, 1, 5)),
        ("CAST(DATE '2024-01-05' AS DATETIME)", dt.datetime(2024, 1, 5)),
        ("CAST(NULL AS STRING)", None),
    ],
    "strings": [
        (r"'it\'s'", "it's"),
        (r"'a\nb\tc\\d'", "a\nb\tc\\d"),
        (r"r'a\nb'", r"a\nb"),
        ('"quoted"', "quoted"),
        ("'é😀'", "é😀"),
        ("LOWER('ÀB')", "àb"),
        ("UPPER('straße')", "STRASSE"),
        ("LENGTH('é😀')", 2),
        ("LENGTH(b'abc')", 3),
        ("BYTE_LENGTH('é')", 2),
        ("CHAR_LENGTH('é')", 1),
        ("TRIM('\\u00a0\\t a \\u3000\\n')", "a"),
        ("TRIM('xxaxx', 'x')", "a"),
        ("LTRIM('  a ')", "a "),
        ("RTRIM('  a ')", "  a"),
        ("SUBSTR('hello', 2)", "ello"),
        ("SUBSTR('hello', 0, 2)", "he"),
        ("SUBSTR('hello', -3)", "llo"),
        ("SUBSTR('hello', -3, 2)", "ll"),
        ("SUBSTR('hello', -9, 2)", "he"),
        ("SUBSTR('hello', 9)", ""),
        ("SUBSTRING('hello', 2, 1)", "e"),
        ("LEFT('héllo', 2)", "hé"),
        ("RIGHT('hello', 9)", "hello"),
        ("LPAD('7', 3, '0')", "007"),
        ("LPAD('1234', 3, '0')", "123"),
        ("RPAD('7', 3)", "7  "),
        ("REPEAT('ab', 2)", "abab"),
        ("REPLACE('aXbX', 'X', '-')", "a-b-"),
        ("REPLACE('abc', '', '-')", "abc"),
        ("CONCAT('a', 'b', 'c')", "abc"),
        ("CONCAT('a', NULL)", None),
        ("'a' || 'b'", "ab"),
        ("STARTS_WITH('abc', 'ab')", True),
        ("ENDS_WITH('abc', 'ab')", False),
        ("SPLIT('a,b,,c')", ["a", "b", "", "c"]),
        ("SPLIT('', ',')", [""]),
        ("SPLIT('a-b', '-')", ["a", "b"]),
        (r"'50%' LIKE '50\\%'", True),
        (r"'505' LIKE '50\\%'", False),
        ("'abc' NOT LIKE '_b%'", False),
        (r"REGEXP_CONTAINS('abc 12', r'\d+')", True),
        (r"REGEXP_CONTAINS('a\nb', 'a.b')", False),
        (r"REGEXP_REPLACE('a  b   c', r'\s+', ' ')", "a b c"),
        (r"REGEXP_REPLACE('ab', r'(a)(b)', r'\2\1')", "ba"),
        (r"REGEXP_EXTRACT('item 42', r'item (\d+)')", "42"),
        (r"REGEXP_EXTRACT('item 42', r'\d+')", "42"),
        (r"REGEXP_EXTRACT('item', r'\d+')", None),
        (r"REGEXP_EXTRACT('(x)', r'[(](\w)')", "x"),
        (r"REGEXP_EXTRACT_ALL('a1b22', r'\d+')", ["1", "22"]),
        ("NORMALIZE('e\\u0301')", "é"),
        ("NORMALIZE('①ﬁ', NFKC)", "1fi"),
        ("NORMALIZE_AND_CASEFOLD('ÀB')", "àb"),
        ("NORMALIZE_AND_CASEFOLD('Straße') = NORMALIZE_AND_CASEFOLD('STRASSE')", True),
        ("TO_HEX(b'abc')", "616263"),
        ("TO_HEX(MD5('abc'))", "900150983cd24fb0d6963f7d28e17f72"),
        ("TO_HEX(SHA256(''))", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("TO_HEX(SHA1('abc'))", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("TO_BASE64(b'abc')", "YWJj"),
        ("LENGTH(GENERATE_UUID())", 36),
        ("FROM_BASE64('YWJj')", b"abc"),
        ("TO_JSON_STRING(STRUCT(1 AS a, 'é\"' AS b, NULL AS c))", '{"a":1,"b":"é\\"","c":null}'),
        ("TO_JSON_STRING(['x', 'y'])", '["x","y"]'),
        ("TO_JSON_STRING(TRUE)", "true"),
        ("TO_JSON_STRING(CAST(NULL AS STRING))", "null"),
        ("'a' < 'B'", False),
    ],
    "times": [
        ("DATE(2024, 2, 29)", dt.date(2024, 2, 29)),
        ("DATE(TIMESTAMP '2024-02-29 23:30:00+00')", dt.date(2024, 2, 29)),
        ("DATE(TIMESTAMP '2024-02-29 23:30:00+00', 'Europe/Berlin')", dt.date(2024, 3, 1)),
        ("DATE(DATETIME '2024-02-29 23:30:00')", dt.date(2024, 2, 29)),
        ("TIMESTAMP(DATE '2024-01-05')", dt.datetime(2024, 1, 5, tzinfo=UTC)),
        ("TIMESTAMP('2024-01-05 10:00:00+01')", dt.datetime(2024, 1, 5, 9, tzinfo=UTC)),
        ("DATETIME(TIMESTAMP '2024-01-05 10:00:00+00')", dt.datetime(2024, 1, 5, 10)),
        ("DATE_ADD(DATE '2024-01-31', INTERVAL 1 MONTH)", dt.date(2024, 2, 29)),
        ("DATE_ADD(DATE '2024-01-31', INTERVAL -1 DAY)", dt.date(2024, 1, 30)),
        ("DATE_SUB(DATE '2024-03-31', INTERVAL 1 QUARTER)", dt.date(2023, 12, 31)),
        ("DATE_ADD(DATE '2024-01-01', INTERVAL 1 + 1 WEEK)", dt.date(2024, 1, 15)),
        ("DATE '2024-01-01' + 31", dt.date(2024, 2, 1)),
        ("DATE '2024-01-01' + 5 * 2", dt.date(2024, 1, 11)),
        ("DATE '2024-01-01' + (2 * 3 + 4 * 1)", dt.date(2024, 1, 11)),
        ("2 * 3 + 4 * 5 + 1", 27),
        ("(2 * 3 + 4.5 * 2) + 6 / 3", 17.0),
        ("DATE '2024-01-01' - 1", dt.date(2023, 12, 31)),
        ("DATE_DIFF(DATE '2024-03-01', DATE '2024-02-28', DAY)", 2),
        ("DATE_DIFF(DATE '2017-10-15', DATE '2017-10-14', WEEK)", 1),
        ("DATE_DIFF(DATE '2017-10-15', DATE '2017-10-14', WEEK(MONDAY))", 0),
        ("DATE_DIFF(DATE '2017-10-17', DATE '2017-10-12', ISOWEEK)", 1),
        ("DATE_DIFF(DATE '2017-12-30', DATE '2014-12-30', YEAR)", 3),
        ("DATE_DIFF(DATE '2024-02-01', DATE '2024-01-31', MONTH)", 1),
        (
            "TIMESTAMP_ADD(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 90 MINUTE)",
            dt.datetime(2024, 1, 1, 1, 30, tzinfo=UTC),
        ),
        (
            "TIMESTAMP_SUB(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 1 DAY)",
            dt.datetime(2023, 12, 31, tzinfo=UTC),
        ),
        # Whole hours that have passed, not boundaries that were crossed.
        (
            "TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 02:01:00', TIMESTAMP '2024-01-01 01:59:0', HOUR)",
            0,
        ),
        ("TIMESTAMP_DIFF(TIMESTAMP '2018-08-14', TIMESTAMP '2018-10-14', DAY)", -61),
        (
            "TIMESTAMP_DIFF(TIMESTAMP '2001-02-01', TIMESTAMP '2001-02-01 00:59:59', HOUR)",
            0,
        ),
        ("DATETIME_DIFF(DATETIME '2024-01-02 00:00:00', DATETIME '2024-01-01 23:59:59', DAY)", 1),
        ("DATE_TRUNC(DATE '2008-12-25', MONTH)", dt.date(2008, 12, 1)),
        ("DATE_TRUNC(DATE '2017-11-07', WEEK)", dt.date(2017, 11, 5)),
        ("DATE_TRUNC(DATE '2017-11-05', WEEK(MONDAY))", dt.date(2017, 10, 30)),
        ("DATE_TRUNC(DATE '2017-11-05', ISOWEEK)", dt.date(2017, 10, 30)),
        (
            "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-05 10:45:00+00', HOUR)",
            dt.datetime(2024, 1, 5, 10, tzinfo=UTC),
        ),
        (
            "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-05 10:45:00+00', WEEK)",
            dt.datetime(2023, 12, 31, tzinfo=UTC),
        ),
        ("EXTRACT(YEAR FROM DATE '2024-01-05')", 2024),
        ("EXTRACT(DAYOFWEEK FROM DATE '2024-01-07')", 1),
        ("EXTRACT(DAYOFYEAR FROM DATE '2024-02-01')", 32),
        ("EXTRACT(WEEK FROM DATE '2024-01-06')", 0),
        ("EXTRACT(WEEK FROM DATE '2024-01-07')", 1),
        ("EXTRACT(ISOWEEK FROM DATE '2024-01-01')", 1),
        ("EXTRACT(ISOYEAR FROM DATE '2021-01-03')", 2020),
        ("EXTRACT(HOUR FROM TIMESTAMP '2024-01-05 10:45:00+00')", 10),
        ("EXTRACT(MILLISECOND FROM TIMESTAMP '2024-01-05 10:45:01.5+00')", 500),
        ("EXTRACT(MICROSECOND FROM TIMESTAMP '2024-01-05 10:45:01.5+00')", 500000),
        ("EXTRACT(DATE FROM TIMESTAMP '2024-01-05 10:45:01+00')", dt.date(2024, 1, 5)),
        ("UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5+00')", -1),
        ("UNIX_MILLIS(TIMESTAMP '1970-01-01 00:00:01+00')", 1000),
        ("UNIX_MICROS(TIMESTAMP '1970-01-01 00:00:01+00')", 1000000),
        ("UNIX_DATE(DATE '1970-01-02')", 1),
        ("TIMESTAMP_SECONDS(1)", dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("TIMESTAMP_MILLIS(1500)", dt.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)),
        ("TIMESTAMP_MICROS(1)", dt.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        ("LAST_DAY(DATE '2024-02-01')", dt.date(2024, 2, 29)),
        ("DATE_FROM_UNIX_DATE(1)", dt.date(1970, 1, 2)),
        ("TIME(DATETIME '2024-01-05 10:20:30')", dt.time(10, 20, 30)),
        (
            "DATETIME_ADD(DATETIME '2024-01-31 00:00:00', INTERVAL 1 MONTH)",
            dt.datetime(2024, 2, 29),
        ),
        (
            "DATETIME_SUB(DATETIME '2024-01-01 00:00:00', INTERVAL 1 HOUR)",
            dt.datetime(2023, 12, 31, 23),
        ),
        ("DATETIME_TRUNC(DATETIME '2024-01-05 10:45:00', DAY)", dt.datetime(2024, 1, 5)),
        ("DATETIME(2024, 1, 5, 10, 20, 30)", dt.datetime(2024, 1, 5, 10, 20, 30)),
        ("FORMAT_DATETIME('%Y', DATETIME '2024-01-05 10:45:00')", "2024"),
        ("PARSE_DATETIME('%Y-%m-%d', '2024-01-05')", dt.datetime(2024, 1, 5)),
        ("CURRENT_DATE() = DATE(CURRENT_TIMESTAMP())", True),
        ("DATE_DIFF(DATE(CURRENT_DATETIME()), CURRENT_DATE, DAY)", 0),
        ("FORMAT_DATE('%Y%m%d', DATE '2024-02-01')", "20240201"),
        ("FORMAT_DATE('%F', DATE '2024-02-01')", "2024-02-01"),
        ("FORMAT_TIMESTAMP('%H:%M', TIMESTAMP '2024-02-01 10:45:00+00')", "10:45"),
        ("PARSE_DATE('%Y%m%d', '20240201')", dt.date(2024, 2, 1)),
        ("SAFE.PARSE_DATE('%Y%m%d', 'soon')", None),
        (
            "PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S', '2024-02-01 10:45:00')",
            dt.datetime(2024, 2, 1, 10, 45, tzinfo=UTC),
        ),
        ("DATE '2024-01-05' > '2024-01-04'", True),
    ],
    "conditions": [
        ("IF(TRUE, 1, 2)", 1),
        ("IF(NULL, 1, 2)", 2),
        ("IFNULL(NULL, 5)", 5),
        ("COALESCE(NULL, NULL, 'x')", "x"),
        ("NULLIF(1, 1)", None),
        ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' ELSE 'c' END", "b"),
        ("1 IN (1, NULL)", True),
        ("2 IN (1, NULL)", None),
        ("2 NOT IN (1, 3)", True),
        ("2 IN UNNEST([1, 2])", True),
        ("3 IN UNNEST([1, 2])", False),
        ("2 BETWEEN 1 AND 3", True),
        ("NULL IS NULL", True),
        ("1 IS DISTINCT FROM NULL", True),
        ("TRUE AND NULL", None),
        ("FALSE AND NULL", False),
        ("NULL", None),
    ],
    "arrays": [
        ("ARRAY_LENGTH([1, 2])", 2),
        ("[1, 2, 3][OFFSET(0)]", 1),
        ("[1, 2, 3][ORDINAL(3)]", 3),
        ("[1, 2, 3][SAFE_OFFSET(9)]", None),
        ("[1, 2, 3][SAFE_OFFSET(-1)]", None),
        ("ARRAY_CONCAT([1], [2, 3])", [1, 2, 3]),
        ("ARRAY_REVERSE([1, 2])", [2, 1]),
        ("ARRAY_TO_STRING(['a', NULL, 'b'], '-')", "a-b"),
        ("ARRAY_TO_STRING(['a', NULL, 'b'], '-', '?')", "a-?-b"),
        ("ARRAY_TO_STRING(CAST([] AS ARRAY<STRING>), '-')", ""),
        ("ARRAY(SELECT e * 2 FROM UNNEST([1, 2]) AS e ORDER BY e DESC)", [4, 2]),
        ("ARRAY(SELECT AS STRUCT 1 AS a, 'x' AS b)", [{"a": 1, "b": "x"}]),
        ("ARRAY<INT64>[1, 2]", [1, 2]),
        ("STRUCT(1 AS a, 'x' AS b)", {"a": 1, "b": "x"}),
        ("STRUCT(1 AS a, 'x' AS b).b", "x"),
        ("STRUCT<a INT64, b STRING>(1, 'x')", {"a": 1, "b": "x"}),
        ("(SELECT MAX(e) FROM UNNEST([3, 1]) AS e)", 3),
        ("EXISTS(SELECT 1 FROM UNNEST([3]) AS e WHERE e > 5)", False),
        ("CAST(NULL AS ARRAY<INT64>)", []),
    ],
}


@pytest.mark.parametrize("group", VALUES)
def test_an_expression_has_the_value_that_bigquery_gives_it(
    warehouse: DuckDBWarehouse, group: str
) -> None:
    cases = VALUES[group]
    listed = ",\n".join(f"{sql} AS c{index}" for index, (sql, _) in enumerate(cases))

    found = rows(warehouse, f"SELECT {listed}")[0]

    wrong = {
        sql: (got, expected)
        for (sql, expected), got in zip(cases, found, strict=True)
        if got != expected or (isinstance(got, bool) is not isinstance(expected, bool))
    }
    assert wrong == {}


QUERIES: list[tuple[str, list[list[object]]]] = [
    # NULLs come first going up and last going down.
    ("SELECT n FROM t ORDER BY n", [[None], [1], [2]]),
    ("SELECT n FROM t ORDER BY n DESC", [[2], [1], [None]]),
    ("SELECT n FROM t ORDER BY 1 DESC LIMIT 1 OFFSET 1", [[1]]),
    ("SELECT COUNT(*), COUNT(n), COUNTIF(n > 1), COUNT(DISTINCT b) FROM t", [[3, 2, 1, 2]]),
    ("SELECT SUM(n), AVG(n), MIN(s), MAX(day) FROM t", [[3, 1.5, "a", dt.date(2024, 3, 1)]]),
    ("SELECT SUM(m), SUM(m * m), CAST(MAX(m * m) AS STRING) FROM t",
     [[Decimal("3.75"), Decimal("7.8125"), "6.25"]]),
    ("SELECT SUM(x), MAX(n * x), MAX(n * n) FROM t", [[0.0, 0.5, 4]]),
    # What is computed from aggregates and windows has its type as well.
    ("SELECT ROUND(AVG(n), 1), SUM(n) / COUNT(*), CAST(SUM(m) AS STRING), SUM(n) * 2 FROM t",
     [[1.5, 1.0, "3.75", 6]]),
    ("SELECT b, ROUND(SUM(x), 1) AS total FROM t GROUP BY b HAVING total < 5 ORDER BY total DESC",
     [[True, 0.5], [False, -0.5]]),
    ("SELECT UPPER(s) AS s, SUM(n) + 1 AS v FROM t AS r GROUP BY r.s HAVING SUM(n) > 0 ORDER BY s",
     [["A", 2], ["B", 3]]),
    ("SELECT LOWER(v) AS v, SUM(k) AS k FROM (SELECT 'A' AS v, 1 AS k UNION ALL SELECT 'a', 2) "
     "GROUP BY v HAVING k > 2 ORDER BY k", [["a", 3]]),
    ("SELECT DATE_DIFF(MAX(day), MIN(day), DAY), DATE(MAX(at)), EXTRACT(YEAR FROM MAX(day)) FROM t",
     [[1, dt.date(2024, 3, 1), 2024]]),
    ("SELECT ROUND(SUM(n) / SUM(SUM(n)) OVER (), 3) AS share FROM t WHERE n > 0 GROUP BY s "
     "ORDER BY share", [[0.333], [0.667]]),
    ("SELECT *, SUM(n) OVER (ORDER BY n) / 2 AS half FROM (SELECT n, s FROM t) ORDER BY n DESC "
     "LIMIT 1", [[2, "b", 1.5]]),
    ("SELECT l.n, CAST(SUM(r.n) OVER (ORDER BY l.n) AS STRING) AS total FROM t AS l "
     "INNER JOIN t AS r ON l.n = r.n QUALIFY total = '3'", [[2, "3"]]),
    ("SELECT l.s, ROUND(AVG(r.n), 1) FROM t AS l JOIN t AS r USING (n) GROUP BY l.s ORDER BY l.s",
     [["a", 1.0], ["b", 2.0]]),
    ("SELECT s, COUNT(*) / 2 AS h, (SELECT MAX(i.n) FROM t AS i WHERE i.s = o.s) AS top "
     "FROM t AS o WHERE n = 2 GROUP BY o.s", [["b", 0.5, 2]]),
    ("SELECT n * 2 AS n2 FROM (SELECT SUM(n) AS n FROM t)", [[6]]),
    ("SELECT IF(SUM(n) > 2, 'many', 'few') FROM t", [["many"]]),
    ("SELECT SUM(n) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) AS r FROM t ORDER BY n",
     [[None], [1], [3]]),
    ("SELECT STDDEV_SAMP(n), CORR(n, x), LOGICAL_AND(b), LOGICAL_OR(b) FROM t",
     [[pytest.approx(math.sqrt(0.5)), pytest.approx(-1), False, True]]),
    ("SELECT STDDEV(n) FROM t WHERE n = 1", [[None]]),
    ("SELECT STDDEV_POP(n), VARIANCE(n), VAR_SAMP(n), VAR_POP(n) FROM t", [[0.5, 0.5, 0.5, 0.25]]),
    ("SELECT COVAR_POP(n, x), COVAR_SAMP(n, x), ANY_VALUE(n) > 0 FROM t", [[-0.25, -0.5, True]]),
    ("SELECT RAND() < 1 AS v", [[True]]),
    ("SELECT n, FIRST_VALUE(n) OVER w AS f, NTH_VALUE(n, 2) OVER w AS s, LEAD(n) OVER w AS l, "
     "DENSE_RANK() OVER w AS r, CUME_DIST() OVER w AS c, PERCENT_RANK() OVER w AS p "
     "FROM t WHERE n > 0 WINDOW w AS (ORDER BY n DESC) ORDER BY n",
     [[1, 2, 1, None, 2, 1.0, 1.0], [2, 2, None, 1, 1, 0.5, 0.0]]),
    ("SELECT ARRAY_AGG(n IGNORE NULLS ORDER BY n DESC LIMIT 1) FROM t", [[[2]]]),
    ("SELECT ARRAY_AGG(DISTINCT b IGNORE NULLS ORDER BY b) FROM t", [[[False, True]]]),
    ("SELECT ARRAY_AGG(STRUCT(n, s AS name) ORDER BY n) FROM t WHERE n > 0",
     [[[{"n": 1, "name": "a"}, {"n": 2, "name": "b"}]]]),
    ("SELECT STRING_AGG(s, '+' ORDER BY s DESC) FROM t", [["b+a"]]),
    ("SELECT STRING_AGG(s ORDER BY s LIMIT 1) FROM t", [["a"]]),
    ("SELECT STRING_AGG(s) FROM t WHERE n IS NULL", [[None]]),
    ("SELECT n, e FROM t, t.list AS e ORDER BY e", [[1, 1], [1, 2], [2, 3]]),
    ("SELECT STRING_AGG(DISTINCT s, '+' ORDER BY s) FROM t", [["a+b"]]),
    ("SELECT n FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY n IS NULL ORDER BY n) = 1 ORDER BY n",
     [[None], [1]]),
    ("SELECT n, LAG(n, 1, 0) OVER (ORDER BY n) AS before FROM t WHERE n > 0 ORDER BY n",
     [[1, 0], [2, 1]]),
    ("SELECT LAST_VALUE(n IGNORE NULLS) OVER w AS v FROM t "
     "WINDOW w AS (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) LIMIT 1",
     [[2]]),
    ("SELECT RANK() OVER (ORDER BY n), NTILE(2) OVER (ORDER BY n) FROM t WHERE n > 0 ORDER BY 1",
     [[1, 1], [2, 2]]),
    ("SELECT * EXCEPT (x, m, day, at, list, pair) FROM t WHERE n = 1", [[1, "a", True]]),
    ("SELECT * REPLACE (n * 10 AS n) FROM (SELECT n, s FROM t) WHERE n = 10", []),
    ("SELECT pair.label, pair.rank + 1 FROM t WHERE pair.rank = 7", [["in", 8]]),
    ("SELECT n, e FROM t, UNNEST(list) AS e ORDER BY e", [[1, 1], [1, 2], [2, 3]]),
    ("SELECT e, o FROM t, UNNEST(t.list) AS e WITH OFFSET AS o WHERE n = 1 ORDER BY o",
     [[1, 0], [2, 1]]),
    ("SELECT e, offset FROM UNNEST(['p']) AS e WITH OFFSET", [["p", 0]]),
    ("SELECT n, e FROM t LEFT JOIN UNNEST(list) AS e ORDER BY n, e",
     [[None, None], [1, 1], [1, 2], [2, 3]]),
    ("SELECT person.name FROM UNNEST([STRUCT('ana' AS name)]) AS person", [["ana"]]),
    ("SELECT * FROM UNNEST([1, 2]) ORDER BY 1", [[1], [2]]),
    # The alias is grouped by, not the column of its name.
    ("SELECT LOWER(v) AS v, COUNT(*) FROM (SELECT 'A' AS v UNION ALL SELECT 'a') GROUP BY v",
     [["a", 2]]),
    ("SELECT n AS k, COUNT(*) AS c FROM t GROUP BY 1 HAVING c > 0 ORDER BY k",
     [[None, 1], [1, 1], [2, 1]]),
    ("WITH t AS (SELECT n + 10 AS n FROM t) SELECT n FROM t ORDER BY n", [[None], [11], [12]]),
    ("WITH one AS (SELECT 1 AS v), two AS (SELECT v + 1 AS v FROM one) SELECT v FROM two", [[2]]),
    ("WITH RECURSIVE r AS (SELECT 1 AS v UNION ALL SELECT v + 1 FROM r WHERE v < 3) "
     "SELECT SUM(v) FROM r", [[6]]),
    ("SELECT v FROM (SELECT 1 AS v UNION ALL SELECT 2 UNION DISTINCT SELECT 2) ORDER BY v",
     [[1], [2]]),
    ("SELECT 1 AS v EXCEPT DISTINCT SELECT 1", []),
    ("SELECT l.n FROM t AS l INNER JOIN t AS r ON l.n = r.n AND r.s = 'b'", [[2]]),
    ("SELECT n, other.s FROM t JOIN (SELECT 1 AS n, 'z' AS s) AS other USING (n)", [[1, "z"]]),
    ("SELECT COUNT(*) FROM t CROSS JOIN t AS u", [[9]]),
    ("SELECT s FROM t WHERE n IN (SELECT MAX(n) FROM t)", [["b"]]),
    ("SELECT s FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01' WHERE n = 1", [["a"]]),
    ("SELECT s FROM `local.d.t` WHERE n = 1", [["a"]]),
    ("SELECT `n` AS `select` FROM `d`.`t` WHERE `n` = 1", [[1]]),
    ("SELECT DISTINCT n > 0 AS v FROM t ORDER BY v", [[None], [True]]),
    ("SELECT (SELECT COUNT(*) FROM t AS i WHERE i.n <= o.n) AS c FROM t AS o WHERE n = 2", [[2]]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), QUERIES)
def test_a_query_gives_the_rows_that_bigquery_gives(
    warehouse: DuckDBWarehouse, sql: str, expected: list[list[object]]
) -> None:
    assert rows(warehouse, sql) == expected


ERRORS = [
    ("SELECT 1 / 0", "division by zero"),
    ("SELECT n / (n - n) FROM t", "division by zero"),
    ("SELECT MOD(1, 0)", "division by zero"),
    ("SELECT DIV(1, 0)", "division by zero"),
    ("SELECT LN(-1)", "LN"),
    ("SELECT SQRT(-1)", "SQRT"),
    ("SELECT EXP(1000)", "overflow"),
    ("SELECT POW(-1, 0.5)", "POW"),
    ("SELECT CAST('1.5' AS INT64)", "Bad int64 value: 1.5"),
    ("SELECT CAST('yes' AS BOOL)", "Bad bool value: yes"),
    ("SELECT CAST('x' AS FLOAT64)", "Bad double value: x"),
    ("SELECT CAST('2024-02-30' AS DATE)", "Invalid date"),
    ("SELECT CAST('noon' AS TIMESTAMP)", "Invalid timestamp"),
    ("SELECT CAST(1e300 AS INT64)", "Illegal conversion"),
    ("SELECT 9223372036854775807 + 1", "Overflow"),
    ("SELECT SUM(v) FROM UNNEST([9223372036854775807, 1]) AS v", "out of range"),
    ("SELECT [1][OFFSET(1)]", "Array index 1 is out of bounds"),
    ("SELECT LEFT('a', -1)", "negative"),
    ("SELECT ERROR('stop')", "stop"),
    ("SELECT missing FROM t", "missing"),
    ("SELECT 1 AS a, 2 AS a", "Duplicate column names"),
    ("SELECT n.n FROM t WHERE s = ", "Syntax error"),
    ("SELECT n FROM t WHERE n IN (1", "Syntax error"),
    ("SELECT 'open", "Syntax error"),
    ("-- nothing", "empty"),
    ("SELECT @missing", "missing"),
    ("SELECT LOWER(1)", "No matching signature for LOWER"),
    ("SELECT TIMESTAMP_DIFF(at, at, MONTH) FROM t", "MONTH"),
]


@pytest.mark.parametrize(("sql", "message"), ERRORS)
def test_what_bigquery_refuses_is_a_bad_request(
    warehouse: DuckDBWarehouse, sql: str, message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        rows(warehouse, sql)


REFUSED = [
    ("SELECT FORMAT('%d', 1)", "FORMAT"),
    ("SELECT FARM_FINGERPRINT('a')", "FARM_FINGERPRINT"),
    ("SELECT APPROX_QUANTILES(n, 4) FROM t", "APPROX_QUANTILES"),
    ("SELECT APPROX_COUNT_DISTINCT(n) FROM t", "APPROX_COUNT_DISTINCT"),
    ("SELECT HLL_COUNT.INIT(n) FROM t", "HLL_COUNT.INIT"),
    ("SELECT NET.HOST('a')", "NET"),
    ("SELECT TIMESTAMP_BUCKET(at, INTERVAL 1 DAY) FROM t", "TIMESTAMP_BUCKET"),
    ("SELECT JSON_VALUE('{}', '$.a')", "JSON_VALUE"),
    ("SELECT JSON '{}'", "JSON literals"),
    ("SELECT PARSE_JSON('{}')", "PARSE_JSON"),
    ("SELECT ST_GEOGPOINT(1, 2)", "ST_GEOGPOINT"),
    ("SELECT d.my_function(1)", "d.my_function"),
    ("SELECT REVERSE('ab')", "REVERSE"),
    ("SELECT CONTAINS_SUBSTR('ab', 'a')", "CONTAINS_SUBSTR"),
    ("SELECT INITCAP('ab')", "INITCAP"),
    ("SELECT SAFE.UPPER('ab')", "SAFE.UPPER"),
    ("SELECT MAX_BY(s, n) FROM t", "MAX_BY"),
    ("SELECT ANY_VALUE(s HAVING MAX n) FROM t", "HAVING MAX"),
    ("SELECT PERCENTILE_CONT(n, 0.5) OVER () FROM t", "PERCENTILE_CONT"),
    ("SELECT STRING_AGG(DISTINCT s, ',') OVER () FROM t", "DISTINCT or LIMIT and OVER"),
    ("SELECT SUM(n LIMIT 1) FROM t", "SUM with ORDER BY or LIMIT"),
    ("SELECT ARRAY_AGG(s LIMIT 1) OVER () FROM t", "LIMIT and OVER"),
    ("SELECT m / 2 FROM t", "division of NUMERIC"),
    ("SELECT AVG(m) FROM t", "NUMERIC"),
    ("SELECT ROUND(m, 1) FROM t", "ROUND of NUMERIC"),
    ("SELECT CAST(n AS BIGNUMERIC) FROM t", "BIGNUMERIC"),
    ("SELECT CAST(n AS NUMERIC(5, 2)) FROM t", "NUMERIC"),
    ("SELECT CAST('2024' AS DATE FORMAT 'YYYY')", "CAST with FORMAT"),
    ("SELECT day - day FROM t", "DATE_DIFF"),
    ("SELECT at - at FROM t", "TIMESTAMP_DIFF"),
    ("SELECT TO_JSON_STRING(x) FROM t", "TO_JSON_STRING of DOUBLE"),
    ("SELECT TO_JSON_STRING([9007199254740993])", "16 digits"),
    ("SELECT FORMAT_DATE('%U', day) FROM t", "%U"),
    ("SELECT PARSE_DATE(s, s) FROM t", "not a literal"),
    ("SELECT REGEXP_EXTRACT(s, s) FROM t", "not a literal"),
    ("SELECT EXTRACT(WEEK(MONDAY) FROM day) FROM t", "WEEK"),
    ("SELECT EXTRACT(HOUR FROM at AT TIME ZONE 'UTC') FROM t", "AT TIME ZONE"),
    ("SELECT n & 1 FROM t", "operator &"),
    ("SELECT n ^ 1 FROM t", r"operator \^"),
    ("SELECT s LIKE ANY ('a', 'b') FROM t", "LIKE ANY"),
    ("SELECT n FROM t GROUP BY ROLLUP (n)", "ROLLUP"),
    ("SELECT n FROM t GROUP BY ALL", "GROUP BY ALL"),
    ("SELECT n FROM t TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE"),
    ("SELECT * FROM (SELECT n, s FROM t) PIVOT (SUM(n) FOR s IN ('a'))", "PIVOT"),
    ("SELECT * FROM t JOIN t AS u USING (n)", "USING"),
    ("SELECT * FROM UNNEST([STRUCT(1 AS a)])", "UNNEST"),
    ("SELECT AS STRUCT 1 AS a", "SELECT AS STRUCT"),
    ("SELECT AS VALUE 1", "SELECT AS VALUE"),
    ("SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES", "INFORMATION_SCHEMA"),
    ("SELECT n FROM `d.t_*`", "wildcard table"),
    ("SELECT ?", "positional parameters"),
    ("SELECT @@project_id", "system variable"),
    ("SELECT 1; SELECT 2", "several statements"),
    ("DECLARE x INT64 DEFAULT 1", "DECLARE"),
    ("CREATE FUNCTION d.f(x INT64) AS (x + 1)", "FUNCTION"),
    ("ALTER TABLE d.t ADD COLUMN z INT64", "ALTER"),
    ("EXPORT DATA OPTIONS (uri = 'gs://b/x') AS SELECT 1", "EXPORT"),
    ("SELECT COLLATE(s, 'und:ci') FROM t", "COLLATE"),
    ("SELECT s LIKE 'a' COLLATE 'x' FROM t", "COLLATE"),
    ("SELECT INTERVAL '1-2' YEAR TO MONTH", "interval"),
]


@pytest.mark.parametrize(("sql", "name"), REFUSED)
def test_what_the_local_engine_would_have_to_guess_is_refused_by_name(
    warehouse: DuckDBWarehouse, sql: str, name: str
) -> None:
    with pytest.raises(UnsupportedLocally, match=name):
        rows(warehouse, sql)


# --- Properties ---------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=30))
def test_a_float_as_text_is_the_shortest_that_reads_back_in_15_or_17_digits(
    warehouse: DuckDBWarehouse, values: list[float]
) -> None:
    def expected(value: float) -> str:
        short = f"{value:.15g}"
        text = short if float(short) == value else f"{value:.17g}"
        return "0" if value == 0 else text

    given_ = Parameter(Column("v", "FLOAT64", "REPEATED"), values)

    found = rows(
        warehouse,
        "SELECT CAST(e AS STRING), SAFE_CAST(CAST(e AS STRING) AS FLOAT64) "
        "FROM UNNEST(@v) AS e WITH OFFSET AS o ORDER BY o",
        given_,
    )

    assert found == [[expected(value), value] for value in values]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.text("0123456789+-.eExX_ ab", max_size=6), min_size=1, max_size=40))
def test_only_whole_numbers_are_cast_to_int64(warehouse: DuckDBWarehouse, texts: list[str]) -> None:
    def expected(text: str) -> int | None:
        if re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
            return int(text, 16)
        return int(text) if re.fullmatch(r" *[+-]?[0-9]+ *", text) else None

    found = rows(
        warehouse,
        "SELECT SAFE_CAST(e AS INT64) FROM UNNEST(@v) AS e WITH OFFSET AS o ORDER BY o",
        Parameter(Column("v", "STRING", "REPEATED"), texts),
    )

    assert found == [[expected(text)] for text in texts]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pairs=st.lists(
        st.tuples(
            st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1)),
            st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_time_passed_is_whole_units_towards_zero_and_days_are_boundaries(
    warehouse: DuckDBWarehouse, pairs: list[tuple[dt.datetime, dt.datetime]]
) -> None:
    hour = dt.timedelta(hours=1)
    first, second = zip(*pairs, strict=True)

    found = rows(
        warehouse,
        "SELECT TIMESTAMP_DIFF(a, b, HOUR), DATE_DIFF(DATE(a), DATE(b), DAY), "
        "DATE_DIFF(DATE(a), DATE(b), WEEK), EXTRACT(DAYOFWEEK FROM a) "
        "FROM UNNEST(@a) AS a WITH OFFSET AS i "
        "INNER JOIN UNNEST(@b) AS b WITH OFFSET AS j ON i = j ORDER BY i",
        Parameter(Column("a", "TIMESTAMP", "REPEATED"), [v.replace(tzinfo=UTC) for v in first]),
        Parameter(Column("b", "TIMESTAMP", "REPEATED"), [v.replace(tzinfo=UTC) for v in second]),
    )

    # The ordinal of 0001-01-01, a Monday, is 1; so weeks that begin on Sunday are ordinal // 7.
    assert found == [
        [
            (a - b) // hour if a >= b else -((b - a) // hour),
            a.toordinal() - b.toordinal(),
            a.toordinal() // 7 - b.toordinal() // 7,
            a.isoweekday() % 7 + 1,
        ]
        for a, b in pairs
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(st.text(max_size=8).filter(lambda t: "\0" not in t), min_size=1, max_size=20),
    position=st.integers(-10, 10),
    length=st.integers(0, 6),
)
def test_strings_are_cut_and_folded_by_code_points(
    warehouse: DuckDBWarehouse, texts: list[str], position: int, length: int
) -> None:
    def cut(text: str) -> str:
        start = position - 1 if position > 0 else len(text) + position if position < 0 else 0
        start = max(start, 0)
        return text[start : start + length]

    found = rows(
        warehouse,
        "SELECT SUBSTR(e, @p, @n), LENGTH(e), LOWER(e), UPPER(e), TRIM(e), NORMALIZE(e, NFKC) "
        "FROM UNNEST(@v) AS e WITH OFFSET AS o ORDER BY o",
        Parameter(Column("v", "STRING", "REPEATED"), texts),
        Parameter(Column("p", "INT64"), position),
        Parameter(Column("n", "INT64"), length),
    )

    # Python's strip also takes the four separators U+001C to U+001F, which are no White_Space.
    blanks = "".join(
        c for c in map(chr, range(0x3001)) if c.isspace() and c not in "\x1c\x1d\x1e\x1f"
    )
    assert found == [
        [cut(t), len(t), t.lower(), t.upper(), t.strip(blanks), unicodedata.normalize("NFKC", t)]
        for t in texts
    ]


# --- The documentation --------------------------------------------------------------------

DOCUMENT = (Path(__file__).resolve().parents[1] / "docs" / "local.md").read_text()


def test_the_document_lists_exactly_the_functions_that_run() -> None:
    listed = DOCUMENT.split("**These functions run")[1].split("```")[1].split()

    assert listed == sorted(admitted())


@pytest.mark.parametrize("sql", re.findall(r"^\| `(.+?)` \|", DOCUMENT, re.MULTILINE))
def test_what_the_document_says_is_refused_is_refused(warehouse: DuckDBWarehouse, sql: str) -> None:
    with pytest.raises(UnsupportedLocally):
        rows(warehouse, sql)


def test_every_function_that_runs_is_tried_here() -> None:
    tried = Path(__file__).read_text()

    untried = {name for name in admitted() if f"{name}(" not in tried}

    assert untried == set()
