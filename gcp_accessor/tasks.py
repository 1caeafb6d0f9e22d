"""Which running task writes a point, so that no two tasks ever write to one series."""

from __future__ import annotations

import os
import platform
import secrets

from gcp_accessor.backends import Task


def current_task(namespace: str, location: str) -> Task:
    """Return the task that this process is, from its environment alone.

    In a Cloud Run job that is the execution, the task's index, its attempt and the process: a
    retried task is another one, and its points are never out of order with those of the attempt
    before; nor are those of several processes that one task starts. Anywhere else it is the host,
    the process and four random bytes, because containers share host names and process numbers.
    Monitoring's `global` resource would make one series of all writers, which then refuse each
    other's points.
    """
    job = os.environ.get("CLOUD_RUN_JOB")
    execution = os.environ.get("CLOUD_RUN_EXECUTION")
    if job and execution:
        index = os.environ.get("CLOUD_RUN_TASK_INDEX", "0")
        attempt = os.environ.get("CLOUD_RUN_TASK_ATTEMPT", "0")
        return Task(location, namespace, job, f"{execution}/{index}/{attempt}/{os.getpid()}")
    host = platform.node() or "localhost"
    return Task(location, namespace, namespace, f"{host}/{os.getpid()}/{secrets.token_hex(4)}")
