"""A query and its contract: the YAML in the first comment of a SQL file, held to the SQL.

What the header promises (columns, parameters) is compared with the query beneath it
when the file is read. What a query reads is never written down: it is parsed from the SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, get_args

from etl_jobs.errors import ContractError, Misuse, nearest
from etl_jobs.plain_yaml import yaml_problem
from gcp_accessor.byte_sizes import parse_bytes
from gcp_accessor.schema import Column, TableName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sqlglot import exp

_KEYS = frozenset(
    {
        *("output", "partition", "publish", "parameters", "columns", "grain"),
        *("checks", "byte_budget", "if_empty", "summary", "earlier_days"),
    }
)
PublishFormat = Literal["csv.gz", "parquet"]
_FORMATS: tuple[PublishFormat, ...] = get_args(PublishFormat)


@dataclass(frozen=True, slots=True)
class JobParameter:
    """A value that a job takes by name, `--set name=value` on the command line."""

    name: str
    type: str
    about: str
    default: str | None = None
    one_of: tuple[str, ...] = ()

    def parse(self, text: str) -> object:
        """Return the Python value that `text` stands for.

        Raises:
            Misuse: the text is not of the parameter's type, or not one of its choices.
        """
        if self.one_of and text not in self.one_of:
            raise Misuse(
                f"the parameter {self.name} is {text!r}; expected {' or '.join(self.one_of)}"
            )
        try:
            return _PARSERS[self.type](text)
        except ValueError:
            raise Misuse(f"the parameter {self.name} is {text!r}; expected {self.type}") from None


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "STRING": str,
    "INT64": int,
    "FLOAT64": float,
    "DATE": date.fromisoformat,
}


@dataclass(frozen=True, slots=True)
class Query:
    """A SQL file with what its header promises and what its SQL reads.

    Attributes:
        name: The file's path under `sql/` without its ending: "answers/latest".
        output: The table that the rows replace a partition of; None for a query whose rows
            are read by a Python job.
        partition: The DATE column that splits the output by day.
        publish: The formats in which the rows go to Cloud Storage.
        checks: Name -> a boolean SQL expression that no row may make false.
        byte_budget: The most bytes that one run may read.
        if_empty: "allowed" where no rows is a proper result; otherwise what a person should do
            when there are none.
        summary: What the rows count, such as "rows left out", for a query of one count per
            label: a run then says how many there are, and of which labels.
        earlier_days: The tables of which days before the run's are read too, so that a run is
            another one once such a day is.
        reads: The tables in the SQL, as written there.
    """

    name: str
    path: Path
    sql: str
    description: str
    columns: tuple[Column, ...]
    grain: tuple[str, ...]
    reads: tuple[str, ...]
    output: str | None = None
    partition: str | None = None
    publish: tuple[PublishFormat, ...] = ()
    parameters: tuple[JobParameter, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    byte_budget: int | None = None
    if_empty: str = ""
    summary: str | None = None
    earlier_days: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns that tell one day's rows apart."""
        return tuple(name for name in self.grain if name != self.partition)

    @property
    def counts(self) -> tuple[str, ...]:
        """The whole numbers that are not part of the grain."""
        return tuple(c.name for c in self.columns if c.type == "INT64" and c.name not in self.grain)


def read_query(path: Path, folder: Path) -> Query:
    """Return the query in `path`, its contract compared with its SQL.

    Raises:
        ContractError: the header is not valid, the SQL does not parse, or they disagree.
    """
    name = path.relative_to(folder).with_suffix("").as_posix()
    where = f"sql/{name}.sql"
    try:
        sql = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ContractError(
            f"{where}: is not UTF-8: {error.reason} at byte {error.start}"
        ) from error
    description, header = _split_header(sql, where)
    tree = _parse(sql, where)
    try:
        query = Query(
            name=name,
            path=path,
            sql=sql,
            description=description,
            columns=tuple(_column(key, text) for key, text in _mapping(header, "columns").items()),
            grain=_names(header, "grain"),
            reads=tables_read(tree),
            output=header.get("output"),
            partition=header.get("partition"),
            publish=_names(header, "publish"),  # type: ignore[arg-type]  # compared below
            parameters=tuple(
                _parameter(key, text) for key, text in _mapping(header, "parameters").items()
            ),
            checks={key: str(text) for key, text in _mapping(header, "checks").items()},
            byte_budget=_bytes(header["byte_budget"]) if "byte_budget" in header else None,
            if_empty=" ".join(str(header.get("if_empty", "")).split()),
            summary=header.get("summary"),
            earlier_days=_names(header, "earlier_days"),
        )
        _compare(query, tree)
    except ValueError as error:
        raise ContractError(f"{where}: {error}") from error
    return query


def tables_read(tree: exp.Expr) -> tuple[str, ...]:
    """Return the tables a statement reads, sorted, its own WITH steps left out."""
    from sqlglot import exp

    steps = {step.alias for step in tree.find_all(exp.CTE)}
    tables = {
        ".".join(part.name for part in table.parts)
        for table in tree.find_all(exp.Table)
        if table.name and (table.db or table.name not in steps)
    }
    return tuple(sorted(tables))


def parse_sql(sql: str) -> exp.Expr:
    """Return the one statement in `sql`.

    Raises:
        ValueError: it does not parse, or is not exactly one statement.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        trees = [tree for tree in sqlglot.parse(sql, read="bigquery") if tree is not None]
    except SqlglotError as error:
        detail = getattr(error, "errors", None)
        if not detail:
            raise ValueError(f"the SQL does not parse: {error}") from error
        first = detail[0]
        problem = str(first["description"])
        if problem.startswith("Required keyword"):
            # The rest names a class of the parser's.
            problem = "something is missing before it"
        raise ValueError(
            f"the SQL does not parse at line {first['line']}, column {first['col']}, "
            f"near {first['highlight']!r}: {problem}"
        ) from error
    if len(trees) != 1:
        raise ValueError(f"expected one statement, found {len(trees)}")
    return trees[0]


def _parse(sql: str, where: str) -> exp.Expr:
    from sqlglot import exp

    try:
        tree = parse_sql(sql)
    except ValueError as error:
        raise ContractError(f"{where}: {error}") from error
    if not isinstance(tree, exp.Query):
        raise ContractError(f"{where}: expected a SELECT, found {tree.key.upper()}")
    return tree


def _split_header(sql: str, where: str) -> tuple[str, dict[str, Any]]:
    """Return the description and the YAML of the leading comment."""
    import yaml

    match = re.match(r"\s*/\*(.*?)\*/", sql, re.DOTALL)
    if match is None:
        raise ContractError(
            f"{where}: expected a leading /* comment */ with a description, an empty line and the "
            "contract in YAML"
        )
    description, _, text = match[1].strip().partition("\n\n")
    first_line = sql[: match.start(1) + match[1].find(text)].count("\n") + 1
    try:
        header = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        problem = yaml_problem(error, first_line)
        raise ContractError(f"{where}: the header is not valid YAML{problem}") from error
    if not isinstance(header, dict) or not text:
        raise ContractError(f"{where}: the header holds no contract after its first empty line")
    unknown = sorted(set(header) - _KEYS)
    if unknown:
        raise ContractError(
            f"{where}: the header has the unknown key {unknown[0]!r}; "
            f"expected {', '.join(sorted(_KEYS))}{nearest(str(unknown[0]), _KEYS)}"
        )
    return " ".join(description.split()), header


def _mapping(header: dict[str, Any], key: str) -> dict[str, Any]:
    value = header.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} has to be a mapping of names, found {value!r}")
    return value


def _names(header: dict[str, Any], key: str) -> tuple[str, ...]:
    value = header.get(key) or []
    if not isinstance(value, list):
        raise ValueError(f"{key} has to be a list, found {value!r}; write [{value}]")
    return tuple(str(each) for each in value)


def _column(name: str, text: str) -> Column:
    """Return the column that "TYPE [NOT NULL], meaning" describes."""
    type_, _, description = str(text).partition(",")
    words = type_.split()
    required = words[1:] == ["NOT", "NULL"]
    if len(words) != 1 and not required:
        raise ValueError(f"column {name}: expected 'TYPE [NOT NULL], meaning', found {text!r}")
    if not description.strip():
        raise ValueError(f"column {name} says no meaning; write 'TYPE, meaning'")
    return Column(name, words[0], "REQUIRED" if required else "NULLABLE", description.strip())


def _parameter(name: str, spec: object) -> JobParameter:
    """Return the parameter that "TYPE, meaning" or a mapping describes."""
    if isinstance(spec, dict):
        unknown = set(spec) - {"type", "about", "default", "one_of"}
        if unknown or not {"type", "about"} <= set(spec):
            raise ValueError(
                f"parameter {name}: expected type and about, perhaps default and one_of"
            )
        default = spec.get("default")
        parameter = JobParameter(
            name,
            spec["type"],
            spec["about"],
            None if default is None else str(default),
            tuple(str(choice) for choice in spec.get("one_of", ())),
        )
    else:
        type_, _, about = str(spec).partition(",")
        parameter = JobParameter(name, type_.strip(), about.strip())
    if parameter.type not in _PARSERS:
        raise ValueError(
            f"parameter {name} has the type {parameter.type!r}; expected {', '.join(_PARSERS)}"
        )
    return parameter


def _bytes(value: object) -> int:
    return parse_bytes(str(value))


def _compare(query: Query, tree: exp.Expr) -> None:
    """Hold the header to the SQL beneath it.

    Raises:
        ValueError: the first disagreement.
    """
    from sqlglot import exp

    promised = [column.name for column in query.columns]
    selected = tree.named_selects  # type: ignore[attr-defined]
    if "*" in selected:
        raise ValueError("the last SELECT uses *; list its columns")
    if promised != selected:
        raise ValueError(
            f"the header promises the columns {', '.join(promised)}; "
            f"the SELECT returns {', '.join(selected)}"
        )
    declared = {parameter.name for parameter in query.parameters}
    used = {node.name for node in tree.find_all(exp.Parameter)}
    if declared != used:
        odd = min(declared ^ used)
        raise ValueError(
            f"the header declares the parameter {odd}, which the SQL does not use"
            if odd in declared
            else f"the SQL uses @{odd}, which the header does not declare"
        )
    for name in (*query.grain, *((query.partition,) if query.partition else ())):
        if name not in promised:
            raise ValueError(f"{name} is in the grain or partition, but not among the columns")
    if not query.grain:
        raise ValueError("the header states no grain; name the columns that make a row unique")
    for table in query.earlier_days:
        if table not in query.reads:
            raise ValueError(f"earlier_days: {table} is not a table that the SQL reads")
    for name, check in query.checks.items():
        _compare_check(name, check, set(promised))
    if query.output is not None:
        _compare_output(query, tree)
    elif query.publish or query.partition:
        raise ValueError("publish and partition need an output table")


def _compare_check(name: str, check: str, columns: set[str]) -> None:
    from sqlglot import exp

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"the check {name!r} has to be named in snake_case")
    condition = parse_sql(f"SELECT {check}")
    unknown = {node.name for node in condition.find_all(exp.Column)} - columns
    if unknown:
        raise ValueError(f"the check {name} uses {min(unknown)}, which is not a column")


def _compare_output(query: Query, tree: exp.Expr) -> None:
    TableName.parse(query.output or "", default_dataset="default")
    types = {column.name: column.type for column in query.columns}
    if query.partition is None or types[query.partition] != "DATE":
        raise ValueError("an output needs partition: a DATE column, so that one day is replaced")
    unknown = set(query.publish) - set(_FORMATS)
    if unknown:
        raise ValueError(f"publish: {min(unknown)} is not one of {', '.join(_FORMATS)}")
    if tree.args.get("order") is not None and tree.args.get("limit") is None:
        raise ValueError(
            "the last SELECT has an ORDER BY, which BigQuery refuses for a table that is split by "
            "day; leave it out, what is published is ordered by the grain"
        )
    if query.summary is not None and (len(query.labels) != 1 or len(query.counts) != 1):
        raise ValueError("summary: needs one column in the grain and one INT64 that it counts")
