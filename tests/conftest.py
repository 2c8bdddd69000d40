"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import settings

from cwagent_iam import Propagation
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3


# How many examples a property test draws: HYPOTHESIS_PROFILE=local while writing code, nightly for
# breadth. No deadline, because what is slow is mostly a busy machine.
for _profile, _examples in {"local": 20, "ci": 100, "nightly": 2000}.items():
    settings.register_profile(_profile, max_examples=_examples, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def examples(in_ci: int) -> int:
    """Return how many examples a test draws under this profile that draws *in_ci* in CI."""
    return max(1, in_ci * settings().max_examples // 100)


# Laws that repeat many flows. Other tests cover every line and branch that these run; to trace them
# here too would double the time.
UNTRACED = {
    "test_canary",
    "test_containment",
    "test_crash_points",
    "test_depth",
    "test_doubt",
    "test_lag_strict",
    "test_lag_threads",
    "test_laggy_laws",
    "test_laggy_rivals",
    "test_laws",
    "test_one_sender",
    "test_races",
    "test_real_stores",
    "test_retries",
    "test_schedules",
    "test_strict_flow",
    "test_strict_recorded",
    "test_trust_grammar",
    "test_trust_round_trips",
    "test_whole_identity",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out of coverage what only repeats code that other tests cover."""
    for item in items:
        if item.path.stem in UNTRACED:
            item.add_marker("no_cover")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays: the SDK's modules and models are many."""
    gc.collect()
    gc.freeze()


@attrs.define
class VirtualTime:
    """A clock that only sleeping moves, so that no test ever waits."""

    now: float = 1000.0
    slept: list[float] = attrs.field(factory=list)

    def clock(self) -> float:
        """Tell the time, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.slept.append(seconds)
        self.now += seconds

    def propagation(self, timeout: float = 60.0) -> Propagation:
        """Wait in this time, always for the mean of what jitter allows."""
        return Propagation(timeout=timeout, clock=self.clock, sleep=self.sleep, random=lambda: 0.5)


@pytest.fixture
def virtual_time() -> VirtualTime:
    """Time that passes only by sleeping."""
    return VirtualTime()


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    """A session in an empty sandbox."""
    with sandbox() as session:
        yield session


@pytest.fixture
def iam(session: boto3.Session) -> Any:
    """A client of the sandbox, for setting the scene and looking at it.

    Not typed, because the two packages of stubs have different names for its type.
    """
    return session.client("iam")


@attrs.define
class Requests:
    """The operations of IAM that any client of a session sent, in order.

    The order within a wave is that of the changes only with `ONE_AT_A_TIME`.
    """

    sent: list[str] = attrs.field(factory=list)

    @property
    def writes(self) -> list[str]:
        """Those that change something."""
        return [name for name in self.sent if not name.startswith(("Get", "List"))]

    @property
    def reads(self) -> list[str]:
        """Those that change nothing."""
        return [name for name in self.sent if name.startswith(("Get", "List"))]

    def record(self, model: object, **_event: object) -> None:
        """Note one request; a handler of botocore's event ``before-call``."""
        self.sent.append(str(getattr(model, "name", "")))


@pytest.fixture
def requests(session: boto3.Session) -> Requests:
    """What the clients made from *session* after this will send."""
    requests = Requests()
    session.events.register("before-call.iam", requests.record)
    return requests
