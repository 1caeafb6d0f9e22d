"""The values of a plan's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from etl_jobs.job import Job


def parse_settings(plan: Sequence[Job], texts: Mapping[str, str], as_of: date) -> dict[str, object]:
    """Return the value of every parameter of a plan's jobs, defaults filled in.

    Raises:
        Misuse: a text names a parameter that no job has or is not of its type, or a parameter
            without a default has no value.
    """
    parameters = {
        parameter.name: parameter
        for job in plan
        for parameter in (*job.parameters, *(p for query in job.queries for p in query.parameters))
    }
    if "as_of" in texts:
        raise Misuse("the day is not set with --set; give it with --as-of")
    # The day is the whole run's.
    parameters.pop("as_of", None)
    settings: dict[str, object] = {"as_of": as_of}
    unknown = sorted(set(texts) - set(parameters))
    if unknown:
        there = ", ".join(sorted(parameters)) or "none"
        raise Misuse(f"there is no parameter {unknown[0]!r}; {plan[-1].name} takes {there}")
    for name, parameter in parameters.items():
        text = texts.get(name, parameter.default)
        if text is None:
            raise Misuse(f"the parameter {name} ({parameter.about}) needs --set {name}=VALUE")
        settings[name] = parameter.parse(text)
    return settings


def used_by(job: Job, settings: Mapping[str, object]) -> dict[str, str]:
    """Return, as texts, those settings that the job or one of its queries takes."""
    parameters = (*job.parameters, *(p for query in job.queries for p in query.parameters))
    return {parameter.name: str(settings[parameter.name]) for parameter in parameters}
