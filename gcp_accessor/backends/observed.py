"""Any backend, with each of its calls logged and traced."""

from __future__ import annotations

import functools
import inspect
import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from gcp_accessor.backends import Estimate, StoredObject
from gcp_accessor.backends.operation import LOGGER, Operation, Service, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

B = TypeVar("B")

# What these cost is of interest where nothing else is; all others are told of at DEBUG.
_COSTLY = frozenset({"run", "load_file", "load_uris", "export", "export_rows", "copy"})
# What a caller calls them.
_NAMES = {
    "run": "query",
    "load_file": "load",
    "load_uris": "load",
    "export_rows": "export",
    "writer": "write",
    "reader": "read",
}
# Over when their block ends, or when they are read to their end.
_BLOCKS = frozenset({"writer", "reader"})
_STREAMS = frozenset({"list", "read"})
_END = object()


def observed(backend: B, service: Service, *, is_local: bool) -> B:
    """Return the backend with its calls logged on the logger `gcp_accessor` and traced.

    Where nobody logs or traces, a call costs a microsecond more.
    """
    return cast("B", _Observed(backend, service, is_local))


class _Observed:
    """Stands before a backend; what is no public method of it is the backend's own."""

    def __init__(self, backend: object, service: Service, is_local: bool) -> None:
        self._observed = backend
        self._begin = functools.partial(Operation, service, is_local=is_local)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._observed, name)
        if name.startswith("_") or name == "close" or not inspect.ismethod(found):
            return found
        watching = self._watching(found, name)
        # From now on it is found without coming here.
        self.__dict__[name] = watching
        return watching

    def _watching(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        level = logging.INFO if name in _COSTLY else logging.DEBUG
        title = _NAMES.get(name, name)
        signature = inspect.signature(method)
        begin = self._begin

        @functools.wraps(method)
        def call(*arguments: object, **options: object) -> object:
            if not watched(level):
                return method(*arguments, **options)
            given = signature.bind(*arguments, **options).arguments
            operation = begin(title, level, _given(given))
            if name in _BLOCKS:
                return _block(operation, method(*arguments, **options))
            if name in _STREAMS:
                return _stream(operation, method(*arguments, **options))
            _tell_sql(title, given)
            with operation, operation.current():
                result = method(*arguments, **options)
                operation.learn(_got(result))
            if name == "submit":
                return _Started(result, begin(_NAMES["run"], logging.INFO, _given(given)))
            return result

        return call


class _Started:
    """Stands before a started query: the first wait that sees its end tells what it cost."""

    def __init__(self, running: Any, operation: Operation) -> None:
        self._running = running
        self._operation: Operation | None = operation.__enter__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._running, name)

    def result(self, timeout: float | None = None) -> Any:
        operation = self._operation
        if operation is None:
            return self._running.result(timeout)
        try:
            with operation.current():
                cursor = self._running.result(timeout)
        except Exception as error:
            # Not the query's end, but that of the caller's patience.
            if type(error) is not TimeoutError:
                self._operation = None
                operation.__exit__(type(error), error, None)
            raise
        self._operation = None
        operation.learn(_got(cursor))
        operation.__exit__(None, None, None)
        return cursor


@contextmanager
def _block(operation: Operation, inner: AbstractContextManager[Any]) -> Iterator[Any]:
    with operation, ExitStack() as entered:
        with operation.current():
            held = entered.enter_context(inner)
        yield held
        with operation.current():
            entered.close()
        # A writer knows what it stored once it is closed; a reader never.
        operation.learn(_got(getattr(held, "stored", None)))


def _stream(operation: Operation, inner: Iterator[Any]) -> Iterator[Any]:
    count = 0
    with operation:
        while True:
            with operation.current():
                each = next(inner, _END)
            operation.learn({"count": count})
            if each is _END:
                return
            count += 1
            yield each


def _tell_sql(title: str, given: Mapping[str, Any]) -> None:
    if "statement" in given and LOGGER.isEnabledFor(logging.DEBUG):
        sql = given["statement"].sql
        told = {"operation": title, "sql": sql}
        LOGGER.debug("%s begins: %s", title, sql, extra={**told, "json_fields": told})


def _given(given: Mapping[str, Any]) -> dict[str, object]:
    """What a call's arguments tell, by their names, which are the same in all backends."""
    facts: dict[str, object] = {}
    for name, value in given.items():
        match name:
            case "statement":
                facts["table"] = _text(value.destination)
                facts["job_id"] = value.job_id
            case "settings":
                facts["table"] = str(value.table)
                facts["format"] = value.format
            case "uris":
                facts["uri"] = value[0] if len(value) == 1 else f"{len(value)} objects"
            case "points":
                facts["metric"] = value[0].metric if value else None
                facts["points"] = len(value)
            case "name" | "table" if "bucket" not in given:
                facts["table"] = str(value)
            case "source" | "destination" | "dataset" | "bucket" | "uri" | "metric":
                facts[name] = _text(value)
    if "bucket" in given and ("name" in given or "prefix" in given):
        facts["uri"] = f"gs://{given['bucket']}/{given.get('name', given.get('prefix'))}"
    return facts


def _got(result: object) -> dict[str, object]:
    """What a call's result tells."""
    stats = getattr(result, "stats", None)
    if stats is not None:
        return {
            "job_id": stats.job_id,
            "rows": getattr(result, "total_rows", None),
            "bytes_processed": stats.bytes_processed,
            "bytes_billed": stats.bytes_billed,
            "cache_hit": stats.cache_hit,
            "slot_milliseconds": stats.slot_milliseconds,
        }
    match result:
        case _ if hasattr(result, "job_id"):
            return {"job_id": result.job_id}
        case StoredObject():
            return {"generation": result.generation, "bytes": result.size}
        case Estimate():
            return {"bytes_processed": result.bytes_processed}
        case bool():
            return {}
        case int():
            return {"rows": result}
        case list():
            return {"count": len(result)}
    return {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
