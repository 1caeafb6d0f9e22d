"""The variables of `deploy/`, made of a file of choices, the contracts and the metrics' table."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from etl_jobs.deployment.choices import deployed_jobs
from etl_jobs.errors import InputError
from etl_jobs.plain_yaml import read_plain_yaml
from etl_jobs.telemetry.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from etl_jobs.job import Jobs

# A run that failed may be one attempt of a task whose next attempt succeeds. Alerts go by what
# Cloud Run says of the whole execution, and by how long there was no success.
_OWN_ALERT = "success"


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
        deployed = deployed_jobs(read_plain_yaml(path), jobs, day)
    except ValueError as error:
        raise InputError(f"{path.name}: {error}") from error
    return {
        "jobs": {
            name: {**asdict(each), "arguments": list(each.arguments)}
            for name, each in deployed.items()
        },
        "raw_datasets": _raw_datasets((each.job for each in deployed.values() if each.job), jobs),
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


def _raw_datasets(names: Iterable[str], jobs: Jobs) -> list[str]:
    """Return where the tables are that the jobs' plans read and do not make."""
    plans = [job for name in names for job in jobs.plan(name)]
    made = {job.output for job in plans}
    read = {table for job in plans for table in job.reads} - made
    return sorted({table.rpartition(".")[0] for table in read})
