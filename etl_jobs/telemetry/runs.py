"""The outcomes of a plan, each told to Monitoring as it ends. It never fails a job."""

from __future__ import annotations

import logging
import resource
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from etl_jobs.errors import ContractError, Terminated
from etl_jobs.telemetry.metrics import BY_NAME, METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from etl_jobs.job import Job
    from etl_jobs.place import Place
    from etl_jobs.run import Outcome
    from gcp_accessor.job_metrics import JobMetrics

_LOGGER = logging.getLogger("etl_jobs")
# The run is the one that readers see; of another one, the figures are not news.
_CURRENT = frozenset({"published", "already published", "nothing to do"})


def measured(outcomes: Iterable[Outcome], plan: Sequence[Job], place: Place) -> Iterator[Outcome]:
    """Give each outcome of a plan as it comes, once its metrics are written.

    A job that fails is written as that, and its exception passes unchanged. What cannot be
    written is one warning; where Monitoring takes nothing at all, the rest of the plan does not
    ask again.

    Args:
        outcomes: What `run_plan` gives of the plan.
    """
    waiting, metrics = iter(outcomes), place.metrics
    rows: dict[str, int | None] = {}
    for job in plan:
        if metrics is None:
            break
        with ExitStack() as stack:
            block = stack.enter_context(metrics.job(job.name))
            try:
                outcome = next(waiting, None)
                if outcome is None or outcome.run_id is None:
                    # The job was not run here, so there is nothing to say of it.
                    stack.pop_all()
                else:
                    with _never_failing(job.name):
                        _add(block, "rows_in", _rows_in(job, outcome, rows))
                        _add_outcome(block, outcome)
                        _add_state(block, job.name, place)
            except (KeyboardInterrupt, Terminated):
                # What was stopped has neither succeeded nor failed.
                stack.pop_all()
                raise
            except Exception as error:
                with _never_failing(job.name):
                    _add(block, "contract_violations", _violations(error))
                    _add_state(block, job.name, place)
                raise
        if outcome is None:
            return
        if job.output and outcome.manifest is not None:
            rows[job.output] = outcome.manifest.facts["rows"]
        yield outcome
        if _is_out_of_reach(block.failure):
            metrics = None
    yield from waiting


@contextmanager
def _never_failing(job: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # A run that has ended well is not to fail by what is asked about it afterwards, and one
        # that failed is to say why it did.
        _LOGGER.warning("some metrics of the job %r were not written: %s", job, error)


def _rows_in(job: Job, outcome: Outcome, rows: Mapping[str, int | None]) -> int | None:
    """Return the rows of the tables that the job reads, those that the plan made among them."""
    counts = [outcome.rows_in, *(rows[table] for table in job.reads if table in rows)]
    return None if None in counts else _sum(counts)


def _add_outcome(block: JobMetrics, outcome: Outcome) -> None:
    costs = outcome.queries.values()
    _add(block, "bytes_processed", _sum(each.bytes_processed for each in costs))
    _add(block, "bytes_billed", _sum(each.bytes_billed for each in costs))
    if outcome.manifest is None:
        # The rest is told by the task that commits the run.
        return
    facts = outcome.manifest.facts
    _add(block, "rows_out", facts["rows"])
    _add(block, "contract_violations", sum(facts.get("violations", {}).values()))
    if outcome.state in _CURRENT:
        _add_figures(block, outcome.job, facts["metrics"])


def _add_figures(block: JobMetrics, job: str, figures: Mapping[str, Any]) -> None:
    for metric in METRICS:
        if metric.of != job or metric.figure not in figures:
            continue
        value = figures[metric.figure]
        if not metric.labels:
            _add(block, metric.name, value)
            continue
        [label] = metric.labels
        for name, count in value.items():
            _add(block, metric.name, count, {label: name})


def _add_state(block: JobMetrics, job: str, place: Place) -> None:
    """Add what holds however the job ended: memory, and how old what readers see is."""
    _add(block, "peak_memory", peak_memory())
    manifest = place.store.publication(f"gs://{place.bucket}/{job}").latest()
    if manifest is not None:
        now = datetime.now(UTC)
        end = datetime.combine(manifest.as_of + timedelta(days=1), time(tzinfo=UTC))
        _add(block, "as_of_age", (now - end).total_seconds())
        _add(block, "published_age", (now - manifest.created_at).total_seconds())


def _add(
    block: JobMetrics, name: str, value: float | None, labels: Mapping[str, str] | None = None
) -> None:
    """Add a figure in the type that its metric has for ever."""
    metric = BY_NAME[name]
    block.add(name, None if value is None else metric.type(value), labels, unit=metric.unit)


def _violations(error: Exception) -> int | None:
    return sum(error.violations.values()) if isinstance(error, ContractError) else None


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Return the sum of what is known; None where nothing is."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _is_out_of_reach(failure: Exception | None) -> bool:
    """Whether it is Monitoring, or the way there, and not some figure."""
    from google.api_core.exceptions import InvalidArgument

    return failure is not None and not isinstance(failure, InvalidArgument)


def peak_memory() -> int:
    """Return the most bytes of memory that this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kibibytes, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
