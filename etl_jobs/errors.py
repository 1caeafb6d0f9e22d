"""What the jobs raise on purpose: one sentence that says what to do about it."""

from __future__ import annotations


class JobError(Exception):
    """Something a person has to put right before the job can run. Nothing was published."""


class InputError(JobError):
    """The file or mapping that was handed in cannot be used. Nothing was loaded."""


class ContractError(JobError):
    """Rows break the contract in the query's header. Nothing was published."""


class CalibrationError(JobError):
    """The item parameters cannot be trusted."""


class TooFewResponses(CalibrationError):
    """There are not enough answers to estimate anything from."""
