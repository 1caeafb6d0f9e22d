"""One call of a backend as others watch it: a log record and, where traced, a span.

What is told are names, counts, bytes and seconds. No value of a parameter, row, object or
point is among them, nor an error's message, which may quote one; SQL is told at DEBUG alone.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

Service = Literal["bigquery", "storage", "monitoring"]

LOGGER = logging.getLogger("gcp_accessor")
# What OpenTelemetry's conventions have a name for; anything else is told under our own.
_ATTRIBUTES = {
    "bigquery": {
        "table": "db.collection.name",
        "dataset": "db.namespace",
        "rows": "db.response.returned_rows",
    },
    "storage": {},
    "monitoring": {},
}


def watched(level: int) -> bool:
    """Return whether anybody would hear of an operation of this level."""
    return LOGGER.isEnabledFor(level) or _tracer() is not None


def _tracer() -> Any:
    # Whoever has set up tracing has imported it. So a program without it pays nothing, and
    # one that has OpenTelemetry installed, as a part of Google's clients, imports none of it.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    nobody_traces = isinstance(provider, trace.ProxyTracerProvider)
    return None if nobody_traces else provider.get_tracer("gcp_accessor")


class Operation(AbstractContextManager["Operation"]):
    """A `with` block around one call, told of when it ends.

    Args:
        is_local: A folder stands in for the service.
        facts: What is known before; `learn` adds to it.
    """

    def __init__(
        self,
        service: Service,
        name: str,
        level: int,
        facts: Mapping[str, object],
        *,
        is_local: bool,
    ) -> None:
        self._service = service
        self._name = name
        self._level = level
        self._facts = {key: value for key, value in facts.items() if value is not None}
        self._is_local = is_local
        self._span: Any = None

    def learn(self, facts: Mapping[str, object]) -> None:
        """Add what the call told about itself."""
        self._facts.update({key: value for key, value in facts.items() if value is not None})

    def current(self) -> AbstractContextManager[object]:
        """Return a block within which others' spans, such as Google's own, belong to this one.

        The caller's code must not run in it: what a generator or a writer's block is left for
        would be taken for a part of the call.
        """
        if self._span is None:
            return nullcontext()
        trace = sys.modules["opentelemetry.trace"]
        # Of an error only its type is told: its message may quote a value.
        block: AbstractContextManager[object] = trace.use_span(
            self._span, record_exception=False, set_status_on_exception=False
        )
        return block

    def __enter__(self) -> Self:
        tracer = _tracer()
        if tracer is not None:
            self._begin_span(tracer)
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        facts = {"seconds": round(time.perf_counter() - self._begun, 6), **self._facts}
        # A caller who reads no further has what he wanted.
        failed = error is not None and not isinstance(error, GeneratorExit)
        if failed:
            facts["error"] = type(error).__name__
        if self._span is not None:
            self._end_span(facts)
        if LOGGER.isEnabledFor(self._level):
            told = {"service": self._service, "operation": self._name, **facts}
            LOGGER.log(
                self._level,
                "%s %s %s",
                self._name,
                "failed:" if failed else "done:",
                " ".join(f"{key}={value}" for key, value in facts.items()),
                # `json_fields` is what Cloud Logging's own handlers make fields of.
                extra={**told, "json_fields": told},
            )

    def _begin_span(self, tracer: Any) -> None:
        trace = sys.modules["opentelemetry.trace"]
        target = next(
            (self._facts[key] for key in ("table", "dataset", "bucket") if key in self._facts), None
        )
        self._span = tracer.start_span(
            self._name if target is None else f"{self._name} {target}",
            kind=trace.SpanKind.INTERNAL if self._is_local else trace.SpanKind.CLIENT,
        )

    def _end_span(self, facts: Mapping[str, object]) -> None:
        if self._span.is_recording():
            self._span.set_attributes(self._attributes(facts))
            if "error" in facts:
                trace = sys.modules["opentelemetry.trace"]
                self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()

    def _attributes(self, facts: Mapping[str, object]) -> dict[str, object]:
        names = {**_ATTRIBUTES[self._service], "error": "error.type"}
        attributes: dict[str, object] = {
            names.get(key, f"gcp_accessor.{key}"): value
            if isinstance(value, bool | int | float)
            else str(value)
            for key, value in facts.items()
            # A span has its own times.
            if key != "seconds"
        }
        if self._service == "bigquery":
            attributes["db.system.name"] = "duckdb" if self._is_local else "gcp.bigquery"
            attributes["db.operation.name"] = self._name
        if not self._is_local:
            attributes["gcp.client.service"] = self._service
            attributes["server.address"] = f"{self._service}.googleapis.com"
        return attributes
