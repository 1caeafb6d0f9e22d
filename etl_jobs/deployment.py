"""What Terraform is told of the jobs: choices from a file, facts from the contracts."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from etl_jobs.errors import InputError, JobError, nearest
from etl_jobs.plain_yaml import read_plain_yaml
from etl_jobs.telemetry.metrics import METRICS
from gcp_accessor.byte_sizes import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from etl_jobs.job import Jobs

_MEBIBYTE = 1024**2
_UNITS = {"s": 1, "m": 60, "h": 3600}
_LONGEST_TIMEOUT = 7 * 24 * 3600
_MOST_RETRIES = 10
_MOST_TASKS = 10_000
# Cloud Run gives at most so many MiB to so many CPUs, and has no other numbers of CPUs.
_MOST_MEMORY = {1: 4096, 2: 8192, 4: 16384, 6: 24576, 8: 32768}
_LEAST_MEMORY = 512
# Terraform puts its own prefix before it; Cloud Run takes 63 characters in all.
_LONGEST_NAME = 40
# What a field of a schedule may hold: minute, hour, day of the month, month, day of the week.
_FIELDS = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day of the month": (1, 31),
    "month": (1, 12),
    "day of the week": (0, 7),
}
# A run that failed may be one attempt of a task whose next attempt succeeds. Alerts go by what
# Cloud Run says of the whole execution, and by how long there was no success.
_OWN_ALERT = "success"


@dataclass(frozen=True, slots=True)
class DeployedJob:
    """One job on Cloud Run.

    Attributes:
        job: Its name here; Cloud Run's has no slash and no underscore.
        description: What it makes, as its contract says it.
        arguments: What stands after `etl-jobs`, without the place.
        schedule: As cron has it, in UTC; None for a job that a person starts.
        timeout_seconds: Of one attempt of one task.
        memory_mebibytes: Of each task.
        retries: Attempts of a task after its first.
    """

    job: str
    description: str
    arguments: tuple[str, ...]
    schedule: str | None
    timeout_seconds: int
    cpu: int
    memory_mebibytes: int
    retries: int
    tasks: int


def read_deployment(path: Path, jobs: Jobs, day: date) -> dict[str, Any]:
    """Return what Terraform's variables are to hold, made of dicts, lists, texts and numbers.

    Besides the jobs that is the datasets whose tables they read and none makes, every metric that
    runs write, and an alert for each bound of one.

    Args:
        path: A file such as `deploy/jobs.yaml`.
        jobs: The jobs that it may name.
        day: Any day; parameters are tried with it.

    Raises:
        InputError: the file cannot be read, names a job or parameter that there is not, or asks
            for what Cloud Run does not give.
    """
    try:
        deployed = _deployed(read_plain_yaml(path), jobs, day)
    except ValueError as error:
        raise InputError(f"{path.name}: {error}") from error
    plans = [job for each in deployed.values() for job in jobs.plan(each.job)]
    made = {job.output for job in plans}
    read = {table for job in plans for table in job.reads} - made
    return {
        "jobs": {
            name: {**asdict(each), "arguments": list(each.arguments)}
            for name, each in deployed.items()
        },
        "raw_datasets": sorted({table.rpartition(".")[0] for table in read}),
        "metrics": {
            metric.name: {
                "type": metric.whole,
                "about": metric.about,
                "value_type": "INT64" if metric.type is int else "DOUBLE",
                "unit": metric.unit,
                "labels": ["job", *metric.labels],
            }
            for metric in METRICS
        },
        "alerts": {
            f"{metric.name} {side} {threshold:g}": {
                "metric": metric.name,
                "side": side,
                "threshold": threshold,
            }
            for metric in METRICS
            for side, threshold in (("below", metric.below), ("above", metric.above))
            if threshold is not None and metric.name != _OWN_ALERT
        },
    }


def _deployed(content: object, jobs: Jobs, day: date) -> dict[str, DeployedJob]:
    both = content if isinstance(content, dict) and set(content) == {"defaults", "jobs"} else {}
    defaults, wanted = both.get("defaults"), both.get("jobs")
    if not isinstance(defaults, dict) or not isinstance(wanted, dict) or not wanted:
        raise ValueError("expected 'defaults:' and 'jobs:', a mapping of jobs, and no more")
    deployed: dict[str, DeployedJob] = {}
    for job, choices in wanted.items():
        if not isinstance(choices, dict | None):
            raise ValueError(f"{job} is {choices!r}; expected a mapping such as {{schedule: ...}}")
        name = _cloud_name(job)
        if name in deployed:
            raise ValueError(f"{deployed[name].job} and {job} are both {name} on Cloud Run")
        deployed[name] = _job(job, {**defaults, **(choices or {})}, jobs, day)
    for each in deployed.values():
        _compare_with_plan(each, {other.job: other for other in deployed.values()}, jobs)
    return deployed


def _compare_with_plan(job: DeployedJob, deployed: Mapping[str, DeployedJob], jobs: Jobs) -> None:
    """Hold a job to what it may have to do: all that it needs, where nobody has made it yet."""
    for needed in jobs.plan(job.job):
        other = deployed.get(needed.name, job)
        for what in ("memory_mebibytes", "cpu", "timeout_seconds"):
            own, others = getattr(job, what), getattr(other, what)
            if own < others:
                raise ValueError(
                    f"{job.job} has {own} {what.replace('_', ' ')} and {other.job}, which it runs "
                    f"where that has not been run, {others}; give it as much"
                )


def _job(name: str, choices: Mapping[str, object], jobs: Jobs, day: date) -> DeployedJob:
    known = ("schedule", "set", "cpu", "memory", "timeout", "retries", "tasks")
    for key in choices:
        if key not in known:
            hint = nearest(key, known) or f"; expected {', '.join(known)}"
            raise ValueError(f"{name} has no {key!r}{hint}")
    missing = [key for key in known[2:] if key not in choices]
    if missing:
        raise ValueError(f"{name} has no {missing[0]}, and the defaults have none")
    try:
        description = jobs.find(name).description
        arguments = _arguments(name, choices.get("set"), jobs, day)
    except JobError as error:
        raise ValueError(str(error)) from error
    cpu = _whole(f"{name}: cpu", choices["cpu"], 1, max(_MOST_MEMORY))
    schedule = choices.get("schedule")
    return DeployedJob(
        job=name,
        description=description,
        arguments=arguments,
        schedule=None if schedule is None else _schedule(name, schedule),
        timeout_seconds=_timeout(name, choices["timeout"]),
        cpu=cpu,
        memory_mebibytes=_memory(name, choices["memory"], cpu),
        retries=_whole(f"{name}: retries", choices["retries"], 0, _MOST_RETRIES),
        tasks=_whole(f"{name}: tasks", choices["tasks"], 1, _MOST_TASKS),
    )


def _arguments(name: str, settings: object, jobs: Jobs, day: date) -> tuple[str, ...]:
    """Return what is typed to run the job, once it is known to mean something.

    Raises:
        JobError: the job needs a parameter that is not set, or has none of that name or value.
    """
    from etl_jobs.run import parse_settings

    if not isinstance(settings, dict | None) or not all(
        isinstance(text, str) for text in (settings or {}).values()
    ):
        raise ValueError(f"{name}: set is {settings!r}; expected a mapping of parameters to texts")
    texts: dict[str, str] = settings or {}
    parse_settings(jobs.plan(name), texts, day)
    typed = [word for key, text in texts.items() for word in ("--set", f"{key}={text}")]
    return ("run", name, *typed)


def _cloud_name(job: str) -> str:
    """Return the name in what Cloud Run takes: lower-case letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-")
    if not name or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"{job} is {name!r} on Cloud Run; expected at most {_LONGEST_NAME} letters and digits"
        )
    return name


def _whole(what: str, value: object, least: int, most: int) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise ValueError(f"{what} is {value!r}; expected a whole number")
    if not least <= int(value) <= most:
        raise ValueError(f"{what} is {value}; Cloud Run takes {least} to {most:,}")
    return int(value)


def _memory(name: str, value: object, cpu: int) -> int:
    if cpu not in _MOST_MEMORY:
        there = ", ".join(map(str, _MOST_MEMORY))
        raise ValueError(f"{name}: cpu is {cpu}; Cloud Run has {there}")
    mebibytes, rest = divmod(parse_bytes(str(value)), _MEBIBYTE)
    if rest:
        raise ValueError(f"{name}: memory is {value!r}; expected whole MiB or GiB")
    most = _MOST_MEMORY[cpu]
    if not _LEAST_MEMORY <= mebibytes <= most:
        raise ValueError(
            f"{name}: memory is {value}; Cloud Run gives {_LEAST_MEMORY} MiB to "
            f"{most // 1024} GiB to {cpu} CPU"
        )
    return mebibytes


def _timeout(name: str, value: object) -> int:
    match = re.fullmatch(r"(\d{1,6})([smh])", str(value), re.ASCII)
    if match is None:
        raise ValueError(f"{name}: timeout is {value!r}; expected for example 90m or 6h")
    seconds = int(match[1]) * _UNITS[match[2]]
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise ValueError(f"{name}: timeout is {value}; Cloud Run takes up to 168h")
    return seconds


def _schedule(name: str, value: object) -> str:
    """Return the schedule if cron understands it: numbers, ranges, lists and steps."""
    fields = str(value).split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"{name}: schedule is {value!r}; expected {', '.join(_FIELDS)}, such as 15 2 * * *"
        )
    for field, (meaning, (least, most)) in zip(fields, _FIELDS.items(), strict=True):
        for part in field.split(","):
            match = re.fullmatch(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?", part, re.ASCII)
            if match is None or match[3] in ("0", "00"):
                raise ValueError(f"{name}: {part!r} is no {meaning} of a schedule")
            ends = [int(end) for end in match.groups()[:2] if end is not None]
            if ends != sorted(ends) or not all(least <= end <= most for end in ends):
                raise ValueError(f"{name}: {part!r} is no {meaning}, which is {least} to {most}")
    return " ".join(fields)
