"""A team's own log, in its own format and words, as rows of a table our jobs read."""

from __future__ import annotations

from etl_jobs.inputs.sources import Source, load_sources

__all__ = ["Source", "load_sources"]
