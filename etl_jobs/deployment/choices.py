"""Which jobs run on Cloud Run, when and with what, held to the jobs that there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_jobs.deployment.schedule import parse_schedule
from etl_jobs.errors import JobError, nearest
from gcp_accessor.byte_sizes import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from etl_jobs.job import Jobs

_RESOURCES = ("cpu", "memory", "timeout", "retries", "tasks")
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
# A job that was to succeed at a moment has this long to do so before anybody is told.
_PATIENCE_HOURS = 2
# Between the end of the longest task and the collection of what it may have left.
_SLACK_HOURS = 24


@dataclass(frozen=True, slots=True)
class DeployedJob:
    """One job on Cloud Run.

    Attributes:
        job: Its name here, of which Cloud Run's has no slash and no underscore; None for what
            runs no job.
        description: What it makes, as its contract says it.
        arguments: What stands after `etl-jobs`, without the place.
        schedule: As cron has it, in UTC; None for a job that a person starts.
        watch_hours: After how long without a success somebody is told; None where none is due.
        timeout_seconds: Of one attempt of one task.
        memory_mebibytes: Of each task.
        retries: Attempts of a task after its first.
    """

    job: str | None
    description: str
    arguments: tuple[str, ...]
    schedule: str | None
    watch_hours: int | None
    timeout_seconds: int
    cpu: int
    memory_mebibytes: int
    retries: int
    tasks: int


def deployed_jobs(content: object, jobs: Jobs, day: date) -> dict[str, DeployedJob]:
    """Return the jobs that a file such as `deploy/jobs.yaml` names, by Cloud Run's names.

    Args:
        content: The file as `read_plain_yaml` gives it.
        day: Any day; parameters are tried with it.

    Raises:
        ValueError: it names a job or parameter that there is not, or asks for what Cloud Run
            does not give.
    """
    parts = content if isinstance(content, dict) else {}
    defaults, wanted = parts.get("defaults"), parts.get("jobs")
    if (
        not isinstance(defaults, dict)
        or not isinstance(wanted, dict)
        or not wanted
        or set(parts) - {"defaults", "jobs", "gc"}
    ):
        raise ValueError("expected 'defaults:', 'jobs:', a mapping of jobs, and perhaps 'gc:'")
    deployed: dict[str, DeployedJob] = {}
    for job, choices in wanted.items():
        name = _cloud_name(job)
        if name in deployed or name == "gc":
            raise ValueError(f"{job} is {name} on Cloud Run, as something else is")
        deployed[name] = _job(job, {**defaults, **_mapping(job, choices)}, jobs, day)
    for each in deployed.values():
        _compare_with_plan(each, {other.job: other for other in deployed.values()}, jobs)
    if "gc" in parts:
        choices = {**defaults, **_mapping("gc", parts["gc"])}
        deployed["gc"] = _collection(choices, list(deployed.values()))
    return deployed


def _compare_with_plan(
    job: DeployedJob, deployed: Mapping[str | None, DeployedJob], jobs: Jobs
) -> None:
    """Hold a job to what it may have to do: all that it needs, where nobody has made it yet."""
    for needed in jobs.plan(job.job or ""):
        other = deployed.get(needed.name, job)
        for what in ("memory_mebibytes", "cpu", "timeout_seconds"):
            own, others = getattr(job, what), getattr(other, what)
            if own < others:
                raise ValueError(
                    f"{job.job} has {own} {what.replace('_', ' ')} and {other.job}, which it runs "
                    f"where that has not been run, {others}; give it as much"
                )


def _job(name: str, choices: Mapping[str, object], jobs: Jobs, day: date) -> DeployedJob:
    _refuse_unknown(name, choices, ("schedule", "set", *_RESOURCES))
    try:
        description = jobs.find(name).description
        arguments = _arguments(name, choices.get("set"), jobs, day)
    except JobError as error:
        raise ValueError(str(error)) from error
    return _sized(name, name, description, arguments, choices)


def _collection(choices: Mapping[str, object], deployed: Sequence[DeployedJob]) -> DeployedJob:
    """Return the job that deletes runs which nobody needs, none of a task that may still run."""
    _refuse_unknown("gc", choices, ("schedule", "keep", "older_than", *_RESOURCES))
    keep = _whole("gc: keep", choices.get("keep"), 1, 1000)
    days = _whole("gc: older_than", choices.get("older_than"), 1, 3650)
    longest = max(each.timeout_seconds * (each.retries + 1) for each in deployed)
    hours = -(-longest // 3600) + _SLACK_HOURS
    if days * 24 < hours:
        raise ValueError(
            f"gc: older_than is {days} days; with all its attempts a task may take {hours} hours, "
            f"a day of slack included, so expected at least {-(-hours // 24)}"
        )
    arguments = ("--delete", "--keep", str(keep), "--older-than", str(days))
    return _sized(
        "gc",
        None,
        "Deletes runs that nobody needs any more.",
        ("gc", *arguments, "--longest-task", str(hours)),
        choices,
    )


def _sized(
    name: str,
    job: str | None,
    description: str,
    arguments: tuple[str, ...],
    choices: Mapping[str, object],
) -> DeployedJob:
    missing = [key for key in _RESOURCES if key not in choices]
    if missing:
        raise ValueError(f"{name} has no {missing[0]}, and the defaults have none")
    try:
        text = choices.get("schedule")
        schedule = None if text is None else parse_schedule(str(text))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    watch_hours = None
    if schedule is not None and job is not None:
        watch_hours = schedule.longest_gap.days * 24 + _PATIENCE_HOURS
    cpu = _whole(f"{name}: cpu", choices["cpu"], 1, max(_MOST_MEMORY))
    return DeployedJob(
        job=job,
        description=description,
        arguments=arguments,
        schedule=None if schedule is None else schedule.text,
        watch_hours=watch_hours,
        timeout_seconds=_timeout(name, choices["timeout"]),
        cpu=cpu,
        memory_mebibytes=_memory(name, choices["memory"], cpu),
        retries=_whole(f"{name}: retries", choices["retries"], 0, _MOST_RETRIES),
        tasks=_whole(f"{name}: tasks", choices["tasks"], 1, _MOST_TASKS),
    )


def _mapping(name: str, choices: object) -> dict[str, object]:
    if not isinstance(choices, dict | None):
        raise ValueError(f"{name} is {choices!r}; expected a mapping such as {{schedule: ...}}")
    return choices or {}


def _refuse_unknown(name: str, choices: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in choices:
        if key not in known:
            hint = nearest(key, known) or f"; expected {', '.join(known)}"
            raise ValueError(f"{name} has no {key!r}{hint}")


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
