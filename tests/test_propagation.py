"""Propagation: the settings that callers give, and their defaults."""

from __future__ import annotations

import math
import time
from typing import Any

import attrs
import pytest

from cwagent_iam import IntentError, Propagation


@pytest.mark.parametrize("timeout", [True, False, -1, -0.001, math.nan, "60", None, 1j, [60]])
def test_timeout(timeout: Any) -> None:
    """A timeout that is not a number of seconds is refused, by name, value and rule."""
    with pytest.raises(IntentError, match=r"^timeout=.*: must be a number of seconds, 0 or"):
        Propagation(timeout=timeout)


@pytest.mark.parametrize("max_in_flight", [True, False, 0, -1, 1.0, math.nan, "8", None, [8]])
def test_max_in_flight(max_in_flight: Any) -> None:
    """A number of requests that is not a whole number above 0 is refused likewise."""
    with pytest.raises(IntentError, match=r"^max_in_flight=.*: must be a whole number of requests"):
        Propagation(max_in_flight=max_in_flight)


@pytest.mark.parametrize("name", ["clock", "sleep", "random", "now", "side_by_side"])
@pytest.mark.parametrize("value", [3, "time.sleep", False])
def test_functions(name: str, value: Any) -> None:
    """A value that cannot be called is refused, by name, value and rule."""
    with pytest.raises(IntentError) as caught:
        Propagation(**{name: value})
    rule = "must be a function, as Propagation documents it"
    assert str(caught.value) == f"{name}={value!r}: {rule}"


def test_a_function_that_is_missing() -> None:
    """`None` is a value of `side_by_side` only."""
    nothing: Any = None
    with pytest.raises(IntentError, match=r"^clock=None: must be a function"):
        Propagation(clock=nothing, side_by_side=None)


def test_all_problems() -> None:
    """The error lists all problems."""
    bad: dict[str, Any] = dict.fromkeys(attrs.fields_dict(Propagation), "3")
    with pytest.raises(IntentError) as caught:
        Propagation(**bad)
    assert {each.argument for each in caught.value.problems} == bad.keys()


@pytest.mark.parametrize("timeout", [0, 0.0, 1, 3600.5, math.inf])
def test_good(timeout: float) -> None:
    """Any number of seconds from 0, and any number of requests from 1, is kept unaltered."""
    settings = Propagation(timeout=timeout, max_in_flight=1)
    assert (settings.timeout, settings.max_in_flight) == (timeout, 1)


def test_default() -> None:
    """The default is a minute, eight requests, and the real time, which only goes forward."""
    settings = Propagation()
    before, today = time.monotonic(), time.time()
    settings.sleep(0)
    assert before <= settings.clock() <= time.monotonic()
    assert today <= settings.now() <= time.time()
    assert (settings.timeout, settings.max_in_flight, settings.side_by_side) == (60, 8, None)
    assert all(0 <= settings.random() <= 1 for _ in range(9))


def test_frozen() -> None:
    """Settings are a value: one that is shared cannot be altered."""
    settings = Propagation()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.timeout = 1.0  # type: ignore[misc]
