"""A statement written for three nodes of ability, with as many as are asked for.

A column for each node is what makes an E-step in SQL fast: one row for each node would multiply
the answers. A file with hundreds of such columns is no page to read, so it shows three, and is a
statement that runs as it stands; here it is widened, as a tree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from etl_jobs.contract import parse_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import exp

_NODE = re.compile(r"(?P<stem>.*_|)(?P<node>\d+)", re.ASCII)
_SHOWN = 3


def widened(sql: str, nodes: int) -> str:
    """Return the statement with `nodes` columns wherever it shows three.

    A name that ends in `_0`, and the place `[OFFSET(0)]` of an array, belong to the first node.
    Where a list, or a sum, speaks of the three nodes one after the other, what is said of the
    first is said of each.

    Raises:
        ValueError: there are no such places.
    """
    from sqlglot import exp

    tree = parse_sql(sql)
    places = 0
    for chain in list(tree.find_all(exp.Add)):
        terms = list(chain.flatten(unnest=False))
        if not isinstance(chain.parent, exp.Add) and _speaks_of_all(terms):
            chain.replace(_sum(_for_each(terms, nodes)))
            places += 1
    for greatest in list(tree.find_all(exp.Greatest)):
        terms = [greatest.this, *greatest.expressions]
        if _speaks_of_all(terms):
            first, *rest = _for_each(terms, nodes)
            greatest.set("this", first)
            greatest.set("expressions", rest)
            places += 1
    for select in list(tree.find_all(exp.Select)):
        if _speaks_of_all(select.expressions):
            select.set("expressions", _for_each(select.expressions, nodes))
            places += 1
    if not places:
        raise ValueError(f"nothing here is said of {_SHOWN} nodes, such as node_0 to node_2")
    return tree.sql(dialect="bigquery", pretty=True, comments=False)


def _names(expression: exp.Expr) -> list[exp.Expr]:
    """Return the parts of an expression that belong to one node: names, and places in arrays."""
    from sqlglot import exp

    parts = expression.find_all(exp.Identifier, exp.Var, exp.Literal)
    return [
        part
        for part in parts
        if (isinstance(part.parent, exp.Bracket) and part.arg_key == "expressions")
        or (not isinstance(part, exp.Literal) and _NODE.fullmatch(part.name))
    ]


def _nodes(expression: exp.Expr) -> set[int]:
    return {int(_NODE.sub(r"\g<node>", part.name)) for part in _names(expression)}


def _speaks_of_all(terms: Sequence[exp.Expr]) -> bool:
    """Whether each node has a term of its own among these, once or several times in turn."""
    found = [nodes.pop() for term in terms if len(nodes := _nodes(term)) == 1]
    return bool(found) and found == list(range(_SHOWN)) * (len(found) // _SHOWN)


def _for_each(terms: Sequence[exp.Expr], nodes: int) -> list[exp.Expr]:
    """Return the terms with the first node's in the place of all nodes', once for each."""
    result: list[exp.Expr] = []
    for term in terms:
        found = _nodes(term)
        if found == {0}:
            result += [_at(term, node) for node in range(nodes)]
        elif len(found) != 1:
            result.append(term)
    return result


def _at(term: exp.Expr, node: int) -> exp.Expr:
    copy = term.copy()
    for part in _names(copy):
        part.set("this", _NODE.sub(rf"\g<stem>{node}", part.name))
    return copy


def _sum(terms: list[exp.Expr]) -> exp.Expr:
    """Return the sum of many terms, nested in halves: what reads it need not go deep."""
    from sqlglot import exp

    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    left, right = (_sum(part) for part in (terms[:half], terms[half:]))
    return exp.paren(exp.Add(this=left, expression=right), copy=False)
