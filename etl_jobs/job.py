"""Which jobs there are, what each one needs, and the order that follows.

A job is a SQL file whose header names an output table, or a Python module that reads such
tables through queries of its own. Order comes from the tables that the SQL reads.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs.contract import JobParameter, Query, read_query
from etl_jobs.errors import ContractError, JobError, Misuse
from etl_jobs.place import DATASET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from etl_jobs.sources import Source

# The jobs whose end is Python. Each module has `QUERIES`, that it reads; `STEPS`, queries over
# tables of its own; `PARAMETERS`; `OUTPUT`, a `Query` without SQL that describes its table, or
# None; `settle`, which makes settings definite; and `produce`. It may have `OPTIONAL`, queries that
# are read only if a parameter asks for them.
PYTHON_JOBS = {"calibrate": "etl_jobs.calibrate.job", "monitor": "etl_jobs.monitor.job"}


def sql_folder() -> Path:
    """Return the folder of the project's SQL, in a checkout and in an installed wheel."""
    package = Path(__file__).parent
    installed = package / "sql"
    return installed if installed.is_dir() else package.parent / "sql"


@dataclass(frozen=True, slots=True)
class OptionalQuery:
    """A query over sources that a Python job reads unless a parameter has a certain value."""

    query: Query
    parameter: str
    unless: str


@dataclass(frozen=True)
class Job:
    """One job: a query with an output table, or a Python module with queries that it reads.

    Attributes:
        queries: The one query of a SQL job, or all that a Python job reads.
        module: The import name of a Python job, otherwise None.
        steps: A Python job's queries over tables that it makes for itself.
        table: The contract of the table that the job makes; None if it makes none.
        optional: A Python job's queries that only some settings ask for.
    """

    name: str
    description: str
    queries: tuple[Query, ...]
    parameters: tuple[JobParameter, ...]
    module: str | None = None
    steps: tuple[Query, ...] = ()
    table: Query | None = None
    optional: tuple[OptionalQuery, ...] = ()

    @property
    def output(self) -> str | None:
        """The name of the table that the job makes."""
        return self.table.output if self.table else None

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables that its SQL reads, sorted."""
        return tuple(sorted({table for query in self.queries for table in query.reads}))

    @property
    def earlier_days(self) -> tuple[str, ...]:
        """Those of them of which days before the run's are read too, sorted."""
        return tuple(sorted({table for query in self.queries for table in query.earlier_days}))

    def as_asked(self, settings: Mapping[str, object]) -> Job:
        """Return the job with all the queries that it reads under these settings."""
        asked = [each.query for each in self.optional if settings[each.parameter] != each.unless]
        return replace(self, queries=(*self.queries, *asked), optional=())


class Jobs:
    """Every job of a SQL folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or sql_folder()

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The tables that jobs read and none makes, as `sources.yaml` lists them.

        Raises:
            ContractError: the file is not there, or is broken.
        """
        from etl_jobs.sources import load_sources

        try:
            return load_sources(self.folder)
        except ValueError as error:
            raise ContractError(str(error)) from error

    @cached_property
    def queries(self) -> dict[str, Query]:
        """Every SQL file, by name.

        Raises:
            JobError: the folder holds none.
            ContractError: one of them is broken.
        """
        paths = sorted(self.folder.rglob("*.sql"))
        if not paths:
            raise JobError(f"there is no SQL file under {self.folder}; name a folder of jobs")
        queries = [read_query(path, self.folder) for path in paths]
        return {query.name: query for query in queries}

    @cached_property
    def by_name(self) -> dict[str, Job]:
        """Every job, by name.

        Raises:
            ContractError: two jobs make one table, also if they write its name in two ways, or a
                Python job's query is missing.
        """
        jobs = [
            Job(query.name, query.description, (query,), query.parameters, table=query)
            for query in self.queries.values()
            if query.output is not None
        ]
        jobs += [job for name in PYTHON_JOBS if (job := self._python_job(name))]
        makers: dict[str, str] = {}
        for job in jobs:
            if job.output is None:
                continue
            # DuckDB does not tell names apart by their case.
            table = job.output.removeprefix(f"{DATASET}.").casefold()
            if makers.setdefault(table, job.name) != job.name:
                raise ContractError(
                    f"{makers[table]} and {job.name} both make the table {job.output}; "
                    "one table has one job"
                )
        return {job.name: job for job in jobs}

    def _python_job(self, name: str) -> Job | None:
        """Return the job of a module, or None in a folder that holds none of its queries."""
        module = import_module(PYTHON_JOBS[name])
        optional = getattr(module, "OPTIONAL", {})
        needed = (*module.QUERIES, *module.STEPS, *optional)
        missing = [query for query in needed if query not in self.queries]
        if len(missing) == len(needed):
            return None
        if missing:
            raise ContractError(f"{name} reads sql/{missing[0]}.sql, which is not there")
        queries = tuple(self.queries[query] for query in module.QUERIES)
        description = " ".join((module.__doc__ or "").partition("\n\n")[0].split())
        steps = tuple(self.queries[query] for query in module.STEPS)
        return Job(
            name,
            description,
            queries,
            module.PARAMETERS,
            module.__name__,
            steps,
            module.OUTPUT,
            tuple(OptionalQuery(self.queries[query], *when) for query, when in optional.items()),
        )

    def find(self, name: str) -> Job:
        """Return the job of this name.

        Raises:
            Misuse: there is none; the message names the nearest.
        """
        if name in self.by_name:
            return self.by_name[name]
        near = difflib.get_close_matches(name, self.by_name, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.by_name)}"
        raise Misuse(f"there is no job {name!r}; {hint}")

    def plan(self, name: str) -> list[Job]:
        """Return the job and all it needs, each after what it reads.

        Raises:
            ContractError: a table that nothing makes, or that is made twice, or a cycle.
        """
        makers = {job.output: job for job in self.by_name.values() if job.output}
        needs: dict[str, list[str]] = {}
        waiting = [self.find(name)]
        while waiting:
            job = waiting.pop()
            if job.name in needs:
                continue
            upstream = [makers[table] for table in job.reads if table in makers]
            self._refuse_unknown(job, makers)
            if job.output in self.sources:
                raise ContractError(
                    f"{job.name} makes the table {job.output}, which sources.yaml lists as filled "
                    "from outside; one table has one maker"
                )
            needs[job.name] = [other.name for other in upstream]
            waiting += upstream
        try:
            order = TopologicalSorter(needs).static_order()
            return [self.by_name[each] for each in order]
        except CycleError as error:
            cycle = " -> ".join(reversed(error.args[1]))
            raise ContractError(f"these jobs wait for each other: {cycle}") from error

    def _refuse_unknown(self, job: Job, makers: Iterable[str | None]) -> None:
        known = {*makers, *self.sources}
        # Whether an optional query is read is known only later: no job can be waited for.
        needed = [(query, known) for query in job.queries]
        needed += [(each.query, {*self.sources}) for each in job.optional]
        for query, tables in needed:
            for table in query.reads:
                if table not in tables:
                    near = difflib.get_close_matches(table, [n for n in known if n], n=1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    raise ContractError(
                        f"sql/{query.name}.sql reads {table}, which no job makes and "
                        f"sources.yaml does not list; add a job whose output is {table}, or list "
                        f"it there{hint}"
                    )
