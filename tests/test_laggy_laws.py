"""Law 6: under any schedule of lag, faults and crashes, all is right in the end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

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
from tests.core import DENIED
from tests.core_lag import LAGS, Replicas

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import State
    from cwagent_iam.testing import LaggyIAM
    from tests.core import World

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


@pytest.mark.parametrize(
    ("profile", "kind"), [("typical", "role"), ("bad_day", "user"), ("adversarial", "role")]
)
def test_law_6_all_is_right_afterwards(profile: str, kind: str) -> None:
    """Created, mended and removed under any schedule, the truth is as it should be each time."""
    desired = PLANS[kind]
    for seed in range(examples(1)):
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


def lagging_world(profile: str, seed: int) -> tuple[Replicas, dict[str, Any]]:
    """Return an IAM of dictionaries with lag, and the options of calls to it."""
    world = Replicas(lag=LAGS[profile], seed=seed)
    timeout = 240.0 if profile == "bad_day" else 60.0  # its delays are longer than a minute
    return world, {"iam": world, "propagation": world.propagation(timeout)}


def drift(world: Replicas) -> World:
    """Take the policies away behind the library's back, once all replicas know them."""
    truth = world.settle()
    for thing in truth.things.values():
        thing["attached"], thing["inline"] = {}, {}
    return truth


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("profile", LAGS)
def test_law_6_under_many_schedules(profile: str, kind: str) -> None:
    """Created, mended and removed, the truth is right; nothing that passes raises an error."""
    desired = PLANS[kind]
    for seed in range(examples(3 if profile == "bad_day" else 5)):
        world, options = lagging_world(profile, seed)
        errors = [until_done(ensure, desired, **options)]
        assert world.is_as_desired(desired)
        assert not world.settle().ensure(desired).changed
        drift(world)
        errors.append(until_done(ensure, desired, **options))
        assert world.is_as_desired(desired)
        errors.append(until_done(remove, desired, **options))
        assert world.things == {}
        assert not any(errors)


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
@pytest.mark.parametrize("profile", LAGS)
def test_law_6_after_an_error(profile: str, kind: str) -> None:
    """A call that fails in the middle raises an error of ours, and the next call converges."""
    desired, entity = PLANS[kind], kind.capitalize()
    for seed in range(examples(2)):
        world, options = lagging_world(profile, seed)
        for operation, flow in (("Attach", ensure), ("Put", ensure), ("Delete", remove)):
            policy = "" if flow is remove else "Policy"
            world.script = {f"{operation}{entity}{policy}": [DENIED]}
            assert isinstance(until_done(flow, desired, **options), ApplyError)
            assert not world.things if flow is remove else world.is_as_desired(desired)
            if operation == "Attach":
                drift(world)


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


def test_law_6_for_what_others_made() -> None:
    """Attached to, left again, adopted and made exclusive with lost replies, all is right."""
    (name, *_) = (entity.name for entity in PLANS["role"].entities)
    plain = plan_agent_role(name)
    for seed in range(examples(1)):
        with laggy_iam("adversarial", seed=seed) as lagging:
            options: Any = {"session": lagging.session, "propagation": lagging.propagation}
            truth = lagging.truth
            truth.create_role(RoleName=name, AssumeRolePolicyDocument=EC2_TRUST)
            truth.attach_role_policy(RoleName=name, PolicyArn=OTHER)
            truth.create_instance_profile(InstanceProfileName=name)
            check_what_others_made(plain, options, partial(observe, iam=truth))


@pytest.mark.parametrize("profile", LAGS)
def test_law_6_for_what_others_made_under_many_schedules(profile: str) -> None:
    """Attached to, left again, adopted and made exclusive under any schedule, all is right."""
    (name, *_) = (entity.name for entity in PLANS["role"].entities)
    for seed in range(examples(3 if profile == "bad_day" else 5)):
        world, options = lagging_world(profile, seed)
        world.do("CreateRole", RoleName=name, AssumeRolePolicyDocument=EC2_TRUST)
        world.do("AttachRolePolicy", RoleName=name, PolicyArn=OTHER)
        world.do("CreateInstanceProfile", InstanceProfileName=name)
        check_what_others_made(plan_agent_role(name), options, world.seen)


def check_what_others_made(
    plain: State, options: dict[str, Any], seen: Callable[[State], State]
) -> None:
    """Attach to a role that has one policy, undo that, and adopt it; check the truth each time."""
    desired, exclusive = PLANS["role"], {"existing": "adopt", "attachments": "exclusive"}
    until_done(ensure, plain, existing="attach", **options)
    assert not diff(plain, seen(plain))
    until_done(remove, plain, existing="attach", **options)
    role, instance_profile = seen(plain).entities
    assert isinstance(role, Role)
    assert isinstance(instance_profile, InstanceProfile)
    assert role.policies == {ManagedPolicy.from_arn(OTHER)}
    assert instance_profile.role_name is None
    until_done(ensure, desired, **exclusive, **options)
    assert not diff(desired, seen(desired), existing="adopt", attachments="exclusive")
