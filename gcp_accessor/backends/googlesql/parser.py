"""GoogleSQL as a tree: parsed, admitted node by node, its tables found.

Every function is parsed under the name that it was written with, so that what is admitted
and what is refused is a matter of BigQuery's names alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from google.api_core.exceptions import BadRequest
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, SqlglotError, TokenError

from gcp_accessor.errors import UnsupportedLocally
from gcp_accessor.schema import TableName

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPECIAL_FORMS = ("CAST", "SAFE_CAST", "EXTRACT", "ARRAY")


class GoogleSQL(BigQuery):
    """BigQuery's dialect without sqlglot's reading of the functions."""

    # sqlglot makes the class as it is imported, which mypy does not see.
    class Parser(BigQuery.Parser):  # type: ignore[misc, valid-type]
        """Leaves every ordinary call as it was written."""

        # sqlglot reads both from the class.
        FUNCTIONS = {  # noqa: RUF012
            name: BigQuery.Parser.FUNCTIONS[name] for name in ("ARRAY", "COALESCE", "IF", "STRUCT")
        }
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: parser
            for name, parser in BigQuery.Parser.FUNCTION_PARSERS.items()
            if name in _SPECIAL_FORMS
        }


def parse(sql: str) -> exp.Expr:
    """Return the one statement that `sql` holds.

    Raises:
        BadRequest: it does not parse; the message says where.
        UnsupportedLocally: it is a script of several statements.
    """
    try:
        statements = [tree for tree in GoogleSQL().parse(sql) if tree is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        place = f" at [{first.get('line')}:{first.get('col')}]" if first else ""
        near = f" near {first['highlight']!r}" if first.get("highlight") else ""
        reason = first.get("description") or str(error)
        # What the parser was doing says nothing about the statement.
        raise BadRequest(f"Syntax error: {reason}{near}{place}") from None
    except (TokenError, SqlglotError) as error:
        raise BadRequest(f"Syntax error: {error}") from None
    if not statements:
        raise BadRequest("Syntax error: the query is empty; expected a statement")
    if len(statements) > 1:
        raise refused("a script of several statements", "run them one at a time")
    if not isinstance(statements[0], exp.Expr):
        raise refused(type(statements[0]).__name__)
    return statements[0]


def refused(what: str, advice: str = "") -> UnsupportedLocally:
    """The error that refuses a construct by its name."""
    error = UnsupportedLocally(f"the local warehouse does not run {what}")
    error.add_note(advice or "Write it another way, or run it on BigQuery itself.")
    return error


# --- What a query may be made of ----------------------------------------------------------

# Each node with those of its parts that are understood; a part beyond them is refused.
_QUERY_PARTS = {"with_", "expressions", "order", "limit", "offset"}
_ADMITTED: dict[type[exp.Expr], set[str]] = {
    exp.Select: _QUERY_PARTS
    | {"kind", "distinct", "from_", "joins", "where", "group", "having", "qualify", "windows"},
    exp.Union: _QUERY_PARTS | {"this", "expression", "distinct"},
    exp.Intersect: _QUERY_PARTS | {"this", "expression", "distinct"},
    exp.Except: _QUERY_PARTS | {"this", "expression", "distinct"},
    exp.Subquery: _QUERY_PARTS | {"this", "alias"},
    exp.With: {"expressions", "recursive"},
    exp.CTE: {"this", "alias"},
    exp.From: {"this"},
    exp.Join: {"this", "on", "using", "kind", "side"},
    exp.Table: {"this", "db", "catalog", "alias", "version", "joins"},
    exp.Group: {"expressions"},
    exp.Order: {"this", "expressions"},
    exp.Ordered: {"this", "desc", "nulls_first"},
    exp.Limit: {"this", "expression"},
    exp.Star: {"except_", "replace"},
    exp.Window: {"this", "partition_by", "order", "spec", "alias", "over"},
    exp.Unnest: {"expressions", "alias", "offset", "explode_array"},
    exp.Cast: {"this", "to"},
    exp.TryCast: {"this", "to", "safe"},
    exp.Like: {"this", "expression", "negate"},
    exp.In: {"this", "expressions", "query", "unnest", "is_global"},
    exp.DataType: {"this", "expressions", "nested"},
    exp.Bracket: {"this", "expressions", "offset", "safe"},
    exp.Update: {"this", "expressions", "where", "from_"},
    exp.Delete: {"this", "where"},
    exp.Merge: {"this", "using", "on", "whens"},
    exp.When: {"matched", "source", "condition", "then"},
    # The values of a MERGE's INSERT.
    exp.Insert: {"this", "expression"},
}
_ADMITTED_WHOLE = frozenset(
    getattr(exp, name)
    for name in (
        "Add",
        "Alias",
        "And",
        "Anonymous",
        "Array",
        "Between",
        "Boolean",
        "ByteString",
        "Case",
        "Coalesce",
        "Column",
        "ColumnDef",
        "CurrentDate",
        "DPipe",
        "Distinct",
        "Div",
        "Dot",
        "EQ",
        "Exists",
        "Extract",
        "GT",
        "GTE",
        "Having",
        "HexString",
        "Identifier",
        "If",
        "IgnoreNulls",
        "Interval",
        "Is",
        "LT",
        "LTE",
        "Literal",
        "Mul",
        "NEQ",
        "Neg",
        "Not",
        "Null",
        "NullSafeEQ",
        "NullSafeNEQ",
        "Offset",
        "Or",
        "Parameter",
        "Paren",
        "PropertyEQ",
        "Qualify",
        "RawString",
        "RespectNulls",
        "SafeFunc",
        "Struct",
        "Sub",
        "TableAlias",
        "Tuple",
        "Var",
        "Version",
        "Whens",
        "Where",
        "WindowSpec",
    )
)
_SPELLED: dict[type[exp.Expr], str] = {
    exp.Pivot: "PIVOT and UNPIVOT",
    exp.TableSample: "TABLESAMPLE",
    exp.HavingMax: "ANY_VALUE(... HAVING MAX ...)",
    exp.WithinGroup: "WITHIN GROUP",
    exp.Collate: "COLLATE",
    exp.ParseJSON: "JSON literals and PARSE_JSON",
    exp.StrToDate: "CAST with FORMAT",
    exp.StrToTime: "CAST with FORMAT",
    exp.TimeToStr: "CAST with FORMAT",
    exp.BitwiseXor: "the operator ^",
    exp.BitwiseAnd: "the operator &",
    exp.BitwiseOr: "the operator |",
    exp.BitwiseNot: "the operator ~",
    exp.BitwiseLeftShift: "the operator <<",
    exp.BitwiseRightShift: "the operator >>",
    exp.Any: "LIKE ANY and LIKE ALL",
    exp.Placeholder: "positional parameters (?)",
    exp.DataTypeParam: "types with a length or precision, such as NUMERIC(p, s)",
    exp.IntervalSpan: "intervals of two units",
    exp.AtTimeZone: "AT TIME ZONE",
}
_SPELLED_PARTS = {
    ("Group", "rollup"): "GROUP BY ROLLUP",
    ("Group", "cube"): "GROUP BY CUBE",
    ("Group", "grouping_sets"): "GROUP BY GROUPING SETS",
    ("Group", "all"): "GROUP BY ALL",
    ("Table", "pivots"): "PIVOT and UNPIVOT",
    ("Table", "sample"): "TABLESAMPLE",
    ("Subquery", "pivots"): "PIVOT and UNPIVOT",
    ("Subquery", "sample"): "TABLESAMPLE",
    ("Select", "laterals"): "LATERAL",
    ("Window", "first"): "FIRST and LAST",
}


def admit(tree: exp.Expr) -> None:
    """Return if every node of a query is one that the local warehouse understands.

    Raises:
        UnsupportedLocally: one is not; the message names it.
    """
    for node in tree.walk():
        kind = type(node)
        if kind in _ADMITTED:
            for part, value in node.args.items():
                if value and part not in _ADMITTED[kind] and not part.startswith("_"):
                    default = f"{part.strip('_').upper()} in {kind.__name__.upper()}"
                    raise refused(_SPELLED_PARTS.get((kind.__name__, part), default))
        elif kind is exp.Parameter and isinstance(node.this, exp.Parameter):
            raise refused(f"the system variable @@{node.this.name}")
        elif kind not in _ADMITTED_WHOLE:
            raise refused(_SPELLED.get(kind, f"{kind.__name__} ({node.sql(GoogleSQL)[:60]})"))


# --- Whose rows it reads ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """What a view stands for: its query, and the dataset in which its names are found."""

    sql: str
    default_dataset: str | None


class Catalog(Protocol):
    """What is known of the tables."""

    def find(self, name: TableName) -> View | None:
        """The view of that name, None for a table; NotFound when there is neither."""
        ...


def resolve(tree: exp.Expr, catalog: Catalog, default_dataset: str | None) -> tuple[TableName, ...]:
    """Name every table of a query in full and put each view's query in its place.

    Returns:
        The tables that are read, each once, in order of their names.
    """
    found: set[TableName] = set()
    _resolve(tree, catalog, default_dataset, found, ())
    return tuple(sorted(found, key=str))


def table_name(table: exp.Table, default_dataset: str | None) -> TableName:
    """The name that a table is written with.

    Raises:
        BadRequest: it is not a table's name, or has no dataset and there is no default.
    """
    written = ".".join(part.name for part in table.parts)
    if "INFORMATION_SCHEMA" in written.upper().split("."):
        raise refused("INFORMATION_SCHEMA", "Ask the accessor's tables() and table() instead.")
    if written.endswith("*"):
        raise refused(f"the wildcard table {written}")
    try:
        return TableName.parse(written, default_dataset=default_dataset)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def _resolve(
    tree: exp.Expr,
    catalog: Catalog,
    default_dataset: str | None,
    found: set[TableName],
    inside: tuple[TableName, ...],
) -> None:
    admit(tree)
    for table in list(tree.find_all(exp.Table)):
        # A local table has no history: what it holds now is what it held.
        table.set("version", None)
        if not table.db and _is_cte(table):
            continue
        name = table_name(table, default_dataset)
        whole = TableName(name.table, name.dataset)
        view = catalog.find(name)
        alias = table.alias or name.table
        if view is None:
            found.add(whole)
            table.set("this", exp.to_identifier(name.table, quoted=True))
            table.set("db", exp.to_identifier(name.dataset, quoted=True))
            table.set("catalog", None)
            table.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
            continue
        if whole in inside:
            raise BadRequest(f"the view {whole} reads itself")
        body = parse(view.sql)
        _resolve(body, catalog, view.default_dataset, found, (*inside, whole))
        joins = table.args.get("joins")
        subquery = exp.Subquery(this=body, alias=exp.TableAlias(this=exp.to_identifier(alias)))
        if joins:
            subquery.set("joins", joins)
        table.replace(subquery)


def _is_cte(table: exp.Table) -> bool:
    wanted = table.name.lower()
    return any(cte.alias.lower() == wanted for cte in _visible_ctes(table))


def _visible_ctes(node: exp.Expr) -> Iterator[exp.CTE]:
    """The WITH steps that a name at this place may mean: never a step that comes later."""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, exp.With):
            steps = parent.expressions
            yield from steps if parent.recursive else steps[: steps.index(node)]
            # The query that has this WITH must not offer all of its steps to one of them.
            parent = parent.parent
        elif isinstance(with_ := parent.args.get("with_"), exp.With):
            yield from with_.expressions
        if parent is not None:
            node, parent = parent, parent.parent
