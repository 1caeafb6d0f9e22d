"""Every metric that a run writes: one table, which pages, alert policies and plots go by.

A metric's whole type is `custom.googleapis.com/etl/job/<name>`, and each has the label `job`.
"""

from __future__ import annotations

from dataclasses import dataclass

# The first part of every metric's name, under `custom.googleapis.com/`.
PREFIX = "etl"

EVERY_RUN = "every run"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, a gauge.

    Attributes:
        name: Without what is before `job/`.
        type: Of its values, for ever: Monitoring takes no other afterwards.
        unit: As Monitoring writes it.
        about: What it says, in a few words.
        labels: What tells its series apart, besides `job`.
        of: The job whose runs write it, or every run.
        figure: The name under which a manifest's metrics hold it; "" for one that does not come
            from there.
        below: An alert is due below it.
        above: An alert is due above it.
    """

    name: str
    type: type[int] | type[float]
    unit: str
    about: str
    labels: tuple[str, ...] = ()
    of: str = EVERY_RUN
    figure: str = ""
    below: float | None = None
    above: float | None = None

    @property
    def path(self) -> str:
        """The name as `MonitoringAccessor` takes it, after its prefix."""
        return f"job/{self.name}"

    @property
    def whole(self) -> str:
        """The metric's whole type."""
        return f"custom.googleapis.com/{PREFIX}/{self.path}"

    def is_alarming(self, value: float) -> bool:
        """Whether an alert is due."""
        return (self.below is not None and value < self.below) or (
            self.above is not None and value > self.above
        )


_HOUR = 3600.0
_RUN = (
    Metric("success", int, "1", "1, or 0 of a run that failed", below=1),
    Metric("seconds", float, "s", "wall-clock time"),
    Metric("rows_in", int, "1", "rows of the tables that were read"),
    Metric("rows_out", int, "1", "rows that were made"),
    Metric("bytes_processed", int, "By", "what the job's queries read"),
    Metric("bytes_billed", int, "By", "what BigQuery charges for them"),
    Metric("peak_memory", int, "By", "the most that the process ever held, up to the job's end"),
    Metric("contract_violations", int, "1", "rows that break a check of the contract", above=0),
    Metric(
        "rows_dropped",
        int,
        "1",
        "rows of the raw log that a rule of cleaning leaves out",
        labels=("reason",),
        of="answers/rejected",
        figure="counts",
    ),
    Metric(
        "as_of_age",
        float,
        "s",
        "time since the end of the day that the published run describes",
        above=50 * _HOUR,
    ),
    Metric("published_age", float, "s", "time since the published run was made", above=26 * _HOUR),
)
_CALIBRATE = (
    Metric("calibration/students", int, "1", "students", of="calibrate", figure="students"),
    Metric("calibration/answers", int, "1", "their answers", of="calibrate", figure="answers"),
    Metric(
        "calibration/log_likelihood",
        float,
        "1",
        "of the answers, at the published parameters",
        of="calibrate",
        figure="log_likelihood",
    ),
    Metric(
        "calibration/iterations",
        int,
        "1",
        "passes over the answers until it converged",
        of="calibrate",
        figure="iterations",
    ),
    Metric(
        "calibration/score",
        float,
        "1",
        "largest slope of the log-posterior that is left",
        of="calibrate",
        figure="score",
    ),
    Metric(
        "calibration/flagged_items",
        int,
        "1",
        "items whose parameters want a look",
        of="calibrate",
        figure="flagged_items",
    ),
)
_MONITOR = (
    Metric(
        "prediction/answers",
        int,
        "1",
        "answers that an earlier run predicted",
        of="monitor",
        figure="predicted_answers",
    ),
    Metric(
        "prediction/brier",
        float,
        "1",
        "mean squared difference of answer and probability",
        of="monitor",
        figure="brier",
    ),
    Metric(
        "prediction/brier_skill",
        float,
        "1",
        "1 less Brier over that of always saying the share of right answers",
        of="monitor",
        figure="brier_skill",
        below=0.0,
    ),
    Metric(
        "prediction/log_loss",
        float,
        "1",
        "mean of -ln of the probability that was given to what came",
        of="monitor",
        figure="log_loss",
        above=0.6931,
    ),
    Metric(
        "prediction/auc",
        float,
        "1",
        "chance that a right answer had the higher probability",
        of="monitor",
        figure="auc",
        below=0.6,
    ),
    Metric(
        "prediction/calibration_error",
        float,
        "1",
        "mean difference of share and probability, in ten bins",
        of="monitor",
        figure="calibration_error",
        above=0.05,
    ),
    Metric(
        "drift/answers", int, "1", "answers of the new days", of="monitor", figure="new_answers"
    ),
    Metric(
        "drift/right_psi",
        float,
        "1",
        "PSI of right and wrong, new days against those before",
        of="monitor",
        figure="right_psi",
        above=0.1,
    ),
    Metric(
        "drift/subjects_psi",
        float,
        "1",
        "PSI of the subjects' shares of answers, less what chance would make",
        of="monitor",
        figure="subjects_psi",
        above=0.25,
    ),
    Metric(
        "drift/items_psi",
        float,
        "1",
        "PSI of the items' shares of answers, less what chance would make",
        of="monitor",
        figure="items_psi",
        above=0.25,
    ),
    Metric(
        "drift/subjects_moved",
        int,
        "1",
        "subjects whose share of right answers has moved",
        of="monitor",
        figure="subjects_moved",
    ),
    Metric(
        "drift/items_moved",
        int,
        "1",
        "items whose share of right answers has moved",
        of="monitor",
        figure="items_moved",
    ),
)

METRICS: tuple[Metric, ...] = (*_RUN, *_CALIBRATE, *_MONITOR)
BY_NAME = {metric.name: metric for metric in METRICS}
