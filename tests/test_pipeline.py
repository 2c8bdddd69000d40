"""The whole way: create, again, complete what is half made, remove."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
)
from tests.core import World
from tests.scripted import ONE_AT_A_TIME, names

if TYPE_CHECKING:
    import boto3

    from tests.conftest import Requests

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ADMIN = "arn:aws:iam::aws:policy/CloudWatchAgentAdminPolicy"
BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OURS = {"Key": "ManagedBy", "Value": "cwagent-iam"}


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
        ],
    },
)


class TestOnceAndAgain:
    """Create, again, remove, again."""

    def test_role(self, session: boto3.Session, requests: Requests) -> None:
        """A role takes four writes; the next call none and three reads; so does removal."""
        first = ensure_agent_role(session=session, propagation=ONE_AT_A_TIME)
        written = requests.writes
        requests.sent.clear()
        again = ensure_agent_role(session=session, propagation=ONE_AT_A_TIME)
        second = requests.sent.copy()
        requests.sent.clear()
        removed = remove(plan_agent_role(), session=session, propagation=ONE_AT_A_TIME)
        taken = requests.writes
        requests.sent.clear()
        nothing = remove(plan_agent_role(), session=session, propagation=ONE_AT_A_TIME)
        assert names(first.changes) == written
        assert sorted(written) == [
            "AddRoleToInstanceProfile",
            "AttachRolePolicy",
            "CreateInstanceProfile",
            "CreateRole",
        ]
        assert second == ["GetRole", "ListAttachedRolePolicies", "GetInstanceProfile"]
        assert (first.changed, again.changed, again.changes) == (True, False, ())
        assert names(removed.changes) == taken
        assert sorted(taken) == [
            "DeleteInstanceProfile",
            "DeleteRole",
            "DetachRolePolicy",
            "RemoveRoleFromInstanceProfile",
        ]
        assert (nothing.changed, requests.writes) == (False, [])

    def test_user(self, session: boto3.Session, requests: Requests) -> None:
        """A user takes two writes; the next call none and two reads; so does removal."""
        first = ensure_agent_user(session=session, propagation=ONE_AT_A_TIME)
        written = requests.writes
        requests.sent.clear()
        again = ensure_agent_user(session=session, propagation=ONE_AT_A_TIME)
        second = requests.sent.copy()
        requests.sent.clear()
        removed = remove(plan_agent_user(), session=session, propagation=ONE_AT_A_TIME)
        taken = requests.writes
        requests.sent.clear()
        nothing = remove(plan_agent_user(), session=session, propagation=ONE_AT_A_TIME)
        assert names(first.changes) == written == ["CreateUser", "AttachUserPolicy"]
        assert second == ["GetUser", "ListAttachedUserPolicies"]
        assert (first.changed, again.changed, again.changes) == (True, False, ())
        assert names(removed.changes) == taken == ["DetachUserPolicy", "DeleteUser"]
        assert (nothing.changed, requests.writes) == (False, [])

    def test_result_of_role(self, session: boto3.Session) -> None:
        """The result names the role and its profile, with ARNs, however often it is asked for."""
        made = ensure_agent_role("r", instance_profile="p", path="/agents/", session=session)
        again = ensure_agent_role("r", instance_profile="p", path="/agents/", session=session)
        alone = ensure_agent_role("alone", instance_profile=False, session=session)
        for role in (made, again):
            assert role.role_name == "r"
            assert role.role_arn == "arn:aws:iam::123456789012:role/agents/r"
            assert role.instance_profile_name == "p"
            assert (
                role.instance_profile_arn == "arn:aws:iam::123456789012:instance-profile/agents/p"
            )
        assert alone.role_arn == "arn:aws:iam::123456789012:role/alone"
        assert (alone.instance_profile_name, alone.instance_profile_arn) == (None, None)

    def test_result_of_user(self, session: boto3.Session) -> None:
        """The result names the user, with its ARN."""
        user = ensure_agent_user("u", path="/agents/", session=session)
        assert (user.user_name, user.user_arn) == ("u", "arn:aws:iam::123456789012:user/agents/u")

    def test_all_fields_of_role(self, session: boto3.Session, requests: Requests) -> None:
        """All that a role can have is set by the create calls, and is then as desired."""
        desired = plan_agent_role(
            policies=(SERVER_POLICY, ADMIN_POLICY),
            path="/agents/",
            description="Metrics, logs & traces",
            permissions_boundary=BOUNDARY,
            max_session_duration=7200,
            tags={"Team": "observability"},
        )
        ensure(desired, session=session)
        assert len(requests.writes) == 5
        assert not preview(desired, session=session)

    def test_all_fields_of_user(self, session: boto3.Session, requests: Requests) -> None:
        """All that a user can have is set by the create call, and is then as desired."""
        desired = plan_agent_user(
            policies=[ADMIN], path="/agents/", permissions_boundary=BOUNDARY, tags={"Team": "o"}
        )
        ensure(desired, session=session)
        assert requests.writes == ["CreateUser", "AttachUserPolicy"]
        assert not preview(desired, session=session)

    def test_no_arguments(self, iam: Any) -> None:
        """Without any argument both go to boto3's default session, which is the sandbox."""
        role = ensure_agent_role()
        user = ensure_agent_user()
        assert iam.get_role(RoleName=ROLE)["Role"]["Arn"] == role.role_arn
        assert iam.get_user(UserName=USER)["User"]["Arn"] == user.user_arn


STEPS: dict[str, dict[str, Any]] = {
    "CreateRole": {"RoleName": ROLE, "AssumeRolePolicyDocument": TRUST, "Tags": [OURS]},
    "AttachRolePolicy": {"RoleName": ROLE, "PolicyArn": SERVER},
    "CreateInstanceProfile": {"InstanceProfileName": ROLE, "Tags": [OURS]},
    "AddRoleToInstanceProfile": {"InstanceProfileName": ROLE, "RoleName": ROLE},
}
NEEDS = {
    "AttachRolePolicy": {"CreateRole"},
    "AddRoleToInstanceProfile": {"CreateRole", "CreateInstanceProfile"},
}
HALF_MADE = [
    done
    for size in range(len(STEPS) + 1)
    for done in itertools.combinations(STEPS, size)
    if all(NEEDS.get(step, set()) <= set(done) for step in done)
]


class TestHalfMade:
    """What an earlier run left unfinished."""

    @pytest.mark.parametrize("done", HALF_MADE, ids="+".join)
    def test_role(self, done: tuple[str, ...]) -> None:
        """Whatever part of role, policy, profile and membership is there, the rest is added."""
        world = World()
        for step in done:
            world.do(step, **STEPS[step])
        result = world.ensure()
        assert sorted(world.writes) == sorted(STEPS.keys() - set(done))
        assert names(result.changes) == world.writes
        assert not world.later().ensure().changed

    def test_all_are_tested(self) -> None:
        """These are all the states that can be: two without a role, six with one."""
        assert len(HALF_MADE) == 8

    @pytest.mark.parametrize("attached", [None, (), (SERVER,), (ADMIN,), (SERVER, ADMIN)])
    def test_user(self, attached: tuple[str, ...] | None) -> None:
        """Whatever part of a user and its policies is there, the rest is added."""
        world, desired = World(), plan_agent_user(policies=[SERVER, ADMIN])
        if attached is not None:
            world.do("CreateUser", UserName=USER, Tags=[OURS])
        for policy in attached or ():
            world.do("AttachUserPolicy", UserName=USER, PolicyArn=policy)
        result = world.ensure(desired)
        missing = ["AttachUserPolicy"] * (2 - len(attached or ()))
        assert world.writes == ["CreateUser"] * (attached is None) + missing
        assert names(result.changes) == world.writes
        assert not world.later().ensure(desired).changed
