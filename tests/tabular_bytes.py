"""Data as the bytes of a format and back, without a store; texts that formats trip over."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import strategies as st

from gcp_accessor import tabular


def written(data: object, format: Any, header: list[str] | None = None) -> bytes:
    sink = io.BytesIO()
    tabular.write(data, sink, format, header)  # type: ignore[arg-type]
    return sink.getvalue()


def read(content: bytes, format: Any, as_: Any = "infer", **options: Any) -> Any:
    return tabular.read(io.BytesIO(content), format, as_, where="gs://lessons/rows", **options)


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", '"', '""', ",", "\n", "\r", "\r\n", ' "a", ', "NULL", "\\N", "\x00", "\ufeff", "🙂"]
)
