"""Law 6: after a crash at any point the next call converges; the docs have the table of points."""

from __future__ import annotations

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
from cwagent_iam.aws.clients import Clients
from cwagent_iam.executor.transport import Transport
from cwagent_iam.testing import Crash, Fault, laggy_iam
from tests.conftest import examples
from tests.scenes import Scene, truth_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cwagent_iam.requests import Request
    from cwagent_iam.testing import LaggyIAM

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


def nothing(_lagging: LaggyIAM) -> None:
    """Begin with an empty account."""


def role(lagging: LaggyIAM) -> None:
    """Begin with the role as desired."""
    ensure(ROLE, iam=lagging.truth)


def user(lagging: LaggyIAM) -> None:
    """Begin with the user as desired."""
    ensure(USER, iam=lagging.truth)


def broken_role(lagging: LaggyIAM) -> None:
    """Begin with a role of which everything that can be mended is broken."""
    role(lagging)
    truth, name = lagging.truth, NAME
    truth.detach_role_policy(RoleName=name, PolicyArn=SERVER)
    truth.update_assume_role_policy(RoleName=name, PolicyDocument=OPEN)
    truth.update_role(RoleName=name, Description="other", MaxSessionDuration=3600)
    truth.untag_role(RoleName=name, TagKeys=["Team"])
    truth.delete_role_policy(RoleName=name, PolicyName="CloudWatchAgentParameters")
    truth.delete_role_permissions_boundary(RoleName=name)
    truth.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)


def broken_user(lagging: LaggyIAM) -> None:
    """Begin with a user that lacks its policies and a tag."""
    user(lagging)
    truth, name = lagging.truth, USER.entities[0].name
    truth.detach_user_policy(UserName=name, PolicyArn=SERVER)
    truth.delete_user_policy(UserName=name, PolicyName="CloudWatchAgentParameters")
    truth.untag_user(UserName=name, TagKeys=["Team"])


def role_of_others(lagging: LaggyIAM) -> None:
    """Begin with a role that somebody else made, and a profile that holds another one."""
    truth = lagging.truth
    for name in (NAME, "Other"):
        truth.create_role(RoleName=name, AssumeRolePolicyDocument=OPEN)
    truth.attach_role_policy(RoleName=NAME, PolicyArn=OWN)
    truth.create_instance_profile(InstanceProfileName=NAME)
    truth.add_role_to_instance_profile(InstanceProfileName=NAME, RoleName="Other")


def role_to_attach_to(lagging: LaggyIAM) -> None:
    """Begin with a role and an empty profile that somebody else made."""
    truth, trust = lagging.truth, EC2().document().text.replace('"ec2"', '"ec2.amazonaws.com"')
    truth.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust)
    truth.attach_role_policy(RoleName=NAME, PolicyArn=OWN)
    truth.create_instance_profile(InstanceProfileName="Web")


def attached_role(lagging: LaggyIAM) -> None:
    """Begin with that role, attached to."""
    role_to_attach_to(lagging)
    attach(PLAIN, iam=lagging.truth)


def role_with_more(lagging: LaggyIAM) -> None:
    """Begin with the role as desired, and another policy in place of one that is desired."""
    role(lagging)
    lagging.truth.attach_role_policy(RoleName=NAME, PolicyArn=OWN)
    lagging.truth.detach_role_policy(RoleName=NAME, PolicyArn=SERVER)


def policies(lagging: LaggyIAM) -> set[str]:
    """Return the ARNs of the policies that are attached to the role."""
    held = lagging.truth.list_attached_role_policies(RoleName=NAME)["AttachedPolicies"]
    return {each["PolicyArn"] for each in held}


def is_as(desired: State, **choices: Any) -> Callable[[LaggyIAM], bool]:
    """Tell whether the truth is as *desired*."""
    return lambda lagging: not diff(desired, observe(desired, iam=lagging.truth), **choices)


def is_gone(desired: State) -> Callable[[LaggyIAM], bool]:
    """Tell whether nothing of *desired* is there."""
    return lambda lagging: not observe(desired, iam=lagging.truth).entities


def is_undone(lagging: LaggyIAM) -> bool:
    """Tell whether the role of others is there with what is its own, and nothing else."""
    profile = lagging.truth.get_instance_profile(InstanceProfileName="Web")
    return policies(lagging) == {OWN} and not profile["InstanceProfile"]["Roles"]


class Flow(NamedTuple):
    """What is there before, what is called with what, and what must be true in the end."""

    prepare: Callable[[LaggyIAM], None]
    call: Callable[..., Result]
    desired: Any
    is_right: Callable[[LaggyIAM], bool]


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
        lagging: The IAM.
        call: What is called again after a crash.
        choose: Returns which writes of a batch are carried out.
        points: How many crashes there were.
        ends: What IAM held after the second call, by what it held after the crash.
    """

    lagging: LaggyIAM
    call: Callable[[], object]
    choose: Callable[[int], set[frozenset[int]]]
    points: int = 0
    ends: dict[str, str] = attrs.field(factory=dict)
    _crashed: bool = False

    def send(self, transport: Transport, requests: Sequence[Request]) -> Any:
        """Crash in the middle of *requests* in each way, and then send them."""
        if self._crashed:
            return _SEND(transport, requests)
        writes = [each for each in requests if not each.row.reads]
        scene = Scene.of(self.lagging)
        for done in sorted(self.choose(len(writes)), key=sorted):
            for place in sorted(done):
                sender.attempt(transport.clients.of("iam"), writes[place])
            self._begin_anew()
            scene.restored()
        return _SEND(transport, requests)

    def _begin_anew(self) -> None:
        self.points += 1
        left = truth_in(self.lagging)
        if left in self.ends:
            return
        self._crashed = True
        self.call()
        self._crashed = False
        self.ends[left] = truth_in(self.lagging)


def play(
    profile: str, flow: Flow, choose: Callable[[int], set[frozenset[int]]], seed: int = 0
) -> Crashes:
    """Crash at each batch of *flow*; each second call must end where an undisturbed one does."""
    with laggy_iam(profile, seed=seed) as lagging:
        flow.prepare(lagging)
        client = Clients(lagging.session).of("iam")
        call = partial(flow.call, flow.desired, iam=client)
        crashes = Crashes(lagging, call, choose)

        def send(transport: Transport, requests: Sequence[Request]) -> Any:
            return crashes.send(transport, requests)

        with patch.object(Transport, "send", send):
            call()
        assert flow.is_right(lagging)
        assert set(crashes.ends.values()) == {truth_in(lagging)}
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
    for seed in range(examples(1)):
        crashes = play("adversarial", FLOWS[name], in_order, seed)
        assert len(crashes.ends) > 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", FLOWS)
def test_killed_process_sends_nothing_more(name: str, when: Any) -> None:
    """A process that is killed at its first write sends nothing more; the next one converges."""
    flow = FLOWS[name]
    with laggy_iam("off") as lagging:
        flow.prepare(lagging)
        settings = attrs.evolve(lagging.propagation, max_in_flight=1)
        lagging.fail(Fault("crash", "[!GL]*", when=when, nth=1))
        with pytest.raises(Crash):
            flow.call(flow.desired, session=lagging.session, propagation=settings)
        assert not lagging.trace[-1].reads
        flow.call(flow.desired, session=lagging.session, propagation=settings)
        assert flow.is_right(lagging)
