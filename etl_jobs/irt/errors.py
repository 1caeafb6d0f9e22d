"""The errors a caller of this package would act on differently."""

from __future__ import annotations


class CalibrationError(Exception):
    """The item parameters cannot be trusted, so there are none."""


class TooFewResponses(CalibrationError):
    """The answers do not determine the parameters that were asked for."""


class NotConverged(CalibrationError):
    """The search ended before the likelihood's slope vanished."""


class NotFitted(ValueError, AttributeError):
    """The model is asked about items before it has seen any answers.

    Of the same kinds as scikit-learn's NotFittedError, so that what catches one catches both.
    """
