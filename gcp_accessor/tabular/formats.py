"""What an object's name says about its content."""

from __future__ import annotations

from typing import Literal

Format = Literal["text", "bytes", "json", "csv", "csv.gz", "ndjson", "ndjson.gz", "parquet"]

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".csv.gz": "csv.gz",
    ".html": "text",
    ".json": "json",
    ".jsonl": "ndjson",
    ".jsonl.gz": "ndjson.gz",
    ".md": "text",
    ".ndjson": "ndjson",
    ".ndjson.gz": "ndjson.gz",
    ".parquet": "parquet",
    ".sql": "text",
    ".svg": "text",
    ".txt": "text",
    ".yaml": "text",
    ".yml": "text",
}

# Ours alone: the mimetypes module answers from files of the machine it runs on.
_CONTENT_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown; charset=utf-8",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".sql": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
    ".yml": "text/plain; charset=utf-8",
}


_BY_FORMAT: dict[Format, str] = {
    "text": "text/plain; charset=utf-8",
    "bytes": "application/octet-stream",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "csv.gz": "application/gzip",
    "ndjson": "application/x-ndjson",
    "ndjson.gz": "application/gzip",
    "parquet": "application/vnd.apache.parquet",
}


def format_of(name: str) -> Format | None:
    """Return the format that the name's ending stands for, None if it stands for none."""
    base = name.rpartition("/")[2].lower()
    endings = [base[at:] for at, character in enumerate(base) if character == "."]
    return next((_FORMATS[ending] for ending in endings if ending in _FORMATS), None)


def content_type_of(name: str, format: Format = "bytes") -> str:
    """Return the media type that the name's ending stands for, else the format's own."""
    ending = name.rpartition("/")[2].lower().rpartition(".")[2]
    return _CONTENT_TYPES.get(f".{ending}", _BY_FORMAT[format])
