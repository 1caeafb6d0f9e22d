"""What making any accessor accepts and refuses, and what of the library can be pickled."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor, errors

ACCESSORS = [BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor]
each_accessor = pytest.mark.parametrize("make", ACCESSORS)
OWN = {"dataset", "read_client", "max_bytes_billed", "prefix"}


def test_all_three_are_made_by_the_same_words_in_the_same_order() -> None:
    words = [
        [name for name in inspect.signature(make).parameters if name not in OWN]
        for make in ACCESSORS
    ]

    assert words[0] == words[1] == words[2]


@each_accessor
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"local": "x", "impersonate": "a@b.iam.gserviceaccount.com"}, "local= stands in"),
        ({"local": "x", "credentials": AnonymousCredentials()}, "local= stands in"),
        ({"client": object(), "impersonate": "a@b.c"}, "client= acts as whom it was made for"),
        ({"client": object(), "credentials": AnonymousCredentials()}, "client= acts as whom"),
        ({"impersonate": "etl"}, "impersonate names 'etl'; expected a service account's address"),
        ({"impersonate": []}, "impersonate is empty"),
        ({"progress": True}, "progress is True; expected 'auto', 'on' or 'off'"),
        ({"timeout": 0}, "timeout is 0; expected seconds, more than 0"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(
    make: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make(**options)


@each_accessor
def test_an_accessor_keeps_its_recipe_through_a_pickle(make: Any) -> None:
    made = make(
        "a-project",
        location="EU",
        credentials=AnonymousCredentials(),
        impersonate="etl@a-project.iam.gserviceaccount.com",
        labels={"team": "exams"},
        timeout=5,
    )

    again = pickle.loads(pickle.dumps(made))

    for name in ("project", "location", "impersonate", "labels", "timeout", "retry", "progress"):
        assert getattr(again, name) == getattr(made, name)


OURS = [
    each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)
]


# What those take that are more than a message.
ARGUMENTS: dict[type[Exception], tuple[Any, ...]] = {
    errors.LoadFailed: ("no", ("row 1",)),
    errors.MissingExtra: ("a DataFrame", "pandas"),
    errors.TransferFailed: ("no", {"gs://bbb/a": ValueError("no")}, (), ("gs://bbb/b",)),
    errors.TransferTimeout: ("no", {}, (), ("gs://bbb/b",)),
}


@pytest.mark.parametrize("kind", OURS)
def test_each_error_of_ours_can_be_pickled(kind: type[Exception]) -> None:
    made = kind(*ARGUMENTS.get(kind, ("what happened",)))
    made.add_note("what to do")

    again = pickle.loads(pickle.dumps(made))

    assert type(again) is kind
    assert str(again) == str(made)
    assert again.__notes__ == ["what to do"]
