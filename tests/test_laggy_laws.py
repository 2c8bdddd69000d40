"""Law 6: under any schedule of lag, faults and crashes, all is right in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cwagent_iam import (
    ApplyError,
    CwAgentIamError,
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
from tests.conftest import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import State
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
    for seed in range(examples(3)):
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


def until_done(
    flow: Callable[..., object], desired: State, **options: Any
) -> CwAgentIamError | None:
    """Call, and after an error of ours call again, which must converge; return that error."""
    try:
        flow(desired, **options)
    except Exception as error:  # noqa: BLE001 - which are allowed is checked here
        assert isinstance(error, CwAgentIamError), error  # noqa: PT017
        flow(desired, **options)
        return error
    return None


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("profile", ["typical", "bad_day", "adversarial"])
def test_law_6_after_an_error(profile: str, kind: str) -> None:
    """A call that fails in the middle raises an error of ours, and the next call converges."""
    desired, entity = PLANS[kind], kind.capitalize()
    with laggy_iam(profile, seed=1) as lagging:
        options: Any = {"session": lagging.session, "propagation": lagging.propagation}
        deny_once(lagging.session, f"Attach{entity}Policy")
        assert isinstance(until_done(ensure, desired, **options), ApplyError)
        assert is_right(lagging, desired)
        lagging.settle()
        break_something(lagging, desired)
        deny_once(lagging.session, f"Put{entity}Policy")
        assert isinstance(until_done(ensure, desired, **options), ApplyError)
        assert is_right(lagging, desired)
        deny_once(lagging.session, f"Delete{entity}")
        assert isinstance(until_done(remove, desired, **options), ApplyError)
        assert not observe(desired, iam=lagging.truth).entities


def deny_once(session: Any, operation: str) -> None:
    """Deny the first request for *operation*; a denial is final, so that the call must fail."""
    denials = [ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)]

    def deny(**_: object) -> None:
        if denials:
            raise denials.pop()

    session.events.register(f"before-call.iam.{operation}", deny)


def test_only_errors_of_ours_are_followed_by_a_second_call() -> None:
    """A foreign error fails the law, even if the next call would converge; so do two of ours."""
    ours, foreign = CwAgentIamError(), ValueError("not ours")
    desired = PLANS["role"]
    assert until_done(scripted(None), desired) is None
    assert until_done(scripted(ours, None), desired) is ours
    with pytest.raises(AssertionError):
        until_done(scripted(foreign, None), desired)
    with pytest.raises(CwAgentIamError):
        until_done(scripted(ours, ours), desired)


def scripted(*outcomes: Exception | None) -> Callable[..., object]:
    """Return a flow that raises one outcome a call, or returns where there is none."""
    left = iter(outcomes)

    def flow(_: State) -> None:
        if outcome := next(left):
            raise outcome

    return flow


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
    for seed in range(examples(2)):
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
