"""The examples in the docstrings print what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from etl_jobs import irt

NAMES = [irt.__name__] + [
    each.name for each in pkgutil.walk_packages(irt.__path__, f"{irt.__name__}.")
]
EXAMPLES = [
    example
    for name in NAMES
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if example.examples
]


def test_the_examples_of_every_folder_are_among_them() -> None:
    found = {example.name.split(".")[2] for example in EXAMPLES if example.name.count(".") > 2}

    assert {"ability", "bank", "estimation", "memory", "model"} <= found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_it_shows(example: doctest.DocTest) -> None:
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)

    assert result.attempted
    assert not result.failed
