"""The functions that a connection is given: functions.sql's macros, and Python's Unicode."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

_MACRO = re.compile(r"^CREATE TEMP MACRO (\w+).*?;$", re.MULTILINE | re.DOTALL)
_CALLED = re.compile(r"\b((?:gs|py|x)_\w+)\(", re.IGNORECASE)


def _casefolded(form: Any, text: str) -> str:
    # Folding can undo a normal form, so it is made normal again.
    return unicodedata.normalize(form, unicodedata.normalize(form, text).casefold())


_PYTHON: dict[str, Callable[[str], str]] = {"py_lower": str.lower, "py_upper": str.upper}
for _form in ("NFC", "NFKC", "NFD", "NFKD"):
    _PYTHON[f"py_normalize_{_form.lower()}"] = partial(unicodedata.normalize, _form)
    _PYTHON[f"py_normalize_and_casefold_{_form.lower()}"] = partial(_casefolded, _form)


@cache
def _macros() -> dict[str, str]:
    text = (files("gcp_accessor.backends.googlesql") / "functions.sql").read_text(encoding="utf-8")
    return {match[1]: match[0] for match in _MACRO.finditer(text)}


@cache
def macro_names() -> frozenset[str]:
    """The names of functions.sql's macros."""
    return frozenset(_macros())


def add_functions(connection: DuckDBPyConnection, sql: str) -> None:
    """Define on a connection what `sql` calls, and no more: each definition takes time."""
    added: set[str] = set()
    for name in _CALLED.findall(sql):
        _add(connection, name.lower(), added)


def _add(connection: DuckDBPyConnection, name: str, added: set[str]) -> None:
    if name in added:
        return
    added.add(name)
    if name in _PYTHON:
        _add_python(connection, name, _PYTHON[name])
    elif name in _macros():
        definition = _macros()[name]
        for called in _CALLED.findall(definition):
            _add(connection, called, added)
        connection.execute(definition.replace("TEMP MACRO", "OR REPLACE TEMP MACRO", 1))


def _add_python(connection: DuckDBPyConnection, name: str, function: Callable[[str], str]) -> None:
    import pyarrow as pa
    from duckdb.func import PythonUDFType
    from duckdb.sqltypes import VARCHAR

    def on_arrow(texts: Any) -> Any:
        return pa.array(
            [None if text is None else function(text) for text in texts.to_pylist()], pa.string()
        )

    # The types are said here and not in annotations, which DuckDB would read.
    on_arrow.__annotations__ = {}
    connection.create_function(name, on_arrow, [VARCHAR], VARCHAR, type=PythonUDFType.ARROW)
