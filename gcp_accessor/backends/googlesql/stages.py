"""Aggregates and windows computed first, in a query of their own.

    SELECT subject, ROUND(SUM(ms) / COUNT(*)) AS mean FROM answers GROUP BY subject

becomes

    SELECT gs_k0 AS subject, ROUND(gs_a0 / gs_a1) AS mean
    FROM (SELECT subject AS gs_k0, SUM(ms) AS gs_a0, COUNT(*) AS gs_a1 FROM answers GROUP BY 1)

DuckDB chooses among a macro's typed forms by its arguments' types, and knows the type of a
column, but not yet that of an aggregate in the same SELECT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlglot import exp

from gcp_accessor.backends.googlesql.aggregates import AGGREGATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What becomes a macro, and so must know its arguments' types.
_TYPED = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Cast, exp.TryCast, exp.Extract, exp.Bracket)
_AFTER_GROUPING = ("expressions", "having", "qualify", "order", "windows")
_AFTER_WINDOWS = ("expressions", "qualify", "order")


def stage(tree: exp.Expr) -> None:
    """Rewrite, in place, every SELECT of a query that needs it."""
    # From the inside, so that what a SELECT is wrapped around has been seen.
    for select in reversed(list(tree.find_all(exp.Select))):
        _stage_aggregates(select)
        _stage_windows(select)


# --- Aggregates ---------------------------------------------------------------------------


def _stage_aggregates(select: exp.Select) -> None:
    aggregates = [node for node in _within(select, _AFTER_GROUPING) if _is_aggregate(node)]
    if not any(_needs_type(node) for node in aggregates):
        return
    group = select.args.get("group")
    keys = [_group_key(select, item).copy() for item in group.expressions] if group else []
    _expand_aliases(select, ("having", "qualify", "order"))
    _keep_names(select)
    aggregates = [node for node in _within(select, _AFTER_GROUPING) if _is_aggregate(node)]
    inner = exp.Select(
        expressions=[_alias(key.copy(), f"gs_k{index}") for index, key in enumerate(keys)],
        from_=select.args.get("from_"),
        joins=select.args.get("joins"),
        where=select.args.get("where"),
    )
    if group:
        inner.set(
            "group", exp.Group(expressions=[exp.Var(this=str(i + 1)) for i in range(len(keys))])
        )
    _move(aggregates, inner, "a")
    for clause in _clauses(select, _AFTER_GROUPING):
        _replace_keys(clause, keys, select)
    having = select.args.get("having")
    select.set("from_", _from(inner, "grouped"))
    select.set("joins", None)
    select.set("group", None)
    select.set("having", None)
    select.set("where", exp.Where(this=having.this) if having else None)


def _group_key(select: exp.Select, item: exp.Expr) -> exp.Expr:
    """What GROUP BY 2, or by an alias, means."""
    if isinstance(item, exp.Literal) and not item.is_string:
        position = int(item.name) - 1
        if position < len(select.expressions):
            return cast("exp.Expr", select.expressions[position].unalias())
    if isinstance(item, exp.Column) and not item.table:
        for projection in select.expressions:
            if isinstance(projection, exp.Alias) and _same(projection.alias, item.name):
                return cast("exp.Expr", projection.this)
    return item


def _replace_keys(node: exp.Expr, keys: list[exp.Expr], select: exp.Select) -> None:
    if _is_alias_in_order(node, select):
        return
    for index, key in enumerate(keys):
        if _is_key(node, key, select):
            node.replace(_column(f"gs_k{index}"))
            return
    for child in list(node.iter_expressions()):
        _replace_keys(child, keys, select)


def _is_key(node: exp.Expr, key: exp.Expr, select: exp.Select) -> bool:
    if isinstance(node, exp.Column) and isinstance(key, exp.Column):
        tables = {node.table.lower(), key.table.lower()}
        # g may be meant by t.g, but not within a subquery, where it may be another's.
        near = "" in tables and node.find_ancestor(exp.Select) is select
        return _same(node.name, key.name) and (tables == {key.table.lower() or None} or near)
    return not isinstance(node, exp.Literal) and node == key


def _is_alias_in_order(node: exp.Expr, select: exp.Select) -> bool:
    """Whether the node is an ORDER BY item that names a result's column."""
    if not isinstance(node, exp.Column) or node.table or not isinstance(node.parent, exp.Ordered):
        return False
    named = any(_same(projection.alias, node.name) for projection in select.expressions)
    return named and node.parent.parent is select.args.get("order")


def _is_aggregate(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Anonymous) or node.name.upper() not in AGGREGATES:
        return False
    parent = node.parent
    if isinstance(parent, (exp.IgnoreNulls, exp.RespectNulls)):
        parent = parent.parent
    return not (
        isinstance(parent, exp.Window) and parent.this is not None and node.arg_key == "this"
    )


# --- Windows ------------------------------------------------------------------------------


def _stage_windows(select: exp.Select) -> None:
    windows = [node for node in _within(select, _AFTER_WINDOWS) if isinstance(node, exp.Window)]
    if not any(_needs_type(node) for node in windows):
        return
    joined = bool(select.args.get("joins")) or not _has_one_name(select)
    stars = any(projection.is_star for projection in select.expressions)
    if joined and stars:
        # The columns cannot be listed without asking; what needs a type then says so.
        return
    _expand_aliases(select, ("qualify", "order"))
    _keep_names(select)
    windows = [node for node in _within(select, _AFTER_WINDOWS) if isinstance(node, exp.Window)]
    inner = exp.Select(
        expressions=[] if joined else [exp.Star()],
        from_=select.args.get("from_"),
        joins=select.args.get("joins"),
        where=select.args.get("where"),
        windows=select.args.get("windows"),
    )
    # From one source all columns are handed on, under its own name.
    alias = "windowed" if joined else select.args["from_"].this.alias_or_name
    if joined:
        _pass_columns(select, inner)
    _move(windows, inner, "w")
    if stars:
        _hide(select, len(inner.expressions) - 1)
    qualify = select.args.get("qualify")
    select.set("from_", _from(inner, alias))
    for part in ("joins", "windows", "qualify"):
        select.set(part, None)
    select.set("where", exp.Where(this=qualify.this) if qualify else None)


def _has_one_name(select: exp.Select) -> bool:
    from_ = select.args.get("from_")
    return (
        from_ is not None
        and isinstance(from_.this, (exp.Table, exp.Subquery))
        and bool(from_.this.alias_or_name)
    )


def _hide(select: exp.Select, count: int) -> None:
    """Leave the windows' own columns out of SELECT *."""
    hidden = [exp.to_identifier(f"gs_w{index}") for index in range(count)]
    for projection in select.expressions:
        star = projection.this if isinstance(projection, exp.Column) else projection
        if isinstance(star, exp.Star):
            star.set("except_", [*(star.args.get("except_") or ()), *hidden])


def _pass_columns(select: exp.Select, inner: exp.Select) -> None:
    """Hand on the columns that the outer SELECT still reads."""
    passed: dict[str, str] = {}
    for clause in _clauses(select, _AFTER_WINDOWS):
        for node in list(clause.walk(prune=lambda node: isinstance(node, (exp.Query, exp.Window)))):
            if not isinstance(node, exp.Column) or _is_alias_in_order(node, select):
                continue
            text = node.sql("bigquery").lower()
            if text not in passed:
                passed[text] = f"gs_c{len(passed)}"
                inner.append("expressions", _alias(node.copy(), passed[text]))
            node.replace(_column(passed[text]))


# --- Both ---------------------------------------------------------------------------------


def _needs_type(node: exp.Expr) -> bool:
    """Whether what an aggregate or window gives is used by what must know its type."""
    function = node.this if isinstance(node, exp.Window) else node
    if isinstance(function, exp.Anonymous) and function.name.upper() == "SUM":
        return True
    above = node.parent
    while above is not None and not isinstance(above, exp.Query):
        if isinstance(above, (*_TYPED, exp.Anonymous)):
            return True
        above = above.parent
    return False


def _move(nodes: Iterable[exp.Expr], inner: exp.Select, letter: str) -> None:
    """Compute the nodes in the inner SELECT, each once, and refer to them by name."""
    names: dict[str, str] = {}
    for node in nodes:
        text = node.sql("bigquery")
        if text not in names:
            names[text] = f"gs_{letter}{len(names)}"
            inner.append("expressions", _alias(node.copy(), names[text]))
        function = node.this if isinstance(node, exp.Window) else node
        moved = _column(names[text])
        if isinstance(function, exp.Anonymous) and function.name.upper() == "SUM":
            # DuckDB sums INT64 in 128 bits; BigQuery in 64.
            node.replace(exp.Var(this=f'x_sum_result("{names[text]}")'))
        else:
            node.replace(moved)


def _expand_aliases(select: exp.Select, parts: Iterable[str]) -> None:
    """Put an alias's meaning where HAVING, QUALIFY or ORDER BY compute with it."""
    meanings = {
        projection.alias.lower(): projection.this
        for projection in select.expressions
        if isinstance(projection, exp.Alias)
    }
    for node in list(_within(select, parts)):
        if not isinstance(node, exp.Column) or node.table or node.name.lower() not in meanings:
            continue
        if not _is_alias_in_order(node, select) and not _inside_aggregate(node):
            node.replace(exp.Paren(this=meanings[node.name.lower()].copy()))


def _inside_aggregate(node: exp.Expr) -> bool:
    above = node.parent
    while above is not None and not isinstance(above, exp.Query):
        if isinstance(above, exp.Anonymous) and above.name.upper() in AGGREGATES:
            return True
        above = above.parent
    return False


def _keep_names(select: exp.Select) -> None:
    for projection in select.expressions:
        if isinstance(projection, (exp.Column, exp.Dot)) and not projection.is_star:
            projection.replace(_alias(projection.copy(), projection.output_name))


def _clauses(select: exp.Select, parts: Iterable[str]) -> Iterator[exp.Expr]:
    for part in parts:
        value = select.args.get(part)
        if isinstance(value, list):
            yield from list(value)
        elif isinstance(value, exp.Expr):
            yield value


def _within(select: exp.Select, parts: Iterable[str]) -> Iterator[exp.Expr]:
    """The nodes of some clauses, without those of the queries within them."""
    for clause in _clauses(select, parts):
        yield from clause.walk(prune=lambda node: isinstance(node, exp.Query))


def _from(inner: exp.Select, alias: str) -> exp.From:
    named = exp.TableAlias(this=exp.to_identifier(alias))
    return exp.From(this=exp.Subquery(this=inner, alias=named))


def _alias(node: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=node, alias=exp.to_identifier(name))


def _column(name: str) -> exp.Column:
    return exp.Column(this=exp.to_identifier(name))


def _same(left: str, right: str) -> bool:
    return left.lower() == right.lower()
