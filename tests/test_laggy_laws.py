"""Law 6: under any schedule of lag, faults and crashes, all is right in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    InstanceProfile,
    ManagedPolicy,
    Role,
    diff,
    ensure,
    observe,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from cwagent_iam.testing import laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import Result, State
    from cwagent_iam.testing import LaggyIAM

EC2_TRUST = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}'
)
OTHER = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
OWN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"


def is_right(lagging: LaggyIAM, desired: State) -> bool:
    """Tell whether the truth is as desired."""
    return not diff(desired, observe(desired, iam=lagging.truth))


PLANS = {
    "role": plan_agent_role(tags={"Team": "x"}, parameters=["web"], permissions_boundary=OWN),
    "user": plan_agent_user(parameters=["web"]),
}


@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("profile", ["typical", "bad_day", "adversarial"])
def test_law_6_all_is_right_afterwards(profile: str, desired: State) -> None:
    """Created, mended and removed under any schedule, the truth is as it should be each time."""
    for seed in range(17):
        with laggy_iam(profile, seed=seed) as lagging:
            options: Any = {"session": lagging.session, "propagation": lagging.propagation}
            until_done(ensure, desired, **options)
            assert is_right(lagging, desired)
            lagging.settle()
            assert not ensure(desired, **options | {"session": None, "iam": lagging.truth}).changed
            break_something(lagging, desired)
            until_done(ensure, desired, **options)
            assert is_right(lagging, desired)
            until_done(remove, desired, **options)
            assert not observe(desired, iam=lagging.truth).entities


def until_done(flow: Callable[..., Result], desired: State, **options: Any) -> None:
    """Call, and after a typed error once more: the next call ends right."""
    try:
        flow(desired, **options)
    except Exception as error:  # noqa: BLE001 - which are allowed is checked here
        assert type(error).__module__ == "cwagent_iam.errors", error  # noqa: PT017
        flow(desired, **options)


def break_something(lagging: LaggyIAM, desired: State) -> None:
    """Take the policies away behind the library's back."""
    (thing, *_) = desired.entities
    kind = thing.kind.capitalize()
    detach = getattr(lagging.truth, f"detach_{thing.kind}_policy")
    detach(**{f"{kind}Name": thing.name, "PolicyArn": SERVER})
    delete = getattr(lagging.truth, f"delete_{thing.kind}_policy")
    delete(**{f"{kind}Name": thing.name, "PolicyName": "CloudWatchAgentParameters"})


@pytest.mark.parametrize("profile", ["typical", "bad_day", "adversarial"])
def test_law_6_for_what_others_made(profile: str) -> None:
    """Attached to, left again, adopted and made exclusive under any schedule, all is right."""
    exclusive: Any = {"existing": "adopt", "attachments": "exclusive"}
    desired = PLANS["role"]
    (name, *_) = (entity.name for entity in desired.entities)
    plain = plan_agent_role(name)
    for seed in range(6):
        with laggy_iam(profile, seed=seed) as lagging:
            options: Any = {"session": lagging.session, "propagation": lagging.propagation}
            truth = lagging.truth
            truth.create_role(RoleName=name, AssumeRolePolicyDocument=EC2_TRUST)
            truth.attach_role_policy(RoleName=name, PolicyArn=OTHER)
            truth.create_instance_profile(InstanceProfileName=name)
            until_done(ensure, plain, existing="attach", **options)
            assert not diff(plain, observe(plain, iam=truth))
            until_done(remove, plain, existing="attach", **options)
            role, instance_profile = observe(plain, iam=truth).entities
            assert isinstance(role, Role)
            assert isinstance(instance_profile, InstanceProfile)
            assert role.policies == {ManagedPolicy.from_arn(OTHER)}
            assert instance_profile.role_name is None
            until_done(ensure, desired, **exclusive, **options)
            assert not diff(desired, observe(desired, iam=truth), **exclusive)
