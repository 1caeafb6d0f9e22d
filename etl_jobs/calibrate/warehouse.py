"""A calibration whose answers stay in the warehouse: past what one machine can hold.

The same search for the same maximum as in memory. Every pass over the answers is one query, which
gives sums over students (`calibrate/expectation`); the search itself is small. It begins where a
sample of the students, calibrated in memory, has its maximum, so that few passes are needed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from etl_jobs.calibrate.connections import blocks_in_warehouse
from etl_jobs.calibrate.expectation import WarehouseExpectation
from etl_jobs.calibrate.journal import Journal
from etl_jobs.calibrate.leftovers import Leftovers
from etl_jobs.calibrate.tables import COLUMNS, RunTables
from etl_jobs.errors import CalibrationError
from gcp_accessor.byte_sizes import bytes_text
from gcp_accessor.errors import CostLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from etl_jobs.irt import Calibration, Model, Priors, Responses
    from etl_jobs.irt.estimation.objective import MarginalPosterior
    from etl_jobs.irt.model.curves import ItemParameters
    from etl_jobs.product import Work

# The hash of a student is one of so many numbers.
_NUMBERS = 2**60
# As many answers as a sample needs for its maximum to be near that of all.
SAMPLE_ANSWERS = 2_000_000
# From a sample's maximum a search goes through the answers about ten times; half as much again
# is what a budget has to hold before the first.
_LIKELY_PASSES = 15
# Rows are summed in no certain order: heights agree to this share of them.
_ROUNDING = 1e-12
_TOLERANCE = 2e-5
_MOST_PASSES = 200
_SPAN = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class ItemCounts:
    """The items and how often each was answered: all that is known beforehand."""

    items: NDArray[Any]
    answers: NDArray[Any]
    right: NDArray[Any]

    @classmethod
    def of(cls, rows: Mapping[str, Mapping[str, object]]) -> ItemCounts:
        """The rows of `calibrate/items`, by the items' ids."""
        import numpy as np

        items = sorted(rows)
        return cls(
            np.array(items, object),
            np.array([rows[item]["answers"] for item in items], np.int64),
            np.array([rows[item]["correct_answers"] for item in items], np.int64),
        )

    def answers_per_item(self) -> NDArray[Any]:
        """How many students answered each item, shape (items,)."""
        return self.answers

    def right_per_item(self) -> NDArray[Any]:
        """How many of them were right, shape (items,)."""
        return self.right


@dataclass(frozen=True, slots=True, eq=False)
class WarehouseFit:
    """A calibration, and the sample that it began with.

    Attributes:
        sample: The answers of some students, by which a report shows abilities, and from which
            the part of the standard errors comes that is a matter of single students.
    """

    fitted: Calibration
    sample: Responses


def calibrate_in_warehouse(
    work: Work,
    counts: ItemCounts,
    *,
    model: Model,
    priors: Priors | None,
    anchors: Mapping[str, tuple[float, ...]] | None,
) -> WarehouseFit:
    """Return the items' parameters, the answers left where they are.

    Killed at any moment it goes on, when it is started again, from the last pass that it had
    finished, and gives the same to the last bit.

    Raises:
        CostLimitExceeded: the passes would read more than the budget; found out before any.
        CalibrationError: two students share a number, or no maximum was reached.
        etl_jobs.irt.CalibrationError: the answers cannot determine what was asked.
    """
    from etl_jobs import irt
    from etl_jobs.irt.estimation.calibrate import why
    from etl_jobs.irt.estimation.drafts import Draft
    from etl_jobs.irt.estimation.search import search

    run_id = work.run.run_id
    tables = RunTables(work.place.warehouse, run_id)
    leftovers = Leftovers(
        work.place.warehouse, work.place.store, f"{work.run.publication.uri}/warehouse"
    )
    leftovers.begin(run_id)
    budget = work.max_bytes or work.steps["calibrate/expectation"].byte_budget
    with work.place.warehouse.budget(budget or 2**62):
        students = _number(work, tables, counts)
        sample = _sample(work, tables, counts, int(counts.answers.sum()))
        journal = Journal(
            WarehouseExpectation(
                tables, work.steps["calibrate/expectation"].sql, students, {"job": "calibrate"}
            ),
            work.place.store,
            leftovers.of_run(run_id),
        )
        objective = _objective(journal, counts, sample, model, priors, anchors)
        _hold_to_budget(journal, objective, budget)
        coarser = objective.grid.coarser()
        maximum = search(
            objective,
            objective.coordinates.start(),
            tolerance=_TOLERANCE,
            max_passes=_MOST_PASSES,
            drafts=[Draft((journal,), coarser, _TOLERANCE, _ROUNDING)] if coarser else [],
        )
        if not maximum.converged:
            raise irt.NotConverged(why(counts.items, maximum))
        block = blocks_in_warehouse(
            tables, work.steps["calibrate/connections"].sql, counts.answers, sample
        )
    fitted = _calibration(maximum, counts, sample, model, int(students), block)
    leftovers.sweep(run_id)
    leftovers.end(run_id)
    return WarehouseFit(fitted, sample)


def _number(work: Work, tables: RunTables, counts: ItemCounts) -> float:
    """Make the run's table of answers, if it is not there, and return how many students gave them.

    Raises:
        CalibrationError: two students have one number.
    """
    import numpy as np
    import pyarrow as pa

    warehouse, as_of = work.place.warehouse, {"as_of": work.settings["as_of"]}
    if not tables.exists("calibration_answers"):
        numbers = pa.table(
            {
                "item": pa.array(np.arange(len(counts.items))),
                "item_id": pa.array(counts.items.tolist(), pa.string()),
            }
        )
        warehouse.load(
            numbers,
            tables.name("calibration_items"),
            schema=COLUMNS["calibration_items"],
            if_exists="replace",
        )
        step = work.steps["calibrate/answers"]
        warehouse.query(
            tables.named(step.sql),
            as_of,
            destination=tables.name("calibration_answers"),
            cluster_by=("student",),
            max_bytes_billed=work.max_bytes or step.byte_budget,
            labels={"job": "calibrate"},
        )
    found = warehouse.query(tables.named(work.steps["calibrate/students"].sql), as_of).first()
    if found is None:
        raise CalibrationError("calibrate: there is no answer of the day. Nothing was published")
    if found["students"] != found["numbers"]:
        raise CalibrationError(
            f"calibrate: {found['students']:,} students have {found['numbers']:,} numbers, so that "
            "some would be taken for one; rename a student, or calibrate with --set engine=memory"
        )
    return float(str(found["students"]))


def _sample(work: Work, tables: RunTables, counts: ItemCounts, answers: int) -> Responses:
    """Return the answers of a part of the students, about as many as asked for."""
    from etl_jobs.irt import Responses

    below = int(_NUMBERS * min(1.0, SAMPLE_ANSWERS / max(answers, 1)))
    rows = work.place.warehouse.query(
        tables.named(work.steps["calibrate/sample"].sql),
        {"below": max(below, 1)},
        labels={"job": "calibrate"},
    ).to_arrow()
    outcome = rows["outcome"].to_numpy()
    return Responses.from_long(
        rows["student"].to_numpy(), outcome >> 1, outcome & 1, items=counts.items
    )


def _objective(
    expect: Journal,
    counts: ItemCounts,
    sample: Responses,
    model: Model,
    priors: Priors | None,
    anchors: Mapping[str, tuple[float, ...]] | None,
) -> MarginalPosterior:
    """Return what is to be maximised, its beginning where the sample has its maximum."""
    from etl_jobs import irt
    from etl_jobs.irt.estimation.objective import MarginalPosterior
    from etl_jobs.irt.estimation.search import enough_nodes
    from etl_jobs.irt.model.design import design
    from etl_jobs.irt.model.priors import NO_PRIORS
    from etl_jobs.irt.model.quadrature import Grid

    believed = NO_PRIORS if priors is None else priors
    coordinates = design(model, believed, counts, anchors=anchors)
    # A sample can lack what all answers have; the proportions right are a beginning, too.
    with suppress(irt.CalibrationError):
        near = irt.calibrate(
            sample,
            model=model,
            priors=priors,
            anchors=anchors,
            standard_errors="none",
            on_failure="return",
        )
        if near.converged:
            coordinates = replace(
                coordinates, fixed=_begin(coordinates.fixed, near, sample.answers_per_item())
            )
    most = int(sample.answers_per_person().max(initial=1))
    grid = Grid.standard_normal(enough_nodes(most, _SPAN), _SPAN)
    return MarginalPosterior((expect,), grid, believed, coordinates)


def _begin(guess: ItemParameters, near: Calibration, answers: NDArray[Any]) -> ItemParameters:
    """Return the sample's parameters, but where it has no answer."""
    import numpy as np

    from etl_jobs.irt.model.curves import ItemParameters

    found = near.discrimination, near.intercept, near.lower, near.upper
    return ItemParameters(
        *(np.where(answers > 0, *pair) for pair in zip(found, guess, strict=True))
    )


def _hold_to_budget(journal: Journal, objective: MarginalPosterior, budget: int | None) -> None:
    """Compare what the passes are likely to read with the budget, by a dry run of one.

    Raises:
        CostLimitExceeded: it is more.
    """
    expect = journal.expect
    if budget is None or not isinstance(expect, WarehouseExpectation):
        return
    coordinates, grid = objective.coordinates, objective.grid
    parameters = coordinates.parameters(coordinates.start())
    each = expect.bytes_read(parameters.tables(grid.nodes), grid)
    if each * _LIKELY_PASSES > budget:
        raise CostLimitExceeded(
            f"calibrate: a pass over the answers reads {bytes_text(each)}, and about "
            f"{_LIKELY_PASSES} of them are more than the {bytes_text(budget)} there are; raise "
            "--max-bytes, or calibrate with --set engine=memory"
        )


def _calibration(
    maximum: Any,
    counts: ItemCounts,
    sample: Responses,
    model: Model,
    students: int,
    block: NDArray[Any],
) -> Calibration:
    """Return the maximum as a calibration.

    What complete data would tell is known from the sums over all students. What not seeing
    their abilities costs is a sum over single students; the sample's stands for it.
    """
    import numpy as np

    from etl_jobs.irt import Calibration, Population
    from etl_jobs.irt.answers.blocks import blocks_of
    from etl_jobs.irt.answers.patterns import Patterns
    from etl_jobs.irt.estimation.flags import flag_items
    from etl_jobs.irt.estimation.standard_errors import covariances
    from etl_jobs.irt.model.design import settled

    patterns = Patterns.of(sample)
    inside = np.count_nonzero(sample.answers_per_person())
    patterns = replace(patterns, count=patterns.count * (students / inside))
    covariance = covariances(maximum, [blocks_of(patterns)], kind="near")
    coordinates = maximum.objective.coordinates
    parameters = settled(maximum.parameters, coordinates)
    (mean,), (deviation,) = coordinates.populations(maximum.found.point)
    (mean_error,), (deviation_error,) = covariance.population_errors
    population = Population(
        None, students, float(mean), float(deviation), float(mean_error), float(deviation_error)
    )
    (sums,) = maximum.found.slope.sums
    return Calibration(
        items=counts.items,
        model=model,
        priors=maximum.objective.priors,
        **parameters._asdict(),
        populations=(population,),
        held=coordinates.held,
        covariance=covariance.items,
        information=covariance.information,
        block=block,
        answers=counts.answers,
        right=counts.right,
        flags=flag_items(counts.answers, counts.right, parameters, block),
        log_likelihood=maximum.finer.log_likelihood,
        log_posterior=maximum.finer.height,
        persons=students,
        iterations=maximum.passes,
        converged=maximum.converged,
        score=maximum.finer.steepness,
        nodes=population.grid(maximum.objective.grid).nodes,
        expected_answers=sums.right + sums.wrong,
        expected_right=sums.right.copy(),
    )
