"""A contract as one SQL statement that counts its violations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.errors import ContractError

if TYPE_CHECKING:
    from datetime import date

    from sqlglot import exp

    from etl_jobs.contract import Query
    from gcp_accessor import BigQueryAccessor
    from gcp_accessor.backends import Table


def check_columns(query: Query, table: Table) -> None:
    """Compare the columns of a table that was just written with those promised.

    Raises:
        ContractError: a name or a type differs.
    """
    found = [f"{column.name} {column.type}" for column in table.schema]
    promised = [f"{column.name} {column.type}" for column in query.columns]
    if found != promised:
        # The names agree in number and order: they were compared when the file was read.
        pairs = [pair for pair in zip(promised, found, strict=True) if len(set(pair)) > 1]
        expected, returned = (", ".join(columns) for columns in zip(*pairs, strict=True))
        raise ContractError(
            f"{query.name} promises {expected}, but its query returned {returned}, so nothing was "
            f"published; change sql/{query.name}.sql or its header"
        )


def check_rows(
    query: Query, warehouse: BigQueryAccessor, table: str, day: date
) -> tuple[int, dict[str, int]]:
    """Return how many rows there are, and each check's violations, all of them 0.

    Args:
        day: The only one that the rows may be of: no other is replaced.

    Raises:
        ContractError: there are no rows, or some violate a check; the message counts them.
    """
    result = warehouse.query(checks_sql(query, table), {"as_of": day})
    names = [column.name for column in result.schema]
    counts: dict[str, int] = dict(zip(names, result.rows()[0], strict=True))  # type: ignore[arg-type]
    rows = counts.pop("rows_written")
    if not rows and query.if_empty != "allowed":
        raise ContractError(
            f"{query.name} returned no rows, so nothing was published. {query.if_empty}"
        )
    violations = [
        f"{count:,} {'row breaks' if count == 1 else 'rows break'} {name}"
        for name, count in counts.items()
        if count
    ]
    if violations:
        error = ContractError(
            f"{query.name} breaks its contract, so nothing was published: {', '.join(violations)}"
        )
        error.violations = counts
        raise error
    return rows, counts


def checks_sql(query: Query, table: str) -> str:
    """Return BigQuery SQL of one row: `rows_written`, then violations by check on `@as_of`.

    As in SQL's own CHECK constraints, an expression that is NULL is no violation; NOT NULL
    is a check of its own.
    """
    from sqlglot import exp, select

    source = quoted_table(table)
    partition = exp.column(query.partition or "")
    as_of = exp.Parameter(this=exp.var("as_of"))
    repeats = (
        select("COUNT(*) - 1 AS repeats")
        .from_(source)
        .group_by(*(exp.column(name) for name in query.grain))
        .subquery("repeated_grains")
    )
    violations: dict[str, exp.Expr] = {
        f"{query.partition}_is_the_day": exp.NullSafeNEQ(this=partition, expression=as_of)
    }
    violations |= {
        f"{column.name}_is_not_null": exp.column(column.name).is_(exp.null())
        for column in query.columns
        if column.mode == "REQUIRED"
    }
    violations |= {
        name: exp.not_(exp.paren(exp.maybe_parse(check, dialect="bigquery")))
        for name, check in query.checks.items()
    }
    statement = select(
        "COUNT(*) AS rows_written",
        *(exp.alias_(exp.CountIf(this=row), name) for name, row in violations.items()),
        exp.alias_(
            select("COALESCE(SUM(repeats), 0)").from_(repeats).subquery(), "grain_is_unique"
        ),
    ).from_(source)
    return statement.sql(dialect="bigquery", pretty=True)


def quoted_table(name: str) -> exp.Table:
    """Return a table as a statement names it: in backticks, which a dash needs."""
    from sqlglot import exp

    table, *before = reversed(name.split("."))
    dataset, project, *_ = *before, None, None
    return exp.table_(table, db=dataset, catalog=project, quoted=True)
