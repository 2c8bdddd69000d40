"""The core of access keys alone: outcomes in, effects out; no AWS, no clock, no threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from cwagent_iam.access_keys.steps import DAY, Terms
from cwagent_iam.errors import CwAgentIamError, KeyConflictError
from cwagent_iam.requests import Emit, Send
from tests.core import BUSY, DENIED, THROTTLED, Lost, operations
from tests.core_keys import TERMS, KeyWorld, delivered, script
from tests.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core import Answer


CORE = ("access_keys/delivery.py", "reconcile/call.py")


def waves(world: KeyWorld) -> list[list[str]]:
    """Return the effects in order: requests side by side, and what the store is asked."""
    effects = [each for each in world.effects if not isinstance(each, Emit)]
    return [
        sorted({request.operation for request in each.requests})
        if isinstance(each, Send)
        else [type(each).__name__]
        for each in effects
    ]


def named(world: KeyWorld, error: BaseException | None) -> bool:
    """Return whether each key that is not in the store is recorded, tagged or named in *error*."""
    told = f"{error} {getattr(error, '__notes__', '')} {world.tags}"
    unheld = set(world.keys) - {world.shelf[0] if world.shelf else ""}
    return all(name in told for name in unheld) or "May have been applied: CreateAccess" in told


def interrupted(call: Callable[[], object]) -> KeyboardInterrupt | None:
    """Make a call; return the interrupt that ended it."""
    try:
        call()
    except KeyboardInterrupt as stop:
        return stop
    return None


def works(world: KeyWorld) -> bool:
    """Return whether the store holds an active key with its secret."""
    name, secret = world.shelf or ("", "")
    return world.keys.get(name) == "Active" and world.secrets[name] == secret


class TestLife:
    """A key from its creation to its end."""

    def test_creation(self) -> None:
        """The record is written beside the reads that confirm the user."""
        world = KeyWorld()
        result, key = world.deliver()
        made = ["CreateUser", "AttachUserPolicy", "CreateAccessKey", "TagUser"]
        assert operations(result.changes) == made
        assert (key.action, key.advice) == ("created", "Restart the agent.")
        assert waves(world) == [
            ["Hold"],
            ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies"],
            ["CreateUser"],
            ["AttachUserPolicy"],
            ["Hold"],
            ["CreateAccessKey"],
            ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies", "TagUser"],
            ["Deliver"],
            ["Hold"],
            ["Verify"],
            ["Settle"],
        ]

    def test_again(self) -> None:
        """A second call reads once, and verifies what the store holds."""
        world = delivered()
        _, key = world.deliver()
        reads = ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies"]
        assert (key.action, waves(world)) == (
            "kept",
            [["Hold"], reads, ["Verify"], ["Settle"]],
        )

    def test_rotation(self) -> None:
        """Each call does what is due: replace, deactivate, delete."""
        world = delivered(31 * DAY)
        phases, changes = [], []
        for _ in range(4):
            status = world.rotate()
            phases.append(status.phase)
            changes.append(operations(status.changes))
            world = world.later(1.5 * DAY if status.phase == "settling" else 4 * DAY)
        assert phases == ["settling", "grace", "current", "current"]
        assert changes == [
            ["CreateAccessKey", "TagUser"],
            ["TagUser", "UpdateAccessKey"],
            ["DeleteAccessKey", "UntagUser"],
            [],
        ]
        assert list(world.keys) == [world.delivered[-1]]

    def test_a_mask(self) -> None:
        """A store that has kept a mask is found out when it is read back."""
        world = KeyWorld()
        world.written = lambda name, _: setattr(world, "shelf", (name, "****"))
        with pytest.raises(CwAgentIamError, match="SignatureDoesNotMatch"):
            world.deliver()
        with pytest.raises(KeyConflictError, match="does not work"):
            world.later().deliver()


CREATION = ["CreateUser", "AttachUserPolicy", "CreateAccessKey", "TagUser"]
READS = ["GetUser", "ListAccessKeys"]
TURNS: dict[str, Answer] = {
    "reply lost, done": Lost(),
    "reply lost, not done": Lost(done=False),
    "throttled": THROTTLED,
    "busy": BUSY,
    "denied": DENIED,
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("operation", [*CREATION, *READS])
def test_one_outcome(operation: str, turn: str) -> None:
    """After any outcome of any request, no key is unnamed; later calls converge on a key."""
    world = KeyWorld()
    script(world, operation, TURNS[turn])
    error: CwAgentIamError | None = None
    try:
        world.deliver()
    except CwAgentIamError as caught:
        error = caught
    assert named(world, error)
    for _ in range(2):
        world = world.later(2 * DAY)
        world.deliver()
    assert works(world)


@pytest.mark.parametrize("sent", [0, 1, 3])
def test_interrupts(sent: int) -> None:
    """After an interrupt of any effect, no key is unnamed, and the next call delivers one."""
    for place in range(100):
        world = KeyWorld()
        stop = interrupted(lambda: world.deliver(stop_at=place, sent=sent))  # noqa: B023
        if not stop:
            break
        assert named(world, stop)
        assert not world.readable_secrets
        after = world.later(DAY)
        after.deliver()
        assert works(after)
    assert place > 10


def deliver(world: KeyWorld) -> None:
    """Make the call that creates the first key."""
    world.deliver()


@pytest.mark.parametrize("call", [deliver, KeyWorld.rotate])
def test_every_line(call: Callable[[KeyWorld], object]) -> None:
    """After an interrupt at any line no key is unnamed, and no secret can be read."""
    for number in range(1, 1000):
        world = KeyWorld() if call is deliver else delivered(31 * DAY)
        with Tracer(CORE, number, lambda: bool(world.sealed)):  # noqa: B023
            stop = interrupted(lambda: call(world))  # noqa: B023
        assert named(world, stop)
        assert not world.readable_secrets
        if not stop:
            break
    assert number > 100


def test_interrupted_rotation() -> None:
    """After an interrupt of any effect of a rotation the store holds a working key; calls go on."""
    for place in range(200):
        world = delivered(31 * DAY)
        stop = interrupted(lambda: world.rotate(stop_at=place))  # noqa: B023
        if not stop:
            break
        assert named(world, stop)
        assert works(world)
        for _ in range(3):
            world = world.later(5 * DAY)
            world.rotate()
            assert works(world)
    assert place > 10


@pytest.mark.parametrize("days", [2, 6])
def test_interrupted_end(days: int) -> None:
    """After an interrupt of a call that ends the old key, the next calls go on."""
    for place in range(200):
        world = delivered(31 * DAY)
        for pause in [2, 6][: [2, 6].index(days) + 1]:
            world.rotate()
            world = world.later(pause * DAY)
        stop = interrupted(lambda: world.rotate(stop_at=place))  # noqa: B023
        if not stop:
            break
        assert works(world)
        for _ in range(3):
            world = world.later(5 * DAY)
            world.rotate()
        assert list(world.keys) == [world.delivered[-1]]
        assert works(world)
    assert place > 3


def test_at_most_one_key_a_call() -> None:
    """A rotation that is asked for now, or whose ages are tiny, creates one key a call."""
    world = delivered(10.0)
    tiny = Terms(max_age=1.0, settle=0.0, grace=0.0, now=True)
    for _ in range(5):
        created = len(world.secrets)
        world.rotate(tiny)
        assert len(world.secrets) <= created + 1
        assert works(world)
        world = world.later(DAY)


def test_unreadable_store() -> None:
    """Nothing proves that a key in a store that cannot be read back works, but its use."""
    world = delivered(31 * DAY, readable=False)
    first = world.delivered[0]
    world.rotate()
    for _ in range(4):
        world = world.later(10 * DAY)
        assert world.rotate(attrs.evolve(TERMS, max_age=300 * DAY)).phase == "settling"
    world.use(world.delivered[-1])
    world.rotate(attrs.evolve(TERMS, max_age=300 * DAY))
    assert world.keys[first] == "Inactive"
