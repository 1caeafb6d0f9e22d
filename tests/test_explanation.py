"""Errors in plain words."""

from __future__ import annotations

import pytest
from google.api_core.exceptions import NotFound
from google.auth.exceptions import DefaultCredentialsError

from gcp_accessor import errors
from gcp_accessor.explanation import expected_errors, explanation


def test_googles_words_stand_without_status_and_request_and_with_the_advice() -> None:
    error = NotFound("GET https://bigquery.googleapis.com/v2/x?a=b: Not found:\n  Table a.b")
    error.add_note("Check the name.")

    assert explanation(error) == "Not found: Table a.b\n  Check the name."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file", "a.csv"), "No such file: a.csv"),
        (errors.QueryTimeout("the query ran for 3 s"), "the query ran for 3 s"),
        (errors.LoadFailed("nothing was loaded", ("row 1: x", "row 2: y")),
         "nothing was loaded\n  row 1: x\n  row 2: y"),
        (errors.MissingExtra("a plot", "notebook"),
         "a plot needs: pip install 'gcp-accessor[notebook]'"),
        (DefaultCredentialsError("none  found"), "none found"),
        (ValueError(), "ValueError"),
    ],
)  # fmt: skip
def test_each_error_has_its_words(error: Exception, words: str) -> None:
    assert explanation(error) == words


def test_all_our_own_errors_are_expected() -> None:
    ours = [each for each in vars(errors).values() if isinstance(each, type)]

    assert ours
    assert all(issubclass(each, expected_errors()) for each in ours)
    assert not issubclass(KeyError, expected_errors())
