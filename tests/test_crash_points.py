"""Killed at any request, the next run ends right; the docs have the table of what was tried."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
)
from cwagent_iam import remove as remove_it
from cwagent_iam.testing import Crash, Fault, laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable

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


def killed(profile: str, flow: Flow, number: int, when: Any) -> bool | None:
    """Kill *flow* at its request *number*, run it again; tell whether it is right then.

    `None` if it had ended before.
    """
    with laggy_iam(profile, seed=number) as lagging:
        flow.prepare(lagging)
        lagging.fail(Fault("crash", when=when, nth=number))
        try:
            flow.call(flow.desired, session=lagging.session)
        except Crash:
            flow.call(flow.desired, session=lagging.session)
            return flow.is_right(lagging)
        return None


def outcomes(profile: str, name: str, *moments: str, step: int = 1) -> list[bool]:
    """Kill a flow at these *moments* of its requests; list whether it was right then."""
    found: list[bool] = []
    number = 1
    while None not in (row := [killed(profile, FLOWS[name], number, when) for when in moments]):
        found += [each is True for each in row]
        number += step
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_each_crash_point_converges(name: str) -> None:
    """Killed before or after any request, another run does the rest; so says the docs' table."""
    found = outcomes("off", name, "before", "after")
    assert all(found)
    row = f"| {name} | {len(found)} | {sum(found)} |"
    assert row in EXPLANATION.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FLOWS)
def test_each_crash_point_converges_with_lag(name: str) -> None:
    """It does so too, at every third, where IAM lags and each first reply to a write is lost."""
    found = outcomes("adversarial", name, "after", step=3)
    assert all(found)
    assert len(found) > 2
