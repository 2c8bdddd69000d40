"""Strict and lagging IAM at once: what is late comes first, then what AWS refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ClientError

from cwagent_iam import (
    CwAgentIamError,
    diff,
    ensure,
    ensure_agent_role,
    observe,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from cwagent_iam.testing import Fault, laggy_iam, strict_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed
from tests.conftest import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import Result, State

# Every write looks at a replica, which learns of what was written 8 seconds later.
STALE = attrs.evolve(
    PROFILES["off"],
    lags={"admission": Fixed(8.0), "read": Fixed(8.0)},
    router="alternate",
    stale_writes=1.0,
)
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
PLANS = {
    "role": plan_agent_role("Agent", tags={"Team": "x"}, description="agent"),
    "user": plan_agent_user("agent", tags={"Team": "x"}),
}


def code_of(call: Callable[..., object], **arguments: object) -> str:
    """Call, and return AWS's code, or ``ok``."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


def until_done(flow: Callable[..., Result], desired: State, **options: Any) -> None:
    """Call, and once more after an error of this library."""
    try:
        flow(desired, **options)
    except CwAgentIamError:
        flow(desired, **options)


@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("profile", ["typical", "bad_day", "adversarial"])
def test_made_and_removed_in_a_strict_and_lagging_iam(profile: str, desired: State) -> None:
    """Whatever strict IAM asks for and lagging IAM loses, the truth is right each time."""
    for seed in range(examples(2)):
        with laggy_iam(profile, seed=seed) as lagging, strict_iam():
            options: Any = {"session": lagging.session, "propagation": lagging.propagation}
            until_done(ensure, desired, **options)
            assert not diff(desired, observe(desired, iam=lagging.truth))
            lagging.settle()
            until_done(remove, desired, **options)
            assert not observe(desired, iam=lagging.truth).entities


def test_five_lines_give_a_role() -> None:
    """A role for the agent in an IAM that lags and is strict takes no more than this."""
    with laggy_iam("adversarial") as lagging, strict_iam():
        role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
    assert role.changed


def test_what_strict_iam_refuses_is_not_done() -> None:
    """A refusal of strict IAM leaves no version, which a replica could show later."""
    with laggy_iam(STALE) as lagging, strict_iam():
        iam = lagging.client("ours")
        too_long = "a" * 65
        refused = {
            code_of(iam.create_role, RoleName=too_long, AssumeRolePolicyDocument=TRUST),
            code_of(iam.create_role, RoleName="R", AssumeRolePolicyDocument="{}"),
        }
        assert refused == {"ValidationError", "MalformedPolicyDocument"}
        lagging.settle()
        assert lagging.clock.elapsed < 1  # nothing is on its way to any replica
        assert iam.list_roles()["Roles"] == []
        assert lagging.truth.list_roles()["Roles"] == []


def test_what_cannot_be_is_refused_for_that_and_not_as_missing() -> None:
    """Strict IAM checks the form before it looks, and the lagging one leaves that order alone."""
    with laggy_iam(STALE) as lagging, strict_iam():
        iam = lagging.client("ours")
        wrong = {"RoleName": "a" * 65, "PolicyArn": SERVER}
        assert code_of(iam.attach_role_policy, **wrong) == "ValidationError"
        assert code_of(iam.attach_role_policy, **wrong | {"RoleName": "R"}) == "NoSuchEntity"


def test_what_is_late_is_refused_before_strict_iam_is_asked() -> None:
    """The replica does not know the role yet; once it does, strict IAM has its say."""
    with laggy_iam(STALE) as lagging, strict_iam():
        iam = lagging.client("ours")
        iam.create_role(RoleName="R", AssumeRolePolicyDocument=TRUST)
        foreign = {"RoleName": "R", "PolicyArn": "arn:aws:iam::aws:policy/None"}
        outcomes = [code_of(iam.attach_role_policy, **foreign)]
        lagging.settle()
        outcomes.append(code_of(iam.attach_role_policy, **foreign))
        with pytest.raises(ClientError, match=r"Policy .*None does not exist"):
            iam.attach_role_policy(**foreign)
        assert outcomes == ["NoSuchEntity", "NoSuchEntity"]


def test_names_in_another_case_lag_too() -> None:
    """Strict IAM finds names whatever their case, and a replica that is late does not."""
    with laggy_iam(STALE) as lagging, strict_iam():
        iam = lagging.client("ours")
        iam.create_role(RoleName="Agent", AssumeRolePolicyDocument=TRUST)
        attach: dict[str, Any] = {"RoleName": "AGENT", "PolicyArn": SERVER}
        assert code_of(iam.attach_role_policy, **attach) == "NoSuchEntity"
        lagging.settle()
        assert code_of(iam.attach_role_policy, **attach) == "ok"
        assert code_of(iam.delete_role, RoleName="aGENT") == "DeleteConflict"


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_faults_are_around_strict_iam(when: Any, *, done: bool) -> None:
    """A fault before the work spares strict IAM the request, one after it loses what it said."""
    with laggy_iam("off") as lagging, strict_iam():
        lagging.fail(Fault("connection closed", when=when, nth=1))
        lagging.fail(Fault("crash", nth=2))
        iam = lagging.client("ours")
        with pytest.raises(BaseException, match="killed before request 2"):
            iam.create_role(RoleName="R", AssumeRolePolicyDocument=TRUST)
        assert (code_of(lagging.truth.get_role, RoleName="R") == "ok") is done
