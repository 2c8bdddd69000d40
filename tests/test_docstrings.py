"""The examples in the docstrings of the installed package."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import cwagent_iam

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(cwagent_iam.__path__, "cwagent_iam.")
)


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", ["cwagent_iam", *MODULES])
def test_examples_in_docstrings_are_true(name: str) -> None:
    """Every prompt in a docstring gives what is printed below it."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_in_docstrings() -> None:
    """Some docstrings hold examples, so that the test above tests something."""
    modules = map(importlib.import_module, MODULES)
    assert sum(doctest.testmod(module).attempted for module in modules) > 0
