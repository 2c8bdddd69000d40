"""Law 7, for access keys: whenever a program dies, whatever is lost, whoever else is at work.

At each instant a delivered key that is active exists, once the first was delivered; there is never
a third key, and never one that nobody names. The world of these tests looks after every request
and after every write to the store; see ``soak_keys.py``.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest.mock import patch

import attrs
import pytest
from moto.iam import models

from cwagent_iam import DeliveryError, KeyConflictError, RotationStatus, StoreError
from cwagent_iam.testing import Fault
from tests.soak_keys import (
    DAY,
    MANAGED,
    TROUBLES,
    USER,
    Trouble,
    World,
    life,
    unnamed,
    world as open_world,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Scene: TypeAlias = "Callable[[World], None]"


# --- scenes ---------------------------------------------------------------------------------------


def empty(world: World) -> None:
    """A user without a key."""
    world.lagging.truth.create_user(UserName=USER, Tags=MANAGED)


def put_key(world: World) -> None:
    """Put a new key into the store, as a delivery leaves it."""
    made = world.lagging.truth.create_access_key(UserName=USER)["AccessKey"]
    world.shelf.key = made["AccessKeyId"], made["SecretAccessKey"]
    world.record(made["AccessKeyId"])


def held(world: World, *, days: float) -> None:
    """A key in the store, so old."""
    empty(world)
    put_key(world)
    world.sleep(days * DAY)
    world.use()


def aged(world: World) -> None:
    """A key that is too old."""
    held(world, days=31)


def settling(world: World) -> None:
    """An old key that has been unused for long enough, and its successor."""
    aged(world)
    put_key(world)
    world.sleep(2 * DAY)
    world.use()


def graced(world: World) -> None:
    """An old key that has been inactive for long enough."""
    settling(world)
    world.rotate()
    world.sleep(4 * DAY)
    world.use()


def undone(world: World) -> None:
    """An old key that is inactive, and wanted back."""
    graced(world)
    world.sleep(-2 * DAY)


def both(world: World) -> tuple[bool, bool]:
    """Whether the store has an active key, and whether there is another one."""
    return world.held in world.active, bool(world.unheld)


@attrs.frozen
class Flow:
    """One call that does something.

    Attributes:
        prepare: Sets the scene.
        arguments: What to call with.
        ends: Says whether it is done.
    """

    prepare: Scene
    ends: Callable[[World], bool]
    arguments: dict[str, Any] = attrs.field(factory=dict)


FLOWS = {
    "deliver": Flow(empty, lambda world: world.held in world.active),
    "replace": Flow(aged, lambda world: both(world) == (True, True)),
    "deactivate": Flow(settling, lambda world: world.active == {world.held}),
    "delete": Flow(graced, lambda world: set(world.keys) == {world.held}),
    "undo": Flow(undone, lambda world: len(world.active) == 2, {"undo": True}),
}


def check(world: World) -> None:
    """At no instant was anything wrong, and every key is named by the next call."""
    assert (world.gaps, world.thirds, world.excess, world.leaks()) == ([], [], [], 0)
    world.lagging.settle()
    told = world.rotate() or world.rotate()  # the next call may still run into what was prepared
    assert unnamed(world, told) == set()
    assert (world.gaps, world.thirds, world.excess, world.leaks()) == ([], [], [], 0)


# --- that the world would notice ------------------------------------------------------------------


def test_the_world_notices_a_gap() -> None:
    """A store with a key that is not active any more is noticed at the next request."""
    with open_world("off") as world:
        aged(world)
        world.rotate(max_age=90 * DAY)
        assert world.gaps == []
        world.lagging.truth.update_access_key(
            UserName=USER, AccessKeyId=str(world.held), Status="Inactive"
        )
        assert world.gaps != []


def test_the_world_notices_a_third_key() -> None:
    """Should IAM ever give one."""
    with open_world("off") as world, patch.object(models, "LIMIT_KEYS_PER_USER", 3):
        aged(world)
        for _ in range(2):
            world.make_by_hand()
        assert world.thirds != []


def test_the_world_notices_a_secret() -> None:
    """Wherever it was told."""
    with open_world("off") as world:
        aged(world)
        world.look()
        assert world.leaks() == 0
        world.hear(world.shelf.key)
        assert world.leaks() == 1


def test_the_world_notices_a_key_that_nobody_names() -> None:
    """It is in no store, and not in what was told."""
    with open_world("off") as world:
        aged(world)
        told = world.rotate(max_age=90 * DAY)
        other = world.make_by_hand()
        assert unnamed(world, told) == {other}
        assert unnamed(world, world.rotate(max_age=90 * DAY)) == set()


def test_the_dead_send_nothing() -> None:
    """A program that is killed in a write sends no request after that."""
    with open_world("off") as world:
        aged(world)
        world.shelf.trouble = "crash before"
        assert world.rotate() is None
        assert [each.operation for each in world.lagging.trace][-1] == "TagUser"


# --- death ----------------------------------------------------------------------------------------


def killed(name: str, fault: Fault, profile: str = "off", seed: int = 0) -> bool:
    """Kill a flow as *fault* says, and run it again; say whether it came to that."""
    flow = FLOWS[name]
    with open_world(profile, seed) as world:
        flow.prepare(world)
        world.lagging.fail(fault)
        died = world.rotate(**flow.arguments) is None
        if died:
            world.rotate(**flow.arguments)
        check(world)
        return died


def turns(name: str) -> list[int]:
    """Number the requests of a flow that find another world than the one before: its turns."""
    flow = FLOWS[name]
    with open_world("off") as world:
        flow.prepare(world)
        before = len(world.lagging.trace)
        world.rotate(**flow.arguments)
        reads = [each.reads for each in world.lagging.trace[before:]]
    pairs = enumerate(itertools.pairwise([False, *reads]), 1)
    return [number for number, (last, this) in pairs if not (last and this)]


@pytest.mark.parametrize("name", FLOWS)
def test_a_program_may_die_after_any_request(name: str) -> None:
    """Another run goes on; the store is never without a key, and no key is lost sight of.

    The dead leave nothing but what was written, to IAM or to the store, and nothing lags here: so
    one death stands for all until the next write. They are after the first request, after
    each write, and after the request that comes next, before which the store may be written to.
    """
    numbers = turns(name)
    assert len(numbers) > 2
    assert all(killed(name, Fault("crash", when="after", nth=each)) for each in numbers)


@pytest.mark.parametrize("name", FLOWS)
def test_it_may_die_before_it_writes(name: str) -> None:
    """That is as if it had died after the request before."""
    assert killed(name, Fault("crash", when="before", writes_only=True, nth=1))


@pytest.mark.parametrize(
    ("name", "number"),
    [("deliver", 9), ("replace", 5), ("undo", 8)],
)
def test_it_may_die_where_iam_lags_and_loses_replies(name: str, number: int) -> None:
    """So it is too where each write has to be sent twice."""
    killed(name, Fault("crash", when="after", nth=number), "adversarial", number)


@pytest.mark.parametrize("number", [3, 11])
def test_it_may_die_twice(number: int) -> None:
    """Two deaths in a row leave two keys at most, both named, and no gap."""
    with open_world("typical", number) as world:
        aged(world)
        for _ in range(2):
            world.lagging.fail(Fault("crash", when="after", nth=number))
            world.rotate()
        check(world)


# --- the store ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "profile", "trouble"),
    [
        *itertools.product(["replace"], ["typical"], TROUBLES),
        *itertools.product(["deliver"], ["typical"], ["full", "silent"]),
        ("deliver", "adversarial", "full"),
    ],
)
def test_the_store_may_fail_in_any_way(trouble: Trouble, name: str, profile: str) -> None:
    """Whatever becomes of a write, the next call finds what there is, and goes on."""
    with open_world(profile, 7) as world:
        FLOWS[name].prepare(world)
        world.shelf.trouble = trouble
        world.shelf.rival = world.rotate
        outcome = world.rotate()
        world.shelf.unreadable = False
        expected = {
            "full": DeliveryError,
            "silent": DeliveryError,
            "late": StoreError,
            "unreadable": DeliveryError,
            "taken": RotationStatus | DeliveryError,  # it may have no time left for another look
        }
        assert isinstance(outcome, expected.get(trouble, type(None)))
        if isinstance(outcome, DeliveryError) and trouble != "taken":
            doubt = trouble == "unreadable" or (trouble == "silent" and name == "replace")
            # Where every reply is lost once, there may be no time left to see that it is deleted.
            fates = {"deleted", "exists"} if profile == "adversarial" else {"deleted"}
            assert outcome.fate in ({"in doubt"} if doubt else fates)
            assert (outcome.access_key_id in world.keys) is doubt
        world.lagging.settle()
        assert isinstance(world.rotate(), RotationStatus)
        assert world.held in world.active
        check(world)


# --- lost replies, and others ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        *itertools.product(FLOWS, ["connection closed"]),
        ("replace", "ServiceFailure"),
    ],
)
def test_every_first_reply_may_be_lost(name: str, outcome: Any) -> None:
    """The call itself finds out what was done, and does the rest: nothing is done twice."""
    flow = FLOWS[name]
    with open_world("typical", 3) as world:
        flow.prepare(world)
        before = set(world.keys)
        fault = Fault(outcome, when="after", writes_only=True, once_each=True)
        world.lagging.fail(fault)
        end = world.rotate(**flow.arguments)
        new = set(world.keys) - before
        assert isinstance(end, DeliveryError if name == "replace" else RotationStatus)
        if name == "replace":  # a suspect takes the room, and is retired first
            assert [key.access_key_id for key in end.suspects] == list(new)
            for _ in range(7):
                world.sleep(DAY)
                world.use()
                world.rotate()
        else:
            assert len(new) == (2 if name == "deliver" else 0)
        assert flow.ends(world)
        check(world)


LIES: dict[str, Callable[[str], str]] = {
    "the mask": lambda _secret: "<secret access key>",
    "half of it": lambda secret: secret[:20],
    "its end": lambda secret: secret[20:],
    "another": lambda secret: secret[::-1],
    "nothing": lambda _secret: "",
}


@pytest.mark.parametrize("lie", [*LIES, "the old one"])
def test_a_store_that_lies_costs_no_key(lie: str) -> None:
    """The new key does not work as the store holds it: an error says so, and the old key stays."""
    with open_world("typical") as world:
        aged(world)
        assert world.shelf.key
        old, secret = world.shelf.key
        world.shelf.lie = LIES.get(lie, lambda _secret: secret)
        error = world.rotate()
        assert isinstance(error, DeliveryError)
        assert error.fate == "in doubt"
        assert {old, error.access_key_id} == world.active
        world.shelf.lie = str
        for _ in range(20):
            world.sleep(DAY)
            assert isinstance(world.rotate(), (KeyConflictError, RotationStatus))
            assert old in world.active


def test_a_store_that_lies_later_costs_no_key() -> None:
    """A secret that was damaged after the delivery is found before the old key ends."""
    with open_world("typical") as world:
        settling(world)
        assert world.shelf.key
        (old,) = world.unheld
        world.shelf.key = world.shelf.key[0], "x" * 40
        for _ in range(5):
            error = world.rotate()
            assert isinstance(error, KeyConflictError)
            assert "SignatureDoesNotMatch" in str(error)
            world.sleep(DAY)
        assert old in world.active


def test_a_reply_that_never_comes_takes_the_time_of_a_call() -> None:
    """Each lost reply is waited for; what it may have created is retired before another key."""
    flow = FLOWS["replace"]
    with open_world("typical", 3) as world:
        flow.prepare(world)
        world.lagging.fail(Fault("read timeout", when="after", writes_only=True, once_each=True))
        error = world.rotate()
        assert isinstance(error, DeliveryError)
        assert len(error.suspects) == 1
        for _ in range(7):
            world.sleep(DAY)
            world.use()
            world.rotate()
        assert flow.ends(world)
        check(world)


@pytest.mark.parametrize(("name", "number"), [("deliver", 3), ("replace", 8), ("delete", 13)])
def test_two_programs_may_do_the_same_at_once(name: str, number: int) -> None:
    """Both end with the one key in the store, or with an error that names what is left."""
    with open_world("typical", number) as world:
        FLOWS[name].prepare(world)
        before = len(world.lagging.trace)
        world.lagging.before_request(before + number, world.rotate)
        world.rotate()
        assert world.held in world.active
        check(world)


@pytest.mark.parametrize(("name", "number"), [("replace", 6), ("replace", 10), ("deactivate", 6)])
def test_a_key_that_a_person_makes_meanwhile_is_left_alone(name: str, number: int) -> None:
    """Whenever it appears, and even if our own reply is lost then."""
    with open_world("typical", number) as world:
        FLOWS[name].prepare(world)
        before = len(world.lagging.trace)
        world.lagging.before_request(before + number, world.make_if_there_is_room)
        world.lagging.fail(Fault("connection closed", "CreateAccessKey", when="after", nth=1))
        for _ in range(3):
            world.rotate()
            world.sleep(5 * DAY)
            world.use(world.held, *world.theirs)
        assert world.touched == []
        check(world)


# --- anything -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "seed"), [("adversarial", 0), ("typical", 37)])
def test_law_7_a_life_ends_well(profile: str, seed: int) -> None:
    """The key is replaced and the old one deleted, though incidents of every kind happen."""
    assert life(profile, seed).wrong == []
