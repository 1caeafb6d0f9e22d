"""A SQL file's header is held to the SQL beneath it, and says what is wrong where it differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_jobs.checks import checks_sql
from etl_jobs.contract import read_query
from etl_jobs.errors import ContractError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = """\
/*
One row per student.

output: answer_counts
partition: as_of
publish: [csv.gz]
grain: [as_of, student_id]
parameters:
  as_of: DATE, the day
columns:
  as_of: DATE NOT NULL, the day
  student_id: STRING NOT NULL, who answered
  answers: INT64, how often
checks:
  somebody_answered: answers >= 1
byte_budget: 2 GB
*/
"""
SQL = """
WITH day_answers AS (SELECT * FROM raw.answers WHERE day = @as_of)

SELECT @as_of AS as_of, student_id, COUNT(*) AS answers
FROM day_answers JOIN students USING (student_id)
GROUP BY student_id
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "counts" / "answers.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_header_and_its_sql_become_a_query(tmp_path: Path) -> None:
    query = read_query(write(tmp_path, HEADER + SQL), tmp_path)

    assert query.name == "counts/answers"
    assert query.description == "One row per student."
    assert query.output == "answer_counts"
    assert query.grain == ("as_of", "student_id")
    assert [(c.name, c.type, c.mode) for c in query.columns] == [
        ("as_of", "DATE", "REQUIRED"),
        ("student_id", "STRING", "REQUIRED"),
        ("answers", "INT64", "NULLABLE"),
    ]
    assert query.byte_budget == 2_000_000_000
    assert query.publish == ("csv.gz",)


def test_what_a_query_reads_is_parsed_from_it_without_its_own_steps(tmp_path: Path) -> None:
    query = read_query(write(tmp_path, HEADER + SQL), tmp_path)

    assert query.reads == ("raw.answers", "students")


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        (HEADER, "", "expected a leading /* comment */"),
        ("output:", "outputs:", "unknown key 'outputs'"),
        ("grain: [as_of", "grain: [as_off", "as_off is in the grain or partition"),
        ("grain: [as_of, student_id]\n", "", "states no grain"),
        ("answers: INT64, how often", "answer: INT64, how often", "promises the columns"),
        ("INT64, how often", "INTEGRAL, how often", "unknown type 'INTEGRAL'"),
        ("INT64, how often", "INT64", "column answers says no meaning"),
        ("STRING NOT NULL,", "STRING NEVER NULL,", "expected 'TYPE [NOT NULL], meaning'"),
        ("  as_of: DATE, the day\n", "  as_of: DATE, x\n  extra: DATE, x\n", "does not use"),
        ("WHERE day = @as_of", "WHERE day = @as_of AND x = @y", "@y, which the header does not"),
        ("  as_of: DATE, the day\n", "  as_of: DAY, the day\n", "has the type 'DAY'"),
        ("answers >= 1", "answer >= 1", "uses answer, which is not a column"),
        ("answers >= 1", "answers >= >= 1", "does not parse"),
        ("somebody_answered:", "Somebody Answered:", "snake_case"),
        ("partition: as_of", "partition: student_id", "needs partition: a DATE column"),
        ("publish: [csv.gz]", "publish: [xlsx]", "xlsx is not one of"),
        ("output: answer_counts", "output: answer;counts", "is not a table name"),
        ("byte_budget: 2 GB", "byte_budget: much", "'much' is not a size"),
        ("GROUP BY student_id", "GROUP BY student_id ORDER BY student_id", "has an ORDER BY"),
        ("GROUP BY student_id", "GROUP BY (student_id", "does not parse at line"),
        ("SELECT @as_of AS", "SELECT *, @as_of AS", "list its columns"),
        ("GROUP BY student_id", "GROUP BY student_id; SELECT 1", "found 2"),
        (SQL, "\nDELETE FROM t WHERE day = @as_of", "expected a SELECT"),
        ("columns:", "columns: [", "not valid YAML"),
    ],
)
def test_each_disagreement_is_one_sentence_that_names_the_file(
    was: str, now: str, message: str, tmp_path: Path
) -> None:
    text = HEADER + SQL
    assert was in text
    path = write(tmp_path, text.replace(was, now, 1))

    with pytest.raises(ContractError) as caught:
        read_query(path, tmp_path)

    assert str(caught.value).startswith("sql/counts/answers.sql: ")
    assert message in str(caught.value)


def test_a_contract_is_one_statement_that_counts_violations(tmp_path: Path) -> None:
    query = read_query(write(tmp_path, HEADER + SQL), tmp_path)

    sql = checks_sql(query, "etl.staging")

    for name in ("rows_written", "student_id_is_not_null", "somebody_answered", "grain_is_unique"):
        assert f"AS {name}" in sql
    assert "answers_is_not_null" not in sql
