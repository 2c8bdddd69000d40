"""Law 6: after a crash at any point the next call converges; the docs have the table of points."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import attrs
import pytest

from cwagent_iam import (
    EC2,
    CrossAccount,
    Result,
    State,
    diff,
    ensure,
    observe,
    plan_agent_role,
    plan_agent_user,
    remove as remove_it,
)
from cwagent_iam.aws import sender
from cwagent_iam.executor.transport import Transport
from cwagent_iam.testing import Crash, Fault, laggy_iam
from tests.conftest import examples
from tests.core_lag import LAGS, Replicas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cwagent_iam.requests import Request

EXPLANATION = Path(__file__).parent.parent / "docs" / "explanation.md"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
OPEN = (
    '{"Version":"2012-10-17",'
    '"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}'
)
OWN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ROLE = plan_agent_role(
    description="agent", tags={"Team": "x"}, parameters=["web"], permissions_boundary=OWN
)
USER = plan_agent_user(tags={"Team": "x"}, parameters=["web"])
PLAIN = plan_agent_role(instance_profile="Web")
NAME = ROLE.entities[0].name
TRUSTING = plan_agent_role("Source", instance_profile=False) | plan_agent_role(
    "Target", trust=CrossAccount(["arn:aws:iam::123456789012:role/Source"])
)
adopt = partial(ensure, existing="adopt")
attach = partial(ensure, existing="attach")
undo_attach = partial(remove_it, existing="attach")
exclude = partial(ensure, attachments="exclusive")
_SEND = Transport.send


def nothing(_world: Replicas) -> None:
    """Begin with an empty account."""


def role(world: Replicas) -> None:
    """Begin with the role as desired."""
    world.ensure(ROLE)


def user(world: Replicas) -> None:
    """Begin with the user as desired."""
    world.ensure(USER)


def broken_role(world: Replicas) -> None:
    """Begin with a role of which everything that can be mended is broken."""
    role(world)
    thing = lose_parts(world, f"role {NAME}")
    thing["seen"] |= {"AssumeRolePolicyDocument": OPEN, "Description": "other"}
    del thing["seen"]["PermissionsBoundary"]
    world.do("RemoveRoleFromInstanceProfile", InstanceProfileName=NAME, RoleName=NAME)


def broken_user(world: Replicas) -> None:
    """Begin with a user that lacks its policies and a tag."""
    user(world)
    lose_parts(world, f"user {USER.entities[0].name}")


def lose_parts(world: Replicas, key: str) -> Any:
    """Remove the policies and a tag of a role or user, and return it."""
    thing = world.things[key.lower()]
    thing["attached"], thing["inline"] = {}, {}
    thing["seen"]["Tags"] = [tag for tag in thing["seen"]["Tags"] if tag["Key"] != "Team"]
    return thing


def role_of_others(world: Replicas) -> None:
    """Begin with a role that somebody else made, and a profile that holds another one."""
    for name in (NAME, "Other"):
        world.do("CreateRole", RoleName=name, AssumeRolePolicyDocument=OPEN)
    world.do("AttachRolePolicy", RoleName=NAME, PolicyArn=OWN)
    world.do("CreateInstanceProfile", InstanceProfileName=NAME)
    world.do("AddRoleToInstanceProfile", InstanceProfileName=NAME, RoleName="Other")


def role_to_attach_to(world: Replicas) -> None:
    """Begin with a role and an empty profile that somebody else made."""
    trust = EC2().document().text.replace('"ec2"', '"ec2.amazonaws.com"')
    world.do("CreateRole", RoleName=NAME, AssumeRolePolicyDocument=trust)
    world.do("AttachRolePolicy", RoleName=NAME, PolicyArn=OWN)
    world.do("CreateInstanceProfile", InstanceProfileName="Web")


def attached_role(world: Replicas) -> None:
    """Begin with that role, attached to."""
    role_to_attach_to(world)
    world.ensure(PLAIN, existing="attach")


def role_with_more(world: Replicas) -> None:
    """Begin with the role as desired, and another policy in place of one that is desired."""
    role(world)
    world.do("AttachRolePolicy", RoleName=NAME, PolicyArn=OWN)
    world.do("DetachRolePolicy", RoleName=NAME, PolicyArn=SERVER)


def is_as(desired: State, **choices: Any) -> Callable[[Replicas], bool]:
    """Tell whether the truth is as *desired*."""
    return lambda world: not diff(desired, world.seen(desired), **choices)


def is_gone(desired: State) -> Callable[[Replicas], bool]:
    """Tell whether nothing of *desired* is there."""
    return lambda world: not world.seen(desired).entities


def is_undone(world: Replicas) -> bool:
    """Tell whether the role of others is there with what is its own, and nothing else."""
    profile = world.things["instance-profile web"]["seen"]
    return [*world.things[f"role {NAME}".lower()]["attached"]] == [OWN] and not profile["Roles"]


class Flow(NamedTuple):
    """What is there before, what is called with what, and what must be true in the end."""

    prepare: Callable[[Replicas], None]
    call: Callable[..., Result]
    desired: Any
    is_right: Callable[[Replicas], bool]

    def begin(self, profile: str = "off", seed: int = 0) -> tuple[Replicas, Callable[[], Result]]:
        """Return an IAM that is prepared, and the call."""
        world = Replicas(seed=seed)
        self.prepare(world)
        world.settle()
        world.now += 1_000
        world.lag, world.trace = LAGS[profile], []
        return world, partial(self.call, self.desired, iam=world, propagation=world.propagation())


FLOWS = {
    "create a role with its profile": Flow(nothing, ensure, ROLE, is_as(ROLE)),
    "create a user": Flow(nothing, ensure, USER, is_as(USER)),
    "create both in one call": Flow(nothing, ensure, [ROLE, USER], is_as(ROLE | USER)),
    "create a role that trusts a new one": Flow(nothing, ensure, TRUSTING, is_as(TRUSTING)),
    "mend a role": Flow(broken_role, ensure, ROLE, is_as(ROLE)),
    "mend a user": Flow(broken_user, ensure, USER, is_as(USER)),
    "take away what is extra": Flow(
        role_with_more, exclude, ROLE, is_as(ROLE, attachments="exclusive")
    ),
    "adopt a role and swap its profile": Flow(role_of_others, adopt, ROLE, is_as(ROLE)),
    "attach to a role of others": Flow(role_to_attach_to, attach, PLAIN, is_as(PLAIN)),
    "undo attaching": Flow(attached_role, undo_attach, PLAIN, is_undone),
    "remove a role with its profile": Flow(role, remove_it, ROLE, is_gone(ROLE)),
    "remove a user": Flow(user, remove_it, USER, is_gone(USER)),
}


def writes_that_matter(count: int) -> set[frozenset[int]]:
    """Return which writes of a batch of *count* a crash may leave carried out.

    None, all, each alone, each missing, and what is carried out if requests are sent one after
    another. So every two writes of a batch meet in all four ways; up to three in all ways.
    """
    every = frozenset(range(count))
    alone = {frozenset({each}) for each in every}
    return in_order(count) | alone | {every - each for each in alone}


def in_order(count: int) -> set[frozenset[int]]:
    """Return which writes are carried out before a crash if they are sent one after another."""
    return {frozenset(range(done)) for done in range(count + 1)}


@attrs.define
class Crashes:
    """Crashes of one flow at each of its batches, played while the flow itself goes on.

    A crash leaves nothing but what IAM holds. So at each batch some of its writes are carried out,
    the call is made anew, and the moment before is restored. The same truth is played once: right
    after the write that led to it, when replicas are furthest behind.

    Attributes:
        world: The IAM.
        call: What is called again after a crash.
        choose: Returns which writes of a batch are carried out.
        points: How many crashes there were.
        ends: What IAM held after the second call, by what it held after the crash.
    """

    world: Replicas
    call: Callable[[], object]
    choose: Callable[[int], set[frozenset[int]]]
    points: int = 0
    ends: dict[str, str] = attrs.field(factory=dict)
    _crashed: bool = False

    def send(self, transport: Transport, requests: Sequence[Request], most: int) -> Any:
        """Crash in the middle of *requests* in each way, and then send them."""
        if self._crashed:
            return _SEND(transport, requests, most)
        writes = [each for each in requests if not each.row.reads]
        world = self.world
        names = ("things", "now", "late", "lost", "random")
        for done in sorted(self.choose(len(writes)), key=sorted):
            moment = copy.deepcopy([getattr(world, name) for name in names])
            for place in sorted(done):
                sender.attempt(world, writes[place], lambda _outcome: None)
            self._begin_anew()
            for name, value in zip(names, moment, strict=True):
                setattr(world, name, value)
        return _SEND(transport, requests, most)

    def _begin_anew(self) -> None:
        self.points += 1
        left = truth_in(self.world)
        if left in self.ends:
            return
        self._crashed = True
        self.call()
        self._crashed = False
        self.ends[left] = truth_in(self.world)


def truth_in(world: Replicas) -> str:
    """Return what IAM holds in truth, as text, without the times."""
    things = copy.deepcopy(world.things)
    for thing in things.values():
        del thing["seen"]["CreateDate"]
        thing["seen"].get("Tags", []).sort(key=str)
    return json.dumps(things, sort_keys=True)


def play(
    profile: str, flow: Flow, choose: Callable[[int], set[frozenset[int]]], seed: int = 0
) -> Crashes:
    """Crash at each batch of *flow*; each second call must end where an undisturbed one does."""
    world, call = flow.begin(profile, seed)
    crashes = Crashes(world, call, choose)

    def send(transport: Transport, requests: Sequence[Request], most: int) -> Any:
        return crashes.send(transport, requests, most)

    with patch.object(Transport, "send", send):
        call()
    assert flow.is_right(world)
    assert set(crashes.ends.values()) == {truth_in(world)}
    return crashes


@pytest.mark.parametrize("name", FLOWS)
def test_each_crash_point_converges(name: str) -> None:
    """After a crash at any point, another call does the rest; so says the docs' table."""
    crashes = play("off", FLOWS[name], writes_that_matter)
    row = f"| {name} | {crashes.points} | {len(crashes.ends)} | {len(crashes.ends)} |"
    assert row in EXPLANATION.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FLOWS)
def test_each_crash_point_converges_with_lag(name: str) -> None:
    """It does so too where IAM lags and the first reply to each write is lost."""
    for seed in range(examples(2)):
        crashes = play("adversarial", FLOWS[name], in_order, seed)
        assert len(crashes.ends) > 2


@pytest.mark.parametrize("name", FLOWS)
def test_interrupted_call_sends_nothing_more(name: str) -> None:
    """A call that is interrupted before a request sends nothing more; the next one converges."""
    flow = FLOWS[name]
    undisturbed, call = flow.begin()
    call()

    def stop() -> None:
        raise KeyboardInterrupt

    for number in range(1, len(undisturbed.trace) + 1):
        world, call = flow.begin()
        world.rivals = [(number, stop)]
        with pytest.raises(KeyboardInterrupt):
            call()
        assert len(world.trace) == number
        call()
        assert flow.is_right(world)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("there", [False, True], ids=["create", "remove"])
def test_killed_process_sends_nothing_more(when: Any, *, there: bool) -> None:
    """A process that is killed at its first write sends nothing more; the next one converges."""
    flow = remove_it if there else ensure
    with laggy_iam("off") as lagging:
        if there:
            ensure(ROLE, iam=lagging.truth)
        settings = attrs.evolve(lagging.propagation, max_in_flight=1)
        lagging.fail(Fault("crash", "[!GL]*", when=when, nth=1))
        with pytest.raises(Crash):
            flow(ROLE, session=lagging.session, propagation=settings)
        assert not lagging.trace[-1].reads
        flow(ROLE, session=lagging.session, propagation=settings)
        seen = observe(ROLE, iam=lagging.truth)
        assert seen.entities == () if there else not diff(ROLE, seen)
