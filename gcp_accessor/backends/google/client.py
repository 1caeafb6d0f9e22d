"""BigQuery's client, whose every request has an end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from google.cloud import bigquery

from gcp_accessor.backends.time_limit import seconds_left

if TYPE_CHECKING:
    from google.api_core.retry import Retry

# Google's own waits for ever for a reply that never comes, say from behind a router that has
# forgotten the connection. No request takes long: jobs are asked after, not waited for.
REQUEST_SECONDS = 120.0
# Of a part of an upload, as Google's client has it.
_UPLOAD_REPETITIONS = 6


class BoundedClient(bigquery.Client):
    """Google's client, with a limit to each request and the caller's way to repeat it.

    All of BigQuery's requests but uploads come through one method, where both are put in. To
    hand them to each method would leave out those that jobs make by themselves, for their state
    and their rows.

    Args:
        patience: What stands for Google's own retry; None leaves that.
        seconds: How long a request, with its repetitions, may take at most. `within` may leave
            it less.
        options: Of `google.cloud.bigquery.Client`.
    """

    def __init__(self, *, patience: Retry | None, seconds: float | None, **options: Any) -> None:
        super().__init__(**options)
        self._patience = patience
        self._seconds = seconds

    def query(self, *arguments: Any, **options: Any) -> bigquery.QueryJob:
        """Start a query, as Google's client does."""
        # Whatever starts a job anew that BigQuery gave up also repeats requests: for ten
        # minutes, of which neither a limit nor the caller's own retry is told.
        if self._patience is not None or self._limits():
            options["job_retry"] = None
        return super().query(*arguments, **options)

    def load_table_from_file(self, *arguments: Any, **options: Any) -> bigquery.LoadJob:
        """Start a load of a file, as Google's client does."""
        limits = self._limits()
        options.setdefault("timeout", min([*limits, REQUEST_SECONDS]))
        start = super().load_table_from_file
        if self._patience is not None:
            # An upload knows no `Retry`: with one, all of it is repeated, under the same job id.
            once = self._bounded(self._patience)(start)
            options |= {"rewind": True, "num_retries": 0}
            job: bigquery.LoadJob = once(*arguments, **options)
            return job
        if limits:
            # Its pauses are 1, 2, 4, ... seconds.
            options["num_retries"] = min(int(math.log2(min(limits) + 1)), _UPLOAD_REPETITIONS)
        return start(*arguments, **options)

    def _call_api(self, retry: Retry | None, *arguments: Any, **options: Any) -> Any:
        if options.get("timeout") is None:
            options["timeout"] = min([*self._limits(), REQUEST_SECONDS])
        return super()._call_api(retry and self._bounded(retry), *arguments, **options)

    def _bounded(self, retry: Retry) -> Retry:
        chosen = self._patience or retry
        # A wait that must end sooner says so by the retry's own limit.
        own = [each for each in (chosen.timeout, retry.timeout) if each]
        limits = [*own, *self._limits()]
        return chosen.with_timeout(min(limits)) if limits else chosen

    def _limits(self) -> list[float]:
        return [each for each in (self._seconds, seconds_left()) if each is not None]
